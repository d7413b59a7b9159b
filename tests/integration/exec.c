/* SPDX-License-Identifier: MIT */
/* The lane `exec`: a leaf becomes any program, as a child of fork would, or says why not. */
#include "census.h"
#include "probe_run.h"
#include "raw.h"
#include "server.h"
#include "tool.h"

#include "base/error.h"
#include "base/fd.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC(name, members) "\"" name "\": {\"lane\": \"exec\", " members "}"

static struct server server;
static struct spawn_client *client;
static char dir[64];

static void start(void)
{
	snprintf(dir, sizeof(dir), "/tmp/spawnd-exec-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	server_start(&server,
		     CONFIG(PROBE "," EXEC("exec", PRESTART) "," EXEC("more", COLD) "," EXEC(
			     "held",
			     COLD "," NOFORK("copy")) "," EXEC("few", COLD
							       "," POOL(1, 0) "," LEAVES_MAX(1))));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	fini_expect(rmdir(dir) == 0, "%s is not empty", dir);
	server_stop(&server);
}

TestSuite(exec, .init = start, .fini = stop, .timeout = 60);

/* A file in the test's directory, and its path. Static. */
static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *make_file(const char *name, mode_t mode, const char *text)
{
	const char *path = in_dir(name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(fd_write_all(fd, text, strlen(text)), 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	return path;
}

static void remove_file(const char *name)
{
	cr_assert_eq(unlink(in_dir(name)), 0);
}

/* A script for sh. */
static struct spawn_request *script_request(const char *script)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", script});
	return request;
}

static struct spawn_request *program_request(const char *path)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, path);
	return request;
}

static void expect_output(struct spawn_request *request, const char *expected)
{
	char *output = probe_output(client, request);

	cr_expect_str_eq(output, expected, "\"%s\", not \"%s\"", output, expected);
	free(output);
}

/* Refused by the leaf at the step, with words about it. Consumes the request. */
static void expect_refused(struct spawn_request *request, int code, const char *words)
{
	struct spawn_error err = {0};
	int r = probe_refused(client, request, &err);

	cr_expect_eq(r, code, "%d, not %d: %s", r, code, err.message);
	cr_expect_eq(err.origin, SPAWN_ORIGIN_LEAF);
	cr_expect_str_eq(err.step, "exec");
	cr_expect(strstr(err.message, words), "no \"%s\" in: %s", words, err.message);
}

static void expect_tool(const char *script, int status, const char *out, const char *err)
{
	struct tool_end end;

	tool_shell(&server, script, &end);
	cr_expect_eq(end.status, status, "%s: status %d, not %d; stderr: %s", script, end.status,
		     status, end.err);
	cr_expect_str_eq(end.out, out, "%s: stdout: %s; stderr: %s", script, end.out, end.err);
	if (*err)
		cr_expect(strstr(end.err, err), "%s: no \"%s\" in: %s", script, err, end.err);
	else
		cr_expect_str_eq(end.err, "", "%s: stderr: %s", script, end.err);
	tool_end_free(&end);
}

/* ---- the command ---- */

Test(exec, command_ends_as_the_program_did)
{
	expect_tool("\"$SPAWN\" -- sh -c 'exit 7'; echo $?", 0, "7\n", "");
	expect_tool("\"$SPAWN\" -- true", 0, "", "");
	expect_tool("\"$SPAWN\" -- sh -c 'exit 127'", 127, "", "");
	expect_tool("\"$SPAWN\" -- sh -c 'kill -SEGV $$'; echo $?", 0, "139\n", "egmentation");
}

Test(exec, command_dies_of_the_signal_that_ended_the_program)
{
	struct tool_end end;

	tool_run(&server, ARGV("SPAWN", "--", "sh", "-c", "kill -TERM $$"), &end);
	cr_expect(end.signalled);
	cr_expect_eq(end.status, 128 + SIGTERM);
	tool_end_free(&end);
}

Test(exec, command_runs_what_makes_processes_of_its_own)
{
	expect_tool("\"$SPAWN\" -- sh -c 'printf \"a\\nb\\n\" | wc -l'", 0, "2\n", "");
	expect_tool("printf 'x\\ny\\n' | \"$SPAWN\" -- cat | tr xy ab", 0, "a\nb\n", "");
}

