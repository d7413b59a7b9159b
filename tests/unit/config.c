/* SPDX-License-Identifier: MIT */
/* The configuration file: each reject with its place and words, and what is accepted. */
#include "base/fd.h"
#include "base/nofork.h"
#include "config/file.h"
#include "config/parse.h"
#include "wire/sealed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int parse_as(const char *text, size_t len, bool system, struct parsed **ret,
		    struct reject *reject)
{
	const struct parse_options options = {.template_dir = "/templates", .system = system};
	char *copy = malloc(len > 0 ? len : 1); /* of the exact size, for ASan */
	int r;

	memcpy(copy, text, len);
	r = config_parse(copy, len, &options, ret, reject);
	free(copy);
	return r;
}

/* "1:2: what is wrong (what was expected)", or "ok" */
static const char *verdict(const char *text, size_t len)
{
	static char buf[600];
	struct reject reject = {0};
	struct parsed *parsed = NULL;

	if (parse_as(text, len, false, &parsed, &reject) == 0) {
		parsed_free(parsed);
		return "ok";
	}
	snprintf(buf, sizeof(buf), "%u:%u: %s", reject.at.line, reject.at.column, reject.text);
	return buf;
}

struct refusal {
	const char *text;
	size_t len;
	const char *says; /* the beginning of the verdict */
};
#define REFUSAL(text, says)                  \
	{                                    \
		text, sizeof(text) - 1, says \
	}

static void check_refusals(const struct refusal *refusals, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct refusal *r = &refusals[i];
		const char *got = verdict(r->text, r->len);

		cr_expect_eq(strncmp(got, r->says, strlen(r->says)), 0, "%s\n\tgot  %s\n\twant %s",
			     r->text, got, r->says);
		cr_expect(strstr(got, "(expected") || strstr(got, "(did you mean"),
			  "\"%s\" does not say what was expected", got);
		cr_expect_null(strchr(got, '\n'), "one line: %s", got);
	}
}
#define CHECK_REFUSALS(list) check_refusals(list, sizeof(list) / sizeof(list[0]))

