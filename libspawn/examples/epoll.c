/* SPDX-License-Identifier: MIT */
/* Runs each argument by the shell, all at once, from an epoll loop: epoll COMMAND... */
#include <libspawn.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct job {
	const char *command;
	struct spawn_proc *proc;
	int epoll;
	size_t *running;
};

static void watch(int epoll, int fd, void *whose)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void on_started(struct spawn_proc *proc, const struct spawn_error *error, void *user)
{
	struct job *job = user;

	job->proc = proc;
	if (proc) {
		watch(job->epoll, spawn_proc_pidfd(proc), job);
	} else {
		fprintf(stderr, "%s: %s\n", job->command, error->message);
		--*job->running;
	}
}

/* The pidfd is readable: the record is here, or on its way. */
static void finish(struct job *job)
{
	struct spawn_exit *end;

	if (spawn_proc_wait(job->proc, 0, &end) < 0)
		return;
	if (spawn_exit_signal(end))
		printf("%s: signal %d\n", job->command, spawn_exit_signal(end));
	else
		printf("%s: status %d\n", job->command, spawn_exit_status(end));
	spawn_exit_free(end);
	spawn_proc_free(job->proc); /* closes the pidfd, which leaves the epoll by that */
	--*job->running;
}

static void submit(struct spawn_client *client, struct job *job)
{
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error error;

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", job->command});
	spawn_request_kill_with_caller(request, true);
	if (spawn_submit(client, request, on_started, job, NULL, &error) < 0)
		errx(1, "%s: %s", job->command, error.message);
	spawn_request_free(request);
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct job *jobs = calloc((size_t)argc, sizeof(*jobs));
	size_t running = (size_t)argc - 1;
	struct spawn_client *client;
	struct spawn_error error;

	if (argc < 2)
		errx(2, "usage: epoll COMMAND...");
	if (epoll < 0 || !jobs)
		err(1, "epoll");
	if (spawn_client_open(&client, NULL, &error) < 0)
		errx(1, "%s", error.message);
	watch(epoll, spawn_client_fd(client), NULL);
	for (int i = 1; i < argc; i++) {
		jobs[i] = (struct job){argv[i], NULL, epoll, &running};
		submit(client, &jobs[i]);
	}
	while (running) {
		struct epoll_event event;

		if (epoll_wait(epoll, &event, 1, -1) < 0)
			err(1, "epoll_wait");
		if (event.data.ptr)
			finish(event.data.ptr);
		else if (spawn_client_dispatch(client) < 0)
			errx(1, "the server was lost"); /* or: watch spawn_client_fd() anew */
	}
	spawn_client_close(client);
	close(epoll);
	free(jobs);
	return EXIT_SUCCESS;
}
