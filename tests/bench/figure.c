/* SPDX-License-Identifier: MIT */
#include "figure.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>

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
	f->sorted = false;
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

static void sort(struct figure *f)
{
	if (!f->sorted)
		qsort(f->v, f->n, sizeof(*f->v), compare);
	f->sorted = true;
}

double figure_percentile(struct figure *f, unsigned percent)
{
	if (f->n == 0)
		return 0;
	sort(f);
	return f->v[rank_of(f->n, percent) - 1];
}

/* Above 0 and below 1. */
static double uniform(void)
{
	return ((double)(next() >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* Of a shape of at least 1: Marsaglia and Tsang, 2000. */
static double gamma_of(double shape)
{
	double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);

	for (;;) {
		double x = normal(), v = 1 + c * x;

		v = v * v * v;
		if (v > 0 && log(uniform()) < x * x / 2 + d - d * v + d * log(v))
			return d * v;
	}
}

/*
 * The percentile of as many values drawn with replacement from the sorted ones. The k-th smallest
 * of n uniform numbers is distributed as Beta(k, n - k + 1): that is drawn rather than all n.
 */
static double resample(const struct figure *f, unsigned percent)
{
	size_t rank = rank_of(f->n, percent), i;
	double x = gamma_of((double)rank), y = gamma_of((double)(f->n - rank + 1));

	i = (size_t)((double)f->n * x / (x + y));
	return f->v[i < f->n ? i : f->n - 1];
}

static struct estimate interval(double value, double drawn[RESAMPLES])
{
	qsort(drawn, RESAMPLES, sizeof(*drawn), compare);
	return (struct estimate){value, drawn[RESAMPLES / 40],
				 drawn[RESAMPLES - 1 - RESAMPLES / 40]};
}

struct estimate figure_estimate(struct figure *f, unsigned percent)
{
	static double drawn[RESAMPLES];

	if (f->n == 0)
		return (struct estimate){0};
	sort(f);
	for (size_t i = 0; i < RESAMPLES; i++)
		drawn[i] = resample(f, percent);
	return interval(figure_percentile(f, percent), drawn);
}

struct estimate figure_ratio(struct figure *a, struct figure *b, unsigned percent)
{
	static double drawn[RESAMPLES];

	if (a->n == 0 || b->n == 0)
		return (struct estimate){0};
	sort(a);
	sort(b);
	for (size_t i = 0; i < RESAMPLES; i++) {
		double x = resample(a, percent), y = resample(b, percent);

		drawn[i] = x / y;
	}
	return interval(figure_percentile(a, percent) / figure_percentile(b, percent), drawn);
}