Test(config, refuses_what_is_not_json_with_its_place)
{
	static const struct refusal refusals[] = {
		REFUSAL("", "1:1: the end of the file (expected a value)"),
		REFUSAL("\n\n", "3:1: the end of the file"),
		REFUSAL("{", "1:2: the end of the file (expected a key in \"\")"),
		REFUSAL("{}{", "1:3: '{' after the end of the configuration (expected nothing)"),
		REFUSAL("{} x", "1:4: 'x' after the end of the configuration"),
		REFUSAL("{}\n,", "2:1: ',' after the end"),
		REFUSAL("{\"limits\" {}}", "1:11: '{' (expected ':' after the key)"),
		REFUSAL("{\"limits\":{},}", "1:14: '}' (expected a key in \"\")"),
		REFUSAL("{\"limits\":{} \"x\":1}", "1:14: '\"' (expected ',' or '}')"),
		REFUSAL("{limits:{}}", "1:2: 'l' (expected a key in \"\")"),
		REFUSAL("{'limits':{}}", "1:2: ''' (expected a key in \"\")"),
		REFUSAL("{\"a\":}", "1:6: '}' (expected a value)"),
		REFUSAL("{\"a\":[1,]}", "1:9: ']' (expected a value)"),
		REFUSAL("{\"a\":[1 2]}", "1:9: '2' (expected ',' or ']')"),
		REFUSAL("{\"a\":[1}", "1:8: '}' (expected ',' or ']')"),
		REFUSAL("{\"a\":True}", "1:6: True (expected a value"),
		REFUSAL("{\"a\":nul}", "1:6: nul (expected a value"),
		REFUSAL("{\"a\":NaN}", "1:6: NaN (expected a value"),
		REFUSAL("{\"a\":+1}", "1:6: '+' (expected a value)"),
		REFUSAL("{\"a\":.5}", "1:6: '.' (expected a value)"),
		REFUSAL("\xef\xbb\xbf{}", "1:1: '\xef\xbb\xbf' (expected a value)"),
		REFUSAL("{\a}", "1:2: U+0007 (expected a key"),
		REFUSAL("{\v}", "1:2: U+000B (expected a key"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_numbers_that_cjson_would_bend)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"stop_timeout_ms\":01}", "1:20: a number with a leading zero"),
		REFUSAL("{\"stop_timeout_ms\":-01}", "1:20: a number with a leading zero"),
		REFUSAL("{\"stop_timeout_ms\":1.}", "1:22: '}' (expected a digit)"),
		REFUSAL("{\"stop_timeout_ms\":1e}", "1:22: '}' (expected a digit)"),
		REFUSAL("{\"stop_timeout_ms\":-}", "1:21: '}' (expected a digit)"),
		REFUSAL("{\"stop_timeout_ms\":0x10}", "1:21: 'x' (expected ',' or '}')"),
		REFUSAL("{\"stop_timeout_ms\":1e999}",
			"1:20: stop_timeout_ms is negative, too large or no whole number (expected a "
			"whole number from 0 to 600000, in digits)"),
		REFUSAL("{\"stop_timeout_ms\":1.5}",
			"1:20: stop_timeout_ms is negative, too large or"),
		REFUSAL("{\"stop_timeout_ms\":1.0}", "1:20: stop_timeout_ms is"),
		REFUSAL("{\"stop_timeout_ms\":1e3}", "1:20: stop_timeout_ms is"),
		REFUSAL("{\"stop_timeout_ms\":-1}", "1:20: stop_timeout_ms is negative"),
		REFUSAL("{\"stop_timeout_ms\":-0}", "1:20: stop_timeout_ms is negative"),
		REFUSAL("{\"stop_timeout_ms\":600001}",
			"1:20: stop_timeout_ms is 600001 (expected a"),
		REFUSAL("{\"stop_timeout_ms\":9007199254740993}",
			"1:20: stop_timeout_ms is negative,"),
		REFUSAL("{\"stop_timeout_ms\":18446744073709551617}",
			"1:20: stop_timeout_ms is neg"),
		REFUSAL("{\"stop_timeout_ms\":184467440737095516160000}",
			"1:20: stop_timeout_ms is"),
		REFUSAL("{\"limits\":{\"leaves_per_uid\":4294967297}}",
			"1:29: limits.leaves_per_uid is 4294967297 (expected a whole number from 1 to"),
		REFUSAL("{\"limits\":{\"queue_per_uid\":0}}", "1:28: limits.queue_per_uid is 0"),
		REFUSAL("{\"limits\":{\"connections_per_uid\":65537}}",
			"1:34: limits.connections_per_uid is 65537 (expected a whole number from 1 to "
			"65536)"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_strings_that_cjson_would_bend)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"a\":\"x\0y\"}", "1:8: a NUL byte (expected text)"),
		REFUSAL("\0", "1:1: a NUL byte"),
		REFUSAL("{}\0", "1:3: a NUL byte"),
		REFUSAL("{\"a\":\"x\\u0000y\"}", "1:8: \\u0000 in a string (expected no NUL)"),
		REFUSAL("{\"a\\u0000\":1}", "1:4: \\u0000 in a string"),
		REFUSAL("{\"a\":\"x", "1:6: a string without an end"),
		REFUSAL("{\"a\":\"x\ny\"}", "1:6: a string without an end"),
		REFUSAL("{\"a\":\"x\ty\"}", "1:8: control character U+0009 in a string"),
		REFUSAL("{\"a\":\"\\x41\"}", "1:7: a bad escape"),
		REFUSAL("{\"a\":\"\\u12g4\"}", "1:7: a bad escape"),
		REFUSAL("{\"a\":\"\\u12", "1:7: a bad escape"),
		REFUSAL("{\"a\":\"\\", "1:7: a bad escape"),
		REFUSAL("{\"a\":\"\\ud800\"}", "1:7: half of a surrogate pair"),
		REFUSAL("{\"a\":\"\\udc00\"}", "1:7: half of a surrogate pair"),
		REFUSAL("{\"a\":\"\\ud800\\u0041\"}", "1:7: half of a surrogate pair"),
		REFUSAL("{\"a\":\"\xff\"}", "1:7: byte 0xff is not UTF-8 (expected UTF-8 text)"),
		REFUSAL("{\"a\":\"\xc0\x80\"}", "1:7: byte 0xc0 is not UTF-8"),
		REFUSAL("{\"a\":\"\xed\xa0\x80\"}", "1:7: byte 0xed is not UTF-8"),
		REFUSAL("{\"a\":\"\xf4\x90\x80\x80\"}", "1:7: byte 0xf4 is not UTF-8"),
		REFUSAL("{\"a\":\"\x80\"}", "1:7: byte 0x80 is not UTF-8"),
		REFUSAL("{\"a\":\"\xe2\x82", "1:7: byte 0xe2 is not UTF-8"),
		REFUSAL("// \xfe\n{}", "1:4: byte 0xfe is not UTF-8"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_keys_given_twice)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"limits\":{},\n \"limits\":{}}",
			"2:2: key \"limits\" for the second time (expected once; the first is at 1:2)"),
		REFUSAL("{\"limits\":{},\"Limits\":{}}",
			"1:14: key \"Limits\" differs only in case from \"limits\" at 1:2 (expected"),
		REFUSAL("{\"limits\":{},\"l\\u0069mits\":{}}",
			"1:14: key \"limits\" for the second"),
		REFUSAL("{\"templates\":{\"w\":{},\"W\":{}}}",
			"1:22: key \"W\" differs only in case"),
		REFUSAL("{\"templates\":{\"w\":{\"env\":{\"A\":\"\",\"B\":\"\",\"A\":\"\"}}}}",
			"1:41: key \"A\" for the second"),
		REFUSAL("{\"b\":1,\"a\":1,\"b\":2,\"a\":2}", "1:14: key \"b\" for the second time"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_comments_without_an_end)
{
	static const struct refusal refusals[] = {
		REFUSAL("{} /* x", "1:4: a comment without an end (expected */)"),
		REFUSAL("{}\n/*/", "2:1: a comment without an end"),
		REFUSAL("{} /", "1:4: a lone '/' (expected // or /* for a comment)"),
		REFUSAL("{/x}", "1:2: a lone '/'"),
		REFUSAL("# {}", "1:1: '#' (expected a value)"),
		REFUSAL("/* a /* b */ */ {}", "1:14: '*' (expected a value)"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, columns_count_characters_and_comments_keep_them)
{
	static const struct refusal refusals[] = {
		REFUSAL("/* caf\xc3\xa9 */ x", "1:12: 'x' (expected a value)"),
		REFUSAL("{\"\xe2\x82\xac\": /* \xf0\x9f\x98\x80 */ y}",
			"1:15: 'y' (expected a value)"),
		REFUSAL("{ // one\n\t/* two\n three */ y}", "3:11: 'y' (expected a key"),
		REFUSAL("{}\r\n// a\r\nx", "3:1: 'x' after"),
		REFUSAL("{\"\xc3\xa9\":1}", "1:2: unknown key \"\xc3\xa9\" in the configuration"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_nesting_that_is_too_deep)
{
	char deep[64];

	memset(deep, '[', sizeof(deep));
	cr_assert_eq(
		strncmp(verdict(deep, sizeof(deep)), "1:17: nested too deeply (expected at", 36), 0,
		"%s", verdict(deep, sizeof(deep)));
}

Test(config, a_million_brackets_are_refused_like_seventeen)
{
	_cleanup_free_ char *deep = malloc(1000000);

	memset(deep, '[', 1000000);
	cr_assert_eq(strncmp(verdict(deep, 1000000), "1:17: nested", 12), 0);
}

Test(config, refuses_unknown_keys_with_the_near_or_all_known)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"limts\":{}}",
			"1:2: unknown key \"limts\" in the configuration (did you mean "
			"\"limits\"?)"),
		REFUSAL("{\"Limits\":{}}",
			"1:2: unknown key \"Limits\" in the configuration (did you "
			"mean \"limits\"?)"),
		REFUSAL("{\"port\":80}",
			"1:2: unknown key \"port\" in the configuration (expected one "
			"of: limits, stop_timeout_ms, broker_user, templates)"),
		REFUSAL("{\"\":80}",
			"1:2: unknown key \"\" in the configuration (expected one of: "),
		REFUSAL("{\"limits\":{\"leaves\":1}}",
			"1:12: unknown key \"leaves\" in limits (expected one of: connections_per_uid, "
			"leaves_per_uid, queue_per_uid)"),
		REFUSAL("{\"templates\":{\"w\":{\"leave_max\":1}}}",
			"1:20: unknown key \"leave_max\" in templates.w (did you mean \"leaves_max\"?)"),
		REFUSAL("{\"templates\":{\"w\":{\"nofrok\":1}}}",
			"1:20: unknown key \"nofrok\" in templates.w (did you mean \"nofork\"?)"),
		REFUSAL("{\"templates\":{\"w\":{\"pool\":{\"max\":1}}}}",
			"1:28: unknown key \"max\" in templates.w.pool (expected one of: size, low)"),
		REFUSAL("{\"a\\nb\":1}", "1:2: unknown key \"a\\nb\" in"),
		REFUSAL("{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}",
			"1:2: unknown key \"aaaaaa"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_values_of_the_wrong_kind)
{
	static const struct refusal refusals[] = {
		REFUSAL("[]", "1:1: the configuration is a list (expected an object, {...})"),
		REFUSAL("1", "1:1: the configuration is a number (expected an object"),
		REFUSAL("null", "1:1: the configuration is null (expected an object"),
		REFUSAL("{\"limits\":[]}", "1:11: limits is a list (expected an object, {...})"),
		REFUSAL("{\"limits\":null}", "1:11: limits is null (expected an object"),
		REFUSAL("{\"stop_timeout_ms\":\"5\"}",
			"1:20: stop_timeout_ms is a string (expected a whole number from 0 to 600000"),
		REFUSAL("{\"stop_timeout_ms\":true}", "1:20: stop_timeout_ms is true or false"),
		REFUSAL("{\"broker_user\":5}",
			"1:16: broker_user is a number (expected the name of"),
		REFUSAL("{\"broker_user\":\"\"}",
			"1:16: broker_user is \"\" (expected the name of"),
		REFUSAL("{\"templates\":[]}", "1:14: templates is a list (expected an object"),
		REFUSAL("{\"templates\":{\"w\":[]}}",
			"1:19: templates.w is a list (expected an object, {...})"),
	};

	CHECK_REFUSALS(refusals);
}

/* A template of which the interesting member comes first, at column 19. */
#define WITH(member) "{\"templates\":{\"w\":{" member ",\"lane\":\"object\",\"object\":\"w.so\"}}}"

Test(config, refuses_values_that_a_template_may_not_have)
{
	static const struct refusal refusals[] = {
		REFUSAL(WITH("\"pool\":1"),
			"1:27: templates.w.pool is a number (expected an object"),
		REFUSAL(WITH("\"pool\":{\"size\":0}"),
			"1:35: templates.w.pool.size is 0 (expected a whole number from 1 to 4096)"),
		REFUSAL(WITH("\"pool\":{\"size\":4,\"low\":4}"),
			"1:43: templates.w.pool.low is 4 and pool.size is 4 (expected low below size)"),
		REFUSAL(WITH("\"pool\":{\"low\":9}"),
			"1:34: templates.w.pool.low is 9 and pool.size is 4 (expected low below size)"),
		REFUSAL(WITH("\"leaves_max\":3,\"pool\":{\"size\":4}"),
			"1:50: templates.w.pool.size is 4 and leaves_max is 3 (expected size at most"),
		REFUSAL(WITH("\"leaves_max\":4097"), "1:33: templates.w.leaves_max is 4097"),
		REFUSAL(WITH("\"leaves_max\":0"), "1:33: templates.w.leaves_max is 0"),
		REFUSAL(WITH("\"queue_max\":0"), "1:32: templates.w.queue_max is 0"),
		REFUSAL(WITH("\"nofork\":\"Copy\""),
			"1:29: templates.w.nofork is \"Copy\" (expected \"off\", \"copy\" or "
			"\"process\")"),
		REFUSAL(WITH("\"nofork\":true"),
			"1:29: templates.w.nofork is true or false (expected"),
		REFUSAL(WITH("\"nofork_weaker\":1"),
			"1:36: templates.w.nofork_weaker is a number (expected true or false)"),
		REFUSAL(WITH("\"prestart\":\"yes\""),
			"1:31: templates.w.prestart is \"yes\" (expected true or false)"),
		REFUSAL(WITH("\"enforce\":\"seccomp\""),
			"1:30: templates.w.enforce is \"seccomp\" (expected \"any\" or \"kernel\")"),
		REFUSAL(WITH("\"gate\":true"),
			"1:27: templates.w.gate is true or false (expected \"warn\" or \"refuse\")"),
		REFUSAL(WITH("\"nofork\":\"process\",\"enforce\":\"kernel\""),
			"1:49: templates.w has \"nofork\": \"process\", which only seccomp can enforce"),
		REFUSAL(WITH("\"warm_timeout_ms\":0"), "1:38: templates.w.warm_timeout_ms is 0"),
		REFUSAL(WITH("\"env\":[]"), "1:26: templates.w.env is a list (expected an object"),
		REFUSAL(WITH("\"env\":{\"A\":1}"),
			"1:31: templates.w.env: \"A\" is a number (expected a string)"),
		REFUSAL(WITH("\"env\":{\"A=B\":\"\"}"),
			"1:27: templates.w.env has a variable \"A=B\" (expected a name without '=')"),
		REFUSAL(WITH("\"env\":{\"\":\"\"}"), "1:27: templates.w.env has a variable \"\""),
		REFUSAL(WITH("\"users\":\"root\""),
			"1:28: templates.w.users is \"root\" (expected a list of users"),
		REFUSAL(WITH("\"users\":[\"no such user\"]"),
			"1:29: templates.w.users has \"no such user\", and there is no such user "
			"(expected"),
		REFUSAL(WITH("\"groups\":[0,\"no such group\"]"),
			"1:32: templates.w.groups has \"no such group\", and there is no such group"),
		REFUSAL(WITH("\"users\":[\"0\"]"),
			"1:29: templates.w.users has \"0\", and there is no"),
		REFUSAL(WITH("\"users\":[-1]"),
			"1:29: templates.w.users has a number that is none"),
		REFUSAL(WITH("\"users\":[1.5]"),
			"1:29: templates.w.users has a number that is none"),
		REFUSAL(WITH("\"users\":[4294967295]"),
			"1:29: templates.w.users has a number that"),
		REFUSAL(WITH("\"users\":[null]"),
			"1:29: templates.w.users has null (expected a user"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_templates_without_what_they_need)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"templates\":{\"w\":{}}}",
			"1:19: templates.w has no \"lane\" (expected \"lane\": \"object\", \"program\", "
			"\"main\", \"python\" or \"exec\")"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"object\"}}}",
			"1:19: templates.w has no \"object\" (expected \"object\": \"w.so\""),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"ruby\"}}}",
			"1:27: templates.w.lane is \"ruby\" (expected \"object\", \"program\", \"main\", \"python\" or "
			"\"exec\")"),
		REFUSAL("{\"templates\":{\"w\":{\"object\":\"lib/w.so\"}}}",
			"1:29: templates.w.object is \"lib/w.so\" (expected a file's name without '/'"),
		REFUSAL("{\"templates\":{\"w\":{\"object\":\"\"}}}",
			"1:29: templates.w.object is \"\""),
		REFUSAL("{\"templates\":{\"w\":{\"object\":\"..\"}}}",
			"1:29: templates.w.object is \"..\""),
		REFUSAL("{\"templates\":{\"w\":{\"object\":1}}}",
			"1:29: templates.w.object is a number (expected a string"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_names_that_no_template_may_have)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"templates\":{\"\":{}}}",
			"1:15: \"\" is no name for a template (expected 1"),
		REFUSAL("{\"templates\":{\".w\":{}}}", "1:15: \".w\" is no name"),
		REFUSAL("{\"templates\":{\"-w\":{}}}", "1:15: \"-w\" is no name"),
		REFUSAL("{\"templates\":{\"a/b\":{}}}", "1:15: \"a/b\" is no name"),
		REFUSAL("{\"templates\":{\"a b\":{}}}", "1:15: \"a b\" is no name"),
		REFUSAL("{\"templates\":{\"w\xc3\xb6\":{}}}", "1:15: \"w\xc3\xb6\" is no name"),
		REFUSAL("{\"templates\":{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaa\":{}}}",
			"1:15: \"aaaa"),
	};

	CHECK_REFUSALS(refusals);
}

