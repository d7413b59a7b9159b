/* SPDX-License-Identifier: MIT */
/* desk.h - where a user sits: a terminal with a program on it. */
#ifndef TEST_DESK_H
#define TEST_DESK_H

#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

struct desk {
	int master, slave;
	pid_t pid;
	char seen[8192];
	size_t len;
	struct termios before;
};

/* Starts argv[0], found by the environment variable of that name or in PATH, with the terminal, 33
 * lines of 77, as its 0, 1 and 2. It does not control it. */
void desk_start(struct desk *d, const char *const *argv);
/* Reads until the text was seen. */
void desk_await(struct desk *d, const char *text);
void desk_type(struct desk *d, const char *text);
/* Waits for the program's end, whose status it returns, and asserts that the terminal is as it was
 * before. */
int desk_end(struct desk *d);

#endif
