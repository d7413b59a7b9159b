/* SPDX-License-Identifier: MIT */
#include "preload.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned long tally_counts[TALLY_N];

static atomic_flag said = ATOMIC_FLAG_INIT;
static const char *_Atomic last_reason;

void tally_add(enum tally what)
{
	__atomic_add_fetch(&tally_counts[what], 1, __ATOMIC_RELAXED);
}

bool tally_leave(const char *what, const char *reason)
{
	const char *mode = getenv("SPAWN_PRELOAD");
	bool required = mode && strcmp(mode, "require") == 0;

	tally_add(TALLY_LEFT);
	atomic_store(&last_reason, reason);
	if (!atomic_flag_test_and_set(&said))
		dprintf(STDERR_FILENO,
			"libspawn-preload: %s[%d]: %s %s: %s (said once; "
			"SPAWN_PRELOAD_STATS=1 counts)\n",
			program_invocation_short_name, (int)getpid(), what,
			required ? "is refused" : "is left to libc", reason);
	return !required;
}

__attribute__((destructor)) static void tell(void)
{
	const char *wanted = getenv("SPAWN_PRELOAD_STATS"), *reason = atomic_load(&last_reason);
	unsigned long all = 0;

	for (int i = 0; i < TALLY_N; i++)
		all += tally_counts[i];
	if (!wanted || strcmp(wanted, "1") != 0 || all == 0)
		return;
	dprintf(STDERR_FILENO,
		"libspawn-preload: %s[%d]: %lu through the private host, %lu left to libc%s%s%s, "
		"%lu fork, %lu vfork\n",
		program_invocation_short_name, (int)getpid(), tally_counts[TALLY_SPAWNED],
		tally_counts[TALLY_LEFT], reason ? " (last: " : "", reason ? reason : "",
		reason ? ")" : "", tally_counts[TALLY_FORK], tally_counts[TALLY_VFORK]);
}
