/* SPDX-License-Identifier: MIT */
/* A template with nothing to warm. */
#include <libspawn-template.h>

#include <stddef.h>

static int entry(void *state, int argc, char **argv)
{
	(void)argc, (void)argv;
	return state == NULL ? 11 : 12;
}

SPAWN_TEMPLATE(.entry = entry);
