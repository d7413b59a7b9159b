/* SPDX-License-Identifier: MIT */
/*
 * report.h - the same figures several times: tables for people, JSON, Markdown, and files for the
 * plots.
 *
 *	report_run(r, seed);
 *	report_table(r, "first", "time to ...", "µs");
 *	report_row(r, "words", "posix_spawn", "returns after exec", &figure);
 *	report_ratio(r, &a, &b, "posix_spawn / leaf");
 *	report_claim(r, AT_LEAST, 5, "", figure_ratio(&a, &b, 50), "first instruction sooner");
 *	report_table_end(r);
 *
 * Figures are borrowed until report_table_end().
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "results.h"

#include <stdio.h>

struct report;

/* Each may be NULL. */
struct report *report_open(const char *json, const char *markdown, const char *data_dir);
/* Says what must hold, over all runs, and writes the files. */
void report_close(struct report *r);

/* A fact about machine or programs: "name  text". Before the first run. */
void report_fact(struct report *r, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void report_run(struct report *r, unsigned long long seed);

void report_table(struct report *r, const char *key, const char *title, const char *unit);
void report_row(struct report *r, const char *what, const char *way, const char *mode,
		struct figure *f);
/* a by b, medians and 99th percentiles, with intervals. */
void report_ratio(struct report *r, struct figure *a, struct figure *b, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void report_note(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What must hold; unit "" of a ratio. Of an estimate of all 0 it is said that nothing was measured.
 */
void report_claim(struct report *r, enum relation relation, double limit, const char *unit,
		  struct estimate found, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
void report_table_end(struct report *r);

/* data_dir/name opened for writing, or NULL when there is no data_dir. */
FILE *report_data(const struct report *r, const char *name);

#endif
