/* SPDX-License-Identifier: MIT */
#include "timing.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>

struct stage {
	const char *key, *words;
	bool known;
	double us;
};

enum {
	STAGE_REQUEST,
	STAGE_POOL,
	STAGE_LAUNCH,
	STAGE_SET_UP,
	STAGE_CONFIRM,
	STAGES_IN_ROW,
	STAGE_HANDLE = STAGES_IN_ROW,
	STAGE_TOTAL,
	STAGE_RUN,
	N_STAGES
};

/* A moment of 0 is not known; one before its predecessor is another machine's clock or a lie. */
static void stage_set(struct stage *s, const char *key, const char *words, uint64_t from,
		      uint64_t to)
{
	s->key = key;
	s->words = words;
	s->known = from > 0 && to >= from;
	s->us = s->known ? (double)(to - from) / 1000 : 0;
}

static void stages_fill(struct stage stages[N_STAGES], const struct spawn_timing *t,
			const struct spawn_exit *end)
{
	struct spawn_usage usage = {.size = sizeof(usage)};

	stage_set(&stages[STAGE_REQUEST], "request", "request -> broker", t->requested,
		  t->received);
	stage_set(&stages[STAGE_POOL], "pool", "broker finds a leaf", t->received, t->handed);
	stage_set(&stages[STAGE_LAUNCH], "launch", "broker -> leaf", t->handed, t->launched);
	stage_set(&stages[STAGE_SET_UP], "set_up", "leaf set-up", t->launched, t->ready);
	stage_set(&stages[STAGE_CONFIRM], "confirm", "leaf -> caller", t->ready, t->confirmed);
	stage_set(&stages[STAGE_HANDLE], "handle", "handle in hand after", t->requested,
		  t->started);
	stage_set(&stages[STAGE_TOTAL], "total", "known to run after", t->requested, t->confirmed);
	stages[STAGE_RUN] = (struct stage){.key = "run", .words = "leaf lived, from its launch"};
	if (end && spawn_exit_known(end) && spawn_exit_usage(end, &usage) >= 0) {
		stages[STAGE_RUN].known = true;
		stages[STAGE_RUN].us = (double)usage.wall_us;
	}
}

static void print_table(const struct stage stages[N_STAGES], const struct spawn_proc *proc,
			const struct spawn_timing *t)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		if (i == STAGES_IN_ROW)
			fputs("  ---------------------------------------------\n", stderr);
		if (stages[i].known)
			fprintf(stderr, "  %-30s %11.1f µs\n", stages[i].words, stages[i].us);
		else
			fprintf(stderr, "  %-30s %11s\n", stages[i].words, "-");
	}
	fprintf(stderr, "  pid %d, %s%s; generation %" PRIu64 "; no-fork: %s\n",
		(int)spawn_proc_pid(proc), t->pool_hit ? "from the pool" : "forked on request",
		t->executed ? ", executed anew for its environment" : "",
		spawn_proc_generation(proc), spawn_proc_nofork(proc));
}

static void print_json(const struct stage stages[N_STAGES], const struct spawn_proc *proc,
		       const struct spawn_timing *t, const char *template_name)
{
	fputs("{\"template\":", stderr);
	json_string(stderr, template_name);
	fprintf(stderr,
		",\"pid\":%d,\"generation\":%" PRIu64
		",\"pool_hit\":%s,\"executed\":%s,\"nofork\":",
		(int)spawn_proc_pid(proc), spawn_proc_generation(proc),
		t->pool_hit ? "true" : "false", t->executed ? "true" : "false");
	json_string(stderr, spawn_proc_nofork(proc));
	fputs(",\"us\":{", stderr);
	for (size_t i = 0; i < N_STAGES; i++) {
		fprintf(stderr, "%s\"%s\":", i ? "," : "", stages[i].key);
		if (stages[i].known)
			fprintf(stderr, "%.1f", stages[i].us);
		else
			fputs("null", stderr);
	}
	fputs("}}\n", stderr);
}

void timing_print(const struct spawn_proc *proc, const struct spawn_exit *end,
		  const char *template_name, bool json)
{
	struct spawn_timing t = {.size = sizeof(t)};
	struct stage stages[N_STAGES];

	if (spawn_proc_timing(proc, &t) < 0)
		t = (struct spawn_timing){.size = sizeof(t)};
	stages_fill(stages, &t, end);
	if (json)
		print_json(stages, proc, &t, template_name);
	else
		print_table(stages, proc, &t);
}
