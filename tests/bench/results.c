/* SPDX-License-Identifier: MIT */
#include "results.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void *results_grow(void *items, size_t *n, size_t size)
{
	char **array = items, *grown = realloc(*array, (*n + 1) * size);

	if (!grown)
		err(1, "memory");
	*array = grown;
	memset(grown + *n * size, 0, size);
	return grown + (*n)++ * size;
}

static void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_notes; i++)
		free(t->notes[i]);
	free(t->notes);
	free(t->comparisons);
	free(t->rows);
}

void run_done(struct run *run)
{
	for (size_t i = 0; i < run->n_tables; i++)
		table_done(&run->tables[i]);
	free(run->tables);
	free(run->claims);
}

void results_done(struct results *r)
{
	for (size_t i = 0; i < r->n_runs; i++)
		run_done(&r->runs[i]);
	free(r->runs);
	free(r->facts);
}

bool claim_holds(const struct claim *c)
{
	if (c->runs == 0)
		return false;
	switch (c->relation) {
	case AT_LEAST:
		return c->found.value >= c->limit;
	case AT_MOST:
		return c->found.value <= c->limit;
	case NO_MORE:
		/* Of several runs low is the lowest median: one lucky run is not enough. */
		return c->runs > 1 ? 2 * c->met > c->runs : c->found.low <= c->limit;
	default:
		return false;
	}
}

const char *claim_verdict(const struct claim *c)
{
	return c->runs == 0 ? "not measured" : claim_holds(c) ? "met" : "falls short";
}

bool claim_is_sure(const struct claim *c)
{
	return c->found.low >= c->limit || c->found.high <= c->limit;
}

const char *relation_text(enum relation r)
{
	return r == AT_LEAST ? "at least" : r == AT_MOST ? "at most" : "beyond noise at most";
}

const char *number_text(double v, char buf[32])
{
	double size = fabs(v);

	snprintf(buf, 32, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", v);
	return buf;
}

const char *estimate_text(struct estimate e, char buf[128])
{
	char value[32], low[32], high[32];

	snprintf(buf, 128, "%s [%s, %s]", number_text(e.value, value), number_text(e.low, low),
		 number_text(e.high, high));
	return buf;
}

/* ---- several runs ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct estimate median_of(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return (struct estimate){n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2, v[0], v[n - 1]};
}

static const struct table *find_table(const struct run *run, const char *key)
{
	for (size_t i = 0; i < run->n_tables; i++)
		if (strcmp(run->tables[i].key, key) == 0)
			return &run->tables[i];
	return NULL;
}

static const struct row *find_row(const struct table *t, const struct row *like)
{
	for (size_t i = 0; t && i < t->n_rows; i++)
		if (strcmp(t->rows[i].what, like->what) == 0 &&
		    strcmp(t->rows[i].way, like->way) == 0 &&
		    strcmp(t->rows[i].mode, like->mode) == 0)
			return &t->rows[i];
	return NULL;
}

static const struct comparison *find_comparison(const struct table *t, const char *text)
{
	for (size_t i = 0; t && i < t->n_comparisons; i++)
		if (strcmp(t->comparisons[i].text, text) == 0)
			return &t->comparisons[i];
	return NULL;
}

static const struct claim *find_claim(const struct run *run, const char *text)
{
	for (size_t i = 0; i < run->n_claims; i++)
		if (strcmp(run->claims[i].text, text) == 0)
			return &run->claims[i];
	return NULL;
}

static char *copy_of(const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		err(1, "memory");
	return copy;
}

static void combine_row(const struct results *r, const struct table *first, const struct row *like,
			struct table *ret)
{
	double medians[RUNS_MAX], p99s[RUNS_MAX], max = 0;
	size_t n = 0;
	struct row *row;

	for (size_t i = 0; i < r->n_runs; i++) {
		const struct row *of = find_row(find_table(&r->runs[i], first->key), like);

		if (!of)
			return;
		medians[i] = of->median.value;
		p99s[i] = of->p99;
		max = of->max > max ? of->max : max;
		n += of->n;
	}
	row = results_grow(&ret->rows, &ret->n_rows, sizeof(*row));
	*row = *like;
	row->figure = NULL;
	row->max = max;
	row->n = n;
	if (r->n_runs == 1)
		return;
	row->median = median_of(medians, r->n_runs);
	row->p99 = median_of(p99s, r->n_runs).value;
}

static void combine_comparison(const struct results *r, const struct table *first,
			       const struct comparison *like, struct table *ret)
{
	double medians[RUNS_MAX], p99s[RUNS_MAX];
	struct comparison *c;

	for (size_t i = 0; i < r->n_runs; i++) {
		const struct comparison *of =
			find_comparison(find_table(&r->runs[i], first->key), like->text);

		if (!of)
			return;
		medians[i] = of->median.value;
		p99s[i] = of->p99.value;
	}
	c = results_grow(&ret->comparisons, &ret->n_comparisons, sizeof(*c));
	*c = *like;
	if (r->n_runs == 1)
		return;
	c->median = median_of(medians, r->n_runs);
	c->p99 = median_of(p99s, r->n_runs);
}

/* A note of several runs is said once. */
static void combine_notes(const struct results *r, const struct table *first, struct table *ret)
{
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct table *t = find_table(&r->runs[i], first->key);

		for (size_t j = 0; t && j < t->n_notes; j++) {
			bool known = false;

			for (size_t k = 0; k < ret->n_notes; k++)
				known |= strcmp(ret->notes[k], t->notes[j]) == 0;
			if (!known)
				*(char **)results_grow(&ret->notes, &ret->n_notes, sizeof(char *)) =
					copy_of(t->notes[j]);
		}
	}
}

static void combine_claim(const struct results *r, const struct claim *like, struct run *ret)
{
	double found[RUNS_MAX];
	struct claim *c = results_grow(&ret->claims, &ret->n_claims, sizeof(*c));

	*c = *like;
	if (r->n_runs == 1)
		return;
	c->met = c->runs = 0;
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct claim *of = find_claim(&r->runs[i], like->text);

		if (!of || of->runs == 0)
			continue;
		c->met += claim_holds(of);
		found[c->runs++] = of->found.value;
	}
	c->found = c->runs ? median_of(found, c->runs) : (struct estimate){0};
}

void results_combine(const struct results *r, struct run *ret)
{
	const struct run *first = r->runs;

	*ret = (struct run){0};
	for (size_t i = 0; r->n_runs && i < first->n_tables; i++) {
		const struct table *t = &first->tables[i];
		struct table *c = results_grow(&ret->tables, &ret->n_tables, sizeof(*c));

		snprintf(c->key, sizeof(c->key), "%s", t->key);
		snprintf(c->title, sizeof(c->title), "%s", t->title);
		snprintf(c->unit, sizeof(c->unit), "%s", t->unit);
		for (size_t j = 0; j < t->n_rows; j++)
			combine_row(r, t, &t->rows[j], c);
		for (size_t j = 0; j < t->n_comparisons; j++)
			combine_comparison(r, t, &t->comparisons[j], c);
		combine_notes(r, t, c);
	}
	for (size_t i = 0; r->n_runs && i < first->n_claims; i++)
		combine_claim(r, &first->claims[i], ret);
}
