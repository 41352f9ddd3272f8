/*
 * bailey report reads a trace of anybody's: whatever is in it, the page has two script elements, its own.
 */
#include <stdlib.h>
#include <string.h>

#include "tool/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TraceReader *r = trace_read_new();
    TraceData   *d = NULL;

    if (trace_read_bytes(r, (const char *)data, size, NULL)) {
        d = trace_read_end(r, NULL);
    }
    trace_read_free(r);
    if (d != NULL) {
        g_autoptr(GString) page = report_page(d, "trace.json");
        const char        *at = strstr(page->str, "<script id=\"data\"");
        const char        *end = at != NULL ? strstr(at, "</script") : NULL;

        /* The data end where its element does, and have nothing that could begin another. */
        if (end == NULL || memchr(strchr(at, '>') + 1, '<', (size_t)(end - strchr(at, '>') - 1)) != NULL) {
            abort();
        }
        trace_data_free(d);
    }
    return 0;
}
