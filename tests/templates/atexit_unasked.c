/* SPDX-License-Identifier: MIT */
/* Registers the same without asking for exit(): it must not run. */
#include <libspawn-template.h>

#include <stdio.h>
#include <stdlib.h>

static void farewell(void)
{
	printf("farewell\n");
}

static int warm(void **state)
{
	(void)state;
	return atexit(farewell) ? -1 : 0;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	printf("entry\n");
	return 3;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
