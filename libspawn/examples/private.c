/* SPDX-License-Identifier: MIT */
/*
 * Starts programs as this process's own children, without a server and without waiting for any
 * start, and waits for them by waitpid: private PROGRAM... (each without arguments)
 */
#include <libspawn.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct child {
	const char *name;
	pid_t pid; /* 0: not started */
	bool told;
};

static void started(struct spawn_proc *proc, const struct spawn_error *error, void *user)
{
	struct child *child = user;

	child->told = true;
	if (!proc) {
		warnx("%s: %s", child->name, error->message);
		return;
	}
	child->pid = spawn_proc_pid(proc);
	spawn_proc_free(proc); /* waitpid() below needs but the pid */
}

static void dispatch(struct spawn_client *client)
{
	struct pollfd p = {.fd = spawn_client_fd(client), .events = POLLIN};

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		err(1, "poll");
	spawn_client_dispatch(client);
}

static void submit(struct spawn_client *client, struct child *child)
{
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error error;
	int r;

	if (!request)
		err(1, "spawn_request_new");
	spawn_request_path_search(request, child->name, SPAWN_PATH_CALLER);
	while ((r = spawn_submit(client, request, started, child, NULL, &error)) == -EAGAIN)
		dispatch(client);
	if (r < 0)
		errx(1, "%s: %s", child->name, error.message);
	spawn_request_free(request);
}

static int report(const struct child *child)
{
	int status;

	if (child->pid == 0)
		return 1;
	if (waitpid(child->pid, &status, 0) < 0)
		err(1, "waitpid");
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", child->name, WTERMSIG(status));
	else
		printf("%s: status %d\n", child->name, WEXITSTATUS(status));
	return status != 0;
}

int main(int argc, char **argv)
{
	struct child *children = calloc((size_t)argc, sizeof(*children));
	struct spawn_client *client;
	struct spawn_error error;
	int failed = 0;

	if (!children)
		err(1, "memory");
	if (spawn_private_open(&client, &error) < 0)
		errx(1, "%s", error.message);
	for (int i = 1; i < argc; i++) {
		children[i].name = argv[i];
		submit(client, &children[i]);
	}
	for (int i = 1; i < argc; i++) {
		while (!children[i].told)
			dispatch(client);
		failed += report(&children[i]);
	}
	spawn_client_close(client);
	free(children);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
