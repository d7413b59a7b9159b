/* SPDX-License-Identifier: MIT */
/* As from a later version of the template ABI. */
#include <libspawn-template.h>

static int entry(void *state, int argc, char **argv)
{
	(void)state, (void)argc, (void)argv;
	return 0;
}

__attribute__((visibility("default"))) extern const struct spawn_template spawn_template;
const struct spawn_template spawn_template = {
	.abi = SPAWN_TEMPLATE_ABI + 41,
	.size = sizeof(struct spawn_template),
	.entry = entry,
};
