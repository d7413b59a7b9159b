/* SPDX-License-Identifier: MIT */
/* tiny.c - the smallest template: what is measured is the start and nothing else. */
#include "libspawn-template.h"
#include "stamp.h"

static int entry(void *state, int argc, char **argv)
{
	return argc > 1 ? stamp(clock_now()) : 0;
}

SPAWN_TEMPLATE(.entry = entry);
