/* SPDX-License-Identifier: MIT */
/* fallback.h - a program that cannot be held before its main() is executed for each request. */
#ifndef HOST_FALLBACK_H
#define HOST_FALLBACK_H

#include "summons.h"

#define FALLBACK_WHY_SIZE 200

/* This process becomes spawn-host-exec of that directory, whose leaves become the program, and
 * which says why. Returns a negative errno if it cannot. */
int fallback_execute(const char *libexec_dir, const struct summons *s, const char *program,
		     const char *why);

#endif
