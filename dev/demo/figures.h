/* SPDX-License-Identifier: MIT */
/* figures.h - many measurements of one thing. */
#ifndef DEMO_FIGURES_H
#define DEMO_FIGURES_H

#include <stddef.h>

struct figures {
	double *us;
	size_t n, size;
};

int figures_init(struct figures *f, size_t size);
void figures_done(struct figures *f);
/* At most `size` of init. */
void figures_add(struct figures *f, double us);
/* Of at least one: the smallest value that so many per cent do not exceed. Sorts. */
double figures_percentile(struct figures *f, unsigned percent);
double figures_sum(const struct figures *f);

#endif
