/* SPDX-License-Identifier: MIT */
/*
 * words-main.c - the same checker as a program of its own, started cold each time: what the
 * demonstration compares a leaf with.
 */
#include "libspawn-template.h"

extern const struct spawn_template spawn_template;

int main(int argc, char **argv)
{
	void *state;

	if (spawn_template.warm(&state) < 0)
		return 2;
	return spawn_template.entry(state, argc, argv);
}
