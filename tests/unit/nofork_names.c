/* SPDX-License-Identifier: MIT */
#include "base/nofork.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(nofork, each_level_is_parsed_from_its_name)
{
	for (unsigned level = NOFORK_OFF; level <= NOFORK_PROCESS; level++)
		cr_assert_eq(nofork_level_parse(nofork_level_name(level)), (int)level);
}

Test(nofork, a_greater_level_promises_more)
{
	cr_assert_lt(nofork_level_parse("off"), nofork_level_parse("copy"));
	cr_assert_lt(nofork_level_parse("copy"), nofork_level_parse("process"));
}

Test(nofork, other_names_and_numbers_are_refused)
{
	cr_assert_eq(nofork_level_parse("Copy"), -EINVAL);
	cr_assert_eq(nofork_level_parse(""), -EINVAL);
	cr_assert_eq(nofork_level_parse("copy "), -EINVAL);
	cr_assert_null(nofork_level_name(NOFORK_PROCESS + 1));
	cr_assert_null(nofork_level_name(~0u));
}

Test(nofork, what_holds_is_said_in_full)
{
	cr_assert_str_eq(nofork_describe(NOFORK_OFF, NOFORK_BY_NOBODY), "off");
	cr_assert_str_eq(nofork_describe(NOFORK_COPY, NOFORK_BY_KERNEL), "copy (kernel)");
	cr_assert_str_eq(nofork_describe(NOFORK_COPY, NOFORK_BY_KERNEL_EXEC),
			 "copy (kernel: inherited, no_new_privs)");
	cr_assert_str_eq(nofork_describe(NOFORK_COPY, NOFORK_BY_SECCOMP),
			 "copy (seccomp: inherited, no_new_privs)");
	cr_assert_str_eq(nofork_describe(NOFORK_PROCESS, NOFORK_BY_SECCOMP),
			 "process (seccomp: inherited, no_new_privs)");
}

Test(nofork, a_promise_that_nobody_enforces_is_not_described_as_one)
{
	cr_assert_str_eq(nofork_describe(NOFORK_COPY, NOFORK_BY_NOBODY), "unknown");
	cr_assert_str_eq(nofork_describe(NOFORK_PROCESS, NOFORK_BY_NOBODY), "unknown");
	cr_assert_str_eq(nofork_describe(99, NOFORK_BY_SECCOMP), "unknown");
}
