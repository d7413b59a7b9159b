/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int complain(const char *what, int r)
{
	fprintf(stderr, "demo: %s: %s\n", what, strerror(-r));
	return r;
}

/* Reads to the end of file. */
static int read_output(struct run *run, int fd)
{
	size_t size = 0;

	for (;;) {
		ssize_t n;

		if (size - run->len < 4096) {
			char *more = realloc(run->output, size += 65536);

			if (!more)
				return -ENOMEM;
			run->output = more;
		}
		n = read(fd, run->output + run->len, size - run->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		run->len += (size_t)n;
		run->output[run->len] = '\0';
		if (n == 0)
			return 0;
	}
}

static int start_leaf(struct spawn_proc **ret, struct spawn_client *client, const char *text,
		      int output)
{
	struct spawn_request *request = spawn_request_new("words");
	struct spawn_error err = {0};
	int r;

	if (!request)
		return complain("spawn_request_new", -ENOMEM);
	spawn_request_args(request, 1, &text);
	spawn_request_fd(request, output, STDOUT_FILENO);
	spawn_request_kill_with_caller(request, true);
	r = spawn_process(client, request, ret, &err);
	spawn_request_free(request);
	if (r < 0)
		fprintf(stderr, "demo: %s\n", err.message);
	return r;
}

static void note_start(struct run *run, const struct spawn_proc *proc)
{
	struct spawn_timing t = {.size = sizeof(t)};

	if (spawn_proc_timing(proc, &t) >= 0) {
		run->handle_us = (double)(t.started - t.requested) / 1e3;
		run->pool_hit = t.pool_hit;
	}
	run->nofork = spawn_proc_nofork(proc);
}

int run_leaf(struct run *ret, struct spawn_client *client, const char *text)
{
	struct run run = {.status = -1};
	struct spawn_proc *proc = NULL;
	struct spawn_exit *end = NULL;
	int fds[2], r;
	double from;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return complain("pipe2", -errno);
	from = now_us();
	r = start_leaf(&proc, client, text, fds[1]);
	run.runs_us = now_us() - from;
	close(fds[1]);
	if (r >= 0 && (r = read_output(&run, fds[0])) < 0)
		complain("reading what a leaf prints", r);
	if (r >= 0 && (r = spawn_proc_wait(proc, -1, &end)) < 0)
		complain("waiting for a leaf", r);
	run.over_us = now_us() - from;
	close(fds[0]);
	if (r >= 0) {
		note_start(&run, proc);
		run.status = spawn_exit_status(end);
		*ret = run;
	} else {
		free(run.output);
	}
	spawn_exit_free(end);
	spawn_proc_free(proc);
	return r < 0 ? r : 0;
}

static int start_program(pid_t *ret, const char *path, char *const argv[], int output)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
		if (r == 0)
			r = posix_spawn(ret, path, &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	return r ? complain(path, -r) : 0;
}

int run_program(struct run *ret, const char *path, char *const argv[])
{
	struct run run = {.status = -1};
	int fds[2], r, status = 0;
	pid_t pid = -1;
	double from;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return complain("pipe2", -errno);
	from = now_us();
	r = start_program(&pid, path, argv, fds[1]);
	run.handle_us = run.runs_us = now_us() - from;
	close(fds[1]);
	if (r == 0 && (r = read_output(&run, fds[0])) < 0)
		complain("reading what a program prints", r);
	close(fds[0]);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	run.over_us = now_us() - from;
	if (r < 0) {
		free(run.output);
		return r;
	}
	run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	*ret = run;
	return 0;
}

void run_done(struct run *r)
{
	free(r->output);
	*r = (struct run){0};
}
