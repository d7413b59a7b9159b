/* SPDX-License-Identifier: MIT */
/*
 * {"machine": {name: text}, "runs": [run], "intervals": text, "tables": [table], "must": [claim]}:
 * the last two over all runs; a run has tables and claims of its own.
 */
#include "results.h"

#include <math.h>

static void put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s >= 0x20)
			fputc(*s, f);
	}
	fputc('"', f);
}

static void put_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, "\"%s\": ", name);
	put_string(f, text);
	fputs(", ", f);
}

static void put_number(FILE *f, const char *name, double v)
{
	fprintf(f, isfinite(v) ? "\"%s\": %.6g" : "\"%s\": null", name, v);
}

static void put_estimate(FILE *f, const char *prefix, struct estimate e)
{
	char low[32], high[32];

	snprintf(low, sizeof(low), "%s_low", prefix);
	snprintf(high, sizeof(high), "%s_high", prefix);
	put_number(f, prefix, e.value);
	fputs(", ", f);
	put_number(f, low, e.low);
	fputs(", ", f);
	put_number(f, high, e.high);
}

static void put_row(FILE *f, const struct row *row)
{
	fputs("\n   {", f);
	put_text(f, "what", row->what);
	put_text(f, "way", row->way);
	put_text(f, "mode", row->mode);
	put_estimate(f, "median", row->median);
	fputs(", ", f);
	put_number(f, "p99", row->p99);
	fputs(", ", f);
	put_number(f, "max", row->max);
	fprintf(f, ", \"n\": %zu}", row->n);
}

static void put_table(FILE *f, const struct table *t)
{
	fputs("\n  {", f);
	put_text(f, "question", t->key);
	put_text(f, "title", t->title);
	put_text(f, "unit", t->unit);
	fputs("\"rows\": [", f);
	for (size_t i = 0; i < t->n_rows; i++) {
		fputs(i ? "," : "", f);
		put_row(f, &t->rows[i]);
	}
	fputs("], \"ratios\": [", f);
	for (size_t i = 0; i < t->n_comparisons; i++) {
		fputs(i ? ",\n   {" : "\n   {", f);
		put_text(f, "ratio", t->comparisons[i].text);
		put_estimate(f, "median", t->comparisons[i].median);
		fputs(", ", f);
		put_estimate(f, "p99", t->comparisons[i].p99);
		fputs("}", f);
	}
	fputs("], \"notes\": [", f);
	for (size_t i = 0; i < t->n_notes; i++) {
		fputs(i ? ", " : "", f);
		put_string(f, t->notes[i]);
	}
	fputs("]}", f);
}

static void put_claim(FILE *f, const struct claim *c)
{
	fputs("\n  {", f);
	put_text(f, "must", c->text);
	put_text(f, "relation", relation_text(c->relation));
	put_number(f, "limit", c->limit);
	fputs(", ", f);
	put_estimate(f, "found",
		     c->runs ? c->found : (struct estimate){(double)NAN, (double)NAN, (double)NAN});
	fputs(", ", f);
	put_text(f, "unit", c->unit);
	put_text(f, "verdict", claim_verdict(c));
	fprintf(f, "\"interval_on_one_side\": %s, \"runs\": %u, \"met_in\": %u}",
		claim_is_sure(c) ? "true" : "false", c->runs, c->met);
}

static void put_findings(FILE *f, const struct run *run)
{
	fputs("\"tables\": [", f);
	for (size_t i = 0; i < run->n_tables; i++) {
		fputs(i ? "," : "", f);
		put_table(f, &run->tables[i]);
	}
	fputs("],\n \"must\": [", f);
	for (size_t i = 0; i < run->n_claims; i++) {
		fputs(i ? "," : "", f);
		put_claim(f, &run->claims[i]);
	}
	fputs("]}", f);
}

void results_write_json(const struct results *r, FILE *f)
{
	struct run all;

	fputs("{\"machine\": {", f);
	for (size_t i = 0; i < r->n_facts; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		put_string(f, r->facts[i].name);
		fputs(": ", f);
		put_string(f, r->facts[i].text);
	}
	fputs("},\n\"runs\": [", f);
	for (size_t i = 0; i < r->n_runs; i++) {
		fprintf(f, "%s\n {\"seed\": %llu, ", i ? "," : "", r->runs[i].seed);
		put_text(f, "load", r->runs[i].load);
		put_findings(f, &r->runs[i]);
	}
	fprintf(f, "],\n\"intervals\": \"%s\",\n",
		r->n_runs > 1 ? "range of the runs' medians" : "95 %, by resampling");
	results_combine(r, &all);
	put_findings(f, &all);
	fputc('\n', f);
	run_done(&all);
}
