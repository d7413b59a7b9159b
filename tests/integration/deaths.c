/* SPDX-License-Identifier: MIT */
/* Any process of the system may die at any moment: what runs lives on, the next request is served.
 */
#include "census.h"
#include "probe_run.h"
#include "raw.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so", PRESTART "," POOL(4, 1))));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(deaths, .init = start, .fini = stop, .timeout = 120);

/* Runs one and asserts its status. */
static void expect_service(void)
{
	struct outcome o;

	probe_run(client, probe_request("exit", "21", NULL), &o);
	cr_assert(o.known && o.status == 21, "status %d signal %d", o.status, o.signal);
	outcome_free(&o);
}

static pid_t host_pid(void)
{
	struct template_state_seen seen;

	AWAIT((server_status(client, "probe", &seen), seen.host > 0));
	return seen.host;
}

/* Over, so that what it held is closed: before that nobody can know. */
static void kill_and_await(pid_t pid)
{
	_cleanup_close_ int pidfd = pidfd_open_pid(pid);

	cr_assert_geq(pidfd, 0);
	cr_assert_eq(pidfd_signal(pidfd, SIGKILL), 0);
	cr_assert(await_readable(pidfd));
}

Test(deaths, parked_leaf_that_is_killed_is_not_missed)
{
	for (int i = 0; i < 5; i++) {
		pid_t leaf;

		server_await_parked(client, "probe", 1);
		leaf = server_parked_leaf(client, "probe");
		cr_assert_gt(leaf, 0);
		kill_and_await(leaf);
		expect_service();
	}
}

Test(deaths, all_parked_leaves_killed_at_once_are_replaced)
{
	struct template_state_seen seen;

	server_await_parked(client, "probe", 4);
	server_status(client, "probe", &seen);
	for (size_t i = 0; i < seen.n_leaves; i++)
		kill_and_await(seen.leaves[i]);
	for (int i = 0; i < 8; i++)
		expect_service();
	server_await_parked(client, "probe", 1);
}

/* Stops all that are parked, so that the next one is handed out and does not move. */
static void stop_parked_leaves(void)
{
	struct template_state_seen seen;

	server_await_parked(client, "probe", 4);
	server_status(client, "probe", &seen);
	for (size_t i = 0; i < seen.n_leaves; i++)
		cr_assert_eq(kill(seen.leaves[i], SIGSTOP), 0);
}

static void continue_parked_leaves(void)
{
	struct template_state_seen seen;

	server_status(client, "probe", &seen);
	for (size_t i = 0; i < seen.n_leaves; i++)
		kill(seen.leaves[i], SIGCONT);
}

Test(deaths, leaf_killed_while_launching_is_told_without_ready)
{
	static const char *const args[] = {"probe", "exit", "0", NULL};
	struct template_state_seen seen;
	struct raw_reply reply;
	int fd = raw_open(&server), body[2];
	uint64_t serial;
	pid_t pid;

	stop_parked_leaves();
	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(raw_send_body(body[0], args), 0);
	cr_assert_eq(raw_send_spawn(fd, 7, "probe", 0, body[1]), 0);
	close(body[1]);
	raw_expect(fd, &reply, MSG_STARTED);
	pid = (pid_t)message_u32(&reply.message, REC_PID);
	serial = message_u64(&reply.message, REC_SERIAL);
	fds_close(&reply.fds);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	raw_receive(body[0], &reply, PATIENCE_MS);
	cr_assert(reply.closed, "it said something, or its end was not told");
	raw_expect(fd, &reply, MSG_EXIT);
	cr_assert_eq(raw_send_release(fd, serial), 0);
	close(body[0]);
	close(fd);
	continue_parked_leaves();
	expect_service();
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
}

static void on_started(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	*(struct spawn_proc **)user = proc;
}

Test(deaths, leaf_killed_while_launching_is_no_start_and_the_record_has_the_signal)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *proc = NULL;
	struct outcome o;

	stop_parked_leaves();
	cr_assert_eq(spawn_submit(client, request, on_started, &proc, NULL, NULL), 0);
	while (!proc) {
		cr_assert(await_readable(spawn_client_fd(client)));
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
	cr_assert_eq(spawn_proc_kill(proc, SIGKILL), 0);
	proc_finish(proc, &o);
	continue_parked_leaves();
	cr_assert(o.known && o.signal == SIGKILL, "status %d signal %d", o.status, o.signal);
	spawn_request_free(request);
}

