/*
 * bailey report: what it makes of a trace, and of files that are none or are meant to harm whoever looks at the page.
 */
#include "tool/report.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

/* The text in pieces of @piece bytes; NULL, with @error, when it is refused. */
static TraceData *read_in(const char *text, size_t piece, GError **error)
{
    TraceReader *r = trace_read_new();
    TraceData   *d = NULL;
    size_t       len = strlen(text);
    bool         ok = true;

    for (size_t at = 0; ok && at < len; at += piece) {
        ok = trace_read_bytes(r, text + at, MIN(piece, len - at), error);
    }
    d = ok ? trace_read_end(r, error) : NULL;
    trace_read_free(r);
    return d;
}

#define THREAD(pid, tid, name) \
    "{\"ph\":\"M\",\"pid\":" pid ",\"tid\":" tid ",\"name\":\"thread_name\",\"args\":{\"name\":\"" name "\"}},\n"

static const char small[] =
    "[\n{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"bailey_trace\",\"args\":{\"version\":1,\"rmm\":\"1.1-alp17\"}},\n"
    THREAD("1", "7", "CPU 0 realm")
    THREAD("2", "1", "Realm 1") THREAD("2", "2", "Realm 1, REC 0x1000") THREAD("5", "1", "nic TDI")
    "{\"ph\":\"B\",\"pid\":2,\"tid\":1,\"name\":\"NEW\",\"ts\":1.5,\"cat\":\"realm\",\"args\":{\"id\":\"0x1000\"}},\n"
    "{\"ph\":\"X\",\"pid\":4,\"tid\":1,\"name\":\"RMI_REALM_CREATE\",\"ts\":1.5,\"dur\":0,\"cat\":\"rmi\",\"args\":"
    "{\"x1\":\"0x1000\",\"status\":\"SUCCESS\",\"realm\":\"0x1\"}},\n"
    "{\"ph\":\"X\",\"pid\":4,\"tid\":1,\"name\":\"RMI_GRANULE_DELEGATE\",\"ts\":2,\"dur\":0,\"cat\":\"rmi\",\"args\":"
    "{\"x1\":\"0x2000\",\"status\":\"SUCCESS\",\"count\":\"0x200\"}},\n"
    "{\"ph\":\"i\",\"pid\":4,\"tid\":2,\"name\":\"DELEGATED\",\"ts\":2,\"s\":\"t\",\"cat\":\"granule\",\"args\":"
    "{\"first\":\"0x2000\",\"count\":\"0x200\",\"from\":\"NS\"}},\n"
    "{\"ph\":\"E\",\"pid\":2,\"tid\":1,\"ts\":3,\"args\":{}},\n"
    "{\"ph\":\"B\",\"pid\":2,\"tid\":1,\"name\":\"ACTIVE\",\"ts\":3,\"cat\":\"realm\",\"args\":{}},\n"
    "{\"ph\":\"B\",\"pid\":2,\"tid\":2,\"name\":\"runs\",\"ts\":4,\"cat\":\"rec\",\"args\":{}},\n"
    "{\"ph\":\"X\",\"pid\":2,\"tid\":2,\"name\":\"SYNC\",\"ts\":10,\"dur\":0,\"cat\":\"exit\",\"args\":"
    "{\"esr\":\"0x93c08006\",\"realm\":\"0x1\",\"in\":\"memcpy\"}},\n"
    "{\"ph\":\"E\",\"pid\":2,\"tid\":2,\"ts\":10,\"args\":{}},\n"
    "{\"ph\":\"X\",\"pid\":1,\"tid\":7,\"name\":\"EL1\",\"ts\":4,\"dur\":5.25,\"cat\":\"el\"},\n"
    "{\"ph\":\"X\",\"pid\":1,\"tid\":7,\"name\":\"EL1\",\"ts\":9.5,\"dur\":0.5,\"cat\":\"el\"},\n"
    "{\"ph\":\"X\",\"pid\":5,\"tid\":2,\"name\":\"GET_VERSION\",\"ts\":11,\"dur\":0,\"cat\":\"message\",\"args\":"
    "{\"device\":\"nic\"}},\n"
    "{\"ph\":\"B\",\"pid\":5,\"tid\":1,\"name\":\"RUN\",\"ts\":12.001,\"cat\":\"tdi\",\"args\":{\"device\":\"nic\"}}";

static const TraceRow *row_at(const TraceData *d, guint i) { return &g_array_index(d->rows, TraceRow, i); }

