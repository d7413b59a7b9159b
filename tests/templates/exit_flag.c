/* SPDX-License-Identifier: MIT */
/* Asks for exit(), so that what warm() registered runs in the leaf. */
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

SPAWN_TEMPLATE(.flags = SPAWN_TEMPLATE_EXIT, .warm = warm, .entry = entry);
