/* SPDX-License-Identifier: MIT */
/* The command `spawn -- program`: as if a shell had run the program, or one line that says why not.
 */
#include "enforcer.h"
#include "probe_run.h"
#include "scratch.h"
#include "server.h"
#include "tool.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;

static void start(void)
{
	setenv("PATH", "/usr/bin:/bin", 1); /* of directories that everybody may search */
	scratch_make();
	server_start(&server, CONFIG(PROBE "," EXEC("exec", PRESTART) "," EXEC(
				      "more", COLD) "," EXEC("held", COLD "," NOFORK("copy"))));
}

static void stop(void)
{
	scratch_end();
	server_stop(&server);
}

TestSuite(programs, .init = start, .fini = stop, .timeout = 60);

static void expect_tool(const char *script, int status, const char *out, const char *err)
{
	tool_expect(&server, script, status, out, err);
}

Test(programs, command_ends_as_the_program_did)
{
	expect_tool("\"$SPAWN\" -- sh -c 'exit 7'; echo $?", 0, "7\n", "");
	expect_tool("\"$SPAWN\" -- true", 0, "", "");
	expect_tool("\"$SPAWN\" -- sh -c 'exit 127'", 127, "", "");
	expect_tool("\"$SPAWN\" -- sh -c 'kill -SEGV $$'; echo $?", 0, "139\n", "egmentation");
}

Test(programs, command_dies_of_the_signal_that_ended_the_program)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "--", "sh", "-c", "kill -TERM $$"), &end);
	cr_expect(end.signalled);
	cr_expect_eq(end.status, 128 + SIGTERM);
	tool_end_free(&end);
}

Test(programs, command_and_program_live_under_a_limit_on_file_sizes)
{
	expect_tool("ulimit -f 0; \"$SPAWN\" -- sh -c 'ulimit -f; exit 7'", 7, "0\n", "");
	expect_tool("ulimit -f 0; \"$SPAWN\" -- nosuchprogram", 127, "", "not found in PATH");
	expect_tool("ulimit -f 0; \"$SPAWN\" -- /etc/passwd", 126, "", "not executable");
	expect_tool("ulimit -f 0; \"$SPAWN\" -- true $(seq 20000)", 125, "", "RLIMIT_FSIZE");
}

Test(programs, command_runs_what_makes_processes_of_its_own)
{
	expect_tool("\"$SPAWN\" -- sh -c 'printf \"a\\nb\\n\" | wc -l'", 0, "2\n", "");
	expect_tool("printf 'x\\ny\\n' | \"$SPAWN\" -- cat | tr xy ab", 0, "a\nb\n", "");
}

Test(programs, command_says_127_for_what_is_not_there)
{
	expect_tool("\"$SPAWN\" -- nosuchprogram", 127, "",
		    "spawn: \"nosuchprogram\": not found in PATH (/usr/bin:/bin)\n");
	expect_tool("\"$SPAWN\" -- /nowhere/program", 127, "",
		    "spawn: \"/nowhere/program\": no such file or directory\n");
	expect_tool("\"$SPAWN\" -- /etc/passwd/program", 127, "", "is no directory\n");
	expect_tool("\"$SPAWN\" -- ''", 125, "", "spawn: the name of the program is empty\n");
}

Test(programs, command_says_126_for_what_cannot_be_executed)
{
	char script[256];

	expect_tool("\"$SPAWN\" -- /tmp", 126, "", "spawn: \"/tmp\": is a directory\n");
	snprintf(script, sizeof(script), "\"$SPAWN\" -- %s", scratch_file("plain", 0644, "text"));
	expect_tool(script, 126, "", "not executable (chmod +x");
	scratch_remove("plain");
	snprintf(script, sizeof(script), "\"$SPAWN\" -- %s",
		 scratch_file("bare", 0755, "echo x\n"));
	expect_tool(script, 126, "", "no \"#!\" line and no known format");
	scratch_remove("bare");
}

