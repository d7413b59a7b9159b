/* SPDX-License-Identifier: MIT */
/*
 * report.h - the same figures three times: a table for people, JSON, and files for the plots.
 *
 *	report_table(r, "first", "time to ...", "µs");
 *	report_row(r, "words", "posix_spawn", "returns after exec", &figure);
 *	report_ratio(r, &a, &b, "posix_spawn / leaf");
 *	report_table_end(r);
 *
 * Figures are borrowed until report_table_end().
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "figure.h"

#include <stdio.h>

struct report;

/* json and data_dir may be NULL. */
struct report *report_open(const char *json, const char *data_dir);
void report_close(struct report *r);

/* A fact about machine or programs: "name  text". Before the first table. */
void report_fact(struct report *r, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void report_table(struct report *r, const char *key, const char *title, const char *unit);
void report_row(struct report *r, const char *what, const char *way, const char *mode,
		struct figure *f);
/* a by b, medians and 99th percentiles, with intervals. */
void report_ratio(struct report *r, struct figure *a, struct figure *b, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void report_note(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_table_end(struct report *r);

/* data_dir/name opened for writing, or NULL when there is no data_dir. */
FILE *report_data(const struct report *r, const char *name);

#endif
