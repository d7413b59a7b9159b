/* SPDX-License-Identifier: MIT */
#include "summons.h"
#include "base/nofork.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct summons sample = {
	.id = 77,
	.n_slots = 4096,
	.nofork = NOFORK_COPY,
	.enforce_kernel = true,
	.name = "words.B_-2",
};

/* The value as a process of that pid finds it. */
static const char *written(char buf[SUMMONS_SIZE], const struct summons *s, pid_t pid)
{
	char *pid_at;

	summons_write(s, buf, &pid_at);
	summons_address(pid_at, pid);
	cr_assert_eq(strncmp(buf, SUMMONS_VARIABLE "=", strlen(SUMMONS_VARIABLE "=")), 0);
	return buf + strlen(SUMMONS_VARIABLE "=");
}

Test(summons, are_read_as_they_were_written)
{
	char buf[SUMMONS_SIZE];
	struct summons got;

	cr_assert_eq(summons_read(written(buf, &sample, 4194304), 4194304, &got), 1);
	cr_assert_eq(got.id, 77);
	cr_assert_eq(got.n_slots, 4096);
	cr_assert_eq(got.nofork, NOFORK_COPY);
	cr_assert(got.enforce_kernel && !got.nofork_weaker && !got.gate_refuses);
	cr_assert_str_eq(got.name, "words.B_-2");
}

Test(summons, fit_with_the_longest_of_everything)
{
	struct summons s = {.id = (1u << 20) - 1,
			    .n_slots = 4096,
			    .nofork = NOFORK_PROCESS,
			    .nofork_weaker = true,
			    .enforce_kernel = true,
			    .gate_refuses = true,
			    .compacts = true},
		       got;
	char buf[SUMMONS_SIZE];

	memset(s.name, 'x', SUMMONS_NAME_MAX);
	cr_assert_eq(summons_read(written(buf, &s, INT32_MAX), INT32_MAX, &got), 1);
	cr_assert_eq(got.id, s.id);
	cr_assert(got.enforce_kernel && got.nofork_weaker && got.gate_refuses && got.compacts);
	cr_assert_str_eq(got.name, s.name);
}

Test(summons, are_for_the_process_that_they_name)
{
	struct summons untouched = {.id = 4711};
	char buf[SUMMONS_SIZE];

	cr_assert_eq(summons_read(written(buf, &sample, 12), 13, &untouched), 0);
	cr_assert_eq(summons_read(NULL, 12, &untouched), 0);
	cr_assert_eq(summons_read("", 12, &untouched), 0);
	cr_assert_eq(summons_read("yes", 12, &untouched), 0);
	cr_assert_eq(untouched.id, 4711);
}

Test(summons, of_another_version_say_so)
{
	struct summons got;

	cr_assert_eq(summons_read("2,0000000012,in another form", 12, &got), -EPROTO);
	cr_assert_eq(summons_read("2,0000000012,in another form", 13, &got), 0);
}

Test(summons, that_are_malformed_are_refused)
{
	static const char *const malformed[] = {
		"1,12,",
		"1,12,77",
		"1,12,77,4096,1,2",	       /* no name */
		"1,12,77,4096,1,2,",	       /* an empty one */
		"1,12,0,4096,1,2,words",       /* no host has this id */
		"1,12,1048576,4096,1,2,words", /* nor this */
		"1,12,77,0,1,2,words",
		"1,12,77,4097,1,2,words",
		"1,12,77,4096,3,2,words",
		"1,12,77,4096,1,16,words",
		"1,12,77,4096,1,17,words",
		"1,12,77,4096,1,-1,words",
		"1,12, 77,4096,1,2,words",
		"1,12,0x4d,4096,1,2,words",
		"1,12,77,18446744073709555712,1,2,words",
		"1,12,77,4096,1,2,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	};
	struct summons got;

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		cr_assert_eq(summons_read(malformed[i], 12, &got), -EBADMSG, "%s", malformed[i]);
}
