/* SPDX-License-Identifier: MIT */
/* What is too much is answered, at once and by name, and room that is given back can be used. */
#include "census.h"
#include "probe_run.h"
#include "raw.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct server server;

static void stop(void)
{
	server_stop(&server);
}

TestSuite(limits, .fini = stop, .timeout = 120);

#define MANY 120

Test(limits, want_of_descriptors_is_answered_and_passes)
{
	int fds[MANY], welcome = 0, refused = 0, r;
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *proc = NULL;
	struct spawn_client *client;
	struct raw_reply reply;

	server.nofile = 64;
	server_start(&server, CONFIG_WITH(LIMITS("\"connections_per_uid\": 1000"), PROBE));
	for (int i = 0; i < MANY; i++) {
		fds[i] = raw_connect(&server);
		if (fds[i] < 0) {
			cr_assert(fds[i] == -EAGAIN || fds[i] == -ECONNREFUSED, "connect: %s",
				  strerror(-fds[i]));
			refused++;
			continue;
		}
		raw_send_hello(fds[i], 1);
		raw_receive(fds[i], &reply, PATIENCE_MS);
		cr_assert(!reply.timed_out, "connection %d of %d got no answer", i, MANY);
		cr_assert(!reply.closed, "connection %d of %d was closed without a word", i, MANY);
		if (reply.message.type == MSG_WELCOME) {
			welcome++;
			continue;
		}
		cr_assert_eq(reply.message.type, MSG_ERROR);
		refused++;
	}
	cr_assert_gt(welcome, 0);
	cr_assert_gt(refused, 0, "64 descriptors were enough for %d connections", MANY);
	for (int i = 0; i < MANY; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	AWAIT(spawn_client_open(&client, server.socket, NULL) == 0);
	/* The kernel counts descriptors in flight over all processes of a user, other tests' too, and
	 * holds them against this server's low limit. */
	AWAIT((r = spawn_process(client, request, &proc, NULL)) != -ETOOMANYREFS);
	cr_assert_eq(r, 0, "%s", strerror(-r));
	proc_expect_status(proc, 0);
	spawn_request_free(request);
	spawn_client_close(client);
}

Test(limits, connections_beyond_the_limit_are_refused_with_eagain)
{
	struct spawn_client *clients[3], *fourth = NULL;
	struct spawn_error err = {0};

	server_start(&server, CONFIG_WITH(LIMITS("\"connections_per_uid\": 3"), PROBE));
	for (int i = 0; i < 3; i++)
		clients[i] = server_client(&server);
	cr_assert_eq(spawn_client_open(&fourth, server.socket, &err), -EAGAIN, "%s", err.message);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POOL);
	spawn_client_close(clients[2]);
	AWAIT(spawn_client_open(&fourth, server.socket, NULL) == 0);
	cr_assert_eq(spawn_client_ping(fourth, NULL), 0);
	for (int i = 0; i < 2; i++)
		spawn_client_close(clients[i]);
	spawn_client_close(fourth);
}

struct submitted {
	int started, failed, code;
	struct spawn_proc *proc;
};

static void on_started(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct submitted *s = user;

	if (proc) {
		s->started++;
		s->proc = proc;
	} else {
		s->failed++;
		s->code = err->code;
	}
}

