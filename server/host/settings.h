/* SPDX-License-Identifier: MIT */
/*
 * settings.h - what the client asked of the process itself that one number says. Each is set and,
 * where the kernel may do less than it was told to, read back. Without the heap, as body.h.
 */
#ifndef HOST_SETTINGS_H
#define HOST_SETTINGS_H

#include "wire/message.h"

#include <stdbool.h>

struct body_error;

struct settings {
	uint32_t given; /* bit n: enum setting n */
	uint64_t value[SETTING_END];
};

/* *ret has none before. 0, or a negative errno with *failed filled, as all here. */
int settings_decode(const struct message *m, struct settings *ret, struct body_error *failed);
/* of_server: it is a child of the server's, which leads a process group whoever asks. */
int settings_enter_group(const struct settings *s, bool of_server, struct body_error *failed);

/* How it is scheduled and weighed: while it has the descriptors, and the limits, for it. */
int settings_schedule(const struct settings *s, bool of_server, struct body_error *failed);

/* What it may not any more, and what a change of credentials would undo: last. */
int settings_confine(const struct settings *s, bool of_server, struct body_error *failed);

#endif