static void check_small(const TraceData *d)
{
    static const struct {
        int64_t      ns;
        TraceRowKind kind;
        const char  *name;
    } rows[] = {
        { 1500, TRACE_RMI, "RMI_REALM_CREATE" }, /* before its effect, which the file has first */
        { 1500, TRACE_STATE, "Realm 1: NEW" },
        { 2000, TRACE_FOLD, "routine" },
        { 3000, TRACE_STATE, "Realm 1: ACTIVE" },
        { 10000, TRACE_FOLD, "routine" },
        { 11000, TRACE_MESSAGE, "GET_VERSION" },
        { 12001, TRACE_STATE, "nic TDI: RUN" },
    };

    assert_int_equal(d->rows->len, G_N_ELEMENTS(rows));
    for (guint i = 0; i < d->rows->len; i++) {
        assert_int_equal(row_at(d, i)->ns, rows[i].ns);
        assert_int_equal(row_at(d, i)->kind, rows[i].kind);
        assert_string_equal(row_at(d, i)->name, rows[i].name);
    }
    assert_string_equal(row_at(d, 2)->fields->pdata[0], "RMI_GRANULE_DELEGATE");
    assert_string_equal(row_at(d, 2)->fields->pdata[1], "512");
    assert_string_equal(row_at(d, 5)->who, "nic");
    assert_int_equal(d->spans->len, 3);
    const TraceSpan *s = &g_array_index(d->spans, TraceSpan, 0);
    assert_string_equal(s->name, "NEW");
    assert_int_equal(s->from_ns, 1500);
    assert_int_equal(s->to_ns, 3000);
    assert_int_equal(d->granules->len, 1);
    assert_int_equal(g_array_index(d->granules, TraceGranules, 0).count, 512);
    assert_string_equal(g_array_index(d->exits, TraceCount, 0).name, "SYNC, data abort");
    assert_int_equal(g_array_index(d->exits, TraceCount, 0).ns, 6000);
    assert_string_equal(g_array_index(d->places, TraceCount, 0).name, "memcpy");
    assert_int_equal(d->levels->len, 1);
    assert_string_equal(g_array_index(d->levels, TraceCount, 0).name, "CPU 0 realm: EL1");
    assert_int_equal(g_array_index(d->levels, TraceCount, 0).n, 2);
    assert_int_equal(g_array_index(d->levels, TraceCount, 0).ns, 5750);
    assert_string_equal(g_array_index(d->times, TraceCount, 0).name, "Realm 1, REC 0x1000: runs");
    assert_int_equal(g_array_index(d->times, TraceCount, 0).ns, 6000);
    assert_int_equal(d->end_ns, 12001);
    assert_int_equal(d->n_left_out, 0);
}

/* In any pieces, with and without its end. */
static void test_small(void **state)
{
    static const char *const ends[] = { "\n]\n", "", ",\n{\"ph\":\"B\",\"na", ",\n" };

    for (size_t e = 0; e < G_N_ELEMENTS(ends); e++) {
        g_autofree char *text = g_strconcat(small, ends[e], NULL);

        for (size_t piece = 1; piece < sizeof(small); piece = piece * 3 + 1) {
            TraceData *d = read_in(text, piece, NULL);

            assert_non_null(d);
            check_small(d);
            assert_int_equal(d->cut, e != 0);
            trace_data_free(d);
        }
    }
    g_autofree char *wrapped = g_strconcat("{\"traceEvents\": ", small, "], \"displayTimeUnit\": \"ns\"}", NULL);
    TraceData       *d = read_in(wrapped, 7, NULL);
    assert_non_null(d);
    check_small(d);
    trace_data_free(d);
}

