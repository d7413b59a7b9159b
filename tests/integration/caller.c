/* SPDX-License-Identifier: MIT */
/* The library's other ways: asynchronous starts, cancelling, deadlines, callers that fork or exec.
 */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(&server, CONFIG(PROBE "," TEMPLATE("hanging", "warm_hangs.so", COLD)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(caller, .init = start, .fini = stop, .timeout = 60);

/* ---- submit, dispatch, cancel ---- */

struct completion {
	int calls;
	struct spawn_proc *proc;
	struct spawn_error err;
};

static void complete(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct completion *c = user;

	c->calls++;
	c->proc = proc;
	if (err)
		c->err = *err;
}

static void await_completion(struct completion *c)
{
	while (c->calls == 0) {
		cr_assert(await_readable(spawn_client_fd(client)));
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
	cr_assert_eq(c->calls, 1);
}

Test(caller, submit_completes_by_dispatch_when_the_descriptor_is_readable)
{
	struct completion c = {0};
	struct spawn_request *request = probe_request("exit", "13", NULL);
	uint32_t id = 0;

	cr_assert_eq(spawn_submit(client, request, complete, &c, &id, NULL), 0);
	cr_assert_neq(id, 0);
	spawn_request_free(request); /* not needed any more */
	await_completion(&c);
	cr_assert_not_null(c.proc);
	proc_expect_status(c.proc, 13);
	cr_assert_eq(c.calls, 1);
}

Test(caller, submit_of_an_unknown_template_completes_with_enoent)
{
	struct completion c = {0};
	struct spawn_request *request = template_request("nobody", NULL);

	cr_assert_eq(spawn_submit(client, request, complete, &c, NULL, NULL), 0);
	spawn_request_free(request);
	await_completion(&c);
	cr_assert_null(c.proc);
	cr_assert_eq(c.err.code, -ENOENT);
	cr_assert(strstr(c.err.message, "nobody"), "%s", c.err.message);
}

Test(caller, submitted_one_that_fails_to_start_says_so_in_its_record)
{
	struct completion c = {0};
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct outcome o;

	spawn_request_chdir(request, "/nowhere");
	cr_assert_eq(spawn_submit(client, request, complete, &c, NULL, NULL), 0);
	spawn_request_free(request);
	await_completion(&c);
	cr_assert_not_null(c.proc, "%s", c.err.message);
	proc_finish(c.proc, &o);
	cr_assert_eq(o.start_error, -ENOENT);
	cr_assert_str_eq(o.step, "chdir");
	cr_assert_eq(o.status, -1);
	cr_assert_eq(o.signal, 0);
}

/* Requests of "hanging" wait: its warm() never ends. */
Test(caller, cancelled_request_that_waits_completes_with_ecanceled)
{
	struct completion c = {0};
	struct template_state_seen seen;
	struct spawn_request *request = template_request("hanging", NULL);
	uint32_t id;

	cr_assert_eq(spawn_submit(client, request, complete, &c, &id, NULL), 0);
	AWAIT((server_status(client, "hanging", &seen), seen.queued == 1));
	cr_assert_eq(spawn_cancel(client, id), 0);
	await_completion(&c);
	cr_assert_null(c.proc);
	cr_assert_eq(c.err.code, -ECANCELED);
	cr_assert_eq(spawn_cancel(client, id), -ENOENT);
	server_status(client, "hanging", &seen);
	cr_assert_eq(seen.queued, 0);
	spawn_request_free(request);
}

Test(caller, cancel_after_the_start_changes_nothing)
{
	struct completion c = {0};
	struct spawn_request *request = probe_request("exit", "14", NULL);
	uint32_t id;

	cr_assert_eq(spawn_submit(client, request, complete, &c, &id, NULL), 0);
	await_completion(&c);
	cr_assert_eq(spawn_cancel(client, id), -ENOENT);
	proc_expect_status(c.proc, 14);
	spawn_request_free(request);
}

Test(caller, closing_the_client_completes_what_is_in_flight)
{
	struct completion c = {0};
	struct template_state_seen seen;
	struct spawn_client *own = server_client(&server);
	struct spawn_request *request = template_request("hanging", NULL);

	cr_assert_eq(spawn_submit(own, request, complete, &c, NULL, NULL), 0);
	AWAIT((server_status(client, "hanging", &seen), seen.queued == 1));
	spawn_client_close(own);
	cr_assert_eq(c.calls, 1);
	cr_assert_null(c.proc);
	AWAIT((server_status(client, "hanging", &seen), seen.queued == 0));
	spawn_request_free(request);
}

/* ---- procs ---- */

Test(caller, proc_outlives_its_client)
{
	struct spawn_client *own = server_client(&server);
	struct probe p;
	struct outcome o;

	probe_start_fed(own, probe_request("echo", "0", "exit", "15", NULL), &p);
	spawn_client_close(own);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 15, "known %d status %d", o.known, o.status);
	outcome_free(&o);
}

Test(caller, freed_proc_runs_on_and_is_reaped)
{
	struct template_state_seen seen;
	struct probe p;
	size_t len;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "tell", "end", NULL),
			&p);
	probe_await_line(&p, "here");
	spawn_proc_free(p.proc);
	close(p.in);
	probe_await_line(&p, "end");
	free(read_to_end(p.out, &len));
	close(p.out);
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

struct waiter {
	pthread_t thread;
	struct spawn_proc *proc;
	int r, status;
};

static void *wait_for_end(void *user)
{
	struct waiter *w = user;
	struct spawn_exit *end = NULL;

	w->r = spawn_proc_wait(w->proc, PATIENCE_MS, &end);
	w->status = end ? spawn_exit_status(end) : -1;
	spawn_exit_free(end);
	return NULL;
}

Test(caller, many_threads_may_wait_for_one_proc)
{
	struct waiter waiters[8];
	struct probe p;
	struct outcome o;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "16", NULL), &p);
	probe_await_line(&p, "here");
	for (int i = 0; i < 8; i++) {
		waiters[i] = (struct waiter){.proc = p.proc};
		cr_assert_eq(pthread_create(&waiters[i].thread, NULL, wait_for_end, &waiters[i]),
			     0);
	}
	p.in = fd_close(p.in);
	for (int i = 0; i < 8; i++) {
		pthread_join(waiters[i].thread, NULL);
		cr_assert(waiters[i].r == 0 && waiters[i].status == 16, "thread %d: %d %d", i,
			  waiters[i].r, waiters[i].status);
	}
	probe_finish(&p, &o);
	cr_assert_eq(o.status, 16);
	outcome_free(&o);
}

