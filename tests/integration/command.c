/* SPDX-License-Identifier: MIT */
/* The command `spawn`: it stands in for the leaf, and its errors are one line with the way out. */
#include "census.h"
#include "enforcer.h"
#include "json_check.h"
#include "probe_run.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;

static void start(void)
{
	server_start(&server, NULL);
}

static void stop(void)
{
	server_stop(&server);
}

TestSuite(command, .init = start, .fini = stop, .timeout = 60);

#define FAILED 125 /* spawn itself */

static void expect_end(const struct tool_end *end, int status, const char *out)
{
	cr_expect_eq(end->status, status, "status %d, not %d; stderr: %s", end->status, status,
		     end->err);
	cr_expect_str_eq(end->out, out, "stdout: %s; stderr: %s", end->out, end->err);
}

/* One line on stderr that starts with the program's name and holds the text. */
static void expect_complaint(const struct tool_end *end, const char *program, const char *text)
{
	const char *newline = strchr(end->err, '\n');

	cr_expect(strncmp(end->err, program, strlen(program)) == 0, "stderr: %s", end->err);
	cr_expect(strstr(end->err, text), "no \"%s\" in: %s", text, end->err);
	cr_expect(newline && newline[1] == '\0', "not one line: %s", end->err);
}

Test(command, exit_status_of_the_leaf_is_its_own)
{
	const char *const statuses[] = {"0", "1", "7", "125", "255"};

	for (int i = 0; i < 5; i++) {
		struct tool_end end;

		tool_run(&server, ARGV("SPAWN", "-t", "probe", "--", "exit", statuses[i]), &end);
		expect_end(&end, (int)strtol(statuses[i], NULL, 10), "");
		cr_expect_str_eq(end.err, "");
		tool_end_free(&end);
	}
}

Test(command, death_by_signal_is_seen_by_a_shell_as_of_any_program)
{
	struct tool_end end;

	tool_shell(&server, "\"$SPAWN\" -t probe -- signal 15; echo $?", &end);
	expect_end(&end, 0, "143\n");
	tool_end_free(&end);
	tool_shell(&server, "\"$SPAWN\" -t probe -- signal 9; echo $?", &end);
	expect_end(&end, 0, "137\n");
	tool_end_free(&end);
	tool_shell(&server, "\"$SPAWN\" -t probe -- signal 11; echo $?", &end);
	expect_end(&end, 0, "139\n");
	tool_end_free(&end);
}

Test(command, stdio_is_handed_over_in_pipes)
{
	struct tool_end end;

	tool_shell(&server, "printf 'a\\nb\\n' | \"$SPAWN\" -t probe -- echo 0 | tr ab cd", &end);
	expect_end(&end, 0, "c\nd\n");
	tool_end_free(&end);
	tool_shell(&server, "\"$SPAWN\" -t probe -- write 2 said 2>&1 >/dev/null", &end);
	expect_end(&end, 0, "said");
	tool_end_free(&end);
}

Test(command, options_shape_the_leaf)
{
	struct tool_end end;

	tool_run(&server,
		 ARGV("SPAWN", "-t", "probe", "-C", "/usr", "-E", "SPAWN_T=x y", "-u", "PATH",
		      "--umask", "027", "--argv0", "me", "--", "cwd", "env", "SPAWN_T", "env",
		      "PATH", "umask"),
		 &end);
	expect_end(&end, 0, "/usr\nSPAWN_T=x y\nPATH unset\n027\n");
	tool_end_free(&end);
	tool_run(&server, ARGV("SPAWN", "-t", "probe", "-i", "-E", "ONE=1", "--", "environ"), &end);
	expect_end(&end, 0, "ONE=1\n");
	tool_end_free(&end);
	tool_run(&server, ARGV("SPAWN", "-t", "probe", "--nofork=process", "--", "vfork"), &end);
	expect_end(&end, 0, "vfork EPERM\n");
	tool_end_free(&end);
	tool_run(&server, ARGV("SPAWN", "-t", "probe", "--timeout", "0.1", "--", "block"), &end);
	expect_end(&end, 128 + SIGTERM, "blocking\n");
	tool_end_free(&end);
}

Test(command, unknown_template_is_one_clear_line_and_125)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "-t", "nobody", "--", "x"), &end);
	expect_end(&end, FAILED, "");
	expect_complaint(&end, "spawn: ", "nobody");
	tool_end_free(&end);
}