Test(exec, command_says_127_for_what_is_not_there)
{
	expect_tool("PATH=/usr/bin:/bin \"$SPAWN\" -- nosuchprogram", 127, "",
		    "spawn: \"nosuchprogram\": not found in PATH (/usr/bin:/bin)\n");
	expect_tool("\"$SPAWN\" -- /nowhere/program", 127, "",
		    "spawn: \"/nowhere/program\": no such file or directory\n");
	expect_tool("\"$SPAWN\" -- /etc/passwd/program", 127, "", "is no directory\n");
	expect_tool("\"$SPAWN\" -- ''", 125, "", "spawn: the name of the program is empty\n");
}

Test(exec, command_says_126_for_what_cannot_be_executed)
{
	char script[256];

	expect_tool("\"$SPAWN\" -- /tmp", 126, "", "spawn: \"/tmp\": is a directory\n");
	snprintf(script, sizeof(script), "\"$SPAWN\" -- %s", make_file("plain", 0644, "text"));
	expect_tool(script, 126, "", "not executable (chmod +x");
	remove_file("plain");
	snprintf(script, sizeof(script), "\"$SPAWN\" -- %s", make_file("bare", 0755, "echo x\n"));
	expect_tool(script, 126, "", "no \"#!\" line and no known format");
	remove_file("bare");
}

Test(exec, command_keeps_its_own_failures_apart)
{
	expect_tool("\"$SPAWN\" -s /nowhere/socket -- true", 125, "", "spawn: no server");
	expect_tool("\"$SPAWN\" -C /nowhere -- true", 125, "", "/nowhere");
	expect_tool("\"$SPAWN\" --", 125, "", "a program is wanted after --");
	expect_tool("\"$SPAWN\" sh -c true", 125, "", "say: spawn -- sh");
	expect_tool("\"$SPAWN\" -C -- true", 125, "", "say: spawn -- true");
	expect_tool("\"$SPAWN\" -t nobody -- true", 125, "", "no template \"nobody\"");
}

Test(exec, command_takes_a_named_template_of_programs)
{
	expect_tool("\"$SPAWN\" -t more -- sh -c 'echo \"$0\"' me", 0, "me\n", "");
	expect_tool("\"$SPAWN\" -t more -- nosuchprogram", 127, "", "not found in PATH");
	expect_tool("\"$SPAWN\" -t more", 125, "", "executes programs");
}

Test(exec, command_shapes_the_program)
{
	expect_tool("\"$SPAWN\" -C /usr -E A='x y' -u HOME --umask 027 --argv0 me -- "
		    "sh -c 'pwd; echo \"$A ${HOME-none}\"; umask; echo \"$0\"'",
		    0, "/usr\nx y none\n0027\nme\n", "");
	expect_tool("\"$SPAWN\" -i -E ONE=1 -- env", 0, "ONE=1\n", "");
}

Test(exec, command_searches_the_path_that_the_program_gets)
{
	char script[256];

	make_file("here", 0755, "#!/bin/sh\necho found\n");
	snprintf(script, sizeof(script), "\"$SPAWN\" -E PATH=%s -- here", dir);
	expect_tool(script, 0, "found\n", "");
	snprintf(script, sizeof(script), "PATH=%s:$PATH \"$SPAWN\" -E PATH=/bin -- here", dir);
	expect_tool(script, 127, "", "not found in PATH (/bin)");
	remove_file("here");
}

Test(exec, command_detached_says_a_failed_start_too)
{
	expect_tool("\"$SPAWN\" --detach -- nosuchprogram", 127, "", "not found in PATH");
	expect_tool("\"$SPAWN\" --detach -- /tmp", 126, "", "is a directory");
}

Test(exec, command_tells_the_timing_of_a_program)
{
	expect_tool("\"$SPAWN\" --timing --json -- true", 0, "", "{\"template\":\"exec\",");
}

Test(exec, command_hints_at_no_fork_when_a_program_fails_under_it)
{
	expect_tool("\"$SPAWN\" --nofork -- sh -c 'ls | wc -l' 2>&1 | grep -c 'under --nofork, "
		    "copy (seccomp: inherited, no_new_privs).*without --nofork they can$'",
		    0, "1\n", "");
	expect_tool("\"$SPAWN\" -t held -- sh -c 'ls | wc -l' 2>&1 | grep -c \"under the "
		    "template's no-fork, copy\"",
		    0, "1\n", "");
	expect_tool("\"$SPAWN\" --nofork -- sh -c 'exit 0'", 0, "", "");
	expect_tool("\"$SPAWN\" --nofork=process -- sh -c 'exit 3'", 3, "", "process (seccomp");
}

