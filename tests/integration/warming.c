/* SPDX-License-Identifier: MIT */
/*
 * Templates that do not get warm: the request is told why, so is status, with the last of the
 * host's stderr; it is tried again, later and later; and the others are served.
 */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct spawn_client *client;

static void start(const char *config)
{
	server_start(&server, config);
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(warming, .fini = stop, .timeout = 60);

/* Asserts that a spawn of "bad" fails by its host, with a message and a reason in status that hold
 * the text; and that "probe" is served. */
static void expect_refusal(const char *text, struct template_state_seen *ret)
{
	struct spawn_error err = {0};
	struct outcome o;

	probe_refused(client, template_request("bad", "exit", "0", NULL), &err);
	cr_expect_eq(err.origin, SPAWN_ORIGIN_HOST, "origin %s", spawn_origin_name(err.origin));
	cr_expect(strstr(err.message, text), "no \"%s\" in: %s", text, err.message);
	server_status(client, "bad", ret);
	cr_expect_str_eq(ret->state, "down");
	cr_expect(strstr(ret->reason, text), "no \"%s\" in the reason: %s", text, ret->reason);
	probe_run(client, probe_request("exit", "3", NULL), &o);
	cr_expect_eq(o.status, 3);
	outcome_free(&o);
}

Test(warming, failure_of_warm_is_told_with_its_errno_and_stderr)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_fails.so", COLD)));
	expect_refusal("No such file", &seen);
	cr_assert(strstr(seen.tail, "no dictionary at /nowhere/words"), "tail: %s", seen.tail);
}

Test(warming, crash_in_warm_is_told_with_its_signal_and_stderr)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_crashes.so", COLD)));
	expect_refusal("SEGV", &seen);
	cr_assert(strstr(seen.tail, "about to crash"), "tail: %s", seen.tail);
}

Test(warming, warm_that_takes_too_long_is_ended_and_told)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_hangs.so", COLD "," WARM_TIMEOUT(200))));
	expect_refusal("warm_timeout_ms", &seen);
	cr_assert(strstr(seen.tail, "never answers"), "tail: %s", seen.tail);
}

Test(warming, thread_left_by_warm_is_refused_by_name)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_thread.so", COLD)));
	expect_refusal("straggler", &seen);
}

Test(warming, object_that_is_not_there_is_told_in_dlopens_words)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "no_such_object.so", COLD)));
	expect_refusal("no_such_object.so", &seen);
}

Test(warming, object_that_is_no_template_is_refused)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "no_symbol.so", COLD)));
	expect_refusal("no symbol spawn_template", &seen);
}

Test(warming, template_of_another_abi_is_refused_with_both_versions)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "wrong_abi.so", COLD)));
	expect_refusal("ABI 42", &seen);
}

Test(warming, template_of_another_size_is_refused)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "wrong_size.so", COLD)));
	expect_refusal("bytes", &seen);
}

Test(warming, template_with_an_unknown_flag_is_refused)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "unknown_flag.so", COLD)));
	expect_refusal("unknown flags", &seen);
}

Test(warming, template_without_entry_is_refused)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "no_entry.so", COLD)));
	expect_refusal("no entry", &seen);
}

/* While it is held back a request is answered at once, and no host is started for it. */
Test(warming, template_that_keeps_failing_is_held_back)
{
	struct template_state_seen seen;
	uint64_t first;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_fails.so", COLD)));
	probe_refused(client, template_request("bad", NULL), NULL);
	server_status(client, "bad", &seen);
	first = seen.retry_ms;
	cr_assert_gt(first, 0);
	/* Tried again until the time between has grown. */
	AWAIT((probe_refused(client, template_request("bad", NULL), NULL),
	       server_status(client, "bad", &seen), seen.retry_ms > 2 * first));
	for (int i = 0; i < 50; i++)
		probe_refused(client, template_request("bad", NULL), NULL);
	cr_assert_eq(seen.host, 0);
}

Test(warming, template_that_fails_at_the_start_does_not_keep_the_server_from_serving)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("bad", "warm_fails.so", PRESTART)));
	AWAIT((server_status(client, "bad", &seen), strcmp(seen.state, "down") == 0));
	cr_assert(strstr(seen.tail, "no dictionary"), "tail: %s", seen.tail);
	free(probe_output(client, probe_request("exit", "0", NULL)));
}

Test(warming, requests_that_wait_for_a_warming_template_are_all_served)
{
	struct template_state_seen seen;

	start(CONFIG(PROBE "," TEMPLATE("cold", "probe.so", COLD)));
	server_status(client, "cold", &seen);
	cr_assert_str_eq(seen.state, "cold");
	free(probe_output(client, template_request("cold", "exit", "0", NULL)));
	server_status(client, "cold", &seen);
	cr_assert_str_eq(seen.state, "warm");
}

/* Its own child beside the stranger is not handed out either. */
Test(warming, host_that_offers_a_stranger_among_its_leaves_is_ended_and_told)
{
	struct census_process all[64];
	struct template_state_seen seen;
	size_t before;

	start(CONFIG(TEMPLATE("probe", "probe.so", PRESTART "," POOL(2, 1)) "," TEMPLATE(
		"bad", "offers_stranger.so", COLD)));
	server_await_parked(client, "probe", 2);
	before = census_descendants(server.pid, all, 64);
	expect_refusal("is not its child", &seen);
	cr_assert_eq(seen.hits + seen.misses, 0);
	/* What its hosts left is gone too. */
	AWAIT(census_descendants(server.pid, all, 64) == before);
}
