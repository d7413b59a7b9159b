/* SPDX-License-Identifier: MIT */
/* pty.h - `--pty`: a terminal of the child's own, and the way between it and the user's. */
#ifndef CLIENT_PTY_H
#define CLIENT_PTY_H

#include "libspawn.h"

#include <stdbool.h>
#include <termios.h>

struct pty {
	int master, slave; /* -1: not held */
	char name[64];
	bool has_terminal, is_raw; /* standard input is one; and as the relay needs it */
	struct termios before;
};

/* As large as the user's terminal, and set like it. 0 or a negative errno. */
int pty_open(struct pty *ret);
/* The child leads a session, whose controlling terminal this is; its 0, 1 and 2. */
void pty_request(const struct pty *pty, struct spawn_request *request);

/* With these in turn: all keys go to the child; the user's terminal is as it was. */
int pty_enter(struct pty *pty);
void pty_leave(struct pty *pty);

/*
 * Carries bytes and sizes between the two until the child is over and what it wrote is through;
 * what `signals`, a signalfd, has is for on_signal.
 */
int pty_relay(struct pty *pty, const struct spawn_proc *proc, int signals,
	      void (*on_signal)(int signals, void *user), void *user);
void pty_close(struct pty *pty);

#endif
