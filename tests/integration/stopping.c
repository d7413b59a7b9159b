/* SPDX-License-Identifier: MIT */
/* An orderly stop, and what a server finds when it starts. */
#include "census.h"
#include "probe_run.h"
#include "raw.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;

static void stop(void)
{
	server_stop(&server);
}

TestSuite(stopping, .fini = stop, .timeout = 120);

#define STOP_MS(ms) "\"stop_timeout_ms\": " #ms

Test(stopping, leaf_that_ends_at_term_has_its_status_told)
{
	struct spawn_client *client;
	struct probe p;
	struct outcome o;

	server_start(&server, NULL);
	client = server_client(&server);
	probe_start(client, probe_request("wait-term", "exit", "17", NULL), &p);
	probe_await_line(&p, "waiting");
	cr_assert_eq(server_terminate(&server), 0);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 17, "known %d status %d signal %d", o.known, o.status,
		  o.signal);
	outcome_free(&o);
	spawn_client_close(client);
}

Test(stopping, leaf_that_ignores_term_is_killed_after_the_time_limit)
{
	struct spawn_client *client;
	struct probe p;
	struct outcome o;

	server_start(&server, CONFIG_WITH(STOP_MS(300), PROBE));
	client = server_client(&server);
	probe_start(client, probe_request("ignore-term", "block", NULL), &p);
	probe_await_line(&p, "blocking");
	cr_assert_eq(server_terminate(&server), 0);
	probe_finish(&p, &o);
	cr_assert(o.known && o.signal == SIGKILL, "known %d status %d signal %d", o.known, o.status,
		  o.signal);
	outcome_free(&o);
	spawn_client_close(client);
}

Test(stopping, requests_are_answered_with_eshutdown_meanwhile)
{
	struct spawn_client *client, *late = NULL;
	struct spawn_error err = {0};
	struct spawn_request *request;
	struct spawn_proc *proc;
	struct probe p;
	struct outcome o;
	int r;

	server_start(&server, CONFIG_WITH(STOP_MS(600000), PROBE));
	client = server_client(&server);
	probe_start(client, probe_request("ignore-term", "block", NULL), &p);
	probe_await_line(&p, "blocking");
	server_signal(&server, SIGTERM);
	server_await_notice(&server, "STOPPING=1");
	request = probe_request("exit", "0", NULL);
	/* One that overtakes the broker's word of it may still be started, and is ended by the
	 * host's. */
	AWAIT((r = spawn_process(client, request, &proc, &err),
	       r == 0 ? spawn_proc_free(proc) : (void)0, r != 0 && r != -ECONNRESET));
	cr_assert_eq(r, -ESHUTDOWN, "%d %s", r, err.message);
	spawn_request_free(request);
	cr_assert_lt(spawn_client_open(&late, server.socket, NULL), 0);
	spawn_proc_kill(p.proc, SIGKILL);
	cr_assert_eq(server_await_end(&server), 0);
	probe_finish(&p, &o);
	cr_assert(o.known && o.signal == SIGKILL, "known %d status %d signal %d", o.known, o.status,
		  o.signal);
	outcome_free(&o);
	spawn_client_close(client);
}

Test(stopping, parked_leaves_and_hosts_that_are_stopped_do_not_hold_it_up)
{
	struct spawn_client *client;
	struct template_state_seen seen;

	server_start(&server,
		     CONFIG_WITH(STOP_MS(300), PROBE "," TEMPLATE("second", "probe.so", PRESTART)));
	client = server_client(&server);
	server_await_parked(client, "probe", 4);
	server_await_parked(client, "second", 4);
	server_status(client, "probe", &seen);
	for (size_t i = 0; i < seen.n_leaves; i++)
		kill(seen.leaves[i], SIGSTOP);
	server_status(client, "second", &seen);
	kill(seen.host, SIGSTOP);
	spawn_client_close(client);
	server.may_be_overdue = true;
	cr_assert_eq(server_terminate(&server), 0);
}

