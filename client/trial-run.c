/* SPDX-License-Identifier: MIT */
#include "trial-run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MAX (16u << 20)

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int take(int fd, struct trial_run *run, int which)
{
	char *more = realloc(run->out[which], run->len[which] + 65536);
	ssize_t n;

	if (!more)
		return -ENOMEM;
	run->out[which] = more;
	n = read(fd, more + run->len[which], 65536);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (run->len[which] < OUTPUT_MAX)
		run->len[which] += (size_t)n;
	return n > 0;
}

/* Both, to their ends. */
static int capture(const int *fds, struct trial_run *run)
{
	struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < 2; i++) {
			int r = p[i].fd >= 0 && p[i].revents ? take(p[i].fd, run, i) : 1;

			if (r < 0)
				return r;
			if (r == 0)
				p[i].fd = -1;
		}
	}
	return 0;
}

static int start_cold(const char *program, char *const *argv, const int in[2], int out[2][2],
		      pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[0][1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1][1], 2);
	r = posix_spawn(ret, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int trial_cold(const char *program, char *const *argv, struct trial_run *ret)
{
	double from = now_ms();
	int in[2], out[2][2], wait_status = 0, r;
	pid_t pid;

	*ret = (struct trial_run){0};
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out[0], O_CLOEXEC) < 0 ||
	    pipe2(out[1], O_CLOEXEC) < 0)
		return -errno;
	r = start_cold(program, argv, in, out, &pid);
	close(in[0]);
	close(in[1]);
	close(out[0][1]);
	close(out[1][1]);
	if (r == 0) {
		r = capture((const int[]){out[0][0], out[1][0]}, ret);
		while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
			;
	}
	close(out[0][0]);
	close(out[1][0]);
	ret->ms = now_ms() - from;
	ret->status =
		WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	return r;
}

static int keep(struct trial_run *run, int which, const char *data, size_t len)
{
	run->out[which] = malloc(len + 1);
	if (!run->out[which])
		return -ENOMEM;
	memcpy(run->out[which], data, len);
	run->len[which] = len;
	return 0;
}

static struct spawn_request *request_new(const char *name, char *const *argv)
{
	struct spawn_request *request = spawn_request_new(name);
	size_t n = 0;

	while (argv[n])
		n++;
	spawn_request_argv0(request, argv[0]);
	spawn_request_args(request, n - 1, (const char *const *)argv + 1);
	spawn_request_kill_with_caller(request, true);
	return request;
}

int trial_executes(struct spawn_client *client, const char *name, char *const *argv,
		   const char *const *env, struct spawn_error *err)
{
	struct spawn_request *request = request_new(name, argv);
	struct spawn_timing timing = {.size = sizeof(timing)};
	struct spawn_proc *proc;
	int r;

	if (env)
		spawn_request_env(request, env);
	for (int fd = 0; fd <= 2; fd++)
		spawn_request_open(request, fd, "/dev/null", O_RDWR, 0);
	r = spawn_process(client, request, &proc, err);
	spawn_request_free(request);
	if (r < 0)
		return r;
	r = spawn_proc_wait(proc, -1, NULL);
	if (r == 0)
		r = spawn_proc_timing(proc, &timing);
	spawn_proc_free(proc);
	return r < 0 ? r : timing.executed;
}

int trial_warm(struct spawn_client *client, const char *name, char *const *argv,
	       uint64_t patience_ms, struct trial_run *ret, struct spawn_error *err)
{
	const struct spawn_run_options options = {.size = sizeof(options),
						  .keep_max = OUTPUT_MAX,
						  .deadline_ms = patience_ms,
						  .grace_ms = 100};
	struct spawn_request *request = request_new(name, argv);
	struct spawn_run *run = NULL;
	double from = now_ms();
	size_t len;
	int r;

	*ret = (struct trial_run){0};
	r = spawn_run(client, request, &options, &run, err);
	spawn_request_free(request);
	if (r < 0)
		return r;
	ret->ms = now_ms() - from;
	ret->status = spawn_exit_signal(spawn_run_exit(run))
			      ? 128 + spawn_exit_signal(spawn_run_exit(run))
			      : spawn_exit_status(spawn_run_exit(run));
	if (spawn_run_timed_out(run)) {
		snprintf(err->message, sizeof(err->message),
			 "it had not ended after %.0f s, where it does cold", ret->ms / 1000);
		r = -ETIMEDOUT;
	}
	for (int i = 0; i < 2 && r == 0; i++) {
		const char *data = spawn_run_output(
			run, i == 0 ? SPAWN_STREAM_OUTPUT : SPAWN_STREAM_ERRORS, &len);

		r = keep(ret, i, data, len);
	}
	spawn_run_free(run);
	return r;
}

bool trial_same_output(const struct trial_run *a, const struct trial_run *b)
{
	for (int i = 0; i < 2; i++)
		if (a->len[i] != b->len[i] ||
		    (a->len[i] && memcmp(a->out[i], b->out[i], a->len[i]) != 0))
			return false;
	return true;
}

void trial_run_free(struct trial_run *run)
{
	free(run->out[0]);
	free(run->out[1]);
	*run = (struct trial_run){0};
}
