/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

Test(error, says_code_origin_step_and_message)
{
	struct spawn_error err;

	cr_assert_eq(
		error_set(&err, -EPERM, SPAWN_ORIGIN_POLICY, STEP_PERMISSION, "not for %s", "you"),
		-EPERM);
	cr_assert_eq(err.code, -EPERM);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POLICY);
	cr_assert_str_eq(err.step, "permission");
	cr_assert_str_eq(err.message, "not for you");
}

Test(error, ends_with_the_words_of_the_errno)
{
	struct spawn_error err;

	cr_assert_eq(
		error_errno(&err, -ENOENT, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "no server at /x"),
		-ENOENT);
	cr_assert_str_eq(err.message, "no server at /x: No such file or directory");
}

Test(error, has_words_for_a_number_that_is_no_errno)
{
	struct spawn_error err;

	error_errno(&err, -99999, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "x");
	cr_assert_str_eq(err.message, "x: unknown error");
}

Test(error, returns_the_code_also_when_nobody_wants_the_rest)
{
	cr_assert_eq(error_set(NULL, -EIO, SPAWN_ORIGIN_WIRE, STEP_SEND, "x"), -EIO);
	cr_assert_eq(error_errno(NULL, -EIO, SPAWN_ORIGIN_WIRE, STEP_SEND, "x"), -EIO);
}

Test(error, cuts_a_long_message_and_terminates_it)
{
	struct spawn_error err;
	char text[2 * SPAWN_ERROR_TEXT];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EIO, SPAWN_ORIGIN_WIRE, STEP_SEND, "%s", text);
	cr_assert_eq(strlen(err.message), SPAWN_ERROR_TEXT - 1);
	error_errno(&err, -EIO, SPAWN_ORIGIN_WIRE, STEP_SEND, "%s", text);
	cr_assert_eq(strlen(err.message), SPAWN_ERROR_TEXT - 1);
}

Test(error, names_each_step)
{
#define STEP(name, number, text) cr_assert_str_eq(step_name(number), text);
#include "base/steps.def"
#undef STEP
	cr_assert_str_eq(step_name(UINT_MAX), "unknown");
}

Test(error, numbers_and_names_of_steps_are_distinct)
{
	static const struct {
		unsigned number;
		const char *text;
	} steps[] = {
#define STEP(name, number, text) {number, text},
#include "base/steps.def"
#undef STEP
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (size_t j = 0; j < i; j++) {
			cr_assert_neq(steps[i].number, steps[j].number);
			cr_assert_str_neq(steps[i].text, steps[j].text);
		}
	}
}

Test(error, names_each_origin)
{
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_NONE), "none");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_CLIENT), "client");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_WIRE), "wire");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_POLICY), "policy");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_POOL), "pool");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_HOST), "host");
	cr_assert_str_eq(spawn_origin_name(SPAWN_ORIGIN_LEAF), "leaf");
	cr_assert_str_eq(spawn_origin_name((enum spawn_origin)99), "none");
}
