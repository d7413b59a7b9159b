/* SPDX-License-Identifier: MIT */
/*
 * Children of the caller's own, without a server. Criterion's tests have threads, and a session and
 * credentials that the harness needs; so each is a process of its own (private_caller.c).
 */
#include "private_caller.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>

/* A single line of a fact that did not hold is on its stderr. */
static void run(const struct server *server, const char *name)
{
	struct tool_end end;

	tool_run(server, ARGV("PRIVATE_CALLER", name), &end);
	if (end.status == SCENARIO_SKIPPED)
		cr_skip_test("%s", end.err);
	cr_assert(end.status == 0, "status %d\n%s%s", end.status, end.out, end.err);
	tool_end_free(&end);
}

#define SCENARIO(theme, name)             \
	Test(theme, name, .timeout = 240) \
	{                                 \
		run(NULL, #name);         \
	}

/* clang-format off */
SCENARIO(children, status_by_waitpid)
SCENARIO(children, parent_is_the_caller)
SCENARIO(children, status_by_proc_wait)
SCENARIO(children, waitpid_first_leaves_no_guess)
SCENARIO(children, freed_proc_is_left_to_waitpid)
SCENARIO(children, sigchld_arrives)
SCENARIO(children, sigchld_ignored)
SCENARIO(children, handler_that_reaps_all_is_no_harm)
SCENARIO(children, program_by_descriptor)
SCENARIO(children, terminal_is_the_callers)
SCENARIO(children, attributes_as_fork_and_exec)
SCENARIO(children, descriptors_are_those_asked_for)
SCENARIO(children, many_descriptors_within_a_small_limit)
SCENARIO(children, large_environment_arrives)
SCENARIO(children, failed_start_leaves_no_zombie)
SCENARIO(children, submitted_failure_is_in_the_record)
SCENARIO(children, refusals_name_what_is_refused)
SCENARIO(children, nofork_holds)
SCENARIO(children, ten_thousand_by_submit_and_waitpid)
SCENARIO(children, eight_threads_at_once)
SCENARIO(children, eight_threads_wait_for_one)

SCENARIO(changes, session_group_and_scheduling)
SCENARIO(changes, session)
SCENARIO(changes, sandbox)
SCENARIO(changes, credentials)
SCENARIO(changes, namespaces)
SCENARIO(changes, without_proc)
SCENARIO(changes, root_directory)
SCENARIO(changes, raised_limits)
SCENARIO(changes, limit_of_processes)

SCENARIO(process, asked_signals)
SCENARIO(process, asked_group_and_session)
SCENARIO(process, asked_limits_and_scheduling)
SCENARIO(process, asked_no_new_privs)
SCENARIO(process, asked_death_signal)
SCENARIO(process, asked_descriptors)
SCENARIO(process, asked_credentials)
SCENARIO(process, asked_control_group)

SCENARIO(deaths, close_leaves_nothing)
SCENARIO(deaths, close_completes_what_is_in_flight)
SCENARIO(deaths, killed_host_is_replaced)
SCENARIO(deaths, requests_that_a_killed_host_had_not_read_did_not_run)
SCENARIO(deaths, requests_in_flight_are_told_as_they_are)
SCENARIO(deaths, stopped_host_is_continued)
SCENARIO(deaths, stopped_host_does_not_hold_up_close)
SCENARIO(deaths, signals_to_the_group_leave_the_host)
SCENARIO(deaths, forked_child_has_a_host_of_its_own)
SCENARIO(deaths, host_ends_with_its_caller)
SCENARIO(deaths, host_of_a_dead_caller_ends)
SCENARIO(deaths, host_holds_nothing_of_the_callers)

/* clang-format on */

static struct server server;

static void start_server(void)
{
	server_start(&server, NULL);
}

static void stop_server(void)
{
	server_stop(&server);
}

TestSuite(server, .init = start_server, .fini = stop_server, .timeout = 240);

Test(server, beside_a_server)
{
	run(&server, "beside_a_server");
}
