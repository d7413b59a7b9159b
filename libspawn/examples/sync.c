/* SPDX-License-Identifier: MIT */
/* Starts a leaf of a template, waits for it, and says how it ended: sync TEMPLATE [ARGUMENT...] */
#include <libspawn.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int report(const struct spawn_exit *end)
{
	const char *step;
	int r = spawn_exit_start_error(end, &step);

	if (r < 0)
		fprintf(stderr, "it never ran, at %s: %s\n", step, strerror(-r));
	else if (!spawn_exit_known(end))
		fprintf(stderr, "how it ended cannot be known: the server is lost\n");
	else if (spawn_exit_signal(end))
		fprintf(stderr, "killed by signal %d\n", spawn_exit_signal(end));
	else
		fprintf(stderr, "exit status %d\n", spawn_exit_status(end));
	return spawn_exit_status(end) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct spawn_request *request;
	struct spawn_client *client;
	struct spawn_proc *proc;
	struct spawn_exit *end;
	struct spawn_error error;
	int r;

	if (argc < 2)
		errx(2, "usage: %s TEMPLATE [ARGUMENT...]", argv[0]);
	if (spawn_client_open(&client, NULL, &error) < 0)
		errx(1, "%s", error.message);
	request = spawn_request_new(argv[1]);
	if (!request)
		err(1, "spawn_request_new");
	/* A mistake in the request is told here: no need to check each of the calls before. */
	spawn_request_args(request, (size_t)argc - 2, (const char *const *)argv + 2);
	spawn_request_kill_with_caller(request, true);
	if (spawn_process(client, request, &proc, &error) < 0)
		errx(1, "%s: %s", error.step, error.message);
	spawn_request_free(request);

	r = spawn_proc_wait(proc, -1, &end);
	if (r < 0)
		errx(1, "wait: %s", strerror(-r));
	r = report(end);
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_client_close(client);
	return r;
}
