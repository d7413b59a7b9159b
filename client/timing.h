/* SPDX-License-Identifier: MIT */
/* timing.h - where the time of one spawn went. */
#ifndef CLIENT_TIMING_H
#define CLIENT_TIMING_H

#include "libspawn.h"

#include <stdbool.h>

/* To stderr: a table, or one line of JSON. end may be NULL: it runs on. */
void timing_print(const struct spawn_proc *proc, const struct spawn_exit *end,
		  const char *template_name, bool json);

#endif
