/* SPDX-License-Identifier: MIT */
/* Several requests in one call: each has an answer of its own. */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static struct server server;

static void stop(void)
{
	server_stop(&server);
}

TestSuite(batch, .fini = stop, .timeout = 120);

static struct spawn_request *exits_with(int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	return probe_request("exit", text, NULL);
}

/* More than are on their way at a time, and than the pool has leaves. */
#define MANY 100

Test(batch, each_slot_has_its_own_process)
{
	struct spawn_request *requests[MANY];
	struct spawn_proc *procs[MANY];
	struct spawn_error errs[MANY];
	struct spawn_client *client;

	server_start(&server, CONFIG(TEMPLATE("probe", "probe.so", PRESTART "," POOL(8, 4))));
	client = server_client(&server);
	for (int i = 0; i < MANY; i++)
		requests[i] = exits_with(i);
	cr_assert_eq(spawn_batch(client, requests, MANY, procs, errs), MANY);
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(errs[i].code, 0);
		proc_expect_status(procs[i], i);
		spawn_request_free(requests[i]);
	}
	spawn_client_close(client);
}

Test(batch, a_slot_that_fails_fails_alone)
{
	struct spawn_request *good = exits_with(5), *unknown = template_request("nosuch", NULL),
			     *latched = exits_with(0);
	struct spawn_request *requests[] = {good, unknown, good, latched, good};
	struct spawn_proc *procs[5];
	struct spawn_error errs[5];
	struct spawn_client *client;

	server_start(&server, NULL);
	client = server_client(&server);
	spawn_request_setenv(latched, "a=b", "c");
	cr_assert_eq(spawn_batch(client, requests, 5, procs, errs), 3);
	cr_assert_eq(errs[1].code, -ENOENT);
	cr_assert_eq(errs[1].origin, SPAWN_ORIGIN_POLICY);
	cr_assert_eq(errs[3].code, -EINVAL);
	cr_assert_null(procs[1]);
	cr_assert_null(procs[3]);
	for (int i = 0; i < 5; i += 2)
		proc_expect_status(procs[i], 5);
	spawn_request_free(good);
	spawn_request_free(unknown);
	spawn_request_free(latched);
	spawn_client_close(client);
}

Test(batch, a_limit_refuses_those_beyond_it)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_request *requests[] = {request, request, request, request};
	struct spawn_proc *procs[4];
	struct spawn_error errs[4];
	struct spawn_client *client;

	server_start(&server, CONFIG_WITH(LIMITS("\"leaves_per_uid\": 2"), PROBE));
	client = server_client(&server);
	cr_assert_eq(spawn_batch(client, requests, 4, procs, errs), 2);
	for (int i = 0; i < 4; i++) {
		if (procs[i])
			proc_expect_status(procs[i], 0);
		else
			cr_assert_eq(errs[i].code, -EAGAIN);
	}
	spawn_request_free(request);
	spawn_client_close(client);
}

Test(batch, none_is_nothing)
{
	struct spawn_client *client;

	server_start(&server, NULL);
	client = server_client(&server);
	cr_assert_eq(spawn_batch(client, NULL, 0, NULL, NULL), 0);
	spawn_client_close(client);
}

/* A child of the test itself beside the server's, in one batch. */
Test(batch, owners_may_be_mixed)
{
	struct spawn_request *theirs = template_request("exec", NULL),
			     *own = template_request("exec", NULL);
	struct spawn_request *requests[] = {theirs, own};
	struct spawn_proc *procs[2];
	struct spawn_client *client;
	int status;
	pid_t pid;

	server_start(&server, CONFIG(EXEC("exec", PRESTART)));
	client = server_client(&server);
	for (int i = 0; i < 2; i++) {
		spawn_request_program(requests[i], "/bin/sh");
		spawn_request_args(requests[i], 2, (const char *const[]){"-c", "exit 3"});
	}
	spawn_request_owner(own, SPAWN_OWNER_CALLER);
	cr_assert_eq(spawn_batch(client, requests, 2, procs, NULL), 2);
	pid = spawn_proc_pid(procs[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	spawn_proc_free(procs[1]);
	proc_expect_status(procs[0], 3);
	spawn_request_free(theirs);
	spawn_request_free(own);
	spawn_client_close(client);
}
