/* SPDX-License-Identifier: MIT */
/* spawn-census on processes that are known, beside whatever else runs here. */
#include "json_check.h"
#include "probe_run.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILED 125

/* 0, or the census's status, and why there are no events here: for this user, kernel or container.
 */
static int ask_for_events(char *reason, size_t size)
{
	struct tool_end end;

	tool_run(NULL, ARGV("SPAWN_CENSUS", "--for", "1ms", "-o", "/dev/null"), &end);
	snprintf(reason, size, "%s", end.err);
	tool_end_free(&end);
	return end.status;
}

static void need_events(void)
{
	char reason[256];
	int status = ask_for_events(reason, sizeof(reason));

	if (status == FAILED && strstr(reason, "no process events"))
		cr_skip_test("%s", reason);
	cr_assert_eq(status, 0, "%s", reason);
}

/* Criterion passes over what is skipped; meson says of a whole program, at status 77, that it was,
 * so that nobody takes this for tried. */
int main(int argc, char **argv)
{
	struct criterion_test_set *tests = criterion_initialize();
	char reason[256];
	int status = 0;

	if (criterion_handle_args(argc, argv, true)) {
		status = !criterion_run_all_tests(tests);
		if (status == 0 && ask_for_events(reason, sizeof(reason)) != 0) {
			fprintf(stderr, "most of this was skipped: %s", reason);
			status = 77;
		}
	}
	criterion_finalize(tests);
	return status;
}

TestSuite(counting, .timeout = 120);

/* The number behind these keys, which follow each other in the text; "=x" is text, no key. */
static long number(const char *json, const char *const *keys)
{
	const char *at = json;

	for (; *keys; keys++) {
		char quoted[64];

		if (**keys == '=')
			snprintf(quoted, sizeof(quoted), "\"%s\"", *keys + 1);
		else
			snprintf(quoted, sizeof(quoted), "\"%s\":", *keys);
		at = strstr(at, quoted);
		cr_assert_not_null(at, "no %s in %s", quoted, json);
		at += strlen(quoted);
	}
	return strtol(at, NULL, 10);
}
#define NUMBER(json, ...) number(json, ARGV(__VA_ARGS__))

