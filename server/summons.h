/* SPDX-License-Identifier: MIT */
/*
 * summons.h - what the keeper tells a program that is to be a host: an environment variable, since
 * the arguments are the program's own.
 *
 *	SPAWND_HOST=VERSION,PID,ID,SLOTS,NOFORK,FLAGS,NAME
 *
 * All but the name are numbers. The pid says whom it is for: what a program starts while it warms
 * inherits its environment. Version and pid stay where they are in later versions: so a program
 * and a server that differ can say so.
 */
#ifndef SERVER_SUMMONS_H
#define SERVER_SUMMONS_H

#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SUMMONS_VARIABLE "SPAWND_HOST"
/* Of this text, of the descriptors of a host, and of the messages on them. */
#define SUMMONS_VERSION	 1
#define SUMMONS_SIZE	 192
#define SUMMONS_NAME_MAX 64

struct summons {
	uint64_t id;
	uint32_t n_slots;
	uint32_t nofork; /* enum nofork_level */
	bool nofork_weaker, enforce_kernel, gate_refuses, compacts;
	char name[SUMMONS_NAME_MAX + 1]; /* of the template */
};

/* NAME=VALUE as an environment has it, for a pid that is not known yet: *ret_pid is for
 * summons_address(). */
void summons_write(const struct summons *s, char buf[SUMMONS_SIZE], char **ret_pid);
/* Async-signal-safe. */
void summons_address(char *pid_at, pid_t pid);
/*
 * value: of the variable; NULL: there is none. 1: it is for this process, *ret says the rest. 0: it
 * is not. -EPROTO: it is, in another version; -EBADMSG: it is, and malformed.
 */
int summons_read(const char *value, pid_t self, struct summons *ret);

#endif