Test(command, missing_server_is_one_clear_line_with_the_way_out_and_125)
{
	struct tool_end end;

	unsetenv("SPAWND_SOCKET");
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	if (access("/run/spawnd/socket", F_OK) == 0)
		cr_skip_test("a system's server is running here");
	tool_run(NULL, ARGV("SPAWN", "-t", "probe", "--", "exit", "0"), &end);
	expect_end(&end, FAILED, "");
	expect_complaint(&end, "spawn: no server at /nowhere/spawnd/socket", "spawnd --user");
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWN", "status"), &end);
	cr_expect_eq(end.status, FAILED);
	expect_complaint(&end, "spawn: no server at /nowhere/spawnd/socket", "spawnd --user");
	tool_end_free(&end);
	tool_run(NULL, ARGV("SPAWN", "ping"), &end);
	cr_expect_eq(end.status, FAILED);
	tool_end_free(&end);
}

Test(command, leaf_that_cannot_start_is_one_clear_line_and_125)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "-t", "probe", "-C", "/nowhere", "--", "exit", "0"), &end);
	expect_end(&end, FAILED, "");
	expect_complaint(&end, "spawn: ", "/nowhere");
	tool_end_free(&end);
}

Test(command, wrong_usage_is_one_clear_line_and_125)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "--no-such-option"), &end);
	expect_end(&end, FAILED, "");
	expect_complaint(&end, "spawn: ", "--no-such-option");
	tool_end_free(&end);
	tool_run(&server, ARGV("SPAWN", "-t"), &end);
	expect_end(&end, FAILED, "");
	expect_complaint(&end, "spawn: ", "-t");
	tool_end_free(&end);
}

Test(command, help_fits_one_screen_and_ends_0)
{
	struct tool_end end;
	int lines = 0;

	tool_run(NULL, ARGV("SPAWN", "--help"), &end);
	cr_expect_eq(end.status, 0);
	for (const char *p = end.out; *p; p++)
		lines += *p == '\n';
	cr_expect_leq(lines, 25, "%d lines", lines);
	cr_expect_gt(lines, 5);
	tool_end_free(&end);
}

Test(command, ping_ends_0)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "ping"), &end);
	cr_expect_eq(end.status, 0, "%s", end.err);
	tool_end_free(&end);
}

/* ---- signals ---- */

/* A running spawn whose leaf has said `line`; its out gives what follows. */
static void start_and_await(const char *const *argv, const char *line, struct tool *ret)
{
	struct probe p;

	tool_start(&server, argv, ret);
	p = (struct probe){.out = ret->out};
	probe_await_line(&p, line);
}

static void forward(int sig)
{
	struct tool t;
	struct tool_end end;

	start_and_await(ARGV("SPAWN", "-t", "probe", "--", "block"), "blocking", &t);
	AWAIT(tool_blocks(t.pid, sig));
	cr_assert_eq(kill(t.pid, sig), 0);
	tool_finish(&t, &end);
	cr_expect_eq(end.status, 128 + sig, "signal %d: %d %s", sig, end.status, end.err);
	tool_end_free(&end);
}

Test(command, int_term_hup_and_quit_reach_the_leaf)
{
	forward(SIGINT);
	forward(SIGTERM);
	forward(SIGHUP);
	forward(SIGQUIT);
}

static pid_t launched_leaf(struct spawn_client *client)
{
	struct template_state_seen seen;

	server_status(client, "probe", &seen);
	for (size_t i = 0; i < seen.n_leaves; i++) {
		if (strcmp(seen.leaf_states[i], "launched") == 0)
			return seen.leaves[i];
	}
	return 0;
}

Test(command, term_is_the_leafs_to_handle)
{
	struct tool t;
	struct tool_end end;

	start_and_await(ARGV("SPAWN", "-t", "probe", "--", "wait-term", "exit", "24"), "waiting",
			&t);
	AWAIT(tool_blocks(t.pid, SIGTERM));
	cr_assert_eq(kill(t.pid, SIGTERM), 0);
	tool_finish(&t, &end);
	expect_end(&end, 24, "term\n");
	tool_end_free(&end);
}

static char state_of(pid_t pid)
{
	struct census_process all[256];
	size_t n = census_descendants(getpid(), all, 256);

	for (size_t i = 0; i < n && i < 256; i++) {
		if (all[i].pid == pid)
			return all[i].state;
	}
	return 0;
}