#define EXPECT_NUMBER(json, expected, ...)                                            \
	do {                                                                          \
		long expect_n = NUMBER(json, __VA_ARGS__);                            \
		cr_expect_eq(expect_n, expected, "%ld, not %ld: %s in\n%s", expect_n, \
			     (long)(expected), #__VA_ARGS__, json);                   \
	} while (0)

/* What the census says as JSON of a family of these words. Free it. */
#define FAMILY(...) \
	family_of(ARGV("SPAWN_CENSUS", "--json", "--", getenv("COUNTING_FAMILY"), __VA_ARGS__))
static char *family_of(const char *const *argv)
{
	struct tool_end end;

	need_events();
	tool_run(NULL, argv, &end);
	cr_assert_eq(end.status, 0, "%s", end.err);
	cr_assert(json_is_right(end.err), "%s", end.err);
	EXPECT_NUMBER(end.err, 0, "lost_events");
	EXPECT_NUMBER(end.err, 0, "unexplained_processes");
	free(end.out);
	return end.err;
}

Test(counting, forks_are_counted_to_the_last)
{
	char *json = FAMILY("fork", "30", "fork-exec", "20");

	EXPECT_NUMBER(json, 51, "processes", "born_and_ended", "n");
	EXPECT_NUMBER(json, 50, "processes", "born_and_ended", "childless");
	EXPECT_NUMBER(json, 51, "processes", "seen", "n");
	EXPECT_NUMBER(json, 21, "execed_images", "born_and_ended", "n");
	EXPECT_NUMBER(json, 20, "execed_images", "born_and_ended", "childless");
	EXPECT_NUMBER(json, 51, "births", "ended");
	EXPECT_NUMBER(json, 0, "live_without_exec");
	EXPECT_NUMBER(json, 50, "children", "0");
	EXPECT_NUMBER(json, 1, "children", "10-99");
	EXPECT_NUMBER(json, 0, "threads");
	free(json);
}

/* How many were told in time depends on the machine; none may be told wrong. */
static void expect_told(long told, long untold, long expected)
{
	cr_expect_gt(told, 0, "none was told, %ld untold", untold);
	cr_expect_leq(told, expected);
	cr_expect_geq(told + untold, expected);
}

Test(counting, copies_are_told_from_children_that_share)
{
	char *json = FAMILY("fork", "30", "vfork", "40", "spawn", "25");
	long copied = NUMBER(json, "births", "memory", "copied");
	long shared = NUMBER(json, "births", "memory", "shared");
	long untold = NUMBER(json, "births", "memory", "untold");

	cr_expect_eq(copied + shared + untold, 1 + 30 + 40 + 25, "%s", json);
	expect_told(copied, untold, 30);
	expect_told(shared, untold, 1 + 40 + 25);
	free(json);
}

Test(counting, who_only_spawns_is_a_leaf_and_who_forks_is_none)
{
	char *json = FAMILY("spawn", "5");
	long leaves = NUMBER(json, "processes", "born_and_ended", "leaves");

	EXPECT_NUMBER(json, 6 - leaves, "processes", "born_and_ended", "untold");
	cr_expect_geq(leaves, 5);
	free(json);
	json = FAMILY("fork", "5");
	EXPECT_NUMBER(json, 5, "processes", "born_and_ended", "leaves");
	free(json);
}

Test(counting, children_without_exec_are_counted)
{
	char *json = FAMILY("fork", "7", "fork-exec", "4", "vfork", "3");

	cr_expect_eq(NUMBER(json, "ended_without_exec", "copied") +
			     NUMBER(json, "ended_without_exec", "shared") +
			     NUMBER(json, "ended_without_exec", "untold"),
		     10, "%s", json);
	free(json);
}

Test(counting, forks_by_a_second_thread_are_told)
{
	char *json = FAMILY("fork", "2", "thread-fork", "6");

	EXPECT_NUMBER(json, 1, "threads");
	EXPECT_NUMBER(json, 6, "=counting-family", "forks_with_threads");
	EXPECT_NUMBER(json, 1, "=counting-family", "images_forked_with_threads");
	EXPECT_NUMBER(json, 1, "=counting-family", "images_forked_by_several_threads");
	free(json);
}

Test(counting, exec_by_a_second_thread_is_the_same_process)
{
	char *json = FAMILY("thread-exec", "fork", "3");

	EXPECT_NUMBER(json, 4, "processes", "born_and_ended", "n");
	EXPECT_NUMBER(json, 2, "execed_images", "born_and_ended", "n");
	EXPECT_NUMBER(json, 1, "threads");
	free(json);
}

Test(counting, process_whose_main_thread_ended_lives)
{
	char *json = FAMILY("fork", "2", "main-ends");

	EXPECT_NUMBER(json, 3, "processes", "born_and_ended", "n");
	EXPECT_NUMBER(json, 3, "births", "ended");
	free(json);
}

Test(counting, generations_are_counted)
{
	char *json = FAMILY("chain", "12");

	EXPECT_NUMBER(json, 13, "processes", "born_and_ended", "n");
	EXPECT_NUMBER(json, 1, "processes", "born_and_ended", "childless");
	EXPECT_NUMBER(json, 12, "children", "1");
	free(json);
}

/* It has threads from then on. */
static bool listens(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return stat(path, &st) == 0 && st.st_nlink > 3;
}

Test(counting, below_a_process_is_counted_what_descends_from_it)
{
	struct tool family, census;
	struct tool_end end;
	char pid[16];

	need_events();
	tool_start(NULL, ARGV("COUNTING_FAMILY", "await", "fork", "9"), &family);
	snprintf(pid, sizeof(pid), "%d", (int)family.pid);
	tool_start(NULL, ARGV("SPAWN_CENSUS", "--json", "--below", pid), &census);
	AWAIT(listens(census.pid));
	tool_finish(&family, &end);
	tool_end_free(&end);
	tool_finish(&census, &end); /* with the process, the window ends */
	cr_assert_eq(end.status, 0, "%s", end.err);
	EXPECT_NUMBER(end.out, 9, "processes", "born_and_ended", "n");
	EXPECT_NUMBER(end.out, 10, "processes", "ended", "n");
	tool_end_free(&end);
}

Test(counting, all_is_more_than_the_command)
{
	struct tool_end end;

	need_events();
	tool_run(NULL, ARGV("SPAWN_CENSUS", "--all", "--json", "--", "/bin/true"), &end);
	cr_expect_eq(end.status, 0, "%s", end.err);
	cr_expect(strstr(end.err, "\"scope\":\"all\""));
	cr_expect_gt(NUMBER(end.err, "processes", "seen", "n"), 2);
	tool_end_free(&end);
}

Test(counting, interrupt_ends_the_window_with_a_report)
{
	struct tool census;
	struct tool_end end;

	need_events();
	tool_start(NULL, ARGV("SPAWN_CENSUS", "--json"), &census);
	AWAIT(tool_blocks(census.pid, SIGINT));
	cr_assert_eq(kill(census.pid, SIGINT), 0);
	tool_finish(&census, &end);
	cr_expect_eq(end.status, 0, "%d: %s", end.status, end.err);
	cr_expect(json_is_right(end.out), "%s", end.out);
	tool_end_free(&end);
}

/* As a shell sees it: "$SPAWN_CENSUS" -o /dev/null -- script. */
static void expect_status(const char *script, int status)
{
	struct tool_end end;

	tool_run(NULL, ARGV("SPAWN_CENSUS", "-o", "/dev/null", "--", "/bin/sh", "-c", script),
		 &end);
	cr_expect_eq(end.status, status, "%s: %d, not %d: %s", script, end.status, status, end.err);
	cr_expect_str_eq(end.err, "");
	tool_end_free(&end);
}

Test(counting, commands_end_is_its_own)
{
	struct tool_end end;

	need_events();
	expect_status("exit 0", 0);
	expect_status("exit 37", 37);
	expect_status("kill -TERM $$", 128 + SIGTERM);
	expect_status("kill -KILL $$", 128 + SIGKILL);
	expect_status("kill -PIPE $$", 128 + SIGPIPE); /* not ignored */
	/* Nor at the census's priority: the policy is field 41 of stat. */
	expect_status("set -- $(cat /proc/self/stat); exit ${41}", SCHED_OTHER);
	tool_run(NULL, ARGV("SPAWN_CENSUS", "nosuchprogram"), &end);
	cr_expect_eq(end.status, 127);
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWN_CENSUS", "/etc/passwd"), &end);
	cr_expect_eq(end.status, 126);
	tool_end_free(&end);
}

Test(counting, signal_for_the_census_goes_to_the_command)
{
	struct tool census;
	struct tool_end end;
	struct probe p = {.in = -1};

	need_events();
	tool_start(NULL,
		   ARGV("SPAWN_CENSUS", "-o", "/dev/null", "--", "/bin/sh", "-c",
			"trap 'exit 5' TERM; echo ready; while :; do :; done"),
		   &census);
	p.out = census.out;
	probe_await_line(&p, "ready");
	AWAIT(tool_blocks(census.pid, SIGTERM));
	cr_assert_eq(kill(census.pid, SIGTERM), 0);
	tool_finish(&census, &end);
	cr_expect_eq(end.status, 5, "%d %s", end.status, end.err);
	tool_end_free(&end);
}

Test(counting, commands_output_is_its_own_and_the_report_is_beside_it)
{
	struct tool_end end;

	need_events();
	tool_run(NULL, ARGV("SPAWN_CENSUS", "--", "/bin/echo", "said"), &end);
	cr_expect_str_eq(end.out, "said\n");
	cr_expect(strstr(end.err, "exec'd images"), "%s", end.err);
	tool_end_free(&end);
}

static void expect_narrow(const char *text)
{
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");

		cr_expect_leq(len, 80, "%.*s", (int)len, p);
		p += len + (p[len] == '\n');
	}
}