Test(programs, command_keeps_its_own_failures_apart)
{
	expect_tool("\"$SPAWN\" -s /nowhere/socket -- true", 125, "", "spawn: no server");
	expect_tool("\"$SPAWN\" -C /nowhere -- true", 125, "", "/nowhere");
	expect_tool("\"$SPAWN\" --", 125, "", "a program is wanted after --");
	expect_tool("\"$SPAWN\" sh -c true", 125, "", "say: spawn -- sh");
	expect_tool("\"$SPAWN\" -C -- true", 125, "", "say: spawn -- true");
	expect_tool("\"$SPAWN\" -t nobody -- true", 125, "", "no template \"nobody\"");
}

/* Memory that is handed over is a file to that limit, and who makes too large a one dies of it. */
Test(programs, command_works_under_a_limit_on_files)
{
	expect_tool("ulimit -f 0; \"$SPAWN\" -- sh -c 'exit 7'", 7, "", "");
	expect_tool("L=$(head -c 100000 /dev/zero | tr '\\0' x); export L; ulimit -f 0; "
		    "\"$SPAWN\" -- true",
		    125, "", "ulimit -f");
}

Test(programs, command_takes_a_named_template_of_programs)
{
	expect_tool("\"$SPAWN\" -t more -- sh -c 'echo \"$0\"' me", 0, "me\n", "");
	expect_tool("\"$SPAWN\" -t more -- nosuchprogram", 127, "", "not found in PATH");
	expect_tool("\"$SPAWN\" -t more", 125, "", "executes programs");
}

Test(programs, command_shapes_the_program)
{
	expect_tool("\"$SPAWN\" -C /usr -E A='x y' -u HOME --umask 027 --argv0 me -- "
		    "sh -c 'pwd; echo \"$A ${HOME-none}\"; umask; echo \"$0\"'",
		    0, "/usr\nx y none\n0027\nme\n", "");
	expect_tool("\"$SPAWN\" -i -E ONE=1 -- env", 0, "ONE=1\n", "");
}

Test(programs, command_searches_the_path_that_the_program_gets)
{
	char script[256];

	scratch_file("here", 0755, "#!/bin/sh\necho found\n");
	snprintf(script, sizeof(script), "\"$SPAWN\" -E PATH=%s -- here", scratch_path(""));
	expect_tool(script, 0, "found\n", "");
	snprintf(script, sizeof(script), "PATH=%s:$PATH \"$SPAWN\" -E PATH=/bin -- here",
		 scratch_path(""));
	expect_tool(script, 127, "", "not found in PATH (/bin)");
	scratch_remove("here");
}

Test(programs, command_detached_says_a_failed_start_too)
{
	expect_tool("\"$SPAWN\" --detach -- nosuchprogram", 127, "", "not found in PATH");
	expect_tool("\"$SPAWN\" --detach -- /tmp", 126, "", "is a directory");
}

Test(programs, command_tells_the_timing_of_a_program)
{
	expect_tool("\"$SPAWN\" --timing --json -- true", 0, "", "{\"template\":\"exec\",");
}

Test(programs, command_hints_at_no_fork_when_a_program_fails_under_it)
{
	char script[256];

	snprintf(script, sizeof(script),
		 "\"$SPAWN\" --nofork -- sh -c 'ls | wc -l' 2>&1 | grep -c 'under --nofork, "
		 "%s.*without --nofork they can$'",
		 program_copy_in_words());
	expect_tool(script, 0, "1\n", "");
	expect_tool("\"$SPAWN\" -t held -- sh -c 'ls | wc -l' 2>&1 | grep -c \"under the "
		    "template's no-fork, copy\"",
		    0, "1\n", "");
	expect_tool("\"$SPAWN\" --nofork -- sh -c 'exit 0'", 0, "", "");
	expect_tool("\"$SPAWN\" --nofork=process -- sh -c 'exit 3'", 3, "", "process (seccomp");
}

