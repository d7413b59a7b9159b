/* SPDX-License-Identifier: MIT */
/* The lane `exec`: a leaf becomes any program, as a child of fork would, or says why not. */
#include "census.h"
#include "enforcer.h"
#include "probe_run.h"
#include "raw.h"
#include "scratch.h"
#include "server.h"
#include "tool.h"

#include "base/error.h"
#include "base/fd.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	setenv("PATH", "/usr/bin:/bin", 1); /* of directories that everybody may search */
	scratch_make();
	server_start(&server, CONFIG(PROBE "," EXEC("exec", PRESTART) "," EXEC(
				      "few", COLD "," POOL(1, 0) "," LEAVES_MAX(1))));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	scratch_end();
	server_stop(&server);
}

TestSuite(exec, .init = start, .fini = stop, .timeout = 60);

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

/* ---- which program ---- */

Test(exec, script_is_run_by_its_interpreter)
{
	expect_output(program_request(scratch_file("script", 0755, "#!/bin/sh\necho \"$0\" ran\n")),
		      strcat(strcpy((char[160]){""}, scratch_path("script")), " ran\n"));
	scratch_remove("script");
}

Test(exec, missing_interpreter_is_told_from_a_missing_file)
{
	expect_refused(program_request(scratch_file("script", 0755, "#!/no/such\n")), -ENOENT,
		       "its interpreter \"/no/such\" does not exist");
	scratch_remove("script");
	expect_refused(program_request(scratch_path("script")), -ENOENT, "no such file");
}

Test(exec, missing_interpreter_is_told_of_a_file_found_in_the_path_and_of_the_childs_directory)
{
	struct spawn_request *request = spawn_request_new(NULL);

	scratch_file("script", 0755, "#!/no/such\n");
	spawn_request_path_search(request, "script", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", scratch_path(""));
	expect_refused(request, -ENOENT, "its interpreter \"/no/such\" does not exist");
	request = program_request("./script");
	spawn_request_chdir(request, scratch_path(""));
	expect_refused(request, -ENOENT, "its interpreter \"/no/such\" does not exist");
	scratch_remove("script");
}

Test(exec, path_is_the_callers_or_the_childs_as_asked)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char *kept = strdup(getenv("PATH"));

	scratch_file("here", 0755, "#!/bin/sh\necho found\n");
	setenv("PATH", scratch_path(""), 1);
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
	scratch_remove("here");
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

	scratch_file("here", 0755, "#!/bin/sh\necho found\n");
	for (int i = 0; i < 4; i++) {
		struct spawn_request *request = spawn_request_new(NULL);

		spawn_request_path_search(request, "here", SPAWN_PATH_CHILD);
		spawn_request_setenv(request, "PATH", paths[i]);
		spawn_request_chdir(request, scratch_path(""));
		expect_output(request, "found\n");
	}
	scratch_remove("here");
}

Test(exec, what_may_not_be_executed_hides_nothing_later_in_the_path)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char path[160];

	scratch_file("true", 0644, "");
	snprintf(path, sizeof(path), "%s:/bin", scratch_path(""));
	spawn_request_path_search(request, "true", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", path);
	expect_output(request, "");
	request = spawn_request_new(NULL);
	snprintf(path, sizeof(path), "%s:/nowhere", scratch_path(""));
	spawn_request_path_search(request, "true", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", path);
	expect_refused(request, -EACCES, "not executable");
	scratch_remove("true");
}

Test(exec, directory_that_may_not_be_searched_is_told)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char path[160];

	if (geteuid() == 0) {
		stop(); /* a skipped test has no fini */
		cr_skip_test("root may search every directory");
	}
	cr_assert_eq(mkdir(scratch_path("closed"), 0), 0);
	snprintf(path, sizeof(path), "%s", scratch_path("closed"));
	spawn_request_path_search(request, "nosuchprogram", SPAWN_PATH_CHILD);
	spawn_request_setenv(request, "PATH", path);
	expect_refused(request, -EACCES, "where a directory may not be searched");
	cr_assert_eq(rmdir(scratch_path("closed")), 0);
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
		open(scratch_file("script", 0755, "#!/bin/sh\n"), O_RDONLY | O_CLOEXEC);

	spawn_request_program_fd(request, fd);
	expect_refused(request, -ENOENT, "a script");
	scratch_remove("script");
}

