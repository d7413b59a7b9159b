/* SPDX-License-Identifier: MIT */
/* What a request says about the process itself, in children of the application's own. */
#include "private_caller.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct spawn_request *status_request(void)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/cat");
	spawn_request_args(request, 1, (const char *const[]){"/proc/self/status"});
	return request;
}

static void expect_in_output(struct spawn_client *client, struct spawn_request *request,
			     const char *line)
{
	char *text = output_of(client, request);

	CHECK(strstr(text, line), "no \"%s\" in %s", line, text);
	free(text);
}

/* Without the two of glibc's own, which posix_spawn makes who started this ignore. */
static void expect_ignored(struct spawn_client *client, struct spawn_request *request,
			   unsigned long long expected)
{
	char *text = output_of(client, request), *line = strstr(text, "\nSigIgn:\t");
	unsigned long long set = line ? strtoull(line + 9, NULL, 16) : 0;

	CHECK(line && (set & ~(3ull << 31)) == expected, "%llx in %s", set, text);
	free(text);
}

static void asked_signals(void)
{
	struct spawn_request *request = status_request();
	struct spawn_client *client;
	sigset_t set;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	client = own_client();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	spawn_request_sigdefault(request, &set);
	expect_ignored(client, request, 1 << (SIGUSR2 - 1));
	expect_ignored(client, status_request(), 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1));
	request = status_request();
	spawn_request_sigmask(request, &set);
	expect_in_output(client, request, "\nSigBlk:\t0000000000000200\n");
	expect_in_output(client, status_request(), "\nSigBlk:\t0000000000004000\n");
	spawn_client_close(client);
}

const struct scenario process_scenarios[] = {
	{"asked_signals", asked_signals},
	{NULL, NULL},
};
