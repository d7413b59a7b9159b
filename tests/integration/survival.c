/* SPDX-License-Identifier: MIT */
/*
 * Fifty leaves run while a part of the server dies or is replaced: all live on, and all statuses
 * are right, also of those that end meanwhile.
 */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEAVES 50

static struct server server;
static struct spawn_client *client;
static struct probe probes[LEAVES];

static void start(void)
{
	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so", PRESTART "," POOL(8, 4))));
	client = server_client(&server);
	for (int i = 0; i < LEAVES; i++) {
		char status[16];

		snprintf(status, sizeof(status), "%d", 100 + i);
		probe_start_fed(client,
				probe_request("tell", "here", "echo", "0", "exit", status, NULL),
				&probes[i]);
	}
	for (int i = 0; i < LEAVES; i++)
		probe_await_line(&probes[i], "here");
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(survival, .init = start, .fini = stop, .timeout = 120);

/* Ends one by the end of its input, as it would itself. */
static void end_input(int i)
{
	close(probes[i].in);
	probes[i].in = -1;
}

static void expect_alive(int from)
{
	for (int i = from; i < LEAVES; i++) {
		struct pollfd fd = {.fd = spawn_proc_pidfd(probes[i].proc), .events = POLLIN};

		cr_assert_eq(poll(&fd, 1, 0), 0, "leaf %d is over", i);
		cr_assert_eq(write(probes[i].in, "yes\n", 4), 4);
		probe_await_line(&probes[i], "yes");
	}
}

static void expect_statuses(void)
{
	for (int i = 0; i < LEAVES; i++) {
		struct outcome o;

		probe_finish(&probes[i], &o);
		cr_assert(o.known && o.status == 100 + i, "leaf %d: known %d status %d signal %d",
			  i, o.known, o.status, o.signal);
		outcome_free(&o);
	}
}

/* Nothing is left of them: no leaf, no zombie. */
static void expect_nothing_left(void)
{
	struct template_state_seen seen;

	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

Test(survival, broker_is_killed_and_half_of_the_leaves_end_while_it_is_away)
{
	/* A stopped keeper cannot start the next broker before they are over. */
	server_signal(&server, SIGSTOP);
	AWAIT(census_state(server.pid) == 'T');
	cr_assert_eq(kill(census_find(server.pid, "spawnd-broker", 0), SIGKILL), 0);
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	for (int i = 0; i < LEAVES / 2; i++)
		cr_assert(await_readable(spawn_proc_pidfd(probes[i].proc)), "leaf %d lives", i);
	server_signal(&server, SIGCONT);
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

Test(survival, broker_is_killed_again_and_again)
{
	for (int i = 0; i < 5; i++) {
		pid_t broker = server_broker(&server);

		kill(broker, SIGKILL);
		end_input(i);
		AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
	}
	expect_alive(5);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

/* The clock of its address space: another after exec, the same before. */
static void read_executions(char *ret, size_t size)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)server.pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	n = fread(ret, 1, size, f);
	memset(ret + n, 0, size - n);
	fclose(f);
}

Test(survival, keeper_re_executes_itself_and_nothing_is_lost)
{
	char before[2048], after[2048];
	pid_t pid = server.pid;

	read_executions(before, sizeof(before));
	server_signal(&server, SIGUSR2);
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	AWAIT((read_executions(after, sizeof(after)), memcmp(before, after, sizeof(after)) != 0));
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
	cr_assert_eq(server.pid, pid);
}

Test(survival, keeper_re_executes_itself_and_restarts_a_killed_broker)
{
	char before[2048], after[2048];
	pid_t broker = server_broker(&server);

	read_executions(before, sizeof(before));
	server_signal(&server, SIGUSR2);
	AWAIT((read_executions(after, sizeof(after)), memcmp(before, after, sizeof(after)) != 0));
	broker = server_broker(&server);
	kill(broker, SIGKILL);
	AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
	expect_alive(0);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

static pid_t host_pid(void)
{
	struct template_state_seen seen;

	server_status(client, "probe", &seen);
	return seen.host;
}

Test(survival, host_is_killed_and_half_of_the_leaves_end_afterwards)
{
	pid_t host = host_pid();

	cr_assert_gt(host, 0);
	kill(host, SIGKILL);
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	AWAIT((host_pid() != host && host_pid() > 0));
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

/* Their zombies were the host's children: they go to the keeper with their statuses. */
Test(survival, host_is_killed_after_half_of_the_leaves_ended)
{
	pid_t host = host_pid();

	server_signal(&server, SIGSTOP);
	AWAIT(census_state(server.pid) == 'T');
	kill(census_find(server.pid, "spawnd-broker", 0), SIGKILL);
	kill(host, SIGSTOP);
	AWAIT(census_state(host) == 'T'); /* what it reaped by then would be lost with it */
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	for (int i = 0; i < LEAVES / 2; i++)
		cr_assert(await_readable(spawn_proc_pidfd(probes[i].proc)));
	kill(host, SIGKILL);
	server_signal(&server, SIGCONT);
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

Test(survival, broker_and_host_are_killed_at_once)
{
	kill(host_pid(), SIGKILL);
	kill(server_broker(&server), SIGKILL);
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

Test(survival, broker_is_killed_after_its_host)
{
	pid_t host = host_pid(), broker = server_broker(&server);

	kill(host, SIGKILL);
	AWAIT((host_pid() != host && host_pid() > 0));
	kill(broker, SIGKILL);
	AWAIT(census_find(server.pid, "spawnd-broker", broker) != 0);
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}

Test(survival, keeper_re_executes_itself_with_leaves_of_a_dead_host)
{
	char before[2048], after[2048];
	pid_t host = host_pid();

	kill(host, SIGKILL);
	AWAIT((host_pid() != host && host_pid() > 0));
	read_executions(before, sizeof(before));
	server_signal(&server, SIGUSR2);
	AWAIT((read_executions(after, sizeof(after)), memcmp(before, after, sizeof(after)) != 0));
	for (int i = 0; i < LEAVES / 2; i++)
		end_input(i);
	expect_alive(LEAVES / 2);
	expect_service_again(client);
	expect_statuses();
	expect_nothing_left();
}
