/* SPDX-License-Identifier: MIT */
#include "figure.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 2000

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed ? seed : 1;
}

static uint64_t next(void)
{
	state ^= state << 13; /* xorshift64 */
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

size_t random_below(size_t n)
{
	return (size_t)((next() >> 32) * (uint64_t)n >> 32);
}

void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = random_below(i), other = order[i - 1];

		order[i - 1] = order[j];
		order[j] = other;
	}
}

void figure_add(struct figure *f, double v)
{
	if (f->n == f->size) {
		f->size = f->size * 2 + 64;
		f->v = realloc(f->v, f->size * sizeof(*f->v));
		if (!f->v)
			err(1, "memory");
	}
	f->v[f->n++] = v;
}

void figure_done(struct figure *f)
{
	free(f->v);
	*f = (struct figure){0};
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static size_t rank_of(size_t n, unsigned percent)
{
	size_t rank = (n * percent + 99) / 100;

	return rank ? rank : 1;
}

double figure_percentile(struct figure *f, unsigned percent)
{
	if (f->n == 0)
		return 0;
	qsort(f->v, f->n, sizeof(*f->v), compare);
	return f->v[rank_of(f->n, percent) - 1];
}

/* The percentile of as many values drawn with replacement from the sorted ones. */
static double resample(const struct figure *f, unsigned *drawn, unsigned percent)
{
	size_t rank = rank_of(f->n, percent), seen = 0, i;

	memset(drawn, 0, f->n * sizeof(*drawn));
	for (i = 0; i < f->n; i++)
		drawn[random_below(f->n)]++;
	for (i = 0; i + 1 < f->n && seen + drawn[i] < rank; i++)
		seen += drawn[i];
	return f->v[i];
}

struct ratio figure_ratio(struct figure *a, struct figure *b, unsigned percent)
{
	size_t n = a->n > b->n ? a->n : b->n;
	static double drawn_ratios[RESAMPLES];
	struct ratio r = {0};
	unsigned *drawn;

	if (a->n == 0 || b->n == 0)
		return r;
	r.value = figure_percentile(a, percent) / figure_percentile(b, percent);
	drawn = calloc(n, sizeof(*drawn));
	if (!drawn)
		err(1, "memory");
	for (size_t i = 0; i < RESAMPLES; i++) {
		double x = resample(a, drawn, percent), y = resample(b, drawn, percent);

		drawn_ratios[i] = x / y;
	}
	free(drawn);
	qsort(drawn_ratios, RESAMPLES, sizeof(double), compare);
	r.low = drawn_ratios[RESAMPLES / 40];
	r.high = drawn_ratios[RESAMPLES - 1 - RESAMPLES / 40];
	return r;
}
