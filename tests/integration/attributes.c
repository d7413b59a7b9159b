/* SPDX-License-Identifier: MIT */
/* A leaf has what was asked for, else what the caller has, and nothing else. */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;
static char dir[] = "/tmp/spawnd-attr-XXXXXX";

static void start(void)
{
	cr_assert_not_null(mkdtemp(dir));
	server_start(&server,
		     CONFIG(PROBE "," TEMPLATE("litter", "warm_litter.so", COLD) "," TEMPLATE(
			     "exit-flag", "exit_flag.so",
			     COLD) "," TEMPLATE("atexit", "atexit_unasked.so",
						COLD) "," TEMPLATE("no-warm", "no_warm.so", COLD)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	fini_expect(rmdir(dir) == 0, "%s is not empty", dir);
	server_stop(&server);
}

TestSuite(attributes, .init = start, .fini = stop, .timeout = 60);

/* The path of a file in the test's directory. Static. */
static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* A file that holds its own name, open for reading; its name is gone already. */
static int named_file(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	unlink(in_dir(name));
	cr_assert_eq(fd_write_all(fd, name, strlen(name)), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Lines of print-fds. */
static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

Test(attributes, only_stdio_is_open_by_default)
{
	char *output = probe_output(client, probe_request("print-fds", NULL));

	cr_assert_eq(count_lines(output), 3, "open in the leaf:\n%s", output);
	cr_assert(strncmp(output, "0 ", 2) == 0 && strstr(output, "\n1 pipe:") &&
			  strstr(output, "\n2 "),
		  "%s", output);
	free(output);
}

Test(attributes, stdin_and_stderr_are_the_callers_by_default)
{
	char *output, mine[2][256], expected[600];

	for (int i = 0; i < 2; i++) {
		ssize_t n = readlink(i ? "/proc/self/fd/2" : "/proc/self/fd/0", mine[i], 255);

		cr_assert_geq(n, 0);
		mine[i][n] = '\0';
	}
	output = probe_output(client, probe_request("print-fds", NULL));
	snprintf(expected, sizeof(expected), "0 %s\n", mine[0]);
	cr_assert(strstr(output, expected), "no %s in\n%s", expected, output);
	snprintf(expected, sizeof(expected), "2 %s\n", mine[1]);
	cr_assert(strstr(output, expected), "no %s in\n%s", expected, output);
	free(output);
}

Test(attributes, stdin_that_the_caller_has_not_is_dev_null)
{
	struct spawn_request *request = probe_request("print-fds", NULL);
	int kept = fcntl(0, F_DUPFD_CLOEXEC, 10), out[2], r;
	struct spawn_proc *proc;
	char *output;

	/* Made before, or it would be descriptor 0. */
	make_pipe(out);
	spawn_request_fd(request, out[1], 1);
	close(0);
	r = spawn_process(client, request, &proc, NULL);
	if (kept >= 0) {
		dup2(kept, 0);
		close(kept);
	}
	cr_assert_eq(r, 0);
	spawn_request_free(request);
	close(out[1]);
	output = read_to_end(out[0], NULL);
	close(out[0]);
	cr_assert(strncmp(output, "0 /dev/null\n", 12) == 0, "%s", output);
	free(output);
	proc_expect_status(proc, 0);
}

Test(attributes, descriptors_arrive_at_their_targets_and_no_others)
{
	struct spawn_request *request =
		probe_request("print-fds", "echo", "200", "echo", "5", NULL);
	int a = named_file("a"), b = named_file("b");
	char *output;

	spawn_request_fd(request, a, 200);
	spawn_request_fd(request, b, 5);
	output = probe_output(client, request);
	cr_assert_eq(count_lines(output), 5, "%s", output);
	cr_assert(strstr(output, "\n5 ") && strstr(output, "\n200 "), "%s", output);
	cr_assert_str_eq(output + strlen(output) - 2, "ab", "%s", output);
	free(output);
	close(a);
	close(b);
}

/* The numbers at which descriptors are received are the targets of others. */
Test(attributes, targets_that_collide_with_received_numbers_are_right)
{
	struct spawn_request *request = spawn_request_new("probe");
	char name[16], expected[64] = "";
	int files[12];
	char *output;

	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "%c", 'a' + i);
		files[i] = named_file(name);
		spawn_request_fd(request, files[i], 14 - i);
	}
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "%d", i + 3);
		spawn_request_args(request, 2, (const char *const[]){"echo", name});
		expected[i] = (char)('a' + 11 - i);
	}
	output = probe_output(client, request);
	cr_assert_str_eq(output, expected);
	free(output);
	for (int i = 0; i < 12; i++)
		close(files[i]);
}

