/* SPDX-License-Identifier: MIT */
/* As compiled against another struct. */
#include <libspawn-template.h>

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

__attribute__((visibility("default"))) extern const struct spawn_template spawn_template;
const struct spawn_template spawn_template = {
	.abi = SPAWN_TEMPLATE_ABI,
	.size = sizeof(struct spawn_template) - 8,
	.entry = entry,
};
