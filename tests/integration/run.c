/* SPDX-License-Identifier: MIT */
/* Run and capture, and pipelines: children of the server's and of this process. */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;

static void start(void)
{
	server_start(&server, CONFIG(EXEC("exec", PRESTART)));
}

static void stop(void)
{
	server_stop(&server);
}

TestSuite(run, .init = start, .fini = stop, .timeout = 120);

#define EACH_OWNER(owner) \
	for (enum spawn_owner owner = SPAWN_OWNER_SERVER; owner <= SPAWN_OWNER_CALLER; owner++)

static struct spawn_request *shell(enum spawn_owner owner, const char *command)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", command});
	spawn_request_owner(request, owner);
	return request;
}

static struct spawn_run *run(struct spawn_client *client, struct spawn_request *request,
			     const struct spawn_run_options *options)
{
	struct spawn_error err = {0};
	struct spawn_run *ret = NULL;

	cr_assert_eq(spawn_run(client, request, options, &ret, &err), 0, "%s", err.message);
	spawn_request_free(request);
	return ret;
}

static const char *text(const struct spawn_run *r, enum spawn_stream which)
{
	return spawn_run_output(r, which, NULL);
}

Test(run, output_errors_and_status_are_apart)
{
	struct spawn_client *client = server_client(&server);

	EACH_OWNER(owner)
	{
		struct spawn_run *r =
			run(client, shell(owner, "echo out; echo err >&2; exit 6"), NULL);

		cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "out\n");
		cr_assert_str_eq(text(r, SPAWN_STREAM_ERRORS), "err\n");
		cr_assert_eq(spawn_exit_status(spawn_run_exit(r)), 6);
		cr_assert_not(spawn_run_timed_out(r));
		spawn_run_free(r);
	}
	spawn_client_close(client);
}

Test(run, merged_they_are_in_order)
{
	struct spawn_run_options options = {.size = sizeof(options), .merge = true};
	struct spawn_client *client = server_client(&server);
	struct spawn_run *r =
		run(client, shell(SPAWN_OWNER_SERVER, "echo a; echo b >&2; echo c"), &options);

	cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "a\nb\nc\n");
	cr_assert_str_eq(text(r, SPAWN_STREAM_ERRORS), "");
	spawn_run_free(r);
	spawn_client_close(client);
}

/* Far more than pipes hold, three ways at once. */
Test(run, full_pipes_do_not_stop_it)
{
	size_t size = SANITIZED ? 8 << 20 : 64 << 20, len;
	char *data = malloc(size);
	struct spawn_run_options options = {
		.size = sizeof(options), .input = data, .input_len = size, .keep_max = size};
	struct spawn_client *client = server_client(&server);

	cr_assert_not_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 31 + i / 4096);
	EACH_OWNER(owner)
	{
		struct spawn_run *r = run(client, shell(owner, "exec tee /dev/stderr"), &options);

		for (int which = SPAWN_STREAM_OUTPUT; which <= SPAWN_STREAM_ERRORS; which++) {
			const char *seen = spawn_run_output(r, which, &len);

			cr_assert_eq(len, size);
			cr_assert_eq(memcmp(seen, data, size), 0);
			cr_assert_not(spawn_run_cut(r, which));
		}
		spawn_run_free(r);
	}
	free(data);
	spawn_client_close(client);
}

Test(run, input_that_nobody_reads_is_no_signal_to_the_caller)
{
	static char data[1 << 20];
	struct spawn_run_options options = {
		.size = sizeof(options), .input = data, .input_len = sizeof(data)};
	struct spawn_client *client = server_client(&server);
	struct spawn_run *r = run(client, shell(SPAWN_OWNER_SERVER, "exit 0"), &options);

	cr_assert_eq(spawn_exit_status(spawn_run_exit(r)), 0);
	spawn_run_free(r);
	spawn_client_close(client);
}

Test(run, beyond_the_bound_it_is_cut_and_says_so)
{
	struct spawn_run_options options = {.size = sizeof(options), .keep_max = 10};
	struct spawn_client *client = server_client(&server);
	struct spawn_run *r =
		run(client, shell(SPAWN_OWNER_SERVER, "echo 0123456789012345; echo e >&2; exit 2"),
		    &options);

	cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "0123456789");
	cr_assert(spawn_run_cut(r, SPAWN_STREAM_OUTPUT));
	cr_assert_not(spawn_run_cut(r, SPAWN_STREAM_ERRORS));
	cr_assert_eq(spawn_exit_status(spawn_run_exit(r)), 2);
	spawn_run_free(r);
	spawn_client_close(client);
}

static void add_line(enum spawn_stream which, const char *line, size_t len, void *user)
{
	char *all = user;

	snprintf(all + strlen(all), 200 - strlen(all), "%d:%.*s;", (int)which, (int)len, line);
}

Test(run, lines_come_whole_and_the_last_without_its_end)
{
	char all[200] = "";
	struct spawn_run_options options = {
		.size = sizeof(options), .on_line = add_line, .user = all};
	struct spawn_client *client = server_client(&server);

	spawn_run_free(run(client, shell(SPAWN_OWNER_SERVER, "printf 'one\\n\\nthr'; printf 'ee'"),
			   &options));
	cr_assert_str_eq(all, "1:one;1:;1:three;");
	spawn_client_close(client);
}

