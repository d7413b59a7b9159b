/* SPDX-License-Identifier: MIT */
#include "enforcer.h"

#include "base/nofork.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

bool kernel_enforces(void)
{
	const char *said = getenv("SPAWND_TEST_KERNEL");
	bool found = prctl(NOFORK_PR_GET, 0, 0, 0, 0) >= 0;

	cr_assert(found || !said || strcmp(said, "nofork") != 0,
		  "this kernel was said to have PR_SET_NOFORK");
	return found;
}

const char *copy_in_words(void)
{
	return kernel_enforces() ? "copy (kernel)" : "copy (seccomp: inherited, no_new_privs)";
}

const char *program_copy_in_words(void)
{
	return kernel_enforces() ? "copy (kernel: inherited, no_new_privs)"
				 : "copy (seccomp: inherited, no_new_privs)";
}
