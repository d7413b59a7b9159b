/* SPDX-License-Identifier: MIT */
#include "report.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TOP 5

bool report_estimate(const struct count *c, struct estimate *ret)
{
	const struct slab *s = &c->slab;
	const struct figures *f = &c->population.figures;

	if (s->samples == 0 || f->weight == 0)
		return false;
	*ret = (struct estimate){
		.bytes = (double)(s->sums[CACHE_ANON_VMA].bytes + s->sums[CACHE_CHAIN].bytes) /
			 (double)s->samples,
		.leaf_bytes = (double)s->sums[CACHE_LEAF].bytes / (double)s->samples,
		.leaves = (double)f->weight_leaves / (double)f->weight,
		.untold = (double)f->weight_untold / (double)f->weight,
	};
	return true;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void header(struct table *t, const char *const *names)
{
	for (; *names; names++)
		table_cell(t, "%s", *names);
	table_cell(t, "%s", "");
}

static void cell_share(struct table *t, uint64_t part, uint64_t whole)
{
	if (whole == 0)
		table_cell(t, "-");
	else
		table_cell(t, "%.1f %%", percent(part, whole));
}

static int print_shares(const struct figures *figures, FILE *f)
{
	static const char *const names[] = {"",	     "",       "LEAVES",    "OF",
					    "SHARE", "UNTOLD", "CHILDLESS", NULL};
	static const char *const subjects[] = {"processes", "exec'd images", "all images"};
	static const char *const lives[] = {"born and ended", "ended", "seen"};
	struct table t = {.align = "llrrrrr"};
	int r;

	header(&t, names);
	for (int i = 0; i < N_SUBJECTS; i++) {
		for (int life = 0; life < N_LIVES; life++) {
			const struct share *s = &figures->shares[i][life];

			table_cell(&t, "%s", life == 0 ? subjects[i] : "");
			table_cell(&t, "%s", lives[life]);
			table_cell(&t, "%" PRIu64, s->leaves);
			table_cell(&t, "%" PRIu64, s->n);
			cell_share(&t, s->leaves, s->n);
			table_cell(&t, "%" PRIu64, s->untold);
			cell_share(&t, s->lone, s->n);
			table_cell(&t, "%s", "");
		}
	}
	r = table_print(&t, f, NULL);
	table_done(&t);
	return r;
}

static uint64_t total(const uint64_t of[N_MEMORIES])
{
	return of[MEMORY_UNTOLD] + of[MEMORY_COPIED] + of[MEMORY_SHARED];
}

static const char *way_out(int refused)
{
	if (refused == ENOSYS)
		return "the kernel needs CONFIG_KCMP";
	return refused == EPERM ? "run this as root, or with CAP_SYS_PTRACE" : strerror(refused);
}

static void print_births(const struct count *c, FILE *out)
{
	const struct figures *f = &c->population.figures;
	uint64_t idle = total(f->without_exec);

	fprintf(out,
		"Born: %" PRIu64 ": %" PRIu64
		" with a copy of their parent's memory (fork), %" PRIu64
		" in it (vfork,\nposix_spawn), %" PRIu64 " untold. Threads: %" PRIu64
		". Kernel threads, not counted: %" PRIu64 ".\n",
		total(f->born), f->born[MEMORY_COPIED], f->born[MEMORY_SHARED],
		f->born[MEMORY_UNTOLD], f->threads, f->kernel_threads);
	if (c->watch.refusals > 0)
		fprintf(out, "Of %" PRIu64 " forks memory could not be compared:\n%s.\n",
			c->watch.refusals, way_out(c->watch.refused));
	fprintf(out,
		"Without exec: %" PRIu64 " of %" PRIu64 " born and ended (%.1f %%); %" PRIu64
		" more live on without one.\n",
		idle, f->ended_born, percent(idle, f->ended_born), f->waiting);
	fprintf(out,
		"Children per process: none %" PRIu64 ", 1 %" PRIu64 ", 2-9 %" PRIu64
		", 10-99 %" PRIu64 ", 100+ %" PRIu64 ".\n",
		f->children[CHILDREN_0], f->children[CHILDREN_1], f->children[CHILDREN_2],
		f->children[CHILDREN_10], f->children[CHILDREN_100]);
}

static uint64_t leaf_images(const struct program *p)
{
	return p->leaf_images;
}

static uint64_t children(const struct program *p)
{
	return p->children;
}

static uint64_t without_exec(const struct program *p)
{
	return p->without_exec;
}

static uint64_t threaded_forks(const struct program *p)
{
	return p->threaded_forks + p->many_forkers;
}

static void cell_name(struct table *t, const struct program *p)
{
	table_cell(t, "%s", *p->name ? p->name : "(unknown)");
}

static void row_leaf(struct table *t, const struct program *p)
{
	cell_name(t, p);
	table_cell(t, "%" PRIu64, p->leaf_images);
	table_cell(t, "%" PRIu64, p->images);
	table_cell(t, "%s", "");
}

static void row_parent(struct table *t, const struct program *p)
{
	cell_name(t, p);
	table_cell(t, "%" PRIu64, p->children);
	for (int m = 0; m < N_MEMORIES; m++)
		table_cell(t, "%" PRIu64, p->made[(m + 1) % N_MEMORIES]);
	table_cell(t, "%s", "");
}

static void row_without_exec(struct table *t, const struct program *p)
{
	cell_name(t, p);
	table_cell(t, "%" PRIu64, p->without_exec);
	table_cell(t, "%" PRIu64, p->processes);
	table_cell(t, "%s", "");
}

static void row_threaded(struct table *t, const struct program *p)
{
	cell_name(t, p);
	table_cell(t, "%" PRIu64, p->threaded_forks);
	table_cell(t, "%" PRIu64, p->threaded_copies);
	table_cell(t, "%" PRIu64, p->threaded_images);
	table_cell(t, "%" PRIu64, p->many_forkers);
	table_cell(t, "%s", "");
}

/* The programs that come first by one figure. */
static const struct ranking {
	uint64_t (*figure)(const struct program *);
	void (*row)(struct table *, const struct program *);
	const char *align;
	const char *names[7];
	const char *none;
} rankings[] = {
	{leaf_images, row_leaf, "lrr", {"LEAVES BY PROGRAM", "LEAVES", "OF EXEC'D"}, NULL},
	{children,
	 row_parent,
	 "lrrrr",
	 {"PARENTS", "CHILDREN", "COPIED", "SHARED", "UNTOLD"},
	 NULL},
	{without_exec,
	 row_without_exec,
	 "lrr",
	 {"ENDED WITHOUT EXEC", "CHILDREN", "OF ALL OF THE NAME"},
	 NULL},
	{threaded_forks,
	 row_threaded,
	 "lrrrr",
	 {"FORKED WITH THREADS", "FORKS", "COPIED", "IMAGES", "BY SEVERAL THREADS"},
	 "No program forked while it had more than one thread."},
};

static int print_ranking(const struct program_list *list, const struct ranking *ranking, FILE *f)
{
	const struct program *top[TOP];
	size_t n = program_top(list, ranking->figure, top, TOP);
	struct table t = {.align = ranking->align};
	int r;

	if (n == 0) {
		if (ranking->none)
			fprintf(f, "\n%s\n", ranking->none);
		return 0;
	}
	putc('\n', f);
	header(&t, ranking->names);
	for (size_t i = 0; i < n; i++)
		ranking->row(&t, top[i]);
	r = table_print(&t, f, NULL);
	table_done(&t);
	return r;
}

static const char *no_estimate(const struct slab *s)
{
	if (s->error == -ENOENT)
		return "this kernel has no slabinfo, or not of these caches";
	if (s->error < 0)
		return strerror(-s->error);
	return s->samples == 0 ? "no sample was taken in so short a time"
			       : "no process's mappings could be read";
}

static void print_estimate(const struct count *c, FILE *f)
{
	struct estimate e;
	unsigned sharers;

	if (!report_estimate(c, &e)) {
		fprintf(f, "\nNo estimate of rmap memory: %s.\n", no_estimate(&c->slab));
		return;
	}
	fprintf(f,
		"\nEstimate, see spawn-census(1): of %.0f kB in anon_vma and anon_vma_chain\n"
		"%.0f kB (%.0f %%) belong to leaves%s,\n"
		"and %.0f kB more may. Mean of %" PRIu64 " samples.\n",
		e.bytes / 1024, e.bytes * e.leaves / 1024, e.leaves * 100,
		c->population.scope == SCOPE_ALL ? "" : " among these", e.bytes * e.untold / 1024,
		c->slab.samples);
	if (c->slab.has[CACHE_LEAF])
		fprintf(f, "Beside that %.0f kB in anon_vma_leaf are leaves' alone.\n",
			e.leaf_bytes / 1024);
	sharers = procfs_cache_sharers(cache_names[CACHE_CHAIN]);
	if (sharers > 0)
		fprintf(f, "The slabs of anon_vma_chain hold %u other caches' objects too.\n",
			sharers);
}

static void print_lost(const struct connector *c, FILE *f)
{
	if (c->lost == 0 && c->overruns == 0)
		fputs("No event was lost.\n", f);
	else
		fprintf(f,
			"LOST: at least %" PRIu64 " events (the buffer was full %" PRIu64
			" times). A parent whose fork was lost\nis taken for a leaf, a process whose "
			"end was lost for alive.\n",
			c->lost, c->overruns);
}

static void print_window(const struct count *c, const struct options *o, FILE *f)
{
	fprintf(f, "%.1f s of ", (double)(c->ended_at - c->began_at) / 1e9);
	if (c->population.scope == SCOPE_CHILDREN)
		fprintf(f, "the command and what descends from it.\n");
	else if (c->population.scope == SCOPE_BELOW)
		fprintf(f, "process %d and what descends from it.\n", (int)o->below);
	else
		fprintf(f, "all processes.\n");
}

int report_print(const struct count *c, const struct options *o, FILE *f)
{
	const struct population *p = &c->population;
	int r;

	print_window(c, o, f);
	print_lost(&c->watch.connector, f);
	putc('\n', f);
	r = print_shares(&p->figures, f);
	putc('\n', f);
	print_births(c, f);
	for (size_t i = 0; r == 0 && i < sizeof(rankings) / sizeof(rankings[0]); i++)
		r = print_ranking(&p->programs, &rankings[i], f);
	print_estimate(c, f);
	return r;
}
