/* SPDX-License-Identifier: MIT */
/* warm() never returns. */
#include <libspawn-template.h>

#include <stdio.h>
#include <unistd.h>

static int warm(void **state)
{
	(void)state;
	fprintf(stderr, "waiting for a server that never answers\n");
	while (pause() < 0)
		;
	return 0;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