static struct parsed *parse(const char *text)
{
	struct reject reject = {0};
	struct parsed *parsed = NULL;

	cr_assert_eq(parse_as(text, strlen(text), false, &parsed, &reject), 0, "%u:%u: %s",
		     reject.at.line, reject.at.column, reject.text);
	return parsed;
}

Test(config, takes_in_an_exec_template_that_only_the_kernel_may_enforce)
{
	struct parsed *parsed =
		parse("{\"templates\":{\"w\":{\"lane\":\"exec\",\"enforce\":\"kernel\"}}}");

	cr_assert(parsed->config.templates[0].enforce_kernel);
	parsed_free(parsed);
}

Test(config, takes_in_a_python_template)
{
	struct parsed *parsed = parse(
		"{\"templates\":{\"w\":{\"lane\":\"python\",\"preload\":[\"json\",\"os.path\"]},"
		"\"x\":{\"lane\":\"python\",\"python\":\"/venv/bin/python\"}}}");
	const struct config_template *t = parsed->config.templates;

	cr_assert_eq(t[0].lane, LANE_PYTHON);
	cr_assert_eq(t[0].nofork, NOFORK_COPY);
	cr_assert_str_eq(t[0].program, "/usr/bin/python3");
	cr_assert_str_eq(t[0].args[1], "os.path");
	cr_assert_null(t[0].args[2]);
	cr_assert_str_eq(t[1].program, "/venv/bin/python");
	cr_assert_null(t[1].args[0]);
	parsed_free(parsed);
}