Test(counting, table_fits_80_columns)
{
	struct tool_end end;

	need_events();
	tool_run(NULL,
		 ARGV("SPAWN_CENSUS", "--all", "--", getenv("COUNTING_FAMILY"), "fork", "500",
		      "thread-fork", "20", "spawn", "9"),
		 &end);
	expect_narrow(end.err);
	tool_end_free(&end);
}

Test(counting, help_fits_one_screen)
{
	struct tool_end end;
	int lines = 0;

	tool_run(NULL, ARGV("SPAWN_CENSUS", "--help"), &end);
	cr_expect_eq(end.status, 0);
	expect_narrow(end.out);
	for (const char *p = end.out; *p; p++)
		lines += *p == '\n';
	cr_expect(lines > 5 && lines <= 25, "%d lines", lines);
	tool_end_free(&end);
}

Test(counting, spawn_census_is_the_one_beside_spawn)
{
	struct tool_end end, own;

	tool_run(NULL, ARGV("SPAWN", "census", "--help"), &end);
	tool_run(NULL, ARGV("SPAWN_CENSUS", "--help"), &own);
	cr_expect_eq(end.status, 0);
	cr_expect_str_eq(end.out, own.out);
	tool_end_free(&end);
	tool_end_free(&own);
}

/* One line on standard error that holds the text. */
static void expect_complaint(const char *const *argv, const char *text)
{
	struct tool_end end;

	tool_run(NULL, argv, &end);
	cr_expect_eq(end.status, FAILED, "%d: %s", end.status, end.err);
	cr_expect(strncmp(end.err, "spawn-census: ", 14) == 0, "%s", end.err);
	cr_expect(strstr(end.err, text), "no \"%s\" in: %s", text, end.err);
	cr_expect_str_eq(end.out, "");
	tool_end_free(&end);
}

