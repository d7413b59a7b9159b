/* SPDX-License-Identifier: MIT */
/* Many at once and many in a row: each request has exactly one answer and nothing adds up. */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct server server;

static void start(void)
{
	server_start(&server, CONFIG_WITH(LIMITS("\"connections_per_uid\": 128"),
					  TEMPLATE("probe", "probe.so", PRESTART "," POOL(8, 4))));
}

static void stop(void)
{
	server_stop(&server);
}

TestSuite(load, .init = start, .fini = stop, .timeout = 300);

/* One thread's work and what came of it. */
struct worker {
	pthread_t thread;
	struct spawn_client *client;
	int first, n;
	int right, wrong, failed;
	struct spawn_error err;
};

static void spawn_one(struct worker *w, int status)
{
	struct spawn_request *request = spawn_request_new("probe");
	struct spawn_proc *proc = NULL;
	struct spawn_exit *end = NULL;
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	spawn_request_args(request, 2, (const char *const[]){"exit", text});
	if (spawn_process(w->client, request, &proc, &w->err) < 0) {
		w->failed++;
	} else {
		if (spawn_proc_wait(proc, PATIENCE_MS, &end) == 0 && spawn_exit_known(end) &&
		    spawn_exit_status(end) == status)
			w->right++;
		else
			w->wrong++;
	}
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_request_free(request);
}

static void *work(void *user)
{
	struct worker *w = user;

	for (int i = 0; i < w->n; i++)
		spawn_one(w, (w->first + i) % 256);
	return NULL;
}

/* All start, all end, all statuses are right. */
static void run_workers(struct worker *workers, int n)
{
	for (int i = 0; i < n; i++)
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (int i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < n; i++) {
		struct worker *w = &workers[i];

		cr_assert_eq(w->failed, 0, "thread %d: %d failed, the last: %s", i, w->failed,
			     w->err.message);
		cr_assert_eq(w->right, w->n, "thread %d: %d of %d right, %d wrong", i, w->right,
			     w->n, w->wrong);
	}
}

Test(load, sixty_four_threads_share_one_client)
{
	struct worker workers[64] = {{0}};
	struct spawn_client *client = server_client(&server);

	for (int i = 0; i < 64; i++)
		workers[i] = (struct worker){.client = client, .first = i * 4, .n = 8};
	run_workers(workers, 64);
	spawn_client_close(client);
}

Test(load, sixty_four_threads_with_a_client_each)
{
	struct worker workers[64] = {{0}};

	for (int i = 0; i < 64; i++)
		workers[i] =
			(struct worker){.client = server_client(&server), .first = i * 4, .n = 8};
	run_workers(workers, 64);
	for (int i = 0; i < 64; i++)
		spawn_client_close(workers[i].client);
}

/* What the server holds when nothing runs and the pool is full. */
struct holdings {
	int fds;
	size_t processes, zombies;
	uint32_t parked, launched, queued;
};

static void count_holdings(struct spawn_client *client, struct holdings *ret)
{
	struct census_process ignored[1];
	struct template_state_seen seen;

	server_status(client, "probe", &seen);
	*ret = (struct holdings){
		.fds = census_server_fds(server.pid),
		.processes = census_descendants(server.pid, ignored, 1),
		.zombies = census_zombies(server.pid),
		.parked = seen.parked,
		.launched = seen.launched,
		.queued = seen.queued,
	};
}

static bool same_holdings(const struct holdings *a, const struct holdings *b)
{
	return a->fds == b->fds && a->processes == b->processes && a->zombies == b->zombies &&
	       a->parked == b->parked && a->launched == b->launched && a->queued == b->queued;
}

static void await_holdings(struct spawn_client *client, const struct holdings *before)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	struct holdings now;

	do {
		count_holdings(client, &now);
		if (same_holdings(before, &now))
			return;
		pause_briefly();
	} while (now_ms() < end);
	cr_assert_fail("before: %d fds, %zu processes, %zu zombies, %u parked, %u launched; now: "
		       "%d, %zu, %zu, %u, %u",
		       before->fds, before->processes, before->zombies, before->parked,
		       before->launched, now.fds, now.processes, now.zombies, now.parked,
		       now.launched);
}

Test(load, ten_thousand_spawns_from_eight_threads_leave_nothing)
{
	struct worker workers[8] = {{0}};
	struct spawn_client *client = server_client(&server);
	struct holdings before;
	struct worker first = {.client = client, .n = 20};

	/* What is made once is made by then. */
	run_workers(&first, 1);
	server_await_parked(client, "probe", 8);
	AWAIT(census_zombies(server.pid) == 0);
	count_holdings(client, &before);
	for (int i = 0; i < 8; i++)
		workers[i] = (struct worker){
			.client = server_client(&server), .first = i * 37, .n = 1250};
	run_workers(workers, 8);
	for (int i = 0; i < 8; i++)
		spawn_client_close(workers[i].client);
	await_holdings(client, &before);
	spawn_client_close(client);
}

static int completed, started;

static void on_started(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct spawn_proc **slot = user;

	completed++;
	if (proc) {
		started++;
		*slot = proc;
	}
}

Test(load, three_hundred_submitted_at_once_all_complete)
{
	static struct spawn_proc *procs[300];
	struct spawn_client *client = server_client(&server);
	struct spawn_request *request = probe_request("exit", "6", NULL);
	int submitted = 0;

	while (submitted < 300) {
		int r = spawn_submit(client, request, on_started, &procs[submitted], NULL, NULL);

		if (r == 0) {
			submitted++;
			continue;
		}
		/* The server does not keep up, or its queue is full for now. */
		cr_assert_eq(r, -EAGAIN);
		cr_assert(await_readable(spawn_client_fd(client)));
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
	while (completed < 300) {
		cr_assert(await_readable(spawn_client_fd(client)), "%d of 300 completed",
			  completed);
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
	cr_assert_eq(completed, 300);
	for (int i = 0; i < 300; i++) {
		if (procs[i])
			proc_expect_status(procs[i], 6);
	}
	cr_assert_geq(started, 256, "%d of 300 started: the queue holds 256", started);
	spawn_request_free(request);
	spawn_client_close(client);
}