#define PYTHON(members) "{\"templates\":{\"w\":{\"lane\":\"python\"," members "}}}"

Test(config, refuses_in_a_python_template_what_it_may_not_have)
{
	static const struct refusal refusals[] = {
		REFUSAL(PYTHON("\"preload\":[\"a-b\"]"),
			"1:47: templates.w.preload is \"a-b\" (expected a module's name"),
		REFUSAL(PYTHON("\"preload\":[\"a..b\"]"), "1:47: templates.w.preload is \"a..b\""),
		REFUSAL(PYTHON("\"preload\":[\"\"]"), "1:47: templates.w.preload is \"\""),
		REFUSAL(PYTHON("\"python\":\"python3\""),
			"1:45: templates.w.python is \"python3\" (expected the absolute path"),
		REFUSAL(PYTHON("\"args\":[]"), "1:43: templates.w has \"args\""),
		REFUSAL(PYTHON("\"object\":\"w.so\""), "1:45: templates.w has \"object\""),
		REFUSAL(PYTHON("\"program\":\"/bin/sh\""), "1:46: templates.w has \"program\""),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"exec\",\"preload\":[]}}}",
			"1:44: templates.w has \"preload\", which lane \"python\" alone has"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, refuses_in_an_exec_template_what_only_another_lane_has)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"exec\",\"object\":\"w.so\"}}}",
			"1:43: templates.w has \"object\", and lane \"exec\" loads none"),
		REFUSAL("{\"templates\":{\"w\":{\"env\":{\"A\":\"1\"},\"lane\":\"exec\"}}}",
			"1:26: templates.w has \"env\", which no program of lane \"exec\" would see"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"exec\",\"program\":\"/bin/sh\"}}}",
			"1:44: templates.w has \"program\", and in lane \"exec\" each request"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"exec\",\"compact\":true}}}",
			"1:44: templates.w has \"compact\", and lane \"exec\" has nothing in memory"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"exec\",\"args\":[]}}}",
			"1:41: templates.w has \"args\", and in lane \"exec\" each request"),
	};

	CHECK_REFUSALS(refusals);
}