Test(counting, wrong_usage_is_one_clear_line)
{
	expect_complaint(ARGV("SPAWN_CENSUS", "--no-such-option"), "--no-such-option");
	expect_complaint(ARGV("SPAWN_CENSUS", "--for"), "--for");
	expect_complaint(ARGV("SPAWN_CENSUS", "--for", "0"), "--for");
	expect_complaint(ARGV("SPAWN_CENSUS", "--for", "1x"), "'1x'");
	expect_complaint(ARGV("SPAWN_CENSUS", "--below", "0"), "--below");
	expect_complaint(ARGV("SPAWN_CENSUS", "--below", "1", "--", "true"), "--below");
	expect_complaint(ARGV("SPAWN_CENSUS", "--all"), "--all");
	expect_complaint(ARGV("SPAWN_CENSUS", "--"), "--");
	expect_complaint(ARGV("SPAWN_CENSUS", "-o"), "-o");
}

Test(counting, report_that_cannot_be_written_is_an_error)
{
	need_events();
	expect_complaint(ARGV("SPAWN_CENSUS", "--for", "1ms", "-o", "/dev/full"), "/dev/full");
	expect_complaint(ARGV("SPAWN_CENSUS", "--for", "1ms", "-o", "/nowhere/x"), "/nowhere/x");
}

static bool may_unshare(const char *option)
{
	struct tool_end end;

	tool_run(NULL, ARGV("/usr/bin/unshare", option, "--map-root-user", "/bin/true"), &end);
	tool_end_free(&end);
	return end.status == 0;
}

Test(counting, container_is_told_why_there_are_no_events)
{
	const char *const census = getenv("SPAWN_CENSUS");

	if (!may_unshare("--user"))
		cr_skip_test("no user namespace can be made here");
	expect_complaint(
		ARGV("/usr/bin/unshare", "--user", "--map-root-user", census, "--for", "1ms"),
		"no process events: ");
	expect_complaint(ARGV("/usr/bin/unshare", "--user", "--map-root-user", "--net", census,
			      "--for", "1ms"),
			 "no process events: ");
}

Test(counting, as_process_1_it_becomes_the_command_whether_it_counts_or_not)
{
	struct tool_end end;

	if (!may_unshare("--pid"))
		cr_skip_test("no user namespace can be made here");
	tool_run(NULL,
		 ARGV("/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork",
		      "--mount-proc", getenv("SPAWN_CENSUS"), "--", "/bin/sh", "-c",
		      "echo $$; exit 4"),
		 &end);
	cr_expect_eq(end.status, 4);
	cr_expect_str_eq(end.out, "1\n");
	cr_expect(strstr(end.err, "no process events: "), "%s", end.err);
	tool_end_free(&end);
}
