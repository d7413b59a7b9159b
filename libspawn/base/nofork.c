/* SPDX-License-Identifier: MIT */
#include "base/nofork.h"

#include <errno.h>
#include <string.h>

static const char *const level_names[] = {
	[NOFORK_OFF] = "off",
	[NOFORK_COPY] = "copy",
	[NOFORK_PROCESS] = "process",
};

const char *nofork_level_name(unsigned level)
{
	return level < sizeof(level_names) / sizeof(level_names[0]) ? level_names[level] : NULL;
}

int nofork_level_parse(const char *name)
{
	for (unsigned i = 0; nofork_level_name(i); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

const char *nofork_describe(unsigned level, unsigned enforcer)
{
	if (level == NOFORK_OFF)
		return "off";
	if (level == NOFORK_COPY && enforcer == NOFORK_BY_KERNEL)
		return "copy (kernel)";
	if (level == NOFORK_COPY && enforcer == NOFORK_BY_KERNEL_EXEC)
		return "copy (kernel: inherited, no_new_privs)";
	if (level == NOFORK_COPY && enforcer == NOFORK_BY_SECCOMP)
		return "copy (seccomp: inherited, no_new_privs)";
	if (level == NOFORK_PROCESS && enforcer == NOFORK_BY_SECCOMP)
		return "process (seccomp: inherited, no_new_privs)";
	return "unknown";
}