Test(exec, what_the_kernel_refuses_has_words)
{
	struct spawn_request *request = program_request("/bin/true");
	const char *path = scratch_file("busy", 0755, "");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char *large = calloc(1, 200000);

	expect_refused(program_request(path), -ETXTBSY, "has it open for writing");
	close(fd);
	scratch_remove("busy");
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
static unsigned long long ignored_in_a_program(const sigset_t *asked)
{
	struct spawn_request *request = program_request("/bin/cat");
	unsigned long long set;
	char *output;

	if (asked)
		spawn_request_ignore(request, asked);
	spawn_request_args(request, 1, (const char *const[]){"/proc/self/status"});
	output = probe_output(client, request);
	cr_expect_eq(set_of(output, "SigCgt:\t"), 0);
	set = set_of(output, "SigIgn:\t");
	free(output);
	return set;
}

Test(exec, program_ignores_the_signals_that_the_request_names_and_no_other)
{
	static const int signals[] = {SIGHUP, SIGPIPE, SIGCHLD, 34, 64};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t asked;

	sigaction(SIGUSR1, &ignore, NULL); /* the caller's own is not looked at */
	cr_expect_eq(ignored_in_a_program(NULL), 0);
	sigemptyset(&asked);
	for (size_t i = 0; i < 5; i++)
		sigaddset(&asked, signals[i]);
	cr_expect_eq(ignored_in_a_program(&asked), 1ull << (SIGHUP - 1) | 1ull << (SIGPIPE - 1) |
							   1ull << (SIGCHLD - 1) | 1ull << 33 |
							   1ull << 63);
}

Test(exec, signals_that_cannot_be_ignored_are_refused)
{
	struct spawn_request *request = program_request("/bin/true");
	struct spawn_error err = {0};
	sigset_t asked;

	sigemptyset(&asked);
	sigaddset(&asked, SIGKILL);
	spawn_request_ignore(request, &asked);
	cr_expect_eq(probe_refused(client, request, &err), -EINVAL);
	cr_expect(strstr(err.message, "SIGKILL"), "%s", err.message);
}

/* What the program writes as a child of fork; free it. */
static char *forked_output(const char *const *argv)
{
	int out[2], status;
	char *output;
	pid_t pid;

	make_pipe(out);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	cr_assert_gt(pid, 0);
	close(out[1]);
	output = read_to_end(out[0], NULL);
	close(out[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%s", argv[0]);
	return output;
}

static void expect_as_forked(const char *const *argv)
{
	struct spawn_request *request = program_request(argv[0]);
	char *forked = forked_output(argv), *spawned;

	for (int i = 1; argv[i]; i++)
		spawn_request_args(request, 1, &argv[i]);
	spawned = probe_output(client, request);
	cr_expect_str_eq(spawned, forked, "---- of fork:\n%s---- of spawnd:\n%s", forked, spawned);
	cr_expect_gt(strlen(spawned), 0);
	free(spawned);
	free(forked);
}

/* The first part of docs/inheritance.md. */
Test(exec, what_fork_and_exec_would_give_is_the_callers)
{
	const struct rlimit files = {300, 400}, size = {1 << 20, 1 << 21}, core = {0, 0};
	sigset_t set;

	umask(0135);
	setenv("SPAWND_TEST", "a value", 1);
	unsetenv("HOME");
	cr_assert_eq(chdir("/usr/lib"), 0);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_FSIZE, &size);
	setrlimit(RLIMIT_CORE, &core);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	expect_as_forked(ARGV("/usr/bin/env"));
	expect_as_forked(ARGV("/bin/pwd"));
	expect_as_forked(ARGV("/bin/cat", "/proc/self/limits"));
	expect_as_forked(ARGV("/bin/grep", "-E",
			      "^(Umask|Uid|Gid|Groups|Sig(Blk|Cgt)|Cap|NoNewPrivs|Seccomp)",
			      "/proc/self/status"));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	cr_assert_eq(chdir("/"), 0);
}

Test(exec, terminal_of_the_callers_can_be_read_and_is_not_the_controlling_one)
{
	struct spawn_request *request = script_request(
		"read x; echo \"$x\"; test -t 0 && (: </dev/tty) 2>/dev/null || echo none");
	int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), theirs;

	cr_assert(ours >= 0 && grantpt(ours) == 0 && unlockpt(ours) == 0);
	theirs = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(theirs, 0);
	cr_assert_eq(write(ours, "typed\n", 6), 6);
	spawn_request_fd(request, theirs, 0);
	expect_output(request, "typed\nnone\n");
	close(theirs);
	close(ours);
}

Test(exec, no_fork_is_held_for_all_that_is_executed_and_said_so)
{
	struct spawn_request *request = script_request("(:) 2>/dev/null; exit 9");
	struct outcome o;

	spawn_request_nofork(request, SPAWN_NOFORK_COPY);
	probe_run(client, request, &o);
	cr_expect_str_eq(o.nofork, program_copy_in_words());
	cr_expect_eq(o.status, 2, "dash cannot fork: %d", o.status);
	outcome_free(&o);
	/* Nor can what it becomes and what that starts without a copy. */
	request = script_request("exec sh -c '(:) 2>/dev/null; exit 9'");
	spawn_request_nofork(request, SPAWN_NOFORK_COPY);
	probe_run(client, request, &o);
	cr_expect_eq(o.status, 2, "nor can dash by dash: %d", o.status);
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
