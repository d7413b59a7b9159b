/* SPDX-License-Identifier: MIT */
/* warm() says that it cannot, and why on stderr. */
#include <libspawn-template.h>

#include <errno.h>
#include <stdio.h>

static int warm(void **state)
{
	(void)state;
	fprintf(stderr, "no dictionary at /nowhere/words\n");
	return -ENOENT;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
