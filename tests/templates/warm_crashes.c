/* SPDX-License-Identifier: MIT */
/* warm() is killed by a signal of its own making. */
#include <libspawn-template.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int warm(void **state)
{
	(void)state;
	fprintf(stderr, "about to crash\n");
	kill(getpid(), SIGSEGV);
	return 0;
}

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

SPAWN_TEMPLATE(.warm = warm, .entry = entry);
