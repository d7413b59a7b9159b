/* SPDX-License-Identifier: MIT */
/* tool.h - a command line of the project's own, run to its end or watched. */
#ifndef TEST_TOOL_H
#define TEST_TOOL_H

#include "server.h"

struct tool {
	pid_t pid;
	int in; /* write end of its stdin */
	int out, err;
};

struct tool_end {
	int status; /* as a shell sees it: 128 + n for signal n */
	bool signalled;
	char *out, *err;
};

/* Starts argv[0], found by the environment variable of that name ("SPAWN", "SPAWND") or by path,
 * with SPAWND_SOCKET naming the server's (s may be NULL). */
void tool_start(const struct server *s, const char *const *argv, struct tool *ret);
/* Closes its stdin, reads all its output, waits for its end. */
void tool_finish(struct tool *t, struct tool_end *ret);
void tool_run(const struct server *s, const char *const *argv, struct tool_end *ret);
/* The same for a script of /bin/sh, in which $SPAWN is the command. */
void tool_shell(const struct server *s, const char *script, struct tool_end *ret);
/* What such a script ends with and writes; err is a part of its errors, or "" for none. */
void tool_expect(const struct server *s, const char *script, int status, const char *out,
		 const char *err);
/* Is a signal blocked by a process: spawn blocks what it passes on once it is ready for it. */
bool tool_blocks(pid_t pid, int sig);
void tool_end_free(struct tool_end *end);

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