static void test_refused(void **state)
{
    g_autofree char *deep = g_strnfill(40, '['), *deep_text = g_strconcat("[{\"args\":", deep, NULL);
    g_autofree char *big = g_strnfill(70000, 'x'), *big_text = g_strconcat("[{\"name\":\"", big, NULL);
    const struct {
        const char *text, *why;
    } rows[] = {
        { "", "there is no event in it" },
        { "[]", "there is no event in it" },
        { "[{\"ph\":\"B\"", "there is no event in it" },
        { "\x7f" "ELF", "this is no array of events" },
        { "PK\3\4", "this is no array of events" },
        { "[1,2]", "something else than an event" },
        { "[{]}", "no event of JSON" },
        { "[{\"ph\":}]", "no event of JSON" },
        { deep_text, "brackets too deep" },
        { big_text, "more than 64 KiB" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(read_in(rows[i].text, 1000, &error));
        if (strstr(error->message, rows[i].why) == NULL) {
            fail_msg("'%.20s': %s", rows[i].text, error->message);
        }
    }
}

/* Values that are not what they should be are no reason to stop, and none to believe them. */
static void test_odd_values(void **state)
{
    static const char *const events[] = {
        "{\"ph\":\"X\",\"cat\":\"rmi\",\"name\":\"RMI_X\",\"ts\":-1,\"args\":[1]}",
        "{\"ph\":\"X\",\"cat\":\"rmi\",\"name\":\"RMI_X\",\"ts\":1e300,\"args\":{\"status\":{},\"count\":[]}}",
        "{\"ph\":\"X\",\"cat\":7,\"name\":\"RMI_X\",\"ts\":\"x\",\"pid\":\"a\",\"tid\":{}}",
        "{\"ph\":\"E\",\"pid\":9,\"tid\":9,\"ts\":1}",
        "{\"ph\":\"C\",\"name\":null}", "{\"ph\":17}", "{}",
        "{\"ph\":\"i\",\"cat\":\"granule\",\"name\":\"X\",\"args\":{\"count\":\"0xffffffffffffffff\"}}",
        "{\"ph\":\"i\",\"cat\":\"granule\",\"name\":\"X\",\"args\":{\"first\":\"-1\",\"from\":7}}",
        "{\"ph\":\"B\",\"cat\":\"tdi\",\"name\":\"X\",\"ts\":5}",
        "{\"ph\":\"B\",\"cat\":\"tdi\",\"name\":\"Y\",\"ts\":2}",
        "{\"ph\":\"X\",\"cat\":\"exit\",\"name\":\"SYNC\",\"args\":null}",
    };
    g_autoptr(GString) text = g_string_new("[");

    for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ",", events[i]);
    }
    g_string_append_c(text, ']');
    TraceData *d = read_in(text->str, 100, NULL);
    assert_non_null(d);
    for (guint i = 0; i < d->spans->len; i++) {
        const TraceSpan *s = &g_array_index(d->spans, TraceSpan, i);
        assert_true(s->to_ns >= s->from_ns);
    }
    g_autoptr(GString) page = report_page(d, "odd");
    assert_non_null(strstr(page->str, "RMI_X"));
    trace_data_free(d);
}

/* No text of a trace, its name included, becomes markup or ends the element that it is in. */
static void test_hostile_text(void **state)
{
    static const char evil[] = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>&amp;'\\u2028";
    g_autofree char  *text = g_strdup_printf("[{\"ph\":\"X\",\"cat\":\"message\",\"name\":\"%s\",\"ts\":1,\"args\":"
                                             "{\"%s\":\"%s\",\"device\":\"%s\"}}]", evil, evil, evil, evil);
    TraceData        *d = read_in(text, 10, NULL);
    unsigned          scripts = 0;

    assert_non_null(d);
    g_autoptr(GString) page = report_page(d, evil);
    trace_data_free(d);
    for (const char *p = page->str; (p = strstr(p, "</script")) != NULL; p++) {
        scripts++;
    }
    assert_int_equal(scripts, 2); /* the data and the page's own */
    assert_null(strstr(page->str, "<img"));
    assert_null(strstr(page->str, "alert(1)<"));
    assert_non_null(strstr(page->str, "\\u003cimg src=x onerror=alert(1)\\u003e"));
    assert_non_null(strstr(page->str, "default-src 'none'"));
}

/* More than fits is counted, not kept. */
static void test_too_much(void **state)
{
    TraceReader *r = trace_read_new();

    assert_true(trace_read_bytes(r, "[", 1, NULL));
    for (unsigned i = 0; i < TRACE_ROWS_MAX + 100; i++) {
        g_autofree char *event = g_strdup_printf("%s{\"ph\":\"X\",\"cat\":\"message\",\"name\":\"M%u\",\"ts\":%u}",
                                                 i == 0 ? "" : ",", i, i);

        assert_true(trace_read_bytes(r, event, strlen(event), NULL));
    }
    TraceData *d = trace_read_end(r, NULL);
    assert_int_equal(d->rows->len, TRACE_ROWS_MAX);
    assert_int_equal(d->n_left_out, 100);
    trace_data_free(d);
    trace_read_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),      cmocka_unit_test(test_refused),      cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
