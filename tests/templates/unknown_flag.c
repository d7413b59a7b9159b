/* SPDX-License-Identifier: MIT */
/* Asks for something that this version does not know. */
#include <libspawn-template.h>

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.flags = 1u << 30, .entry = entry);
