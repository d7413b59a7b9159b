/* SPDX-License-Identifier: MIT */
/*
 * One start alone, every way, in random order: when the child's first instruction runs, when the
 * caller has a handle, and how long its end takes to be known.
 */
#include "server.h"
#include "starter.h"

#include <err.h>

#define ROUNDS	     300
#define ROUNDS_QUICK 60
#define WARM_UP	     10

/* What must hold. */
#define FIRST_SOONER	 5
#define FIRST_SOONER_P99 3
#define HANDLE_TRIPS	 2

struct lane {
	enum work work;
	enum way way;
	struct figure first, handle, status;
	struct figure stages[STAGES];
	unsigned misses;
};

static const struct {
	enum work work;
	enum way way;
} kinds[] = {
	{WORK_TINY, WAY_SUBMIT},      {WORK_TINY, WAY_PROCESS},
	{WORK_TINY, WAY_EXEC_SUBMIT}, {WORK_TINY, WAY_EXEC_PROCESS},
	{WORK_TINY, WAY_OWN_SUBMIT},  {WORK_TINY, WAY_OWN_PROCESS},
	{WORK_TINY, WAY_POSIX_SPAWN}, {WORK_TINY, WAY_VFORK},
	{WORK_TINY, WAY_FORK_EXEC},   {WORK_WORDS, WAY_SUBMIT},
	{WORK_WORDS, WAY_PROCESS},    {WORK_WORDS, WAY_POSIX_SPAWN},
	{WORK_WORDS, WAY_VFORK},      {WORK_WORDS, WAY_FORK_EXEC},
	{WORK_TINY, WAY_FORK}, /* these two start nothing of it */
	{WORK_TINY, WAY_ROUND_TRIP},
};
#define LANES	   (sizeof(kinds) / sizeof(kinds[0]))
#define ROUND_TRIP (LANES - 1)

static void make_lanes(struct lane lanes[LANES])
{
	for (size_t i = 0; i < LANES; i++)
		lanes[i] = (struct lane){.work = kinds[i].work, .way = kinds[i].way};
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

/* Calls for each way of spawnd's, with posix_spawn of the same. */
static void for_each_leaf(struct report *r, struct lane lanes[LANES],
			  void (*call)(struct report *r, struct lane *leaf, struct lane *beside))
{
	for (size_t i = 0; i < LANES; i++)
		if (way_is_leaf(lanes[i].way))
			call(r, &lanes[i], lane_of(lanes, lanes[i].work, WAY_POSIX_SPAWN));
}

static void compare_first(struct report *r, struct lane *leaf, struct lane *beside)
{
	report_ratio(r, &beside->first, &leaf->first, "%s: posix_spawn / %s", work_name(leaf->work),
		     way_name(leaf->way));
	if (leaf->way != WAY_PROCESS)
		return;
	report_claim(r, AT_LEAST, FIRST_SOONER, "", figure_ratio(&beside->first, &leaf->first, 50),
		     "%s: first instruction sooner than posix_spawn's", work_name(leaf->work));
	report_claim(r, AT_LEAST, FIRST_SOONER_P99, "",
		     figure_ratio(&beside->first, &leaf->first, 99),
		     "%s: the same at the 99th percentile", work_name(leaf->work));
}

static void note_misses(struct report *r, struct lane *leaf, struct lane *beside)
{
	if (leaf->misses)
		report_note(r, "left out, for no leaf was parked: %u of %s, %s", leaf->misses,
			    work_name(leaf->work), way_name(leaf->way));
}

static void report_first(struct report *r, struct lane lanes[LANES])
{
	report_table(r, "first", "from the call to the child's first own instruction", "µs");
	for (size_t i = 0; i < ROUND_TRIP; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way), way_mode(lanes[i].way),
			   &lanes[i].first);
	for_each_leaf(r, lanes, compare_first);
	for_each_leaf(r, lanes, note_misses);
	report_note(r, "words: the list is loaded: from there on it can check");
	report_table_end(r);
}

static void compare_handle(struct report *r, struct lane *leaf, struct lane *beside)
{
	report_ratio(r, &beside->handle, &leaf->handle, "%s: posix_spawn / %s",
		     work_name(leaf->work), way_name(leaf->way));
}

static void report_handle(struct report *r, struct lane lanes[LANES])
{
	struct figure *trip = &lanes[ROUND_TRIP].handle;

	report_table(r, "handle", "from the call until the caller holds its handle", "µs");
	for (size_t i = 0; i < LANES; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way), way_mode(lanes[i].way),
			   &lanes[i].handle);
	for (size_t i = 0; i < LANES; i++)
		if (way_is_leaf(lanes[i].way))
			report_ratio(r, &lanes[i].handle, trip, "%s: %s / bare round trip",
				     what_of(&lanes[i]), way_name(lanes[i].way));
	for_each_leaf(r, lanes, compare_handle);
	report_claim(r, AT_MOST, HANDLE_TRIPS, "",
		     figure_ratio(&lane_of(lanes, WORK_TINY, WAY_SUBMIT)->handle, trip, 50),
		     "tiny: handle, reply-first, in bare round trips");
	report_table_end(r);
}

static void compare_status(struct report *r, struct lane *leaf, struct lane *beside)
{
	report_ratio(r, &beside->status, &leaf->status, "%s: wait4 after posix_spawn / %s",
		     work_name(leaf->work), way_name(leaf->way));
}

static void report_status(struct report *r, struct lane lanes[LANES])
{
	report_table(r, "status", "from the child's last own instruction until its status is known",
		     "µs");
	for (size_t i = 0; i < ROUND_TRIP; i++)
		report_row(r, what_of(&lanes[i]), way_name(lanes[i].way),
			   way_is_leaf(lanes[i].way) ? "spawn_proc_wait" : "wait4",
			   &lanes[i].status);
	for_each_leaf(r, lanes, compare_status);
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
	bool served = true;

	for (size_t i = 0; i < LANES; i++)
		order[i] = i;
	for (unsigned round = 0; round < rounds + WARM_UP; round++) {
		shuffle(order, LANES);
		for (size_t i = 0; i < LANES; i++) {
			struct lane *l = &lanes[order[i]];
			struct sample sample;

			pause_for(pause_behind(b, served));
			served = way_is_served(l->way);
			starter_run(&starters[l->work], l->way, &sample);
			if (round >= WARM_UP)
				lane_add(l, &sample);
		}
	}
}

void question_start(const struct bench *b)
{
	static const struct pool_sizes pools[TEMPLATES] = {
		[TEMPLATE_TINY] = {8, 4},
		[TEMPLATE_WORDS] = {8, 4},
		[TEMPLATE_EXEC] = {8, 4},
	};
	struct starter starters[WORKS];
	struct lane lanes[LANES];
	struct server server;

	make_lanes(lanes);
	server_start(&server, b, pools, NULL);
	starter_open(&starters[WORK_TINY], b, TEMPLATE_TINY, server.socket, true);
	starter_open(&starters[WORK_WORDS], b, TEMPLATE_WORDS, server.socket, true);
	for (size_t i = 0; i < LANES; i++)
		starter_prepare(&starters[lanes[i].work], lanes[i].way);
	measure(b, starters, lanes, bench_rounds(b, ROUNDS, ROUNDS_QUICK));
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