Test(exec, program_dies_with_the_command_unless_detached)
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

/* ---- which program ---- */

Test(exec, script_is_run_by_its_interpreter)
{
	expect_output(program_request(make_file("script", 0755, "#!/bin/sh\necho \"$0\" ran\n")),
		      strcat(strcpy((char[160]){""}, in_dir("script")), " ran\n"));
	remove_file("script");
}

Test(exec, missing_interpreter_is_told_from_a_missing_file)
{
	expect_refused(program_request(make_file("script", 0755, "#!/no/such\n")), -ENOENT,
		       "its interpreter \"/no/such\" does not exist");
	remove_file("script");
	expect_refused(program_request(in_dir("script")), -ENOENT, "no such file");
}

Test(exec, missing_interpreter_is_told_of_a_file_found_in_the_path_and_of_the_childs_directory)
{
	struct spawn_request *request = spawn_request_new(NULL);

	make_file("script", 0755, "#!/no/such\n");
	spawn_request_path_search(request, "script", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", dir);
	expect_refused(request, -ENOENT, "its interpreter \"/no/such\" does not exist");
	request = program_request("./script");
	spawn_request_chdir(request, dir);
	expect_refused(request, -ENOENT, "its interpreter \"/no/such\" does not exist");
	remove_file("script");
}

Test(exec, path_is_the_callers_or_the_childs_as_asked)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char *kept = strdup(getenv("PATH"));

	make_file("here", 0755, "#!/bin/sh\necho found\n");
	setenv("PATH", dir, 1);
	spawn_request_path_search(request, "here", SPAWN_PATH_CALLER);
	spawn_request_setenv(request, "PATH", "/bin");
	expect_output(request, "found\n");
	request = spawn_request_new(NULL);
	spawn_request_path_search(request, "here", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", "/bin");
	expect_refused(request, -ENOENT, "not found in PATH (/bin)");
	request = spawn_request_new(NULL);
	spawn_request_path_search(request, "here", SPAWN_PATH_CHILD);
	expect_output(request, "found\n");
	setenv("PATH", kept, 1);
	free(kept);
	remove_file("here");
}

Test(exec, no_path_at_all_is_bin_and_usr_bin)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_path_search(request, "nosuchprogram", SPAWN_PATH_CHILD);
	spawn_request_unsetenv(request, "PATH");
	expect_refused(request, -ENOENT, "(/bin:/usr/bin)");
}

Test(exec, empty_entry_of_the_path_is_the_childs_working_directory)
{
	const char *const paths[] = {":/nowhere", "/nowhere:", "/nowhere::/nowhere", ""};

	make_file("here", 0755, "#!/bin/sh\necho found\n");
	for (int i = 0; i < 4; i++) {
		struct spawn_request *request = spawn_request_new(NULL);

		spawn_request_path_search(request, "here", SPAWN_PATH_CHILD);
		spawn_request_setenv(request, "PATH", paths[i]);
		spawn_request_chdir(request, dir);
		expect_output(request, "found\n");
	}
	remove_file("here");
}

Test(exec, what_may_not_be_executed_hides_nothing_later_in_the_path)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char path[160];

	make_file("true", 0644, "");
	snprintf(path, sizeof(path), "%s:/bin", dir);
	spawn_request_path_search(request, "true", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", path);
	expect_output(request, "");
	request = spawn_request_new(NULL);
	snprintf(path, sizeof(path), "%s:/nowhere", dir);
	spawn_request_path_search(request, "true", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", path);
	expect_refused(request, -EACCES, "not executable");
	remove_file("true");
}

Test(exec, program_may_be_a_descriptor)
{
	struct spawn_request *request = spawn_request_new(NULL);
	_cleanup_close_ int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);

	spawn_request_program_fd(request, fd);
	spawn_request_argv0(request, "shell");
	spawn_request_args(request, 2, (const char *const[]){"-c", "echo \"$0\"; ls /proc/$$/fd"});
	expect_output(request, "shell\n0\n1\n2\n");
}

/* The descriptors behind it are not taken for it, nor it for one of them. */
Test(exec, program_by_descriptor_with_others_and_a_directory)
{
	struct spawn_request *request = spawn_request_new(NULL);
	_cleanup_close_ int fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	int in[2];

	make_pipe(in);
	cr_assert_eq(write(in[1], "fed\n", 4), 4);
	spawn_request_program_fd(request, fd);
	spawn_request_fd(request, in[0], 3);
	spawn_request_args(request, 2, (const char *const[]){"-c", "pwd; cat <&3; ls /proc/$$/fd"});
	spawn_request_chdir(request, "/usr");
	close(in[1]);
	expect_output(request, "/usr\nfed\n0\n1\n2\n3\n");
	close(in[0]);
}

