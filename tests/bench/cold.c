/* SPDX-License-Identifier: MIT */
/* cold.c - a template of the bench as a program of its own, loaded and warmed at each start. */
#include "libspawn-template.h"

#include <stddef.h>

extern const struct spawn_template spawn_template;

int main(int argc, char **argv)
{
	void *state = NULL;

	if (spawn_template.warm && spawn_template.warm(&state) < 0)
		return 2;
	return spawn_template.entry(state, argc, argv);
}
