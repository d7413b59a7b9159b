/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct report {
	const char *json, *markdown, *data_dir; /* borrowed; NULL: none */
	struct results results;
};

struct report *report_open(const char *json, const char *markdown, const char *data_dir)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		err(1, "memory");
	r->json = json;
	r->markdown = markdown;
	r->data_dir = data_dir;
	return r;
}

static struct run *run_of(struct report *r)
{
	return &r->results.runs[r->results.n_runs - 1];
}

static struct table *table_of(struct report *r)
{
	return &run_of(r)->tables[run_of(r)->n_tables - 1];
}

void report_fact(struct report *r, const char *name, const char *format, ...)
{
	struct fact *fact = results_grow(&r->results.facts, &r->results.n_facts, sizeof(*fact));
	va_list args;

	snprintf(fact->name, sizeof(fact->name), "%s", name);
	va_start(args, format);
	vsnprintf(fact->text, sizeof(fact->text), format, args);
	va_end(args);
	printf("  %-12s %s\n", fact->name, fact->text);
}

static void print_claims(const struct run *run, const char *heading)
{
	char found[128], limit[32];

	if (run->n_claims == 0)
		return;
	printf("\n%s\n", heading);
	for (size_t i = 0; i < run->n_claims; i++) {
		const struct claim *c = &run->claims[i];

		printf("  %-12s %-82s %s %s %s", claim_verdict(c), c->text,
		       relation_text(c->relation), number_text(c->limit, limit), c->unit);
		if (c->runs > 0)
			printf(": %s%s", estimate_text(c->found, found),
			       claim_is_sure(c) ? "" : " (interval on both sides)");
		if (c->runs > 1)
			printf(", met in %u of %u", c->met, c->runs);
		putchar('\n');
	}
	fflush(stdout);
}

void report_run(struct report *r, unsigned long long seed)
{
	struct run *run = results_grow(&r->results.runs, &r->results.n_runs, sizeof(*run));
	FILE *f = fopen("/proc/loadavg", "re");

	run->seed = seed;
	if (!f || fscanf(f, "%127[^\n]", run->load) != 1)
		err(1, "/proc/loadavg");
	fclose(f);
	printf("\nrun %zu: seed %llu, load %s when it began\n", r->results.n_runs, seed, run->load);
}

static FILE *open_file(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		err(1, "%s", path);
	return f;
}

static void close_file(FILE *f, const char *path)
{
	if (fclose(f) != 0)
		err(1, "%s", path);
}

void report_close(struct report *r)
{
	struct run all;
	FILE *f;

	results_combine(&r->results, &all);
	print_claims(&all, r->results.n_runs > 1
				   ? "What must hold: medians of the runs [their range]"
				   : "What must hold [95 % interval]");
	run_done(&all);
	if (r->json) {
		f = open_file(r->json);
		results_write_json(&r->results, f);
		close_file(f, r->json);
	}
	if (r->markdown) {
		f = open_file(r->markdown);
		results_write_markdown(&r->results, f);
		close_file(f, r->markdown);
	}
	results_done(&r->results);
	free(r);
}

void report_table(struct report *r, const char *key, const char *title, const char *unit)
{
	struct run *run = run_of(r);
	struct table *t = results_grow(&run->tables, &run->n_tables, sizeof(*t));

	snprintf(t->key, sizeof(t->key), "%s", key);
	snprintf(t->title, sizeof(t->title), "%s", title);
	snprintf(t->unit, sizeof(t->unit), "%s", unit);
	printf("\n%s [%s]\n", title, unit);
	printf("  %-10s %-46s %-30s %-24s %9s %9s %6s\n", "", "", "", "median [95 % interval]",
	       "p99", "worst", "n");
}

void report_row(struct report *r, const char *what, const char *way, const char *mode,
		struct figure *f)
{
	struct table *t = table_of(r);
	struct row *row = results_grow(&t->rows, &t->n_rows, sizeof(*row));
	char median[128], p99[32], max[32];

	snprintf(row->what, sizeof(row->what), "%s", what);
	snprintf(row->way, sizeof(row->way), "%s", way);
	snprintf(row->mode, sizeof(row->mode), "%s", mode);
	row->median = figure_estimate(f, 50);
	row->p99 = figure_percentile(f, 99);
	row->max = figure_percentile(f, 100);
	row->n = f->n;
	row->figure = f;
	printf("  %-10s %-46s %-30s %-24s %9s %9s %6zu\n", what, way, mode,
	       estimate_text(row->median, median), number_text(row->p99, p99),
	       number_text(row->max, max), f->n);
	fflush(stdout);
}

