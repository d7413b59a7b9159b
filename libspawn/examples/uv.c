/* SPDX-License-Identifier: MIT */
/* Runs each argument by the shell, all at once, in libuv's loop: uv COMMAND... */
#include <libspawn.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct app {
	struct spawn_client *client;
	uv_poll_t readable; /* of the client's descriptor */
	size_t running;
};

struct job {
	struct app *app;
	const char *command;
	struct spawn_proc *proc;
	uv_poll_t over; /* of the pidfd */
};

static void end_one(struct app *app)
{
	if (--app->running == 0)
		uv_close((uv_handle_t *)&app->readable, NULL);
}

/* Not before: the handle has the pidfd, which the proc closes. */
static void on_closed(uv_handle_t *handle)
{
	struct job *job = handle->data;

	spawn_proc_free(job->proc);
	end_one(job->app);
}

static void on_over(uv_poll_t *handle, int status, int events)
{
	struct job *job = handle->data;
	struct spawn_exit *end;

	(void)status, (void)events;
	if (spawn_proc_wait(job->proc, 0, &end) < 0)
		return; /* the record is on its way */
	if (spawn_exit_signal(end))
		printf("%s: signal %d\n", job->command, spawn_exit_signal(end));
	else
		printf("%s: status %d\n", job->command, spawn_exit_status(end));
	spawn_exit_free(end);
	uv_close((uv_handle_t *)handle, on_closed);
}

static void on_started(struct spawn_proc *proc, const struct spawn_error *error, void *user)
{
	struct job *job = user;

	job->proc = proc;
	if (!proc) {
		fprintf(stderr, "%s: %s\n", job->command, error->message);
		end_one(job->app);
		return;
	}
	job->over.data = job;
	uv_poll_init(job->app->readable.loop, &job->over, spawn_proc_pidfd(proc));
	uv_poll_start(&job->over, UV_READABLE, on_over);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct app *app = handle->data;

	(void)status, (void)events;
	if (spawn_client_dispatch(app->client) < 0)
		errx(1, "the server was lost"); /* or: watch spawn_client_fd() anew */
}

static void submit(struct job *job)
{
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error error;

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", job->command});
	spawn_request_kill_with_caller(request, true);
	if (spawn_submit(job->app->client, request, on_started, job, NULL, &error) < 0)
		errx(1, "%s: %s", job->command, error.message);
	spawn_request_free(request);
}

int main(int argc, char **argv)
{
	struct app app = {.running = (size_t)argc - 1};
	struct job *jobs = calloc((size_t)argc, sizeof(*jobs));
	struct spawn_error error;
	uv_loop_t loop;

	if (argc < 2)
		errx(2, "usage: uv COMMAND...");
	if (!jobs || uv_loop_init(&loop) < 0)
		errx(1, "memory");
	if (spawn_client_open(&app.client, NULL, &error) < 0)
		errx(1, "%s", error.message);
	app.readable.data = &app;
	uv_poll_init(&loop, &app.readable, spawn_client_fd(app.client));
	uv_poll_start(&app.readable, UV_READABLE, on_readable);
	for (int i = 1; i < argc; i++) {
		jobs[i] = (struct job){.app = &app, .command = argv[i]};
		submit(&jobs[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	spawn_client_close(app.client);
	free(jobs);
	return EXIT_SUCCESS;
}
