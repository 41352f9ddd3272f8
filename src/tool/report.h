/*
 * bailey report: a trace as one HTML page that needs nothing else. Numbers and words of the trace are data in it, JSON
 * inside a script element that is not run; the page's own script makes what is seen. No text of a trace becomes markup,
 * and the page forbids everything that it does not bring itself (Content-Security-Policy).
 */
#ifndef BAILEY_TOOL_REPORT_H
#define BAILEY_TOOL_REPORT_H

#include "tool/trace_read.h"

/* report_page - the page about @d; @title: what it is about, the file's name. */
GString *report_page(const TraceData *d, const char *title);

#endif
