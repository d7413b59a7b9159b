/* SPDX-License-Identifier: MIT */
/*
 * Runs a command by the shell in each of N threads, which share one client: threads N COMMAND.
 * No copy of the process is made, so no lock of another thread's can be left behind in one.
 */
#include <libspawn.h>

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct task {
	pthread_t thread;
	struct spawn_client *client;
	const char *command;
	int status;
};

static void *run(void *arg)
{
	struct task *task = arg;
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_error error;
	struct spawn_exit *end;
	struct spawn_proc *proc;

	spawn_request_program(request, "/bin/sh");
	spawn_request_args(request, 2, (const char *const[]){"-c", task->command});
	if (spawn_process(task->client, request, &proc, &error) < 0)
		errx(1, "%s", error.message);
	spawn_request_free(request);
	spawn_proc_wait(proc, -1, &end);
	task->status = spawn_exit_status(end);
	spawn_exit_free(end);
	spawn_proc_free(proc);
	return NULL;
}

int main(int argc, char **argv)
{
	size_t n = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, same = 0;
	struct task *tasks = calloc(n + 1, sizeof(*tasks));
	struct spawn_client *client;
	struct spawn_error error;

	if (n == 0 || !tasks)
		errx(2, "usage: %s N COMMAND", argv[0]);
	if (spawn_client_open(&client, NULL, &error) < 0)
		errx(1, "%s", error.message);
	for (size_t i = 0; i < n; i++) {
		tasks[i].client = client;
		tasks[i].command = argv[2];
		if (pthread_create(&tasks[i].thread, NULL, run, &tasks[i]) != 0)
			errx(1, "no thread");
	}
	for (size_t i = 0; i < n; i++) {
		pthread_join(tasks[i].thread, NULL);
		same += tasks[i].status == tasks[0].status;
	}
	printf("%s: %zu of %zu ended with %d\n", argv[2], same, n, tasks[0].status);
	spawn_client_close(client);
	free(tasks);
	return EXIT_SUCCESS;
}