Test(exec, script_by_descriptor_fails)
{
	struct spawn_request *request = spawn_request_new(NULL);
	_cleanup_close_ int fd =
		open(make_file("script", 0755, "#!/bin/sh\n"), O_RDONLY | O_CLOEXEC);

	spawn_request_program_fd(request, fd);
	expect_refused(request, -ENOENT, "a script");
	remove_file("script");
}

Test(exec, what_the_kernel_refuses_has_words)
{
	struct spawn_request *request = program_request("/bin/true");
	const char *path = make_file("busy", 0755, "");
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	char *large = calloc(1, 200000);

	expect_refused(program_request(path), -ETXTBSY, "has it open for writing");
	remove_file("busy");
	memset(large, 'x', 199999);
	spawn_request_args(request, 1, (const char *const[]){large});
	expect_refused(request, -E2BIG, "too large");
	free(large);
}

Test(exec, closed_descriptor_as_the_program_is_told_by_the_library)
{
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error err = {0};

	spawn_request_program_fd(request, 999);
	cr_assert_eq(probe_refused(client, request, &err), -EBADF);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_CLIENT);
	cr_assert(strstr(err.message, "999, to be the program"), "%s", err.message);
}

Test(exec, argv0_is_the_program_as_named_or_as_set)
{
	struct spawn_request *request = spawn_request_new(NULL);
	const char *const args[] = {"-c", "tr '\\0' '\\n' </proc/$$/cmdline | head -n 1"};

	spawn_request_path_search(request, "sh", SPAWN_PATH_CALLER);
	spawn_request_args(request, 2, args);
	expect_output(request, "sh\n");
	request = spawn_request_new(NULL);
	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, args);
	expect_output(request, "/bin/sh\n");
	request = spawn_request_new(NULL);
	spawn_request_program(request, "/bin/sh");
	spawn_request_argv0(request, "other");
	spawn_request_args(request, 2, args);
	expect_output(request, "other\n");
}

Test(exec, last_program_named_counts)
{
	struct spawn_request *request = spawn_request_new(NULL);
	_cleanup_close_ int fd = open("/bin/false", O_PATH | O_CLOEXEC);

	spawn_request_program(request, "/bin/false");
	spawn_request_program_fd(request, fd);
	spawn_request_path_search(request, "true", SPAWN_PATH_CALLER);
	expect_output(request, "");
}

Test(exec, program_is_for_templates_of_its_lane_and_they_need_one)
{
	struct spawn_request *request = template_request("probe", NULL);
	struct spawn_error err = {0};

	spawn_request_program(request, "/bin/true");
	cr_expect_eq(probe_refused(client, request, &err), -EINVAL);
	cr_expect(strstr(err.message, "template \"probe\" executes no programs"), "%s",
		  err.message);
	cr_expect_eq(probe_refused(client, spawn_request_new(NULL), &err), -EINVAL);
	cr_expect(strstr(err.message, "template \"exec\" executes programs"), "%s", err.message);
	request = spawn_request_new(NULL);
	spawn_request_program_fd(request, 0);
	spawn_request_path_search(request, "true", 7);
	cr_assert_eq(probe_refused(client, request, NULL), -EINVAL);
}

/* ---- what it has ---- */

Test(exec, nothing_is_open_but_what_was_asked_for)
{
	struct spawn_request *request = script_request("ls /proc/$$/fd");
	_cleanup_close_ int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	expect_output(script_request("ls /proc/$$/fd"), "0\n1\n2\n");
	spawn_request_fd(request, file, 5);
	spawn_request_fd(request, file, 200);
	spawn_request_open(request, 7, "/etc/passwd", O_RDONLY, 0);
	expect_output(request, "0\n1\n2\n200\n5\n7\n");
}

static unsigned long long set_of(const char *output, const char *key)
{
	const char *p = strstr(output, key);

	cr_assert_not_null(p, "no %s in %s", key, output);
	return strtoull(p + strlen(key), NULL, 16);
}

