/* SPDX-License-Identifier: MIT */
/* figure.h - many measurements of one thing, and what may be said of them. */
#ifndef BENCH_FIGURE_H
#define BENCH_FIGURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figure {
	double *v; /* owned */
	size_t n, size;
	bool sorted;
};

struct estimate {
	double value, low, high; /* with its 95 % interval */
};

/* Ends the program when there is no memory. */
void figure_add(struct figure *f, double v);
void figure_done(struct figure *f);
/* The smallest value that so many per cent do not exceed (100: the largest); 0 of none. Sorts. */
double figure_percentile(struct figure *f, unsigned percent);
/* The same with its interval, by resampling. All 0 of none. */
struct estimate figure_estimate(struct figure *f, unsigned percent);
/* That percentile of a by that of b; the interval by resampling both. All 0 if one is empty. */
struct estimate figure_ratio(struct figure *a, struct figure *b, unsigned percent);

/* One generator for order and resampling, so that a seed repeats a run's order. */
void random_seed(uint64_t seed);
size_t random_below(size_t n);
void shuffle(size_t *order, size_t n);

#endif
