/* SPDX-License-Identifier: MIT */
/*
 * How long the call holds its caller, and what it does to the caller's other threads, by the memory
 * that the caller has touched. A process a size, all alive at once, so that sizes and ways
 * alternate.
 */
#include "caller.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define MIB	((size_t)1 << 20)
#define WARM_UP 2

/* What must hold. */
#define SHORTER_THAN_FORK  1000 /* at the largest size */
#define SHORTER_THAN_SPAWN 1.5

static const struct {
	const char *name;
	size_t bytes;
} sizes[] = {{"10 MiB", 10 * MIB}, {"1 GiB", 1024 * MIB}, {"8 GiB", 8192 * MIB}};
#define SIZES	(sizeof(sizes) / sizeof(sizes[0]))
#define LARGEST (SIZES - 1)

static const enum way ways[] = {
	WAY_SUBMIT,	 WAY_PROCESS, WAY_OWN_SUBMIT, WAY_OWN_PROCESS,
	WAY_POSIX_SPAWN, WAY_VFORK,   WAY_FORK_EXEC,  WAY_NOTHING,
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static const struct {
	unsigned rounds, quick;
} rounds_of[COMPANIES] = {[ALONE] = {90, 12}, [PROBED] = {90, 12}, [BUSY] = {60, 9}};

static const char *skipped[SIZES]; /* why; NULL: it is not */
static struct figure held[COMPANIES][SIZES][N_WAYS], stalls[SIZES][N_WAYS];
static unsigned late[SIZES][N_WAYS];

static size_t index_of(enum way way)
{
	for (size_t i = 0; i < N_WAYS; i++)
		if (ways[i] == way)
			return i;
	errx(1, "no such way");
}

static struct figure *held_by(enum company company, size_t size, enum way way)
{
	return &held[company][size][index_of(way)];
}

static void report_rows(struct report *r, struct figure f[SIZES][N_WAYS], bool nothing)
{
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t w = 0; w < N_WAYS; w++)
			if (f[s][w].n && (nothing || ways[w] != WAY_NOTHING))
				report_row(r, sizes[s].name, way_name(ways[w]), way_mode(ways[w]),
					   &f[s][w]);
	}
	for (size_t s = 0; s < SIZES; s++)
		if (skipped[s])
			report_note(r, "SKIPPED %s: %s", sizes[s].name, skipped[s]);
}

/* How each way does beside posix_spawn at each size, and by its own size. */
static void report_ratios(struct report *r, struct figure f[SIZES][N_WAYS])
{
	size_t spawn = index_of(WAY_POSIX_SPAWN);

	for (size_t s = 0; s < SIZES; s++)
		for (size_t w = 0; w < N_WAYS; w++)
			if (way_is_leaf(ways[w]))
				report_ratio(r, &f[s][spawn], &f[s][w], "%s: posix_spawn / %s",
					     sizes[s].name, way_name(ways[w]));
	for (size_t w = 0; w < N_WAYS; w++)
		if (ways[w] != WAY_NOTHING)
			report_ratio(r, &f[LARGEST][w], &f[0][w], "%s: %s / %s", way_name(ways[w]),
				     sizes[LARGEST].name, sizes[0].name);
}

static void report_alone(struct report *r)
{
	struct figure *fork = held_by(ALONE, LARGEST, WAY_FORK_EXEC),
		      *large = held_by(ALONE, LARGEST, WAY_SUBMIT);

	report_table(r, "blocked", "the caller, held by the call, by its touched memory", "µs");
	report_rows(r, held[ALONE], false);
	report_ratios(r, held[ALONE]);
	report_ratio(r, fork, large, "%s: fork + exec / spawn_submit", sizes[LARGEST].name);
	report_claim(r, AT_LEAST, SHORTER_THAN_FORK, "", figure_ratio(fork, large, 50),
		     "%s: caller held by fork + exec, by spawn_submit's", sizes[LARGEST].name);
	for (size_t s = 0; s < SIZES; s++)
		report_claim(r, AT_LEAST, SHORTER_THAN_SPAWN, "",
			     figure_ratio(held_by(ALONE, s, WAY_POSIX_SPAWN),
					  held_by(ALONE, s, WAY_SUBMIT), 50),
			     "%s: caller held by posix_spawn, by spawn_submit's", sizes[s].name);
	report_claim(r, NO_MORE, 1, "", figure_ratio(large, held_by(ALONE, 0, WAY_SUBMIT), 50),
		     "caller held by spawn_submit: %s, by %s's", sizes[LARGEST].name,
		     sizes[0].name);
	report_table_end(r);
}

/* Of what is confirmed as posix_spawn is. */
static void claim_stall(struct report *r, size_t s, size_t w)
{
	struct figure *spawn = &stalls[s][index_of(WAY_POSIX_SPAWN)];

	if (ways[w] != WAY_PROCESS && ways[w] != WAY_OWN_PROCESS)
		return;
	report_claim(r, NO_MORE, 1, "", figure_ratio(&stalls[s][w], spawn, 50),
		     "%s: a thread's stall in a spawn, %s, by posix_spawn's", sizes[s].name,
		     way_name(ways[w]));
	report_claim(r, NO_MORE, 1, "", figure_ratio(&stalls[s][w], spawn, 100),
		     "%s: its worst of all, %s, by posix_spawn's", sizes[s].name,
		     way_name(ways[w]));
}

static void note_late(struct report *r)
{
	for (size_t w = 0; w < N_WAYS; w++) {
		size_t all = 0, n = 0;

		for (size_t s = 0; s < SIZES; s++) {
			n += late[s][w];
			all += stalls[s][w].n;
		}
		if (n)
			report_note(r, "not over by then: %zu of %zu, %s", n, all,
				    way_name(ways[w]));
	}
}

