/* SPDX-License-Identifier: MIT */
#include "json.h"
#include "report.h"

#include <inttypes.h>

static void json_number(FILE *f, const char *key, uint64_t n)
{
	fprintf(f, ",\"%s\":%" PRIu64, key, n);
}

static void json_memories(FILE *f, const char *key, const uint64_t of[N_MEMORIES])
{
	fprintf(f, ",\"%s\":{\"copied\":%" PRIu64 ",\"shared\":%" PRIu64 ",\"untold\":%" PRIu64 "}",
		key, of[MEMORY_COPIED], of[MEMORY_SHARED], of[MEMORY_UNTOLD]);
}

static void json_shares(FILE *f, const struct figures *figures)
{
	static const char *const subjects[] = {"processes", "execed_images", "all_images"};
	static const char *const lives[] = {"born_and_ended", "ended", "seen"};

	for (int i = 0; i < N_SUBJECTS; i++) {
		fprintf(f, ",\n \"%s\":{", subjects[i]);
		for (int life = 0; life < N_LIVES; life++) {
			const struct share *s = &figures->shares[i][life];

			fprintf(f,
				"%s\"%s\":{\"n\":%" PRIu64 ",\"leaves\":%" PRIu64
				",\"untold\":%" PRIu64 ",\"childless\":%" PRIu64 "}",
				life ? ",\n  " : "", lives[life], s->n, s->leaves, s->untold,
				s->lone);
		}
		putc('}', f);
	}
}

static void json_program(FILE *f, const struct program *p)
{
	fputs("{\"name\":", f);
	if (*p->name)
		json_string(f, p->name);
	else
		fputs("null", f);
	json_number(f, "processes", p->processes);
	json_number(f, "execed_images", p->images);
	json_number(f, "leaf_images", p->leaf_images);
	json_number(f, "children", p->children);
	json_memories(f, "memory", p->made);
	json_number(f, "ended_without_exec", p->without_exec);
	json_number(f, "forks_with_threads", p->threaded_forks);
	json_number(f, "forks_with_threads_copied", p->threaded_copies);
	json_number(f, "images_forked_with_threads", p->threaded_images);
	json_number(f, "images_forked_by_several_threads", p->many_forkers);
	putc('}', f);
}

static void json_estimate(FILE *f, const struct count *c)
{
	const struct slab *s = &c->slab;
	struct estimate e;

	if (!report_estimate(c, &e)) {
		fputs(",\n \"estimate\":null", f);
		return;
	}
	fprintf(f,
		",\n \"estimate\":{\"samples\":%" PRIu64
		",\"rmap_bytes\":%.0f,\"leaves_bytes\":%.0f,\"untold_bytes\":%.0f"
		",\"leaves_share\":%.4f,\"mappings\":%.0f,\"unread_processes\":%" PRIu64
		",\"caches_sharing\":%u",
		s->samples, e.bytes, e.bytes * e.leaves, e.bytes * e.untold, e.leaves,
		(double)c->population.figures.weight / (double)s->samples, s->unread,
		procfs_cache_sharers(cache_names[CACHE_CHAIN]));
	for (int i = 0; i < N_CACHES; i++) {
		if (s->has[i])
			fprintf(f, ",\n  \"%s\":{\"objects\":%.0f,\"bytes\":%.0f}", cache_names[i],
				(double)s->sums[i].objects / (double)s->samples,
				(double)s->sums[i].bytes / (double)s->samples);
	}
	putc('}', f);
}

void report_print_json(const struct count *c, const struct options *o, FILE *f)
{
	static const char *const scopes[] = {"all", "below", "command"};
	const struct population *p = &c->population;
	const struct figures *figures = &p->figures;

	fprintf(f, "{\"seconds\":%.3f,\"scope\":\"%s\"", (double)(c->ended_at - c->began_at) / 1e9,
		scopes[p->scope]);
	if (o->below)
		json_number(f, "below", (uint64_t)o->below);
	json_number(f, "lost_events", c->watch.connector.lost);
	json_number(f, "overruns", c->watch.connector.overruns);
	json_number(f, "refused_comparisons", c->watch.refusals);
	json_number(f, "unexplained_processes", figures->unexplained);
	json_shares(f, figures);
	fputs(",\n \"births\":{\"ended\":", f);
	fprintf(f, "%" PRIu64, figures->ended_born);
	json_memories(f, "memory", figures->born);
	json_memories(f, "ended_without_exec", figures->without_exec);
	json_number(f, "live_without_exec", figures->waiting);
	fputs("}", f);
	json_number(f, "execs", figures->execs);
	json_number(f, "threads", figures->threads);
	json_number(f, "kernel_threads", figures->kernel_threads);
	fprintf(f,
		",\n \"children\":{\"0\":%" PRIu64 ",\"1\":%" PRIu64 ",\"2-9\":%" PRIu64
		",\"10-99\":%" PRIu64 ",\"100+\":%" PRIu64 "}",
		figures->children[CHILDREN_0], figures->children[CHILDREN_1],
		figures->children[CHILDREN_2], figures->children[CHILDREN_10],
		figures->children[CHILDREN_100]);
	json_estimate(f, c);
	fputs(",\n \"programs\":[", f);
	for (size_t i = 0; i < p->programs.n; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		json_program(f, &p->programs.programs[i]);
	}
	fputs("]}\n", f);
}
