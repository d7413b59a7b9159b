/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <errno.h>
#include <stdlib.h>

int figures_init(struct figures *f, size_t size)
{
	f->us = calloc(size, sizeof(*f->us));
	f->n = 0;
	f->size = size;
	return f->us ? 0 : -ENOMEM;
}

void figures_done(struct figures *f)
{
	free(f->us);
}

void figures_add(struct figures *f, double us)
{
	if (f->n < f->size)
		f->us[f->n++] = us;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double figures_percentile(struct figures *f, unsigned percent)
{
	size_t rank = (f->n * percent + 99) / 100;

	qsort(f->us, f->n, sizeof(*f->us), compare);
	return f->us[rank ? rank - 1 : 0];
}

double figures_sum(const struct figures *f)
{
	double sum = 0;

	for (size_t i = 0; i < f->n; i++)
		sum += f->us[i];
	return sum;
}
