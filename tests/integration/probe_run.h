/* SPDX-License-Identifier: MIT */
/*
 * probe_run.h - a leaf of the template "probe" (tests/templates/probe.c) and what came of it.
 * Asserts that what ought to work does.
 */
#ifndef TEST_PROBE_RUN_H
#define TEST_PROBE_RUN_H

#include <libspawn.h>

#include <stdbool.h>
#include <stddef.h>

struct outcome {
	bool known, core;
	int status, signal, start_error;
	char step[32];
	char nofork[64];
	char *output; /* all that it wrote to descriptor 1, ended with NUL */
	size_t output_len;
};

/* A request with these arguments; the last is NULL. */
struct spawn_request *probe_request(const char *arg, ...) __attribute__((sentinel));
struct spawn_request *template_request(const char *template_name, ...) __attribute__((sentinel));

/* A running leaf and the read end of a pipe that is its descriptor 1. */
struct probe {
	struct spawn_proc *proc;
	int out; /* -1: not held */
	int in;	 /* write end of its descriptor 0 when asked for; -1 otherwise */
};
/* Consumes the request. Asserts that it starts. */
void probe_start(struct spawn_client *client, struct spawn_request *request, struct probe *ret);
/* The same after the broker was killed: a request that was in its socket then is lost and says so
 * (-ECONNRESET, origin wire: nothing ran), and is made again. */
void probe_start_again(struct spawn_client *client, struct spawn_request *request,
		       struct probe *ret);
/* As probe_start(), with a pipe to its descriptor 0. */
void probe_start_fed(struct spawn_client *client, struct spawn_request *request, struct probe *ret);
/* Waits until it has written this line; lines before it are dropped. */
void probe_await_line(struct probe *p, const char *line);
/* Reads to the end of its output, waits for its end, frees the proc. */
void probe_finish(struct probe *p, struct outcome *ret);
void outcome_free(struct outcome *o);

/* Start and finish; consumes the request. */
void probe_run(struct spawn_client *client, struct spawn_request *request, struct outcome *ret);
/* After the broker was killed: asserts that a leaf starts and ends as it will. */
void expect_service_again(struct spawn_client *client);
/* What it wrote; asserts that it ended with 0. Consumes the request. Free the result. */
char *probe_output(struct spawn_client *client, struct spawn_request *request);
/* Asserts that the request is refused, and frees it. Returns the code; err may be NULL. */
int probe_refused(struct spawn_client *client, struct spawn_request *request,
		  struct spawn_error *err);
/* Waits for the end of a proc, which it frees. */
void proc_finish(struct spawn_proc *proc, struct outcome *ret);
/* Asserts that it ends with this status; frees it. */
void proc_expect_status(struct spawn_proc *proc, int status);

/* Reads fd to its end. Free the result. */
char *read_to_end(int fd, size_t *ret_len);
/* pipe2 with O_CLOEXEC. */
void make_pipe(int ret[2]);

#endif
