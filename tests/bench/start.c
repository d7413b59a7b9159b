/* SPDX-License-Identifier: MIT */
/*
 * One start alone, every way, in random order: when the child's first instruction runs, when the
 * caller has a handle, and how long its end takes to be known.
 */
#include "server.h"
#include "starter.h"

#include <err.h>

#define ROUNDS	     400
#define ROUNDS_QUICK 60
#define WARM_UP	     10

struct lane {
	enum work work;
	enum way way;
	struct figure first, handle, status;
	struct figure stages[STAGES];
	unsigned misses;
};

static const enum way ways_of_work[] = {WAY_SUBMIT, WAY_PROCESS, WAY_POSIX_SPAWN, WAY_VFORK,
					WAY_FORK_EXEC};
#define WAYS_OF_WORK (sizeof(ways_of_work) / sizeof(ways_of_work[0]))
/* Those of each work, then those that start nothing of it. */
#define LANES	   (WORKS * WAYS_OF_WORK + 2)
#define FORK	   (LANES - 2)
#define ROUND_TRIP (LANES - 1)

static void make_lanes(struct lane lanes[LANES])
{
	for (size_t w = 0; w < WORKS; w++)
		for (size_t i = 0; i < WAYS_OF_WORK; i++)
			lanes[w * WAYS_OF_WORK + i] =
				(struct lane){.work = (enum work)w, .way = ways_of_work[i]};
	lanes[FORK] = (struct lane){.way = WAY_FORK};
	lanes[ROUND_TRIP] = (struct lane){.way = WAY_ROUND_TRIP};
}

static struct lane *lane_of(struct lane lanes[LANES], enum work work, enum way way)
{
	for (size_t i = 0; i < LANES; i++)
		if (lanes[i].work == work && lanes[i].way == way)
			return &lanes[i];
	errx(1, "no such lane");
}

static void lane_add(struct lane *l, const struct sample *s)
{
	if (!s->hit) {
		l->misses++;
		return;
	}
	figure_add(&l->first, s->first);
	figure_add(&l->handle, s->handle);
	figure_add(&l->status, s->status);
	for (int i = 0; i < STAGES; i++)
		figure_add(&l->stages[i], s->stages[i]);
}

static const char *what_of(const struct lane *l)
{
	return l->way == WAY_FORK || l->way == WAY_ROUND_TRIP ? "bare" : work_name(l->work);
}

static bool is_leaf(enum way way)
{
	return way == WAY_SUBMIT || way == WAY_PROCESS;
}

static void report_first(struct report *r, struct lane lanes[LANES])
{
	report_table(r, "first", "from the call to the child's first own instruction", "µs");
	for (size_t i = 0; i < ROUND_TRIP; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way), way_mode(lanes[i].way),
			   &lanes[i].first);
	for (int w = 0; w < WORKS; w++)
		for (size_t i = 0; i < WAYS_OF_WORK; i++)
			if (is_leaf(ways_of_work[i]))
				report_ratio(r,
					     &lane_of(lanes, (enum work)w, WAY_POSIX_SPAWN)->first,
					     &lane_of(lanes, (enum work)w, ways_of_work[i])->first,
					     "%s: posix_spawn / %s", work_name((enum work)w),
					     way_name(ways_of_work[i]));
	report_note(r, "words: the list is loaded: from there on it can check");
	report_note(r, "leaves: pool hits alone; left out as misses: %u of words, %u of tiny",
		    lane_of(lanes, WORK_WORDS, WAY_SUBMIT)->misses +
			    lane_of(lanes, WORK_WORDS, WAY_PROCESS)->misses,
		    lane_of(lanes, WORK_TINY, WAY_SUBMIT)->misses +
			    lane_of(lanes, WORK_TINY, WAY_PROCESS)->misses);
	report_table_end(r);
}

