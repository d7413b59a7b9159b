/* SPDX-License-Identifier: MIT */
/*
 * private_caller.h - an application of one thread that has children of its own started, in a
 * process of its own: it forks, changes its credentials, its session, and what its signals do.
 */
#ifndef TEST_PRIVATE_CALLER_H
#define TEST_PRIVATE_CALLER_H

#include "sanitized.h"

#include <libspawn.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* How many children where there are to be many. */
#define MANY(children, sanitized) (SANITIZED ? (sanitized) : (children))

/* What the process of a scenario ends with. */
#define SCENARIO_SKIPPED 77

#define CHECK(condition, ...)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__);                                           \
			fputc('\n', stderr);                                                    \
			exit(1);                                                                \
		}                                                                               \
	} while (0)
/* The scenario goes on: gives it its time anew. */
void progress(void);
/* The scenario has become another user: no look for leaks at its end, which needs ptrace(2). */
extern bool is_other_user;
#define SKIP(why)                                      \
	do {                                           \
		fprintf(stderr, "skipped: %s\n", why); \
		exit(SCENARIO_SKIPPED);                \
	} while (0)

struct scenario {
	const char *name;
	void (*run)(void);
};
/* Ends with a name of NULL. */
extern const struct scenario children_scenarios[], changes_scenarios[], deaths_scenarios[],
	process_scenarios[];

/* A client of spawn_private_open(). */
struct spawn_client *own_client(void);
/* A request for private-probe, or for a script of /bin/sh, with arguments up to NULL. */
struct spawn_request *probe(const char *arg, ...) __attribute__((sentinel));
struct spawn_request *shell(const char *script);
/* Starts it and frees the request. */
struct spawn_proc *start(struct spawn_client *client, struct spawn_request *request);
/* The status by waitpid(2), as that has it. */
int wait_status(pid_t pid);
/* Starts, reads what it writes to descriptor 1 to the end, waits by waitpid(2) for status 0. Free
 * the result. */
char *output_of(struct spawn_client *client, struct spawn_request *request);
char *read_all(int fd);

/* The private host: a living child of that name; 0: there is none. A program that is not executed
 * yet has that name, too. */
pid_t host_of(pid_t parent);
/* Children of this process in that state of /proc/PID/stat. */
int count_children(char state);

/* What one spawn_submit() came to. */
struct completion {
	int calls;
	struct spawn_proc *proc;
	int code;
	char message[512];
};
void complete(struct spawn_proc *proc, const struct spawn_error *err, void *user);
/* Waits until there is something to dispatch. */
void dispatch_once(struct spawn_client *client);
/* Dispatches until the last of n is complete. */
void await_completions(struct spawn_client *client, const struct completion *all, size_t n);
/* As spawn_submit(), and dispatches whenever it is asked to try again. */
void submit(struct spawn_client *client, struct spawn_request *request, struct completion *c);

#endif