#define PROGRAM(members) "{\"templates\":{\"w\":{\"lane\":\"program\",\"program\":" members "}}}"

Test(config, takes_in_a_program_with_its_arguments)
{
	struct parsed *parsed = parse(PROGRAM("\"/usr/bin/env\",\"args\":[\"python3\",\"\"]"));
	const struct config_template *t = &parsed->config.templates[0];

	cr_assert_eq(t->lane, LANE_PROGRAM);
	cr_assert_str_eq(t->program, "/usr/bin/env");
	cr_assert_str_eq(t->args[0], "python3");
	cr_assert_str_eq(t->args[1], "");
	cr_assert_null(t->args[2]);
	cr_assert_eq(t->nofork, NOFORK_COPY);
	parsed_free(parsed);
}

Test(config, refuses_in_a_program_template_what_is_no_program)
{
	static const struct refusal refusals[] = {
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"program\"}}}",
			"1:19: templates.w has no \"program\" (expected the absolute path"),
		REFUSAL(PROGRAM("\"python3\""),
			"1:47: templates.w.program is \"python3\" (expected the absolute path"),
		REFUSAL(PROGRAM("1"), "1:47: templates.w.program is a number (expected the abs"),
		REFUSAL(PROGRAM("\"/p\",\"args\":\"-x\""),
			"1:59: templates.w.args is \"-x\" (expected a list of strings"),
		REFUSAL(PROGRAM("\"/p\",\"args\":[\"-n\",1]"),
			"1:65: templates.w.args is a number (expected a list of strings"),
		REFUSAL(PROGRAM("\"/p\",\"object\":\"w.so\""),
			"1:61: templates.w has \"object\", and lane \"program\" loads none"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"object\",\"object\":\"/o\",\"args\":[]}}}",
			"1:57: templates.w has \"args\", and a shared object gets none"),
		REFUSAL("{\"templates\":{\"w\":{\"lane\":\"object\",\"program\":\"/o\"}}}",
			"1:46: templates.w has \"program\", and lane \"object\" starts none"),
	};

	CHECK_REFUSALS(refusals);
}