Test(stopping, thirty_leaves_are_ended_and_told)
{
	struct spawn_client *client;
	struct probe p[30];

	server_start(&server, NULL);
	client = server_client(&server);
	for (int i = 0; i < 30; i++) {
		char status[16];

		snprintf(status, sizeof(status), "%d", i);
		probe_start(client, probe_request("wait-term", "exit", status, NULL), &p[i]);
	}
	for (int i = 0; i < 30; i++)
		probe_await_line(&p[i], "waiting");
	cr_assert_eq(server_terminate(&server), 0);
	for (int i = 0; i < 30; i++) {
		struct outcome o;

		probe_finish(&p[i], &o);
		cr_assert(o.known && o.status == i, "%d: known %d status %d", i, o.known, o.status);
		outcome_free(&o);
	}
	spawn_client_close(client);
}

Test(stopping, interrupt_stops_as_term_does)
{
	server_start(&server, NULL);
	server_signal(&server, SIGINT);
	cr_assert_eq(server_await_end(&server), 0);
}

Test(stopping, socket_is_gone_afterwards_and_the_error_says_how_to_start_one)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};

	server_start(&server, NULL);
	cr_assert_eq(server_terminate(&server), 0);
	cr_assert_eq(spawn_client_open(&client, server.socket, &err), -ENOENT);
	cr_assert(strstr(err.message, server.socket) && strstr(err.message, "spawnd"), "%s",
		  err.message);
}

/* A second server on the socket of the first; its files are its own. */
static int second_server(char **ret_log)
{
	struct server second = {0};
	char path[160];
	int status;

	server_prepare(&second, NULL);
	snprintf(second.socket, sizeof(second.socket), "%s", server.socket);
	server_launch(&second);
	status = server_await_end(&second);
	*ret_log = server_log(&second);
	second.notify = fd_close(second.notify);
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {"run", "notify", "spawnd.json", "log"};

		snprintf(path, sizeof(path), "%s/%s", second.dir, names[i]);
		remove(path);
	}
	rmdir(second.dir);
	return status;
}

Test(stopping, a_second_server_on_the_socket_says_so_and_ends_with_1)
{
	struct spawn_client *client;
	char *log;

	server_start(&server, NULL);
	cr_assert_eq(second_server(&log), 1);
	cr_assert(strstr(log, server.socket), "%s", log);
	free(log);
	/* The first is none the worse for it. */
	client = server_client(&server);
	free(probe_output(client, probe_request("exit", "0", NULL)));
	spawn_client_close(client);
}

Test(stopping, stale_socket_of_a_killed_server_is_replaced)
{
	struct spawn_client *client = NULL;

	server_start(&server, NULL);
	server_kill(&server);
	cr_assert_eq(access(server.socket, F_OK), 0);
	cr_assert_lt(spawn_client_open(&client, server.socket, NULL), 0);
	server_launch(&server);
	server_await_notice(&server, "READY=1");
	client = server_client(&server);
	free(probe_output(client, probe_request("exit", "0", NULL)));
	spawn_client_close(client);
}

Test(stopping, status_of_a_leaf_is_unknown_and_not_guessed_when_all_is_lost)
{
	struct spawn_client *client;
	struct spawn_exit *end = NULL;
	struct probe p;

	server_start(&server, NULL);
	client = server_client(&server);
	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "9", NULL), &p);
	probe_await_line(&p, "here");
	server_kill(&server);
	close(p.in);
	close(p.out);
	cr_assert_eq(spawn_proc_wait(p.proc, PATIENCE_MS, &end), 0);
	/* By the kernel's own word (PIDFD_GET_INFO, Linux 6.15) it may be known: then SIGKILL. */
	if (spawn_exit_known(end))
		cr_assert_eq(spawn_exit_signal(end), SIGKILL);
	else
		cr_assert_eq(spawn_exit_status(end), -1);
	spawn_exit_free(end);
	spawn_proc_free(p.proc);
	spawn_client_close(client);
	server_remove_stale(&server);
}