Test(attributes, stdin_and_stdout_can_be_swapped)
{
	struct spawn_request *request = probe_request("write", "0", "through nought", NULL);
	struct spawn_proc *proc;
	int in[2], out[2];
	size_t len;
	char *text;

	make_pipe(in);
	make_pipe(out);
	spawn_request_fd(request, in[0], 1);
	spawn_request_fd(request, out[1], 0);
	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	spawn_request_free(request);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	text = read_to_end(out[0], &len);
	close(out[0]);
	cr_assert_str_eq(text, "through nought");
	free(text);
	proc_expect_status(proc, 0);
}

static struct spawn_request *request_with_fds(int fd, int n)
{
	struct spawn_request *request = probe_request("print-fds", NULL);

	for (int i = 0; i < n; i++)
		spawn_request_fd(request, fd, 3 + i);
	return request;
}

Test(attributes, two_hundred_and_forty_descriptors_arrive)
{
	int fd = named_file("many");
	/* 0 and 2 of the caller, the pipe of probe_output(), and the rest */
	char *output = probe_output(client, request_with_fds(fd, 237));

	cr_assert_eq(count_lines(output), 240, "%s", output);
	free(output);
	close(fd);
}

Test(attributes, two_hundred_and_forty_one_descriptors_are_refused)
{
	int fd = named_file("many");
	struct spawn_error err = {0};

	cr_assert_lt(probe_refused(client, request_with_fds(fd, 241), &err), 0);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_CLIENT);
	close(fd);
}

Test(attributes, a_bad_descriptor_is_told_by_the_library)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_error err = {0};

	spawn_request_fd(request, 999, 5);
	cr_assert_eq(probe_refused(client, request, &err), -EBADF);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_CLIENT);
}

Test(attributes, nothing_of_the_templates_descriptors_or_stdio_is_in_a_leaf)
{
	char *output = probe_output(client, template_request("litter", NULL));

	cr_assert_str_eq(output, "fd 0\nfd 1\nfd 2\nentry\n");
	free(output);
}

Test(attributes, atexit_runs_only_for_templates_that_ask)
{
	struct outcome o;

	probe_run(client, template_request("exit-flag", NULL), &o);
	cr_expect_eq(o.status, 3);
	cr_expect_str_eq(o.output, "entry\nfarewell\n");
	outcome_free(&o);
	probe_run(client, template_request("atexit", NULL), &o);
	cr_expect_eq(o.status, 3);
	cr_expect_str_eq(o.output, "entry\n");
	outcome_free(&o);
}

Test(attributes, template_without_warm_has_no_state)
{
	struct outcome o;

	probe_run(client, template_request("no-warm", NULL), &o);
	cr_assert_eq(o.status, 11);
	outcome_free(&o);
}

Test(attributes, working_directory_is_the_callers_at_the_start)
{
	char expected[160], *output;

	cr_assert_eq(chdir(dir), 0);
	snprintf(expected, sizeof(expected), "%s\n", dir);
	output = probe_output(client, probe_request("cwd", NULL));
	cr_assert_str_eq(output, expected);
	free(output);
	cr_assert_eq(chdir("/"), 0);
	output = probe_output(client, probe_request("cwd", NULL));
	cr_assert_str_eq(output, "/\n");
	free(output);
}

Test(attributes, chdir_is_relative_to_the_caller)
{
	struct spawn_request *request = probe_request("cwd", NULL);
	char expected[160], *output;

	cr_assert_eq(mkdir(in_dir("sub"), 0700), 0);
	cr_assert_eq(chdir(dir), 0);
	spawn_request_chdir(request, "sub");
	snprintf(expected, sizeof(expected), "%s\n", in_dir("sub"));
	output = probe_output(client, request);
	cr_assert_str_eq(output, expected);
	free(output);
	cr_assert_eq(chdir("/"), 0);
	rmdir(in_dir("sub"));
}

Test(attributes, chdir_that_fails_is_told_with_step_and_errno)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_error err = {0};

	spawn_request_chdir(request, "/nowhere/at/all");
	cr_assert_eq(probe_refused(client, request, &err), -ENOENT);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_LEAF);
	cr_assert_str_eq(err.step, "chdir");
	cr_assert(strstr(err.message, "/nowhere/at/all"), "%s", err.message);
}

Test(attributes, open_that_fails_is_told_with_step_and_errno)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_error err = {0};

	spawn_request_open(request, 4, "/dev/null", O_RDONLY, 0);
	spawn_request_open(request, 5, "/nowhere/file", O_RDONLY, 0);
	cr_assert_eq(probe_refused(client, request, &err), -ENOENT);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_LEAF);
	cr_assert_str_eq(err.step, "open");
	cr_assert(strstr(err.message, "/nowhere/file"), "%s", err.message);
}