#define HELD(members) "{\"templates\":{\"w\":{\"lane\":\"main\"" members "}}}"

Test(config, a_main_template_is_a_program_with_an_environment_and_may_fork)
{
	struct parsed *parsed = parse(HELD(",\"program\":\"/usr/bin/git\",\"env\":{\"A\":\"1\"}"));
	const struct config_template *t = &parsed->config.templates[0];

	cr_assert_eq(t->lane, LANE_MAIN);
	cr_assert_str_eq(t->program, "/usr/bin/git");
	cr_assert_null(t->args[0]);
	cr_assert_str_eq(t->env[0], "A=1");
	cr_assert_eq(t->nofork, NOFORK_OFF);
	parsed_free(parsed);
}

Test(config, refuses_in_a_main_template_what_is_not_its)
{
	static const struct refusal refusals[] = {
		REFUSAL(HELD(""),
			"1:19: templates.w has no \"program\" (expected the absolute path of an "
			"executable, of any"),
		REFUSAL(HELD(",\"program\":\"git\""),
			"1:44: templates.w.program is \"git\" (expected the absolute path"),
		REFUSAL(HELD(",\"program\":\"/p\",\"args\":[]"),
			"1:56: templates.w has \"args\", and in lane \"main\" each request has its own"),
		REFUSAL(HELD(",\"program\":\"/p\",\"object\":\"w.so\""),
			"1:58: templates.w has \"object\", and lane \"main\" loads none"),
	};

	CHECK_REFUSALS(refusals);
}

Test(config, an_exec_template_needs_no_more_than_its_lane_and_may_fork)
{
	struct parsed *parsed = parse("{\"templates\":{\"w\":{\"lane\":\"exec\"},"
				      "\"n\":{\"nofork\":\"copy\",\"lane\":\"exec\"}}}");
	const struct config_template *t = &parsed->config.templates[0];

	cr_assert_eq(t->lane, LANE_EXEC);
	cr_assert_str_eq(t->object, "");
	cr_assert_null(t->env[0]);
	cr_assert_eq(t->nofork, NOFORK_OFF);
	cr_assert_eq(parsed->config.templates[1].nofork, NOFORK_COPY);
	parsed_free(parsed);
}

Test(config, fills_in_the_defaults)
{
	struct parsed *parsed =
		parse("{\"templates\":{\"w\":{\"lane\":\"object\",\"object\":\"w.so\"}}}");
	const struct config *c = &parsed->config;
	const struct config_template *t = &c->templates[0];

	cr_assert_eq(c->connections_per_uid, 64);
	cr_assert_eq(c->leaves_per_uid, 4096);
	cr_assert_eq(c->queue_per_uid, 1024);
	cr_assert_eq(c->stop_timeout_ms, 5000);
	cr_assert_eq(c->broker_uid, UINT32_MAX);
	cr_assert_eq(c->n_templates, 1);
	cr_assert_str_eq(t->name, "w");
	cr_assert_eq(t->lane, LANE_OBJECT);
	cr_assert_str_eq(t->object, "/templates/w.so");
	cr_assert_null(t->env[0]);
	cr_assert_eq(t->pool_size, 4);
	cr_assert_eq(t->pool_low, 1);
	cr_assert_eq(t->leaves_max, 1024);
	cr_assert_eq(t->queue_max, 256);
	cr_assert_eq(t->nofork, NOFORK_COPY);
	cr_assert(!t->nofork_weaker && !t->enforce_kernel && !t->gate_refuses && t->compact &&
		  !t->prestart && t->everyone);
	cr_assert_eq(t->warm_timeout_ms, 30000);
	parsed_free(parsed);
}

static const char everything[] =
	"// first\n"
	"{ /* {\"no\": 1} */ \"limits\": {\"connections_per_uid\": 1, \"leaves_per_uid\": 2, "
	"\"queue_per_uid\": 3},\r\n"
	"\"stop_timeout_ms\": 0, \"broker_user\": \"somebody\",\n"
	"\"templates\": {\n"
	"\t\"one\": {\"lane\": \"object\", \"object\": \"/opt/\\u00e9 // /* \\\"x\\\".so\",\n"
	"\t\t\"env\": {\"B\": \"2=2\", \"A\": \"\\ud83d\\ude00\"}, // {\n"
	"\t\t\"pool\": {\"low\": 0, \"size\": 4096}, \"leaves_max\": 4096, \"queue_max\": 65536,\n"
	"\t\t\"nofork\": \"process\", \"nofork_weaker\": true, \"enforce\": \"any\", \"gate\": \"refuse\", \"compact\": false, \"prestart\": true,\n"
	"\t\t\"users\": [5, \"root\", 4294967294, 5, 0], \"groups\": [\"root\", 7],\n"
	"\t\t\"warm_timeout_ms\": 3600000},\n"
	"\t\"two.B_-2\": {\"object\": \"two.so\", \"lane\": \"object\", \"users\": [],\n"
	"\t\t\"enforce\": \"kernel\", \"leaves_max\": 1, \"nofork\": \"off\"}\n"
	"}}// last";