/* Of the program itself, whose dispositions exec has reset but for these. */
static unsigned long long ignored_in_a_program(void)
{
	struct spawn_request *request = program_request("/bin/cat");
	unsigned long long set;
	char *output;

	spawn_request_umask(request, 022);
	spawn_request_args(request, 1, (const char *const[]){"/proc/self/status"});
	output = probe_output(client, request);
	cr_expect_eq(set_of(output, "SigCgt:\t"), 0);
	set = set_of(output, "SigIgn:\t");
	free(output);
	return set;
}

static void handle(const int *signals, int n, void (*handler)(int))
{
	const struct sigaction action = {.sa_handler = handler};

	for (int i = 0; i < n; i++)
		sigaction(signals[i], &action, NULL);
}

static void none(int sig)
{
}

static const int ignored[] = {SIGHUP, SIGPIPE, SIGCHLD, 34, 64};
static const unsigned long long ignored_set = 1ull << (SIGHUP - 1) | 1ull << (SIGPIPE - 1) |
					      1ull << (SIGCHLD - 1) | 1ull << 33 | 1ull << 63;

Test(exec, ignored_signals_are_the_callers_and_handled_ones_are_at_their_default)
{
	for (int sig = 1; sig <= 64; sig++)
		handle(&sig, 1, SIG_DFL);
	cr_expect_eq(ignored_in_a_program(), 0);
	handle((const int[]){SIGUSR1, SIGTERM}, 2, none);
	handle(ignored, 5, SIG_IGN);
	cr_expect_eq(ignored_in_a_program(), ignored_set, "%llx", ignored_in_a_program());
	handle(ignored, 5, SIG_DFL);
}

Test(exec, ignored_signals_are_found_without_proc)
{
	struct spawn_request *request = program_request("/bin/true");
	struct spawn_error err = {0};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
		cr_skip_test("cannot hide /proc");
	for (int sig = 1; sig <= 64; sig++)
		handle(&sig, 1, SIG_DFL);
	handle(ignored, 5, SIG_IGN);
	cr_expect_eq(ignored_in_a_program(), ignored_set);
	handle(ignored, 5, SIG_DFL);
	cr_expect_eq(probe_refused(client, request, &err), -ENOENT);
	cr_expect_str_eq(err.step, "umask");
	umount("/proc");
}

Test(exec, command_hands_on_what_is_ignored_and_no_more)
{
	expect_tool("\"$SPAWN\" -- sh -c 'kill -PIPE $$'; echo $?", 0, "141\n", "");
	expect_tool("trap '' PIPE; \"$SPAWN\" -- sh -c 'kill -PIPE $$'; echo $?", 0, "0\n", "");
	expect_tool("trap '' HUP; \"$SPAWN\" -- sh -c 'kill -HUP $$'; echo $?", 0, "0\n", "");
}

Test(exec, no_fork_is_held_by_seccomp_and_said_so)
{
	struct spawn_request *request = script_request("(:) 2>/dev/null; exit 9");
	struct outcome o;

	spawn_request_nofork(request, SPAWN_NOFORK_COPY);
	probe_run(client, request, &o);
	cr_expect_str_eq(o.nofork, "copy (seccomp: inherited, no_new_privs)");
	cr_expect_eq(o.status, 2, "dash cannot fork: %d", o.status);
	outcome_free(&o);
	probe_run(client, script_request("(:); exit 9"), &o);
	cr_expect_str_eq(o.nofork, "off");
	cr_expect_eq(o.status, 9);
	outcome_free(&o);
}

/* ---- its record ---- */

struct submitted {
	struct spawn_proc *proc;
	bool over;
};

static void on_started(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	struct submitted *s = user;

	s->proc = proc;
	s->over = true;
}

/* Without a word from the leaf: what the server has noted. Consumes the request. */
static void submit(struct spawn_request *request, struct outcome *ret)
{
	struct submitted s = {0};

	cr_assert_eq(spawn_submit(client, request, on_started, &s, NULL, NULL), 0);
	spawn_request_free(request);
	while (!s.over) {
		cr_assert(await_readable(spawn_client_fd(client)));
		cr_assert_geq(spawn_client_dispatch(client), 0);
	}
	cr_assert_not_null(s.proc);
	proc_finish(s.proc, ret);
}

Test(exec, failed_start_is_told_from_a_programs_own_127)
{
	struct outcome o;

	submit(program_request("/nowhere/program"), &o);
	cr_expect_eq(o.start_error, -ENOENT);
	cr_expect_str_eq(o.step, "exec");
	cr_expect_eq(o.status, -1);
	outcome_free(&o);
	submit(script_request("exit 127"), &o);
	cr_expect_eq(o.start_error, 0);
	cr_expect_eq(o.status, 127);
	outcome_free(&o);
}