Test(attributes, a_failed_start_leaves_no_leaf_behind)
{
	struct template_state_seen seen;

	for (int i = 0; i < 20; i++) {
		struct spawn_request *request = probe_request("exit", "0", NULL);

		spawn_request_chdir(request, "/nowhere");
		cr_assert_eq(probe_refused(client, request, NULL), -ENOENT);
	}
	AWAIT((server_status(client, "probe", &seen), seen.launched == 0));
	AWAIT(census_zombies(server.pid) == 0);
}

Test(attributes, leaf_opens_files_itself_in_its_directory)
{
	struct spawn_request *request = probe_request("write", "7", "written", "echo", "8", NULL);
	struct stat st;
	char *output, text[32] = "";
	int fd;

	spawn_request_chdir(request, dir);
	spawn_request_umask(request, 027);
	spawn_request_open(request, 7, "made", O_WRONLY | O_CREAT | O_EXCL, 0666);
	spawn_request_open(request, 8, "made", O_RDONLY, 0);
	output = probe_output(client, request);
	cr_assert_str_eq(output, "written");
	free(output);
	cr_assert_eq(stat(in_dir("made"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0640, "mode %o", (unsigned)st.st_mode);
	fd = open(in_dir("made"), O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, text, sizeof(text) - 1), 7);
	close(fd);
	unlink(in_dir("made"));
}

static void expect_output(struct spawn_request *request, const char *expected)
{
	char *output = probe_output(client, request);

	cr_assert_str_eq(output, expected);
	free(output);
}

Test(attributes, umask_is_the_callers_or_as_asked)
{
	struct spawn_request *request;

	umask(053);
	expect_output(probe_request("umask", NULL), "053\n");
	request = probe_request("umask", NULL);
	spawn_request_umask(request, 0);
	expect_output(request, "000\n");
	umask(022);
}

Test(attributes, environment_is_the_callers_with_changes)
{
	struct spawn_request *request = probe_request("env", "SPAWN_T_A", "env", "SPAWN_T_B", "env",
						      "SPAWN_T_C", "env", "SPAWN_T_D", NULL);

	setenv("SPAWN_T_A", "from the caller", 1);
	setenv("SPAWN_T_B", "from the caller", 1);
	setenv("SPAWN_T_C", "from the caller", 1);
	spawn_request_setenv(request, "SPAWN_T_B", "changed = really");
	spawn_request_unsetenv(request, "SPAWN_T_C");
	spawn_request_setenv(request, "SPAWN_T_D", "");
	expect_output(request, "SPAWN_T_A=from the caller\nSPAWN_T_B=changed = really\n"
			       "SPAWN_T_C unset\nSPAWN_T_D=\n");
}

Test(attributes, environment_that_is_replaced_is_exactly_that)
{
	struct spawn_request *request = probe_request("environ", NULL);
	const char *const list[] = {"ONE=1", "TWO=2", NULL};

	spawn_request_env(request, list);
	spawn_request_setenv(request, "THREE", "3");
	spawn_request_unsetenv(request, "ONE");
	expect_output(request, "TWO=2\nTHREE=3\n");
}

Test(attributes, environment_may_be_empty)
{
	struct spawn_request *request = probe_request("environ", "env", "PATH", NULL);
	const char *const none[] = {NULL};

	spawn_request_env(request, none);
	expect_output(request, "PATH unset\n");
}

Test(attributes, signal_mask_is_that_of_the_calling_thread)
{
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, 64);
	pthread_sigmask(SIG_SETMASK, &set, &before);
	expect_output(probe_request("sigmask", NULL), "8000000000004200\n");
	sigemptyset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	expect_output(probe_request("sigmask", NULL), "0000000000000000\n");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

Test(attributes, no_signal_is_ignored_in_a_leaf)
{
	char *output = probe_output(client, probe_request("dispositions", NULL));

	cr_assert(strstr(output, "SigIgn:\t0000000000000000\n"), "%s", output);
	free(output);
}

Test(attributes, limits_are_the_callers)
{
	struct rlimit before, mine;
	char expected[64], resource[16];

	getrlimit(RLIMIT_NOFILE, &before);
	mine = (struct rlimit){300, before.rlim_max};
	snprintf(expected, sizeof(expected), "300 %llu\n", (unsigned long long)mine.rlim_max);
	snprintf(resource, sizeof(resource), "%d", RLIMIT_NOFILE);
	setrlimit(RLIMIT_NOFILE, &mine);
	expect_output(probe_request("rlimit", resource, NULL), expected);
	setrlimit(RLIMIT_NOFILE, &before);

	mine = (struct rlimit){12345, 12345};
	setrlimit(RLIMIT_CORE, &mine);
	snprintf(resource, sizeof(resource), "%d", RLIMIT_CORE);
	expect_output(probe_request("rlimit", resource, NULL), "12345 12345\n");
}

Test(attributes, leaf_leads_a_process_group_of_its_own)
{
	char *output = probe_output(client, probe_request("session", NULL));
	int sid, pgrp, pid;

	cr_assert_eq(sscanf(output, "sid %d pgrp %d pid %d", &sid, &pgrp, &pid), 3);
	cr_assert(pgrp == pid && sid != getsid(0), "%s", output);
	free(output);
}

Test(attributes, pid_told_is_the_leafs)
{
	struct probe p;
	struct outcome o;
	int sid, pgrp, pid;
	pid_t told;

	probe_start(client, probe_request("session", NULL), &p);
	told = spawn_proc_pid(p.proc);
	probe_finish(&p, &o);
	cr_assert_eq(sscanf(o.output, "sid %d pgrp %d pid %d", &sid, &pgrp, &pid), 3);
	cr_assert_eq(told, pid);
	outcome_free(&o);
}

Test(attributes, launched_leaf_is_dumpable_again)
{
	expect_output(probe_request("dumpable", NULL), "dumpable 1\n");
}

Test(attributes, argv_is_as_given)
{
	struct spawn_request *request = probe_request("argv", "", "two words", "\xff\n", NULL);

	spawn_request_argv0(request, "my name");
	expect_output(request,
		      "argc 5 bytes 22 sum 718303809\nmy name\nargv\n\ntwo words\n\xff\n\n");
}

Test(attributes, argv0_is_the_templates_name_by_default)
{
	char *output = probe_output(client, probe_request("argv", NULL));

	cr_assert(strstr(output, "\nprobe\nargv\n"), "%s", output);
	free(output);
}

/* n arguments of len bytes each */
static struct spawn_request *long_request(size_t n, size_t len)
{
	struct spawn_request *request = probe_request("argv", NULL);
	char *arg = malloc(len + 1);

	memset(arg, 'x', len);
	arg[len] = '\0';
	for (size_t i = 0; i < n; i++)
		spawn_request_args(request, 1, (const char *const[]){arg});
	free(arg);
	return request;
}

Test(attributes, argv_of_one_and_a_half_mebibytes_arrives)
{
	const char *const none[] = {NULL};
	const size_t sizes[] = {60000, 65536, 200000, 1536 * 1024};

	for (size_t i = 0; i < 4; i++) {
		struct spawn_request *request = long_request(sizes[i] / 1000, 1000);
		char expected[64], *output;

		spawn_request_env(request, none);
		snprintf(expected, sizeof(expected), "argc %zu bytes %zu ", sizes[i] / 1000 + 2,
			 sizes[i] / 1000 * 1000 + 9);
		output = probe_output(client, request);
		cr_assert(strncmp(output, expected, strlen(expected)) == 0, "%.80s", output);
		free(output);
	}
}

Test(attributes, one_argument_of_a_mebibyte_arrives)
{
	char *output = probe_output(client, long_request(1, 1 << 20));

	cr_assert(strncmp(output, "argc 3 bytes 1048585 ", 21) == 0, "%.80s", output);
	free(output);
}

Test(attributes, large_body_and_descriptors_go_together)
{
	struct spawn_request *request = probe_request("echo", "9", NULL);
	int fd = named_file("with a large body");
	char *value = malloc(300000);

	memset(value, 'v', 299999);
	value[299999] = '\0';
	spawn_request_setenv(request, "SPAWN_T_LARGE", value);
	spawn_request_fd(request, fd, 9);
	expect_output(request, "with a large body");
	free(value);
	close(fd);
}

Test(attributes, argv_of_more_than_two_mebibytes_is_refused)
{
	struct spawn_error err = {0};

	cr_assert_eq(probe_refused(client, long_request(2200, 1000), &err), -E2BIG);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_CLIENT);
}

Test(attributes, a_request_may_be_started_often)
{
	struct spawn_request *request = probe_request("exit", "3", NULL);

	for (int i = 0; i < 10; i++) {
		struct spawn_proc *proc;

		cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
		proc_expect_status(proc, 3);
	}
	spawn_request_free(request);
}

Test(attributes, the_first_error_of_a_request_is_told_at_its_start)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_error err = {0};

	cr_assert_lt(spawn_request_setenv(request, "NO=NAME", "x"), 0);
	spawn_request_umask(request, 022);
	cr_assert_eq(probe_refused(client, request, &err), -EINVAL);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_CLIENT);
}
