/* SPDX-License-Identifier: MIT */
/* What a program has is what docs/inheritance.md says, attribute by attribute (tests/parity). */
#include "tool.h"

#include <criterion/criterion.h>

#define SKIPPED 77

static void compare(const char *mode)
{
	struct tool_end end;

	tool_run(NULL, ARGV("PARITY_CALLER", mode, getenv("PARITY_TABLE")), &end);
	if (end.status == SKIPPED)
		cr_skip_test("%s", end.err);
	cr_assert(end.status == 0, "status %d\n%s", end.status, end.err);
	tool_end_free(&end);
}

TestSuite(parity, .timeout = 180);

Test(parity, of_root)
{
	compare("root");
}

Test(parity, of_an_ordinary_user)
{
	compare("user");
}

Test(parity, in_a_user_namespace)
{
	compare("namespace");
}

Test(parity, with_no_new_privs)
{
	compare("no-new-privs");
}

Test(parity, with_few_capabilities)
{
	compare("few-capabilities");
}
