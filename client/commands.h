/* SPDX-License-Identifier: MIT */
/* commands.h - `--pipe`: the words of a command line as commands with | between them. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include "libspawn.h"
#include "options.h"

struct commands {
	size_t n;
	struct options *options; /* of each: the common ones, with its own arguments */
	struct spawn_request **requests;
	struct spawn_proc **procs;
	struct spawn_error *errs;
	int *statuses; /* as a shell has them: 128 + n for signal n */
};

/* 0, or a negative errno after one line on stderr. commands_done() is due after 0. */
int commands_split(const struct options *o, struct commands *ret);
/* How one that was started ended; the record may take so long. */
int commands_status(const struct commands *commands, size_t i, int timeout_ms);
/* {"statuses": [...]} on stderr, as standard output is the last one's. */
void commands_print(const struct commands *commands);
void commands_done(struct commands *commands);

#endif