Test(config, takes_every_key)
{
	struct parsed *parsed = parse(everything);
	const struct config *c = &parsed->config;
	const struct config_template *t = &c->templates[0];
	static const uint32_t uids[] = {0, 5, UINT32_MAX - 1}, gids[] = {0, 7};

	cr_assert_eq(c->connections_per_uid, 1);
	cr_assert_eq(c->leaves_per_uid, 2);
	cr_assert_eq(c->queue_per_uid, 3);
	cr_assert_eq(c->stop_timeout_ms, 0);
	cr_assert_eq(c->broker_uid, UINT32_MAX, "in user mode nobody is looked up");
	cr_assert_str_eq(parsed->broker_user, "somebody");
	cr_assert_eq(c->n_templates, 2);
	cr_assert_str_eq(t->object, "/opt/\xc3\xa9 // /* \"x\".so", "no comment inside a string");
	cr_assert_str_eq(t->env[0], "A=\xf0\x9f\x98\x80");
	cr_assert_str_eq(t->env[1], "B=2=2");
	cr_assert_null(t->env[2]);
	cr_assert_eq(t->pool_size, 4096);
	cr_assert_eq(t->pool_low, 0);
	cr_assert_eq(t->leaves_max, 4096);
	cr_assert_eq(t->queue_max, 65536);
	cr_assert_eq(t->nofork, NOFORK_PROCESS);
	cr_assert(t->nofork_weaker && !t->enforce_kernel && t->gate_refuses && !t->compact &&
		  t->prestart && !t->everyone);
	cr_assert_eq(t->n_users, 3);
	cr_assert_eq(memcmp(t->users, uids, sizeof(uids)), 0, "sorted, each once");
	cr_assert_eq(t->n_groups, 2);
	cr_assert_eq(memcmp(t->groups, gids, sizeof(gids)), 0);
	cr_assert_eq(t->warm_timeout_ms, 3600000);
	t = &c->templates[1];
	cr_assert_str_eq(t->name, "two.B_-2");
	cr_assert(t->enforce_kernel);
	cr_assert_eq(t->nofork, NOFORK_OFF);
	cr_assert_eq(t->pool_size, 1, "the default pool fits leaves_max");
	cr_assert_eq(t->pool_low, 0);
	cr_assert(!t->everyone && t->n_users == 0, "an empty list is a list");
	parsed_free(parsed);
}

static size_t table_bytes(const struct config *c, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	cr_assert_eq(sealed_open("table", &fd), 0);
	cr_assert_eq(config_write(c, fd, NULL), 0);
	n = pread(fd, buf, size, 0);
	cr_assert(n > 0 && (size_t)n < size);
	return (size_t)n;
}

static void prints_what_parses_back(const char *text)
{
	struct parsed *first = parse(text), *second;
	_cleanup_free_ char *printed = config_print(&first->config, first->broker_user);
	char a[8192], b[8192];
	size_t len;

	cr_assert(printed);
	cr_assert_null(strstr(printed, "//\n"));
	second = parse(printed);
	len = table_bytes(&first->config, a, sizeof(a));
	cr_assert_eq(table_bytes(&second->config, b, sizeof(b)), len);
	cr_assert_eq(memcmp(a, b, len), 0, "%s", printed);
	cr_assert_eq(!first->broker_user, !second->broker_user);
	parsed_free(first);
	parsed_free(second);
}

Test(config, prints_what_parses_back_to_the_same_table)
{
	prints_what_parses_back(everything);
	prints_what_parses_back("{}");
	prints_what_parses_back("{\"templates\":{\"e\":{\"lane\":\"exec\"}}}");
	prints_what_parses_back(PROGRAM("\"/p\",\"args\":[\"-x\",\"\"],\"env\":{\"A\":\"1\"}"));
	prints_what_parses_back(PROGRAM("\"/p\""));
	prints_what_parses_back(
		"{\"templates\":{\"w\":{\"lane\":\"object\",\"object\":\"w.so\"}}}");
}

Test(config, the_order_of_keys_and_lists_makes_no_other_template)
{
	struct parsed *a = parse(WITH("\"users\":[1,2],\"env\":{\"A\":\"1\",\"B\":\"2\"}"));
	struct parsed *b = parse(WITH("\"env\":{\"B\":\"2\",\"A\":\"1\"},\"users\":[2,1,2]"));
	char x[1024], y[1024];
	size_t len = table_bytes(&a->config, x, sizeof(x));

	cr_assert_eq(table_bytes(&b->config, y, sizeof(y)), len);
	cr_assert_eq(memcmp(x, y, len), 0);
	parsed_free(a);
	parsed_free(b);
}