Test(deaths, leaf_without_a_body_says_so_and_ends)
{
	struct template_state_seen seen;
	struct raw_reply reply;
	int fd = raw_open(&server), body[2];
	uint64_t serial;

	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(raw_send_spawn(fd, 7, "probe", 0, body[1]), 0);
	close(body[1]);
	raw_expect(fd, &reply, MSG_STARTED);
	serial = message_u64(&reply.message, REC_SERIAL);
	fds_close(&reply.fds);
	close(body[0]);
	raw_expect(fd, &reply, MSG_EXIT);
	cr_assert_eq(raw_send_release(fd, serial), 0);
	close(fd);
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	expect_service();
}

Test(deaths, broker_killed_while_idle_is_replaced_and_the_client_reconnects)
{
	for (int i = 0; i < 5; i++) {
		pid_t broker = server_broker(&server);

		expect_service();
		cr_assert_eq(kill(broker, SIGKILL), 0);
		AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
		expect_service();
	}
}

Test(deaths, broker_killed_with_a_leaf_running_loses_no_status)
{
	struct probe p;
	struct outcome o;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "33", NULL), &p);
	probe_await_line(&p, "here");
	kill(server_broker(&server), SIGKILL);
	expect_service_again(client);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 33, "known %d status %d", o.known, o.status);
	outcome_free(&o);
}

Test(deaths, leaf_that_ends_while_the_broker_is_away_has_its_status)
{
	struct probe p;
	struct outcome o;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "34", NULL), &p);
	probe_await_line(&p, "here");
	kill(server_broker(&server), SIGKILL);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 34, "known %d status %d", o.known, o.status);
	outcome_free(&o);
}

/* Kills what `find` names, again and again, until told to end. */
struct killer {
	pid_t keeper;
	const char *comm;
	int kills, end;
};

static void *kill_again(void *user)
{
	struct killer *k = user;
	pid_t last = 0;

	while (!__atomic_load_n(&k->end, __ATOMIC_ACQUIRE) && k->kills < 15) {
		pid_t pid = census_find(k->keeper, k->comm, last);

		if (pid && kill(pid, SIGKILL) == 0) {
			last = pid;
			k->kills++;
		}
		pause_briefly();
	}
	return NULL;
}

static void spawn_under_fire(const char *comm)
{
	struct killer killer = {.keeper = server.pid, .comm = comm};
	struct spawn_request *request = probe_request("exit", "5", NULL);
	int right = 0, refused = 0, unknown = 0;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, kill_again, &killer), 0);
	for (int i = 0; i < 300; i++) {
		struct spawn_proc *proc = NULL;
		struct spawn_error err = {0};
		struct spawn_exit *end = NULL;
		int r = spawn_process(client, request, &proc, &err);

		if (r < 0) {
			cr_assert(r == -ECONNRESET || r == -EINPROGRESS || r == -EAGAIN ||
					  r == -ECONNREFUSED || r == -ECHILD || r == -EPIPE ||
					  r == -ESRCH || err.origin == SPAWN_ORIGIN_HOST,
				  "%d %s", r, err.message);
			refused++;
			continue;
		}
		r = spawn_proc_wait(proc, PATIENCE_MS, &end);
		cr_assert_eq(r, 0, "wait: %s", strerror(-r));
		if (!spawn_exit_known(end))
			unknown++;
		else if (spawn_exit_status(end) == 5)
			right++;
		else
			cr_assert_fail("status %d signal %d", spawn_exit_status(end),
				       spawn_exit_signal(end));
		spawn_exit_free(end);
		spawn_proc_free(proc);
	}
	__atomic_store_n(&killer.end, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	spawn_request_free(request);
	cr_assert_gt(killer.kills, 0);
	cr_assert_gt(right, 0, "%d right, %d refused, %d unknown", right, refused, unknown);
	cr_assert_eq(unknown, 0, "%d right, %d refused, %d unknown", right, refused, unknown);
}

Test(deaths, broker_killed_amid_requests_never_gives_a_wrong_status)
{
	spawn_under_fire("spawnd-broker");
	AWAIT(spawn_client_ping(client, NULL) == 0);
	expect_service();
}

Test(deaths, host_killed_with_parked_leaves_is_replaced)
{
	for (int i = 0; i < 3; i++) {
		pid_t host;

		server_await_parked(client, "probe", 1);
		host = host_pid();
		cr_assert_eq(kill(host, SIGKILL), 0);
		expect_service();
	}
}

Test(deaths, host_killed_with_a_leaf_running_loses_no_status)
{
	struct template_state_seen seen;
	struct probe p;
	struct outcome o;
	pid_t host = host_pid();

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "35", NULL), &p);
	probe_await_line(&p, "here");
	kill(host, SIGKILL);
	AWAIT((server_status(client, "probe", &seen), seen.host != host && seen.host > 0));
	expect_service();
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 35, "known %d status %d signal %d", o.known, o.status,
		  o.signal);
	outcome_free(&o);
}

