/* SPDX-License-Identifier: MIT */
/* exit.h - how a process ended, as the accessors read it. */
#ifndef LIBSPAWN_EXIT_H
#define LIBSPAWN_EXIT_H

#include "libspawn.h"
#include "wire/record.h"

struct spawn_exit {
	bool known;
	struct exit_record record; /* start_errno: positive; not 0 when it never ran user code */
	uint32_t nofork, nofork_by;
};

#endif