static void report_stalls(struct report *r)
{
	size_t spawn = index_of(WAY_POSIX_SPAWN), nothing = index_of(WAY_NOTHING);

	report_table(r, "stall", "a second thread that faults pages: its worst stall in each spawn",
		     "µs");
	report_rows(r, stalls, true);
	for (size_t s = 0; s < SIZES; s++)
		for (size_t w = 0; w < N_WAYS; w++) {
			if (w != nothing)
				report_ratio(r, &stalls[s][w], &stalls[s][nothing],
					     "%s: %s / nothing started", sizes[s].name,
					     way_name(ways[w]));
			if (!way_is_leaf(ways[w]))
				continue;
			report_ratio(r, &stalls[s][w], &stalls[s][spawn], "%s: %s / posix_spawn",
				     sizes[s].name, way_name(ways[w]));
			claim_stall(r, s, w);
		}
	report_note(r, "in the %d ms from the call on; \"worst\" is the worst of all n", WINDOW_MS);
	note_late(r);
	if (probe_has_cpus())
		report_note(r, "the probe alone on the last CPU, the caller on the first; %s",
			    probe_is_real_time() ? "SCHED_FIFO"
						 : "NOT SCHED_FIFO, which is not permitted here");
	else
		report_note(r, "SKIPPED: there is a single CPU here");
	report_table_end(r);
}

static void report_busy(struct report *r)
{
	report_table(r, "busy", "the caller, held by the call, while threads of it fault pages",
		     "µs");
	report_rows(r, held[BUSY], false);
	report_ratios(r, held[BUSY]);
	for (size_t w = 0; w < N_WAYS; w++)
		if (ways[w] == WAY_OWN_SUBMIT || ways[w] == WAY_OWN_PROCESS) {
			struct figure *large = &held[BUSY][LARGEST][w];

			report_claim(r, NO_MORE, 1, "", figure_ratio(large, &held[BUSY][0][w], 50),
				     "busy: caller held by %s, %s by %s's", way_name(ways[w]),
				     sizes[LARGEST].name, sizes[0].name);
			report_claim(
				r, AT_MOST, 1, "",
				figure_ratio(large, held_by(BUSY, LARGEST, WAY_POSIX_SPAWN), 50),
				"busy: caller held by %s at %s, by posix_spawn's",
				way_name(ways[w]), sizes[LARGEST].name);
		}
	report_note(r, "%d such threads, nothing pinned", BUSY_THREADS);
	report_table_end(r);
}

/* A fork of 8 GiB takes as long as all others together: every third time is enough. */
static bool is_turn_of(enum way way, enum company company, unsigned round)
{
	if (way == WAY_FORK_EXEC)
		return round % 3 == WARM_UP % 3;
	return way != WAY_NOTHING || company == PROBED;
}

static void measure(const struct bench *b, struct caller callers[SIZES], enum company company)
{
	unsigned rounds = bench_rounds(b, rounds_of[company].rounds, rounds_of[company].quick);
	size_t order[SIZES * N_WAYS];
	bool served = true;

	for (size_t i = 0; i < SIZES * N_WAYS; i++)
		order[i] = i;
	for (unsigned round = 0; round < rounds + WARM_UP; round++) {
		shuffle(order, SIZES * N_WAYS);
		for (size_t i = 0; i < SIZES * N_WAYS; i++) {
			size_t s = order[i] / N_WAYS, w = order[i] % N_WAYS;
			struct caller_sample sample;

			if (!callers[s].pid || !is_turn_of(ways[w], company, round))
				continue;
			caller_run(&callers[s], ways[w], company, pause_behind(b, served), &sample);
			served = way_is_served(ways[w]);
			if (round < WARM_UP)
				continue;
			figure_add(&held[company][s][w], sample.sample.blocked);
			if (company == PROBED) {
				figure_add(&stalls[s][w], sample.stall);
				late[s][w] += sample.late;
			}
		}
	}
}

static void done(void)
{
	for (size_t i = 0; i < SIZES * N_WAYS; i++) {
		for (int company = 0; company < COMPANIES; company++)
			figure_done(&held[company][i / N_WAYS][i % N_WAYS]);
		figure_done(&stalls[i / N_WAYS][i % N_WAYS]);
		late[i / N_WAYS][i % N_WAYS] = 0;
	}
}

void question_blocked(const struct bench *b)
{
	static const struct pool_sizes pools[TEMPLATES] = {[TEMPLATE_TINY] = {8, 4}};
	struct caller callers[SIZES] = {{0}};
	struct server server;

	server_start(&server, b, pools, NULL);
	for (size_t s = 0; s < SIZES; s++) {
		skipped[s] = NULL;
		if (b->smoke && s > 0)
			skipped[s] = "a smoke test";
		else if (!caller_open(&callers[s], b, &server, sizes[s].bytes, ways, N_WAYS))
			skipped[s] = "too little memory available here";
		if (skipped[s])
			fprintf(stderr, "bench: SKIPPED %s: %s\n", sizes[s].name, skipped[s]);
	}
	measure(b, callers, ALONE);
	report_alone(b->report);
	if (probe_has_cpus())
		measure(b, callers, PROBED);
	report_stalls(b->report);
	measure(b, callers, BUSY);
	report_busy(b->report);
	for (size_t s = SIZES; s > 0; s--)
		caller_close(&callers[s - 1]);
	server_stop(&server);
	done();
}