/* The shell ignores SIGTERM, and so does what it started: both are gone after the grace. */
Test(run, at_the_deadline_the_whole_group_ends)
{
	struct spawn_run_options options = {
		.size = sizeof(options), .deadline_ms = 300, .grace_ms = 200};
	struct spawn_client *client = server_client(&server);

	EACH_OWNER(owner)
	{
		struct spawn_run *r =
			run(client,
			    shell(owner, "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000"),
			    &options);
		pid_t pid = (pid_t)strtol(text(r, SPAWN_STREAM_OUTPUT), NULL, 10);

		cr_assert(spawn_run_timed_out(r));
		cr_assert_eq(spawn_exit_signal(spawn_run_exit(r)), SIGKILL);
		cr_assert_gt(pid, 1);
		AWAIT(census_state(pid) == 0 || census_state(pid) == 'Z');
		waitpid(pid, NULL, WNOHANG); /* an orphan may have become this test's child */
		spawn_run_free(r);
	}
	spawn_client_close(client);
}

Test(run, the_directory_may_be_an_open_one)
{
	struct spawn_client *client = server_client(&server);
	int etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	EACH_OWNER(owner)
	{
		struct spawn_request *request = shell(owner, "pwd");
		struct spawn_run *r;

		spawn_request_chdir_fd(request, etc);
		r = run(client, request, NULL);
		cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "/etc\n");
		spawn_run_free(r);
		request = shell(owner, "pwd");
		spawn_request_chdir_fd(request, etc);
		spawn_request_chdir(request, "..");
		r = run(client, request, NULL);
		cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "/\n");
		spawn_run_free(r);
	}
	close(etc);
	spawn_client_close(client);
}

Test(run, a_program_that_is_missing_is_an_error)
{
	struct spawn_client *client = server_client(&server);
	struct spawn_error err = {0};

	EACH_OWNER(owner)
	{
		struct spawn_request *request = spawn_request_new(NULL);
		struct spawn_run *r = NULL;

		spawn_request_program(request, "/nonexistent");
		spawn_request_owner(request, owner);
		cr_assert_eq(spawn_run(client, request, NULL, &r, &err), -ENOENT);
		cr_assert_null(r);
		spawn_request_free(request);
	}
	spawn_client_close(client);
}

Test(run, a_request_is_as_it_was)
{
	struct spawn_client *client = server_client(&server);
	struct spawn_request *request = shell(SPAWN_OWNER_SERVER, "echo again");
	struct spawn_run *r = NULL;
	int fds = census_fds(getpid());

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(spawn_run(client, request, NULL, &r, NULL), 0);
		cr_assert_str_eq(text(r, SPAWN_STREAM_OUTPUT), "again\n");
		spawn_run_free(r);
	}
	cr_assert_eq(census_fds(getpid()), fds);
	spawn_request_free(request);
	spawn_client_close(client);
}

static void pipeline(struct spawn_client *client, struct spawn_request **requests, int n,
		     const int *statuses, const char *output)
{
	struct spawn_proc *procs[4];
	struct spawn_error errs[4];
	int ends[2], started = 0;
	char *all;

	make_pipe(ends);
	spawn_request_fd(requests[n - 1], ends[1], 1);
	for (int i = 0; i < n; i++)
		started += statuses[i] >= 0;
	cr_assert_eq(spawn_pipeline(client, requests, (size_t)n, procs, errs), started);
	close(ends[1]);
	all = read_to_end(ends[0], NULL);
	cr_assert_str_eq(all, output);
	free(all);
	close(ends[0]);
	for (int i = 0; i < n; i++) {
		if (statuses[i] >= 0)
			proc_expect_status(procs[i], statuses[i]);
		else
			cr_assert_eq(errs[i].code, statuses[i]);
		spawn_request_free(requests[i]);
	}
}

Test(run, a_pipeline_joins_output_to_input)
{
	struct spawn_client *client = server_client(&server);

	EACH_OWNER(owner)
	{
		struct spawn_request *requests[] = {shell(owner, "echo c; echo a; echo b; exit 3"),
						    shell(owner, "sort; exit 4"),
						    shell(owner, "head -n 2; exit 5")};

		pipeline(client, requests, 3, (int[]){3, 4, 5}, "a\nb\n");
	}
	spawn_client_close(client);
}

Test(run, one_that_fails_is_an_end_to_its_neighbours)
{
	struct spawn_client *client = server_client(&server);
	struct spawn_request *requests[] = {shell(SPAWN_OWNER_SERVER, "exit 1"),
					    spawn_request_new(NULL),
					    shell(SPAWN_OWNER_SERVER, "cat; echo end")};

	spawn_request_program(requests[1], "/nonexistent");
	pipeline(client, requests, 3, (int[]){1, -ENOENT, 0}, "end\n");
	spawn_client_close(client);
}