Test(caller, procs_end_in_any_order)
{
	struct probe p[10];

	for (int i = 0; i < 10; i++) {
		char status[16];

		snprintf(status, sizeof(status), "%d", i);
		probe_start_fed(client, probe_request("echo", "0", "exit", status, NULL), &p[i]);
	}
	for (int i = 9; i >= 0; i--) {
		struct outcome o;

		probe_finish(&p[i], &o);
		cr_assert(o.known && o.status == i);
		outcome_free(&o);
	}
}

/* ---- deadlines and callers that go ---- */

Test(caller, deadline_ends_a_leaf_with_term)
{
	struct spawn_request *request = probe_request("block", NULL);
	struct outcome o;

	spawn_request_deadline(request, 100, 60000);
	probe_run(client, request, &o);
	cr_assert(o.known && o.signal == SIGTERM, "status %d signal %d", o.status, o.signal);
	outcome_free(&o);
}

Test(caller, deadline_kills_a_leaf_that_ignores_term_after_the_grace)
{
	struct spawn_request *request = probe_request("ignore-term", "block", NULL);
	struct outcome o;

	spawn_request_deadline(request, 100, 100);
	probe_run(client, request, &o);
	cr_assert(o.known && o.signal == SIGKILL, "status %d signal %d", o.status, o.signal);
	outcome_free(&o);
}

Test(caller, leaf_that_ends_before_its_deadline_ends_as_it_will)
{
	struct spawn_request *request = probe_request("exit", "18", NULL);
	struct outcome o;

	spawn_request_deadline(request, 600000, 1000);
	probe_run(client, request, &o);
	cr_assert_eq(o.status, 18);
	outcome_free(&o);
}

Test(caller, deadline_holds_when_broker_or_host_are_killed)
{
	struct template_state_seen seen;
	struct probe p[2];
	struct outcome o;

	for (int i = 0; i < 2; i++) {
		struct spawn_request *request = probe_request("ignore-term", "block", NULL);

		spawn_request_deadline(request, 500, 200);
		probe_start_again(client, request, &p[i]);
		probe_await_line(&p[i], "blocking");
		if (i == 0) {
			kill(server_broker(&server), SIGKILL);
		} else {
			server_status(client, "probe", &seen);
			kill(seen.host, SIGKILL);
		}
	}
	for (int i = 0; i < 2; i++) {
		probe_finish(&p[i], &o);
		cr_assert(o.known && o.signal == SIGKILL, "%d: status %d signal %d", i, o.status,
			  o.signal);
		outcome_free(&o);
	}
}

/* A client in a process of its own: starts a leaf that holds `alive` and is told its end to die by
 * the pipe `go`, or to become another program that waits for it. */
static pid_t client_process(struct spawn_request *request, int ready, const int go[2], bool exec)
{
	pid_t pid = fork();
	struct spawn_client *own = NULL;
	struct spawn_proc *proc;
	char byte;

	cr_assert_geq(pid, 0);
	if (pid > 0)
		return pid;
	close(go[1]);
	if (spawn_client_open(&own, server.socket, NULL) < 0 ||
	    spawn_process(own, request, &proc, NULL) < 0 || write(ready, "r", 1) != 1)
		_exit(1);
	if (exec) {
		dup2(go[0], 0);
		execl("/bin/cat", "cat", (char *)NULL);
	}
	(void)!read(go[0], &byte, 1);
	_exit(0);
}