/* Not a template that keeps dying: killed at work is no reason to hold it back. */
Test(deaths, host_killed_at_work_is_not_held_back)
{
	struct template_state_seen seen;

	for (int i = 0; i < 8; i++) {
		kill(host_pid(), SIGKILL);
		expect_service();
	}
	server_status(client, "probe", &seen);
	cr_assert_str_neq(seen.state, "down");
}

/* A client in a process of its own, which starts a leaf that holds `alive` and `in`, and is killed.
 */
static void killed_client(int alive, int in, bool kill_with_caller)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	make_pipe(ready);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct spawn_client *own;
		struct spawn_request *request = spawn_request_new("probe");
		struct spawn_proc *proc;

		spawn_request_args(request, 5,
				   (const char *const[]){"tell", "here", "echo", "0", "block"});
		spawn_request_fd(request, alive, 1);
		spawn_request_fd(request, in, 0);
		spawn_request_kill_with_caller(request, kill_with_caller);
		if (spawn_client_open(&own, server.socket, NULL) < 0 ||
		    spawn_process(own, request, &proc, NULL) < 0)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the client in a process of its own failed");
	close(ready[0]);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
}

Test(deaths, leaf_lives_on_when_its_client_is_killed)
{
	struct template_state_seen seen;
	int out[2], in[2];
	struct probe p;

	make_pipe(out);
	make_pipe(in);
	killed_client(out[1], in[0], false);
	close(out[1]);
	close(in[0]);
	p = (struct probe){.out = out[0], .in = -1};
	probe_await_line(&p, "here");
	server_status(client, "probe", &seen);
	cr_assert_eq(seen.launched, 1);
	/* It works on: what goes in comes out. */
	cr_assert_eq(write(in[1], "still\n", 6), 6);
	probe_await_line(&p, "still");
	for (size_t i = 0; i < seen.n_leaves; i++) {
		if (strcmp(seen.leaf_states[i], "launched") == 0)
			kill(seen.leaves[i], SIGKILL);
	}
	close(in[1]);
	close(out[0]);
	/* Nobody will take its record: it is reaped. */
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

Test(deaths, leaf_dies_with_its_client_when_asked_to)
{
	struct template_state_seen seen;
	int out[2], in[2];
	size_t len;

	make_pipe(out);
	make_pipe(in);
	killed_client(out[1], in[0], true);
	close(out[1]);
	close(in[0]);
	free(read_to_end(out[0], &len)); /* its end is the leaf's */
	close(out[0]);
	close(in[1]);
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

/* A process that asks and is gone: what it left belongs to nobody. */
static void ask_and_end(int variant)
{
	static const char *const args[] = {"probe", "exit", "0", NULL};
	int status, body[2];
	pid_t pid;

	cr_assert_eq(channel_pair(body), 0);
	if (variant % 3)
		cr_assert_eq(raw_send_body(body[0], args), 0);
	pid = fork();
	if (pid == 0) {
		int fd = raw_connect(&server);
		char welcome[4096];

		if (fd < 0 || raw_send_hello(fd, 1) < 0 ||
		    recv(fd, welcome, sizeof(welcome), 0) <= 0 ||
		    raw_send_spawn(fd, 3, "probe", 0, body[1]) < 0)
			_exit(1);
		if (variant % 2)
			recv(fd, welcome, sizeof(welcome), 0);
		_exit(0);
	}
	close(body[0]);
	close(body[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

Test(deaths, client_gone_right_after_its_request_leaves_nothing)
{
	struct template_state_seen seen;

	for (int i = 0; i < 30; i++)
		ask_and_end(i);
	expect_service();
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

Test(deaths, client_gone_in_the_middle_of_hello_leaves_no_descriptor)
{
	pid_t broker = server_broker(&server);
	int before;

	server_await_parked(client, "probe", 4); /* what it holds for the pool it holds by now */
	before = census_fds(broker);

	for (int i = 0; i < 50; i++) {
		int fd = raw_connect(&server);

		cr_assert_geq(fd, 0);
		if (i % 2)
			raw_send_hello(fd, 1);
		close(fd);
	}
	AWAIT(census_fds(broker) == before);
}

Test(deaths, keeper_killed_takes_broker_and_hosts_along)
{
	struct census_process left[32];
	size_t n;

	server_await_parked(client, "probe", 1);
	cr_assert_gt(census_descendants(server.pid, left, 32), 1);
	server_signal(&server, SIGKILL);
	server_await_end(&server);
	/* They come to this process, their subreaper, and end by themselves. */
	AWAIT((waitpid(-1, NULL, WNOHANG), n = census_descendants(getpid(), left, 32)) == 0);
	server_remove_stale(&server);
}