static void report_handle(struct report *r, struct lane lanes[LANES])
{
	struct figure *trip = &lanes[ROUND_TRIP].handle;

	report_table(r, "handle", "from the call until the caller holds its handle", "µs");
	for (size_t i = 0; i < LANES; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way), way_mode(lanes[i].way),
			   &lanes[i].handle);
	for (int w = 0; w < WORKS; w++) {
		struct figure *submit = &lane_of(lanes, (enum work)w, WAY_SUBMIT)->handle,
			      *process = &lane_of(lanes, (enum work)w, WAY_PROCESS)->handle,
			      *spawn = &lane_of(lanes, (enum work)w, WAY_POSIX_SPAWN)->handle;
		const char *name = work_name((enum work)w);

		report_ratio(r, submit, trip, "%s: reply-first / bare round trip", name);
		report_ratio(r, process, trip, "%s: confirmed / bare round trip", name);
		report_ratio(r, spawn, submit, "%s: posix_spawn / reply-first", name);
		report_ratio(r, spawn, process, "%s: posix_spawn / confirmed", name);
	}
	report_table_end(r);
}

static void report_status(struct report *r, struct lane lanes[LANES])
{
	report_table(r, "status", "from the child's last own instruction until its status is known",
		     "µs");
	for (size_t i = 0; i < ROUND_TRIP; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way),
			   is_leaf(lanes[i].way) ? "spawn_proc_wait" : "wait4", &lanes[i].status);
	for (int w = 0; w < WORKS; w++)
		report_ratio(r, &lane_of(lanes, (enum work)w, WAY_POSIX_SPAWN)->status,
			     &lane_of(lanes, (enum work)w, WAY_PROCESS)->status,
			     "%s: wait4 after posix_spawn / spawn_proc_wait",
			     work_name((enum work)w));
	report_table_end(r);
}

/* As spawn_timing() tells them: where the time of a confirmed start goes. */
static void report_stages(struct report *r, struct lane lanes[LANES])
{
	static const char *const names[STAGES] = {
		[STAGE_ASK] = "called - broker has read it",
		[STAGE_DECIDE] = "- launch sent to the leaf",
		[STAGE_REPLY] = "launch sent - handle held",
		[STAGE_WAKE] = "launch sent - leaf read it",
		[STAGE_BECOME] = "- leaf is what was asked",
		[STAGE_CONFIRM] = "- the caller knows",
	};

	report_table(r, "stages", "where the time of spawn_process() goes", "µs");
	for (int w = 0; w < WORKS; w++)
		for (int i = 0; i < STAGES; i++)
			report_row(r, work_name((enum work)w), names[i], way_mode(WAY_PROCESS),
				   &lane_of(lanes, (enum work)w, WAY_PROCESS)->stages[i]);
	report_table_end(r);
}

static void measure(const struct bench *b, struct starter starters[WORKS], struct lane lanes[LANES],
		    unsigned rounds)
{
	size_t order[LANES];

	for (size_t i = 0; i < LANES; i++)
		order[i] = i;
	for (unsigned round = 0; round < rounds + WARM_UP; round++) {
		shuffle(order, LANES);
		for (size_t i = 0; i < LANES; i++) {
			struct lane *l = &lanes[order[i]];
			struct sample sample;

			pause_for(b->pause_ms);
			starter_run(&starters[l->work], l->way, &sample);
			if (round >= WARM_UP)
				lane_add(l, &sample);
		}
	}
}

void question_start(const struct bench *b)
{
	static const struct pool_sizes pools[WORKS] = {{8, 4}, {8, 4}};
	unsigned rounds = b->rounds ? b->rounds : b->quick ? ROUNDS_QUICK : ROUNDS;
	struct starter starters[WORKS];
	struct lane lanes[LANES];
	struct server server;

	make_lanes(lanes);
	server_start(&server, b, pools, NULL);
	for (int w = 0; w < WORKS; w++)
		starter_open(&starters[w], b, (enum work)w, server.socket);
	starter_add_echo(&starters[0]); /* the bare lanes say work 0 */
	measure(b, starters, lanes, rounds);
	for (int w = 0; w < WORKS; w++)
		starter_close(&starters[w]);
	server_stop(&server);
	report_first(b->report, lanes);
	report_handle(b->report, lanes);
	report_status(b->report, lanes);
	report_stages(b->report, lanes);
	for (size_t i = 0; i < LANES; i++) {
		figure_done(&lanes[i].first);
		figure_done(&lanes[i].handle);
		figure_done(&lanes[i].status);
		for (int j = 0; j < STAGES; j++)
			figure_done(&lanes[i].stages[j]);
	}
}