void report_ratio(struct report *r, struct figure *a, struct figure *b, const char *format, ...)
{
	struct table *t = table_of(r);
	struct comparison *c;
	char median[128], p99[128];
	va_list args;

	if (a->n == 0 || b->n == 0)
		return;
	c = results_grow(&t->comparisons, &t->n_comparisons, sizeof(*c));
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	c->median = figure_ratio(a, b, 50);
	c->p99 = figure_ratio(a, b, 99);
	printf("    %-66s %-24s p99 %s\n", c->text, estimate_text(c->median, median),
	       estimate_text(c->p99, p99));
}

void report_note(struct report *r, const char *format, ...)
{
	struct table *t = table_of(r);
	char **note = results_grow(&t->notes, &t->n_notes, sizeof(*note));
	va_list args;

	va_start(args, format);
	if (vasprintf(note, format, args) < 0)
		err(1, "memory");
	va_end(args);
	printf("    %s\n", *note);
}

void report_claim(struct report *r, enum relation relation, double limit, const char *unit,
		  struct estimate found, const char *format, ...)
{
	struct run *run = run_of(r);
	struct claim *c;
	va_list args;

	c = results_grow(&run->claims, &run->n_claims, sizeof(*c));
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	snprintf(c->unit, sizeof(c->unit), "%s", unit);
	c->relation = relation;
	c->limit = limit;
	c->found = found;
	c->runs = found.value != 0;
	c->met = claim_holds(c);
}

FILE *report_data(const struct report *r, const char *name)
{
	char path[4096];

	if (!r->data_dir)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", r->data_dir, name);
	return open_file(path);
}

static FILE *open_data(const struct report *r, const struct table *t, const char *suffix)
{
	char name[48];

	snprintf(name, sizeof(name), "%s%s", t->key, suffix);
	return report_data(r, name);
}

static void write_rows(const struct report *r, const struct table *t)
{
	FILE *f = open_data(r, t, "-rows.tsv");

	if (!f)
		return;
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct row *row = &t->rows[i];

		fprintf(f, "\"%s, %s\"\t\"%s\"\t%g\t%g\t%g\t%g\n", row->what, row->way, row->mode,
			row->median.value, row->median.low, row->median.high, row->p99);
	}
	fclose(f);
}

static bool is_first_of(const struct table *t, size_t i, bool what)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(what ? t->rows[j].what : t->rows[j].way,
			   what ? t->rows[i].what : t->rows[i].way) == 0)
			return false;
	return true;
}

/* A line each "what", three columns each way: median and its interval. */
static void write_grid(const struct report *r, const struct table *t)
{
	FILE *f = open_data(r, t, "-grid.tsv");

	if (!f)
		return;
	fputs("what", f);
	for (size_t i = 0; i < t->n_rows; i++)
		if (is_first_of(t, i, false))
			fprintf(f, "\t\"%s\"\tlow\thigh", t->rows[i].way);
	for (size_t i = 0; i < t->n_rows; i++) {
		if (!is_first_of(t, i, true))
			continue;
		fprintf(f, "\n\"%s\"", t->rows[i].what);
		for (size_t j = 0; j < t->n_rows; j++) {
			const struct row *row = NULL;

			for (size_t k = 0; is_first_of(t, j, false) && k < t->n_rows; k++)
				if (strcmp(t->rows[k].what, t->rows[i].what) == 0 &&
				    strcmp(t->rows[k].way, t->rows[j].way) == 0)
					row = &t->rows[k];
			if (row)
				fprintf(f, "\t%g\t%g\t%g", row->median.value, row->median.low,
					row->median.high);
			else if (is_first_of(t, j, false))
				fputs("\tNaN\tNaN\tNaN", f);
		}
	}
	fputc('\n', f);
	fclose(f);
}

/* A line a per cent, a column a row of the table. */
static void write_quantiles(const struct report *r, const struct table *t)
{
	FILE *f = open_data(r, t, ".tsv");

	if (!f)
		return;
	fputs("per cent", f);
	for (size_t i = 0; i < t->n_rows; i++)
		fprintf(f, "\t\"%s, %s\"", t->rows[i].what, t->rows[i].way);
	for (unsigned percent = 0; percent <= 100; percent++) {
		fprintf(f, "\n%u", percent);
		for (size_t i = 0; i < t->n_rows; i++)
			fprintf(f, "\t%g", figure_percentile(t->rows[i].figure, percent));
	}
	fputc('\n', f);
	fclose(f);
}

void report_table_end(struct report *r)
{
	struct table *t = table_of(r);

	fflush(stdout);
	write_rows(r, t);
	write_grid(r, t);
	write_quantiles(r, t);
	for (size_t i = 0; i < t->n_rows; i++)
		t->rows[i].figure = NULL;
}
