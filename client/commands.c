/* SPDX-License-Identifier: MIT */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_bar(const char *word)
{
	return strcmp(word, "|") == 0;
}

static size_t count(const struct options *o)
{
	size_t n = 1;

	for (size_t i = 0; i < o->n_args; i++)
		n += is_bar(o->args[i]);
	return n;
}

static int no_memory(void)
{
	fputs("spawn: out of memory\n", stderr);
	return -ENOMEM;
}

int commands_split(const struct options *o, struct commands *ret)
{
	size_t n = count(o), at = 0;

	*ret = (struct commands){
		.n = n,
		.options = calloc(n, sizeof(*ret->options)),
		.requests = calloc(n, sizeof(struct spawn_request *)),
		.procs = calloc(n, sizeof(struct spawn_proc *)),
		.errs = calloc(n, sizeof(*ret->errs)),
		.statuses = calloc(n, sizeof(*ret->statuses)),
	};
	if (!ret->options || !ret->requests || !ret->procs || !ret->errs || !ret->statuses) {
		commands_done(ret);
		return no_memory();
	}
	for (size_t i = 0; i < n; i++) {
		size_t end = at;

		while (end < o->n_args && !is_bar(o->args[end]))
			end++;
		ret->options[i] = *o;
		ret->options[i].args = o->args + at;
		ret->options[i].n_args = end - at;
		ret->requests[i] = spawn_request_new(NULL);
		if (end == at || !ret->requests[i]) {
			int r = end == at ? usage_error("--pipe: command %zu of %zu is empty",
							i + 1, n)
					  : no_memory();

			commands_done(ret);
			return r;
		}
		at = end + 1;
	}
	return 0;
}

int commands_status(const struct commands *commands, size_t i, int timeout_ms)
{
	struct spawn_exit *end;
	int status, sig;

	if (spawn_proc_wait(commands->procs[i], timeout_ms, &end) < 0)
		return EXIT_SPAWN_FAILED;
	sig = spawn_exit_signal(end);
	status = sig ? 128 + sig : spawn_exit_status(end);
	spawn_exit_free(end);
	return status < 0 ? EXIT_SPAWN_FAILED : status;
}

void commands_print(const struct commands *commands)
{
	fputs("{\"statuses\": [", stderr);
	for (size_t i = 0; i < commands->n; i++)
		fprintf(stderr, "%s%d", i ? ", " : "", commands->statuses[i]);
	fputs("]}\n", stderr);
}

void commands_done(struct commands *commands)
{
	for (size_t i = 0; i < commands->n; i++) {
		if (commands->procs)
			spawn_proc_free(commands->procs[i]);
		if (commands->requests)
			spawn_request_free(commands->requests[i]);
	}
	free(commands->options);
	free(commands->requests);
	free(commands->procs);
	free(commands->errs);
	free(commands->statuses);
	*commands = (struct commands){0};
}
