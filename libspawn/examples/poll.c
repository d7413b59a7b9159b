/* SPDX-License-Identifier: MIT */
/* Starts one leaf for each argument at once, from an event loop: poll TEMPLATE ARGUMENT... */
#include <libspawn.h>

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
	const char *argument;
	struct spawn_proc *proc;
	bool over;
};

static void on_started(struct spawn_proc *proc, const struct spawn_error *error, void *user)
{
	struct job *job = user;

	job->proc = proc;
	job->over = !proc;
	if (!proc)
		fprintf(stderr, "%s: %s\n", job->argument, error->message);
}

static void finish(struct job *job)
{
	struct spawn_exit *end;

	/* The pidfd is readable: the record is here, or on its way. */
	if (spawn_proc_wait(job->proc, 0, &end) < 0)
		return;
	printf("%s: %d\n", job->argument, spawn_exit_status(end));
	spawn_exit_free(end);
	spawn_proc_free(job->proc);
	job->proc = NULL;
	job->over = true;
}

static void submit(struct spawn_client *client, const char *template_name, struct job *job)
{
	struct spawn_request *request = spawn_request_new(template_name);
	struct spawn_error error;

	if (!request)
		err(1, "spawn_request_new");
	spawn_request_args(request, 1, &job->argument);
	if (spawn_submit(client, request, on_started, job, NULL, &error) < 0) {
		fprintf(stderr, "%s: %s\n", job->argument, error.message);
		job->over = true;
	}
	spawn_request_free(request);
}

/* One turn of the loop; false when all jobs are over. */
static bool turn(struct spawn_client *client, struct job *jobs, struct pollfd *fds, size_t n)
{
	bool more = false;

	/* Asked for each time: a reconnect changes it. */
	fds[n] = (struct pollfd){.fd = spawn_client_fd(client), .events = POLLIN};
	for (size_t i = 0; i < n; i++) {
		int fd = jobs[i].proc ? spawn_proc_pidfd(jobs[i].proc) : -1;

		fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
		more |= !jobs[i].over;
	}
	if (!more)
		return false;
	if (poll(fds, n + 1, -1) < 0)
		err(1, "poll");
	if (fds[n].revents)
		spawn_client_dispatch(client);
	for (size_t i = 0; i < n; i++)
		if (jobs[i].proc && fds[i].revents)
			finish(&jobs[i]);
	return true;
}

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? (size_t)argc - 2 : 0;
	struct spawn_client *client;
	struct spawn_error error;
	struct pollfd *fds;
	struct job *jobs;

	if (n == 0)
		errx(2, "usage: %s TEMPLATE ARGUMENT...", argv[0]);
	if (spawn_client_open(&client, NULL, &error) < 0)
		errx(1, "%s", error.message);
	jobs = calloc(n, sizeof(*jobs));
	fds = calloc(n + 1, sizeof(*fds));
	if (!jobs || !fds)
		err(1, "calloc");
	for (size_t i = 0; i < n; i++) {
		jobs[i].argument = argv[i + 2];
		submit(client, argv[1], &jobs[i]);
	}
	while (turn(client, jobs, fds, n))
		;
	free(fds);
	free(jobs);
	spawn_client_close(client);
	return EXIT_SUCCESS;
}
