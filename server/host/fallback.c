/* SPDX-License-Identifier: MIT */
#include "host/fallback.h"

#include "base/nofork.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int fallback_execute(const char *libexec_dir, const struct summons *s, const char *program,
		     const char *why)
{
	char path[PATH_MAX], id[32], slots[16], note[FALLBACK_WHY_SIZE + 32];
	const char *argv[20] = {"spawn-host-exec", "--id",   id,	 "--name", s->name,
				"--slots",	   slots,    "--nofork", NULL,	   "--program",
				program,	   "--note", note};
	char *no_environment[] = {NULL};
	size_t n = 13;

	snprintf(path, sizeof(path), "%s/spawn-host-exec", libexec_dir);
	snprintf(id, sizeof(id), "%" PRIu64, s->id);
	snprintf(slots, sizeof(slots), "%" PRIu32, s->n_slots);
	snprintf(note, sizeof(note), "main -> exec: %s", why);
	argv[8] = nofork_level_name(s->nofork);
	if (s->nofork_weaker)
		argv[n++] = "--weaker";
	if (s->enforce_kernel)
		argv[n++] = "--kernel";
	execve(path, (char *const *)(uintptr_t)argv, no_environment);
	return -errno;
}