Test(command, tstp_stops_the_leaf_and_cont_continues_it)
{
	struct spawn_client *client = server_client(&server);
	struct tool t;
	struct tool_end end;
	pid_t leaf;

	start_and_await(
		ARGV("SPAWN", "-t", "probe", "--", "tell", "here", "echo", "0", "exit", "25"),
		"here", &t);
	AWAIT(tool_blocks(t.pid, SIGTSTP));
	AWAIT((leaf = launched_leaf(client)) > 0);
	cr_assert_eq(kill(t.pid, SIGTSTP), 0);
	AWAIT(state_of(leaf) == 'T');
	AWAIT(state_of(t.pid) == 'T');
	cr_assert_eq(kill(t.pid, SIGCONT), 0);
	AWAIT(state_of(leaf) != 'T');
	tool_finish(&t, &end);
	expect_end(&end, 25, "");
	tool_end_free(&end);
	spawn_client_close(client);
}

Test(command, leaf_ends_when_spawn_is_killed)
{
	struct tool t;
	struct tool_end end;

	start_and_await(ARGV("SPAWN", "-t", "probe", "--", "block"), "blocking", &t);
	kill(t.pid, SIGKILL);
	tool_finish(&t, &end); /* the leaf holds its stdout: it reads to the end */
	cr_expect_eq(end.status, 128 + SIGKILL);
	tool_end_free(&end);
}

Test(command, detached_leaf_outlives_spawn)
{
	struct spawn_client *client = server_client(&server);
	struct tool_end end;
	pid_t pid;

	/* A file, not a pipe: the leaf writes too, and nobody reads on once the pid is known. */
	tool_shell(&server,
		   "f=$(mktemp) && \"$SPAWN\" -t probe --detach -- block </dev/null >\"$f\" "
		   "2>/dev/null; grep '^[0-9]' \"$f\"; rm -f \"$f\"",
		   &end);
	pid = (pid_t)strtol(end.out, NULL, 10);
	cr_assert_gt(pid, 0, "%s%s", end.out, end.err);
	cr_assert_eq(launched_leaf(client), pid);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	tool_end_free(&end);
	spawn_client_close(client);
}

/* ---- status ---- */

Test(command, status_says_the_no_fork_level_of_a_running_leaf)
{
	struct tool t;
	struct tool_end end;
	char *line;

	start_and_await(ARGV("SPAWN", "-t", "probe", "--", "block"), "blocking", &t);
	tool_run(&server, ARGV("SPAWN", "status"), &end);
	cr_expect_eq(end.status, 0, "%s", end.err);
	line = strstr(end.out, "launched");
	cr_expect(line && strstr(line, copy_in_words()), "%s", end.out);
	tool_end_free(&end);
	kill(t.pid, SIGTERM);
	tool_finish(&t, &end);
	tool_end_free(&end);
}

Test(command, status_as_json_is_json)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "status", "--json"), &end);
	cr_expect_eq(end.status, 0, "%s", end.err);
	cr_expect(json_is_right(end.out), "%s", end.out);
	cr_expect(strstr(end.out, "\"probe\""), "%s", end.out);
	tool_end_free(&end);
}

Test(command, timing_is_told_on_stderr_and_changes_nothing_else)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "-t", "probe", "--timing", "--", "cwd", "exit", "9"), &end);
	cr_expect_eq(end.status, 9);
	cr_expect(end.out[0] == '/');
	cr_expect(strstr(end.err, "µs"), "%s", end.err);
	tool_end_free(&end);
	tool_run(&server, ARGV("SPAWN", "-t", "probe", "--timing", "--json", "--", "exit", "0"),
		 &end);
	cr_expect_eq(end.status, 0);
	cr_expect(json_is_right(end.err), "%s", end.err);
	tool_end_free(&end);
}

Test(command, output_that_cannot_be_written_is_an_error)
{
	const char *const scripts[] = {
		"\"$SPAWN\" status >/dev/full",
		"\"$SPAWN\" status --json >/dev/full",
		"\"$SPAWN\" ping >/dev/full",
		"\"$SPAWN\" --help >/dev/full",
	};

	for (int i = 0; i < 4; i++) {
		struct tool_end end;

		tool_shell(&server, scripts[i], &end);
		cr_expect_eq(end.status, FAILED, "%s: %d", scripts[i], end.status);
		expect_complaint(&end, "spawn: ", "");
		tool_end_free(&end);
	}
}
