/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdlib.h>

void memory_sample(struct memory *m, uint32_t done, long kib)
{
	if (kib < 0)
		return;
	if (m->n == m->size) {
		m->size = m->size ? 2 * m->size : 1024;
		m->samples = reallocarray(m->samples, m->size, sizeof(*m->samples));
		if (!m->samples)
			abort();
	}
	m->samples[m->n].done = done;
	m->samples[m->n++].kib = kib;
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static long median_between(const struct memory *m, double from, double to)
{
	long *kib = calloc(m->n + 1, sizeof(*kib)), median = 0;
	size_t n = 0;

	if (!kib)
		abort();
	for (size_t i = 0; i < m->n; i++) {
		if (m->samples[i].done >= from && m->samples[i].done <= to)
			kib[n++] = m->samples[i].kib;
	}
	qsort(kib, n, sizeof(*kib), compare);
	if (n > 0)
		median = kib[n / 2];
	free(kib);
	return median;
}

struct memory_line memory_line(const struct memory *m, uint32_t done)
{
	double n = 0, x = 0, y = 0, xx = 0, xy = 0, first = done / 10.0;
	struct memory_line line = {0};

	for (size_t i = 0; i < m->n; i++) {
		double at = m->samples[i].done, kib = (double)m->samples[i].kib;

		if (at < first)
			continue;
		n++;
		x += at;
		y += kib;
		xx += at * at;
		xy += at * kib;
	}
	if (n < 10 || n * xx - x * x <= 0)
		return line;
	line.slope = (n * xy - x * y) / (n * xx - x * x) * 1000;
	line.grown_kib = line.slope * (done - first) / 1000;
	line.from = median_between(m, first, 2 * first);
	line.to = median_between(m, 9 * first, done);
	return line;
}
