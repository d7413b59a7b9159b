/* SPDX-License-Identifier: MIT */
/* results.h - what the bench found, in memory: runs of tables of rows, and what must hold of them.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "figure.h"

#include <stdio.h>

#define RUNS_MAX 32

struct row {
	char what[32], way[64], mode[64];
	struct estimate median;
	double p99, max;
	size_t n;
	struct figure *figure; /* borrowed, while its table is the open one; else NULL */
};

struct comparison {
	char text[128];
	struct estimate median, p99;
};

struct table {
	char key[32], title[128], unit[8];
	struct row *rows;
	struct comparison *comparisons;
	char **notes;
	size_t n_rows, n_comparisons, n_notes;
};

enum relation {
	AT_LEAST,
	AT_MOST,
	NO_MORE, /* than the limit, beyond noise: the interval reaches it */
};

struct claim {
	char text[128], unit[8];
	enum relation relation;
	double limit;
	struct estimate found;
	unsigned met, runs; /* in so many of so many runs; 0 runs: it was not measured */
};

struct run {
	unsigned long long seed;
	char load[128];
	struct table *tables;
	struct claim *claims;
	size_t n_tables, n_claims;
};

struct fact {
	char name[32], text[1024];
};

struct results {
	struct fact *facts;
	struct run *runs;
	size_t n_facts, n_runs;
};

/* Room for one more, all zeros: items is the address of the array of that many. */
void *results_grow(void *items, size_t *n, size_t size);
void results_done(struct results *r);
void run_done(struct run *run);

bool claim_holds(const struct claim *c);
const char *claim_verdict(const struct claim *c); /* "met", "falls short", "not measured" */
/* False where its interval lies on both sides of the limit. */
bool claim_is_sure(const struct claim *c);
const char *relation_text(enum relation r);
/* As many digits as mean something. */
const char *number_text(double v, char buf[32]);
const char *estimate_text(struct estimate e, char buf[128]);

/*
 * One run out of several: medians of their medians and 99th percentiles, with the range of the
 * medians in place of an interval. Of one run: the same. What is not in all of them is left out.
 */
void results_combine(const struct results *r, struct run *ret);

void results_write_json(const struct results *r, FILE *f);
/* Tables for docs/. */
void results_write_markdown(const struct results *r, FILE *f);

#endif