static void await_completion(struct spawn_client *client, struct submitted *s)
{
	while (!s->started && !s->failed) {
		cr_assert(await_readable(spawn_client_fd(client)), "a submit does not complete");
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
}

/* The host is stopped and what was parked is handed out: what comes now waits. */
static pid_t stop_host(struct spawn_client *client, struct probe *running, uint32_t n)
{
	struct template_state_seen seen;

	server_await_parked(client, "probe", n);
	server_status(client, "probe", &seen);
	cr_assert_eq(seen.parked, n);
	cr_assert_eq(kill(seen.host, SIGSTOP), 0);
	for (uint32_t i = 0; i < n; i++)
		probe_start_fed(client, probe_request("echo", "0", NULL), &running[i]);
	return seen.host;
}

Test(limits, queue_beyond_its_maximum_is_refused_and_the_rest_is_served)
{
	struct spawn_client *client;
	struct spawn_request *request = probe_request("exit", "7", NULL);
	struct submitted s[3] = {{0}};
	struct template_state_seen seen;
	struct probe p[2];
	pid_t host;

	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so",
					      PRESTART "," POOL(2, 1) "," QUEUE_MAX(2))));
	client = server_client(&server);
	host = stop_host(client, p, 2);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(spawn_submit(client, request, on_started, &s[i], NULL, NULL), 0);
	AWAIT((server_status(client, "probe", &seen), seen.queued == 2));
	cr_assert_eq(spawn_submit(client, request, on_started, &s[2], NULL, NULL), 0);
	await_completion(client, &s[2]);
	cr_assert(s[2].failed && s[2].code == -EAGAIN, "code %d", s[2].code);
	cr_assert(!s[0].started && !s[1].started && !s[0].failed && !s[1].failed);
	cr_assert_eq(kill(host, SIGCONT), 0);
	for (int i = 0; i < 2; i++) {
		struct outcome o;

		await_completion(client, &s[i]);
		cr_assert(s[i].started, "code %d", s[i].code);
		proc_expect_status(s[i].proc, 7);
		probe_finish(&p[i], &o);
		outcome_free(&o);
	}
	spawn_request_free(request);
	spawn_client_close(client);
}

Test(limits, leaves_never_exceed_their_maximum_and_one_that_ends_makes_room)
{
	struct spawn_client *client;
	struct template_state_seen seen;
	struct submitted third = {0};
	struct spawn_request *request = probe_request("exit", "8", NULL);
	struct probe p[2];
	struct outcome o;

	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so", LEAVES_MAX(2) "," PRESTART)));
	client = server_client(&server);
	for (int i = 0; i < 2; i++)
		probe_start_fed(client, probe_request("echo", "0", NULL), &p[i]);
	cr_assert_eq(spawn_submit(client, request, on_started, &third, NULL, NULL), 0);
	/* It waits, or is refused for now. */
	AWAIT((server_status(client, "probe", &seen), spawn_client_dispatch(client),
	       seen.queued == 1 || third.failed));
	cr_assert(!third.started);
	cr_assert(!third.failed || third.code == -EAGAIN, "code %d", third.code);
	cr_assert_eq(seen.n_leaves, 2);
	probe_finish(&p[0], &o);
	outcome_free(&o);
	while (!third.started) {
		await_completion(client, &third);
		cr_assert(third.started || third.code == -EAGAIN, "code %d", third.code);
		if (third.started)
			break;
		third = (struct submitted){0};
		cr_assert_eq(spawn_submit(client, request, on_started, &third, NULL, NULL), 0);
	}
	proc_expect_status(third.proc, 8);
	probe_finish(&p[1], &o);
	outcome_free(&o);
	spawn_request_free(request);
	spawn_client_close(client);
}

Test(limits, leaves_of_a_user_beyond_the_limit_are_refused_with_eagain)
{
	struct spawn_client *client;
	struct spawn_error err = {0};
	struct probe p[2];
	struct outcome o;

	server_start(&server, CONFIG_WITH(LIMITS("\"leaves_per_uid\": 2"), PROBE));
	client = server_client(&server);
	for (int i = 0; i < 2; i++)
		probe_start_fed(client, probe_request("echo", "0", NULL), &p[i]);
	cr_assert_eq(probe_refused(client, probe_request("exit", "0", NULL), &err), -EAGAIN);
	for (int i = 0; i < 2; i++) {
		probe_finish(&p[i], &o);
		outcome_free(&o);
	}
	spawn_client_close(client);
}

/* Over and not waited for: the zombie is the record and counts. */
Test(limits, untaken_records_count_until_they_are_released)
{
	struct spawn_client *client;
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *procs[2];

	server_start(&server, CONFIG_WITH(LIMITS("\"leaves_per_uid\": 2"), PROBE));
	client = server_client(&server);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(spawn_process(client, request, &procs[i], NULL), 0);
		cr_assert(await_readable(spawn_proc_pidfd(procs[i])));
	}
	cr_assert_eq(spawn_process(client, request, &procs[0], NULL), -EAGAIN);
	for (int i = 0; i < 2; i++)
		proc_expect_status(procs[i], 0);
	AWAIT(spawn_process(client, request, &procs[0], NULL) == 0);
	proc_expect_status(procs[0], 0);
	spawn_request_free(request);
	spawn_client_close(client);
}
