/*
 * The result file. Every number is the run's own: guest time and counts repeat from run to run, wall time and host
 * memory do not.
 */
#include "result.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include <openssl/evp.h>

#include "loader.h"

void json_string(GString *json, const char *s)
{
    char *valid = g_utf8_make_valid(s, -1); /* names come from the command line */

    g_string_append_c(json, '"');
    for (const char *p = valid; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\') {
            g_string_append_printf(json, "\\%c", c);
        } else if (c < 0x20) {
            g_string_append_printf(json, "\\u%04x", c);
        } else {
            g_string_append_c(json, (char)c);
        }
    }
    g_string_append_c(json, '"');
    g_free(valid);
}

static void put_hash(GString *json, const char *name, const char *path)
{
    GBytes        *file = path == NULL ? NULL : loader_read_file(path, "", NULL);
    unsigned char  hash[EVP_MAX_MD_SIZE];
    unsigned       hash_len = 0;
    gsize          len;

    if (file == NULL) {
        return;
    }
    const void *data = g_bytes_get_data(file, &len);
    if (EVP_Digest(data, len, hash, &hash_len, EVP_sha256(), NULL) == 1) {
        g_string_append_printf(json, "%s\n    ", json->str[json->len - 1] == '{' ? "" : ",");
        json_string(json, name);
        g_string_append(json, ": \"");
        for (unsigned i = 0; i < hash_len; i++) {
            g_string_append_printf(json, "%02x", hash[i]);
        }
        g_string_append_c(json, '"');
    }
    g_bytes_unref(file);
}

static void put_step(void *opaque, const char *name, int64_t ns, uint64_t insns, int64_t host_us)
{
    GString *json = opaque;

    g_string_append(json, json->str[json->len - 1] == '[' ? "\n    { \"name\": " : ",\n    { \"name\": ");
    json_string(json, name);
    g_string_append_printf(json, ", \"guest_ns\": %" PRId64 ", \"instructions\": %" PRIu64
                                 ", \"host_cpu_us\": %" PRId64 " }", ns, insns, host_us);
}

bool result_write(const char *path, Machine *m, Cca *board, const Options *o, GError **error)
{
    GString      *json = g_string_new("{\n  \"exit\": ");
    CpuEngineStats stats;
    struct rusage  usage;
    GError        *cause = NULL;

    json_string(json, machine_stop_reason(m) != NULL ? machine_stop_reason(m) : "");
    g_string_append_printf(json, ",\n  \"guest_ns\": %" PRId64 ",\n  \"instructions\": %" PRIu64,
                           clock_now(machine_clock(m)), machine_insns(m));
    getrusage(RUSAGE_SELF, &usage);
    g_string_append_printf(json, ",\n  \"host_peak_kib\": %ld,\n  \"host_cpu_us\": %" PRId64, usage.ru_maxrss,
                           host_cpu_us());
    cpu_engine_stats(machine_engine(m), &stats);
    g_string_append_printf(json,
                           ",\n  \"accel\": \"%s\",\n  \"engine\": { \"blocks\": %" PRIu64
                           ", \"translated_instructions\": %" PRIu64 ", \"fills\": %" PRIu64 ", \"flushes\": %" PRIu64
                           ", \"regions\": %" PRIu64 ", \"entries\": %" PRIu64 ", \"code_bytes\": %" PRIu64 " }",
                           cpu_engine_accel(machine_engine(m)) == CPU_ACCEL_JIT ? "jit" : "interp", stats.blocks,
                           stats.translated_insns, stats.fills, stats.flushes, stats.regions, stats.entries,
                           stats.code_bytes);
    if (o->memory_hash) {
        g_string_append_printf(json, ",\n  \"memory_hash\": \"%016" PRIx64 "\"", machine_memory_hash(m));
    }
    g_string_append(json, ",\n  \"inputs\": {");
    put_hash(json, "bios", o->bios);
    put_hash(json, "kernel", o->kernel);
    put_hash(json, "initrd", o->initrd);
    put_hash(json, "dtb", o->dtb);
    g_string_append(json, "\n  },\n  \"steps\": [");
    machine_foreach_step(m, put_step, json);
    g_string_append(json, "\n  ]");
    cca_report(board, json);
    g_string_append(json, "\n}\n");

    bool ok = g_file_set_contents(path, json->str, (gssize)json->len, &cause);
    if (!ok) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot write '%s' (from -result): %s; name another file",
                    path, cause->message);
        g_error_free(cause);
    }
    g_string_free(json, TRUE);
    return ok;
}