Test(programs, program_dies_with_the_command_unless_detached)
{
	struct tool t;
	struct tool_end end;
	struct probe p;

	tool_start(&server, ARGV("SPAWN", "--", "sh", "-c", "echo runs; exec cat"), &t);
	p = (struct probe){.out = t.out};
	probe_await_line(&p, "runs");
	kill(t.pid, SIGKILL);
	tool_finish(&t, &end); /* it holds the command's stdout: read to the end */
	cr_expect_eq(end.status, 128 + SIGKILL);
	tool_end_free(&end);
	expect_tool(
		"f=$(mktemp); mkfifo \"$f.p\"; \"$SPAWN\" --detach -- sh -c \"read x <$f.p; echo "
		"\\$x >$f.q\" >\"$f\"; mkfifo \"$f.q\"; echo on >\"$f.p\"; cat \"$f.q\"; "
		"kill -0 $(cat \"$f\") 2>/dev/null; rm \"$f\" \"$f.p\" \"$f.q\"",
		0, "on\n", "");
}

/* The command as the foreground job of a terminal, whose other end is *ret. */
static pid_t start_on_terminal(const char *script, int *ret)
{
	const char *command = getenv("SPAWN");
	int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];
	pid_t pid;

	cr_assert(ours >= 0 && grantpt(ours) == 0 && unlockpt(ours) == 0);
	cr_assert_eq(ptsname_r(ours, name, sizeof(name)), 0);
	setenv("SPAWND_SOCKET", server.socket, 1);
	pid = fork();
	if (pid == 0) {
		setsid();
		for (int fd = 0; fd <= 2; fd++) /* the first is the controlling one */
			dup2(open(name, O_RDWR | O_CLOEXEC), fd);
		execl(command, command, "--", "/bin/sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	cr_assert_gt(pid, 0);
	*ret = ours;
	return pid;
}

static bool can_signal_groups(void)
{
	_cleanup_close_ int pidfd = pidfd_open_pid(getpid());

	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 1 << 2) == 0 || errno != EINVAL;
}

Test(programs, ctrl_c_reaches_what_the_program_started)
{
	int terminal, status;
	struct probe p;
	char c[64];
	pid_t pid;
	ssize_t n;

	if (!can_signal_groups()) {
		stop(); /* a skipped test has no fini */
		cr_skip_test("before Linux 6.9");
	}
	/* Both are past the moment in which a shell's child still has the shell's trap. */
	pid = start_on_terminal("trap 'exit 5' INT; "
				"(echo one; exec sleep 1000) | (read x; echo up; exec cat)",
				&terminal);
	p = (struct probe){.out = terminal};
	probe_await_line(&p, "up\r");
	AWAIT(tool_blocks(pid, SIGINT));
	cr_assert_eq(write(terminal, "\003", 1), 1);
	/* The end comes when nobody has the terminal any more: all of the pipeline is gone. */
	do {
		cr_assert(await_readable(terminal), "something lives on");
		n = read(terminal, c, sizeof(c));
	} while (n > 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 5, "%x", status);
	close(terminal);
}

Test(programs, command_hands_on_what_is_ignored_and_no_more)
{
	expect_tool("\"$SPAWN\" -- sh -c 'kill -PIPE $$'; echo $?", 0, "141\n", "");
	expect_tool("trap '' PIPE; \"$SPAWN\" -- sh -c 'kill -PIPE $$'; echo $?", 0, "0\n", "");
	expect_tool("trap '' HUP; \"$SPAWN\" -- sh -c 'kill -HUP $$'; echo $?", 0, "0\n", "");
}

Test(programs, status_names_the_lane)
{
	struct tool_end end;

	tool_shell(&server, "\"$SPAWN\" status | grep '^exec '", &end);
	cr_expect(strstr(end.out, " exec "), "%s", end.out);
	tool_end_free(&end);
}
