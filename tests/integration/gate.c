/* SPDX-License-Identifier: MIT */
/* What a warm template has that a fork does not keep is named, and refused where that was asked
 * for. */
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(gate, .fini = stop, .timeout = 60);

static void start(const char *finding, const char *gate)
{
	char *config;

	cr_assert_geq(asprintf(&config,
			       "{\"templates\": {" PROBE ", \"finds\": {\"lane\": \"object\", "
			       "\"object\": \"warm_finds.so\", \"env\": {\"FINDING\": \"%s\"}%s}}}",
			       finding, gate),
		      0);
	server_start(&server, config);
	client = server_client(&server);
	free(config);
}

#define REFUSE ", \"gate\": \"refuse\""
#define WARN   ""

/* Refused with these words; and where it is not, served, and named in the status. */
static void expect_finding(const char *finding, const char *text)
{
	struct template_state_seen seen;
	struct spawn_error err = {0};
	struct outcome o;

	start(finding, REFUSE);
	cr_expect_eq(probe_refused(client, template_request("finds", "x", NULL), &err), -EBUSY);
	cr_expect(strstr(err.message, text), "no \"%s\" in: %s", text, err.message);
	server_status(client, "finds", &seen);
	cr_expect_str_eq(seen.state, "down");
	stop();

	start(finding, WARN);
	probe_run(client, template_request("finds", "x", NULL), &o);
	cr_expect_eq(o.status, 5);
	outcome_free(&o);
	server_status(client, "finds", &seen);
	cr_expect(strstr(seen.reason, text), "no \"%s\" in: %s", text, seen.reason);
}

Test(gate, names_a_descriptor)
{
	expect_finding("descriptor", "(/etc/passwd) is closed in leaves");
}

Test(gate, names_a_stream_with_text_in_it)
{
	expect_finding("stream", "7 bytes not flushed in stdout");
}

Test(gate, names_memory_that_is_shared)
{
	expect_finding("shared", "64 KiB of memory that all leaves write to (/dev/zero");
}

Test(gate, names_a_pending_signal)
{
	expect_finding("signal", "(SIGUSR2) is pending");
}

Test(gate, names_an_interval_timer)
{
	expect_finding("itimer", "ITIMER_VIRTUAL");
}

Test(gate, names_a_timer)
{
	expect_finding("timer", "1 timer of timer_create()");
}

Test(gate, names_an_io_uring)
{
	if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM)) {
		start("none", WARN);
		cr_skip("no io_uring here");
	}
	expect_finding("io_uring", "anon_inode:[io_uring]");
}

Test(gate, lets_pass_what_has_nothing_of_that)
{
	struct template_state_seen seen;
	struct outcome o;

	start("none", REFUSE);
	probe_run(client, template_request("finds", "x", NULL), &o);
	cr_expect_eq(o.status, 5);
	outcome_free(&o);
	server_status(client, "finds", &seen);
	cr_expect_str_eq(seen.reason, "");
}

Test(gate, lets_pass_threads_that_end_before_a_fork)
{
	struct outcome o;

	start("atfork", WARN);
	for (int i = 0; i < 4; i++) {
		probe_run(client, template_request("finds", "x", NULL), &o);
		cr_expect_eq(o.status, 5);
		outcome_free(&o);
	}
}