/* A leaf of "exec" with this body, by hand: what it said on the body socket, and the server's
 * record of its end. */
static void run_body(const struct frame *f, char said[64], struct exit_record *end)
{
	struct raw_reply reply;
	int fd = raw_open(&server), body[2];
	const uint8_t *bytes;
	size_t len;

	cr_assert_eq(channel_pair(body), 0);
	cr_assert_eq(channel_send(body[0], f->data, f->len, NULL, 0, 0), 0);
	cr_assert_eq(raw_send_spawn(fd, 7, "exec", FLAG_PROGRAM, body[1]), 0);
	close(body[1]);
	raw_expect(fd, &reply, MSG_STARTED);
	fds_close(&reply.fds);
	for (said[0] = '\0';;) {
		struct message m;
		ssize_t n;

		cr_assert(await_readable(body[0]));
		n = channel_receive(body[0], reply.data, sizeof(reply.data), &reply.fds, NULL, 0);
		if (n == 0)
			break;
		cr_assert_gt(n, 0);
		cr_assert_eq(message_decode(reply.data, (size_t)n, PEER_LEAF, PEER_CLIENT,
					    STATE_OPEN, 0, &m, NULL),
			     0);
		cr_assert_lt(strlen(said), 50);
		strcat(strcat(said, message_name(m.type)), " ");
	}
	raw_expect(fd, &reply, MSG_EXIT);
	bytes = message_bytes(&reply.message, REC_EXIT, &len);
	exit_record_decode(bytes, end);
	close(body[0]);
	close(fd);
}

static void begin_body(struct frame *f, uint8_t *data, size_t size)
{
	frame_begin(f, data, size, MSG_BODY, 0);
	frame_u32(f, REC_FLAGS, 0);
	frame_bytes(f, REC_ARGV, "x", 2);
	frame_bytes(f, REC_ENV, "", 0);
}

Test(exec, leaf_says_ready_then_failed_and_notes_it_for_the_servers_record)
{
	struct exit_record end;
	uint8_t data[256];
	struct frame f;
	char said[64];

	begin_body(&f, data, sizeof(data));
	frame_string(&f, REC_EXECUTE, "/nowhere/program");
	cr_assert_gt(frame_finish(&f), 0);
	run_body(&f, said, &end);
	cr_expect_str_eq(said, "READY FAILED ");
	cr_expect_eq(end.start_step, STEP_EXEC);
	cr_expect_eq(end.start_errno, ENOENT);
	begin_body(&f, data, sizeof(data));
	frame_string(&f, REC_EXECUTE, "/bin/false");
	cr_assert_gt(frame_finish(&f), 0);
	run_body(&f, said, &end);
	cr_expect_str_eq(said, "READY ");
	cr_expect_eq(end.start_errno, 0);
	cr_expect_eq(end.status, 1);
}

Test(exec, leaf_without_a_program_refuses_before_it_is_ready)
{
	struct exit_record end;
	uint8_t data[256];
	struct frame f;
	char said[64];

	begin_body(&f, data, sizeof(data));
	cr_assert_gt(frame_finish(&f), 0);
	run_body(&f, said, &end);
	cr_expect_str_eq(said, "FAILED ");
	cr_expect_eq(end.start_errno, EINVAL);
}

Test(exec, failed_starts_leak_no_leaf_and_no_place)
{
	struct template_state_seen seen;

	/* One place: each must have been given back for the next. */
	for (int i = 0; i < 50; i++) {
		struct spawn_request *request = spawn_request_new("few");
		struct spawn_error err = {0};
		int r;

		spawn_request_program(request, "/nowhere/program");
		do {
			struct spawn_proc *proc;

			r = spawn_process(client, request, &proc, &err);
		} while (r == -EAGAIN); /* the place is the next one's when its host has reaped */
		cr_assert_eq(r, -ENOENT, "%d: %s", r, err.message);
		spawn_request_free(request);
	}
	AWAIT((server_status(client, "few", &seen), seen.parked == 1 && seen.launched == 0));
	cr_assert_eq(seen.n_leaves, 1);
	AWAIT(census_zombies(server.pid) == 0);
}

Test(exec, status_names_the_lane)
{
	struct tool_end end;

	tool_shell(&server, "\"$SPAWN\" status | grep '^exec '", &end);
	cr_expect(strstr(end.out, " exec "), "%s", end.out);
	tool_end_free(&end);
}