static void caller_goes(struct spawn_request *request, bool exec, struct probe *ret, pid_t *ret_pid,
			int *ret_go)
{
	int out[2], ready[2], go[2];
	char byte;

	make_pipe(out);
	make_pipe(ready);
	make_pipe(go);
	spawn_request_fd(request, out[1], 1);
	*ret_pid = client_process(request, ready[1], go, exec);
	spawn_request_free(request);
	close(out[1]);
	close(ready[1]);
	close(go[0]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the client in a process of its own failed");
	close(ready[0]);
	*ret = (struct probe){.out = out[0], .in = -1};
	*ret_go = go[1];
}

Test(caller, leaf_that_ignores_term_is_killed_when_its_caller_ends_and_it_was_asked)
{
	struct spawn_request *request = probe_request("ignore-term", "block", NULL);
	struct probe p;
	size_t len;
	pid_t pid;
	int go;

	spawn_request_kill_with_caller(request, true);
	spawn_request_deadline(request, 3600000, 100);
	caller_goes(request, false, &p, &pid, &go);
	probe_await_line(&p, "blocking");
	close(go);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	free(read_to_end(p.out, &len));
	close(p.out);
}

Test(caller, exec_of_the_caller_is_not_its_end)
{
	struct spawn_request *request = probe_request("wait-term", NULL);
	struct template_state_seen seen;
	struct probe p;
	pid_t pid;
	int go;

	spawn_request_kill_with_caller(request, true);
	caller_goes(request, true, &p, &pid, &go);
	probe_await_line(&p, "waiting");
	/* cat answers when it runs: by then its sockets are closed. */
	cr_assert_eq(kill(pid, 0), 0);
	AWAIT(({
		char path[64], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		f = fopen(path, "re");
		cr_assert_not_null(f);
		cr_assert_not_null(fgets(comm, sizeof(comm), f));
		fclose(f);
		strcmp(comm, "cat\n") == 0;
	}));
	/* The broker has seen the end of the connection when it answers anew. */
	for (int i = 0; i < 20; i++)
		cr_assert_eq(spawn_client_ping(client, NULL), 0);
	server_status(client, "probe", &seen);
	cr_assert_eq(seen.launched, 1);
	close(go);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	probe_await_line(&p, "term");
	close(p.out);
}

Test(caller, deadline_holds_when_the_caller_is_gone)
{
	struct spawn_request *request = probe_request("block", NULL);
	struct probe p;
	size_t len;
	pid_t pid;
	int go;

	spawn_request_deadline(request, 400, 1000);
	caller_goes(request, false, &p, &pid, &go);
	close(go);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	probe_await_line(&p, "blocking");
	free(read_to_end(p.out, &len));
	close(p.out);
}

/* ---- fork of the caller ---- */

Test(caller, forked_child_has_a_connection_of_its_own_and_none_of_the_procs)
{
	struct probe p;
	struct outcome o;
	int status;
	pid_t pid;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "22", NULL), &p);
	probe_await_line(&p, "here");
	pid = fork();
	if (pid == 0) {
		struct spawn_request *request = spawn_request_new("probe");
		struct spawn_proc *mine = NULL;
		struct spawn_exit *end = NULL;

		if (spawn_proc_wait(p.proc, 0, &end) != -ECHILD)
			_exit(1);
		spawn_proc_free(p.proc); /* says nothing to the server */
		spawn_request_args(request, 2, (const char *const[]){"exit", "23"});
		if (spawn_process(client, request, &mine, NULL) < 0)
			_exit(2);
		if (spawn_proc_wait(mine, PATIENCE_MS, &end) < 0)
			_exit(3);
		_exit(spawn_exit_status(end));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 23, "the child ended with %x",
		  (unsigned)status);
	/* The parent's connection is as it was. */
	cr_assert_eq(spawn_client_ping(client, NULL), 0);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 22);
	outcome_free(&o);
}

/* ---- errors of the client ---- */

Test(caller, unknown_template_is_told_by_name)
{
	struct spawn_error err = {0};

	cr_assert_eq(probe_refused(client, template_request("no-such", NULL), &err), -ENOENT);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POLICY);
	cr_assert(strstr(err.message, "no-such"), "%s", err.message);
	cr_assert(!strchr(err.message, '\n'));
}

Test(caller, ping_is_answered)
{
	struct spawn_error err = {0};

	cr_assert_eq(spawn_client_ping(client, &err), 0, "%s", err.message);
}

static void see_server(const struct spawn_server_status *s, void *user)
{
	*(pid_t *)user = s->keeper_pid;
	cr_assert_str_eq(s->mode, "user");
	cr_assert_str_eq(s->version, spawn_version());
}

Test(caller, status_tells_the_keepers_pid)
{
	const struct spawn_status_calls calls = {.server = see_server};
	pid_t pid = 0;

	cr_assert_eq(spawn_client_status(client, &calls, &pid, NULL), 0);
	cr_assert_eq(pid, server.pid);
}

Test(caller, socket_by_environment_is_the_default)
{
	struct spawn_client *own = NULL;

	setenv("SPAWND_SOCKET", server.socket, 1);
	cr_assert_eq(spawn_client_open(&own, NULL, NULL), 0);
	cr_assert_eq(spawn_client_ping(own, NULL), 0);
	spawn_client_close(own);
	unsetenv("SPAWND_SOCKET");
}
