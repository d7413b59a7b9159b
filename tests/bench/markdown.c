/* SPDX-License-Identifier: MIT */
#include "results.h"

static void put_table(FILE *f, const struct table *t)
{
	char median[128], p99[128], max[32];

	fprintf(f, "\n### %s (%s)\n\n", t->title, t->unit);
	fputs("| | way | mode | median | p99 | worst | n |\n|---|---|---|---|---|---|---|\n", f);
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct row *row = &t->rows[i];

		fprintf(f, "| %s | %s | %s | %s | %s | %s | %zu |\n", row->what, row->way,
			row->mode, estimate_text(row->median, median), number_text(row->p99, p99),
			number_text(row->max, max), row->n);
	}
	if (t->n_comparisons)
		fputs("\n| ratio | of medians | of p99 |\n|---|---|---|\n", f);
	for (size_t i = 0; i < t->n_comparisons; i++)
		fprintf(f, "| %s | %s | %s |\n", t->comparisons[i].text,
			estimate_text(t->comparisons[i].median, median),
			estimate_text(t->comparisons[i].p99, p99));
	fputs("\n", f);
	for (size_t i = 0; i < t->n_notes; i++)
		fprintf(f, "- %s\n", t->notes[i]);
}

static void put_claims(FILE *f, const struct run *run)
{
	char limit[32], found[128];

	fputs("## What must hold\n\n| | wanted | found | | |\n|---|---|---|---|---|\n", f);
	for (size_t i = 0; i < run->n_claims; i++) {
		const struct claim *c = &run->claims[i];

		fprintf(f, "| %s | %s %s%s%s | %s | %s%s | in %u of %u |\n", c->text,
			relation_text(c->relation), number_text(c->limit, limit),
			*c->unit ? " " : "", c->unit, c->runs ? estimate_text(c->found, found) : "",
			claim_holds(c) ? "met"
			: c->runs      ? "**falls short**"
				       : "**not measured**",
			claim_is_sure(c) ? "" : ", the interval on both sides", c->met, c->runs);
	}
}

void results_write_markdown(const struct results *r, FILE *f)
{
	struct run all;

	for (size_t i = 0; i < r->n_facts; i++)
		fprintf(f, "- %s: %s\n", r->facts[i].name, r->facts[i].text);
	fprintf(f, "- runs: %zu; in brackets: %s\n\n", r->n_runs,
		r->n_runs > 1 ? "the range of the runs' medians"
			      : "the 95 % interval, by resampling");
	results_combine(r, &all);
	put_claims(f, &all);
	fputs("\n## All that was measured\n", f);
	for (size_t i = 0; i < all.n_tables; i++)
		put_table(f, &all.tables[i]);
	run_done(&all);
}