Test(config, in_system_mode_the_broker_must_be_an_unprivileged_user_that_exists)
{
	static const char unknown[] = "{\"broker_user\":\"no such user\"}";
	static const char root[] = "{\"broker_user\":\"root\"}";
	struct parsed *parsed;
	struct reject reject;

	cr_assert_eq(parse_as(unknown, sizeof(unknown) - 1, true, &parsed, &reject), -EINVAL);
	cr_assert(strstr(reject.text, "no such user"));
	cr_assert_eq(reject.at.column, 16);
	cr_assert_eq(parse_as(root, sizeof(root) - 1, true, &parsed, &reject), -EINVAL);
	cr_assert(strstr(reject.text, "expected neither to be root's"));
}

Test(config, in_system_mode_the_broker_user_is_looked_up)
{
	static const char daemon[] = "{\"broker_user\":\"daemon\"}";
	struct parsed *parsed;
	struct reject reject;

	cr_assert_eq(parse_as(daemon, sizeof(daemon) - 1, true, &parsed, &reject), 0, "%s",
		     reject.text);
	cr_assert_eq(parsed->config.broker_uid, 1);
	cr_assert_eq(parsed->config.broker_gid, 1);
	parsed_free(parsed);
}

/* Every prefix and every changed byte of a file that has all there is: right or refused, no more.
 */
Test(config, survives_every_truncation)
{
	for (size_t len = 0; len < sizeof(everything) - 1; len++)
		verdict(everything, len);
}

Test(config, survives_every_byte_changed)
{
	static const unsigned char changes[] = {0, '"', '\\', '/', '*', '{', ']', '9', 0x80, 0xff};
	char copy[sizeof(everything)];

	memcpy(copy, everything, sizeof(copy));
	for (size_t i = 0; i < sizeof(copy) - 1; i++) {
		for (size_t j = 0; j < sizeof(changes); j++) {
			copy[i] = (char)changes[j];
			verdict(copy, sizeof(copy) - 1);
		}
		copy[i] = everything[i];
	}
}

static char directory[64], path[128];

static void make_directory(void)
{
	snprintf(directory, sizeof(directory), "%s", "/tmp/spawnd-config-XXXXXX");
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/spawnd.json", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

/* A skipped test has no fini. */
static void need_root(const char *what)
{
	if (geteuid() == 0)
		return;
	remove_directory();
	cr_skip_test("needs root to %s", what);
}

TestSuite(config_file, .init = make_directory, .fini = remove_directory);

static void write_file(mode_t mode, size_t size)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fd_write_all(fd, "{}", 2), 0);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	cr_assert_eq(fchmod(fd, mode), 0);
}

static void file_refused(int code, const char *words)
{
	struct reject reject = {.at = {1, 1}};
	char *text = NULL;
	size_t len;

	cr_assert_eq(config_file_read(path, &text, &len, &reject), code, "%s", reject.text);
	cr_assert_null(text);
	cr_assert_eq(reject.at.line, 0, "it is the file, not a line of it");
	cr_assert(strstr(reject.text, words), "\"%s\" lacks \"%s\"", reject.text, words);
}

Test(config_file, is_read_to_its_end)
{
	struct reject reject;
	char *text;
	size_t len;

	write_file(0644, 2);
	cr_assert_eq(config_file_read(path, &text, &len, &reject), 0, "%s", reject.text);
	cr_assert_eq(len, 2);
	cr_assert_eq(memcmp(text, "{}", 2), 0);
	free(text);
}

Test(config_file, may_be_a_mebibyte_and_no_more)
{
	struct reject reject;
	char *text;
	size_t len;

	write_file(0644, CONFIG_FILE_MAX);
	cr_assert_eq(config_file_read(path, &text, &len, &reject), 0);
	cr_assert_eq(len, CONFIG_FILE_MAX);
	free(text);
	write_file(0644, CONFIG_FILE_MAX + 1);
	file_refused(-EFBIG, "expected at most 1048576");
}

Test(config_file, that_is_missing_is_refused)
{
	file_refused(-ENOENT, "No such file");
}

Test(config_file, that_its_group_may_write_is_refused)
{
	write_file(0664, 2);
	file_refused(-EPERM, "mode 0664 (expected chmod go-w)");
}

Test(config_file, that_others_may_write_is_refused)
{
	write_file(0646, 2);
	file_refused(-EPERM, "mode 0646");
}

Test(config_file, that_is_a_symbolic_link_is_refused)
{
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	file_refused(-ELOOP, "symbolic link");
}

Test(config_file, that_is_a_directory_is_refused)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	file_refused(-EINVAL, "not a regular file");
}

Test(config_file, that_is_a_fifo_is_refused_and_not_waited_for)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
	file_refused(-EINVAL, "not a regular file");
}

Test(config_file, of_another_user_is_refused)
{
	need_root("give a file away");
	write_file(0644, 2);
	cr_assert_eq(chown(path, 64321, 64321), 0);
	file_refused(-EPERM, "belongs to user 64321 (expected root or user 0");
}

Test(config_file, of_root_is_read_by_everybody)
{
	struct reject reject;
	char *text;
	size_t len;

	need_root("make a file of root's");
	write_file(0644, 2);
	cr_assert_eq(chmod(directory, 0755), 0);
	cr_assert_eq(seteuid(64321), 0);
	cr_assert_eq(config_file_read(path, &text, &len, &reject), 0, "%s", reject.text);
	free(text);
	cr_assert_eq(seteuid(0), 0);
}
