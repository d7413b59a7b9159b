/* SPDX-License-Identifier: MIT */
/* A program does the same with libspawn-preload.so as without (preload_probe.c is one). */
#include "desk.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

TestSuite(preload, .timeout = 120);

#define WITH "LD_PRELOAD=$SPAWN_PRELOAD_LIBRARY "

static void run(const char *script, struct tool_end *ret)
{
	tool_shell(NULL, script, ret);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* The first line in which they differ says which child, attribute or status it is. */
static void expect_same(const char *with, const char *without)
{
	while (*with && *without) {
		int a = (int)strcspn(with, "\n"), b = (int)strcspn(without, "\n");

		cr_assert(a == b && memcmp(with, without, (size_t)a) == 0,
			  "with the library:\n%.*s\nwithout:\n%.*s", a, with, b, without);
		with += a + (with[a] != 0);
		without += b + (without[b] != 0);
	}
	cr_assert(!*with && !*without, "one has more: \"%s\", \"%s\"", with, without);
}

Test(preload, a_program_does_the_same)
{
	struct tool_end with, without;

	run("$PRELOAD_PROBE", &without);
	cr_assert_eq(without.status, 0);
	/* Nothing may be left to libc, or the comparison says nothing. */
	run(WITH "SPAWN_PRELOAD=require $PRELOAD_PROBE", &with);
	cr_assert_eq(with.status, 0);
	cr_assert_str_eq(with.err, "");
	expect_same(with.out, without.out);
	tool_end_free(&with);
	tool_end_free(&without);
}

Test(preload, what_libc_does_is_said_once_and_counted)
{
	struct tool_end with, without;

	run("$PRELOAD_PROBE --left", &without);
	run(WITH "SPAWN_PRELOAD_STATS=1 $PRELOAD_PROBE --left", &with);
	expect_same(with.out, without.out);
	cr_assert_eq(count(with.err, "is left to libc: it sets the scheduling policy"), 1, "%s",
		     with.err);
	cr_assert(strstr(with.err, "0 through the private host, 2 left to libc"), "%s", with.err);
	tool_end_free(&with);
	tool_end_free(&without);
}

Test(preload, required_it_fails_where_libc_would_have_to_do_it)
{
	struct tool_end end;

	run(WITH "SPAWN_PRELOAD=require $PRELOAD_PROBE --left", &end);
	cr_assert_eq(count(end.out, "failed: Operation not supported"), 2, "%s", end.out);
	cr_assert(strstr(end.err, "is refused"), "%s", end.err);
	tool_end_free(&end);
}

Test(preload, without_a_private_host_libc_does_it)
{
	struct tool_end with, without;

	run("$PRELOAD_PROBE", &without);
	run(WITH "SPAWN_PRIVATE_HOST=/nonexistent $PRELOAD_PROBE", &with);
	cr_assert_eq(with.status, 0);
	cr_assert(strstr(with.err, "left to libc"), "%s", with.err);
	expect_same(with.out, without.out);
	tool_end_free(&with);
	tool_end_free(&without);
}

/* It starts by posix_spawn() what its recipes are, and waits for any child. */
Test(preload, make_runs_its_recipes_through_it)
{
	struct tool_end end;

	run("d=$(mktemp -d); cd $d && { printf 'all: $(addprefix t,$(shell seq 24))\\n"
	    "t%%:\\n\\t@/bin/echo $@ > $@\\n' > Makefile; " WITH
	    "SPAWN_PRELOAD_STATS=1 make -j4 && cat t* | wc -l; }; rm -r $d",
	    &end);
	cr_assert_eq(end.status, 0, "%s%s", end.out, end.err);
	cr_assert(strstr(end.out, "24"), "%s", end.out);
	cr_assert(strstr(end.err, "25 through the private host, 0 left to libc"), "%s", end.err);
	tool_end_free(&end);
}

#define BROKEN                                                                                \
	"d=$(mktemp -d); cd $d; printf 'all: good bad missing\\ngood:\\n\\t@echo made $@\\n'" \
	"'bad:\\n\\t@echo no; exit 3\\nmissing:\\n\\tnosuchprogram\\n' > Makefile; "

/* A recipe that fails, and one whose program is not there. */
Test(preload, a_broken_build_fails_the_same_way)
{
	struct tool_end with, without;

	run(BROKEN "make -k; s=$?; cd /; rm -r $d; exit $s", &without);
	run(BROKEN WITH "SPAWN_PRELOAD=require make -k; s=$?; cd /; rm -r $d; exit $s", &with);
	cr_assert_eq(without.status, 2);
	cr_assert_eq(with.status, 2);
	expect_same(with.out, without.out);
	expect_same(with.err, without.err);
	tool_end_free(&with);
	tool_end_free(&without);
}

#define INTERRUPTED                                                                             \
	"trap : INT; d=$(mktemp -d); cd $d; printf 'all: a b\\na b:\\n\\t@echo begun $@; exec " \
	"sleep 1000\\n' > Makefile; "
#define AND_AFTER "make -j2; s=$?; cd /; rm -r $d; wait; echo status $s, the end"

/*
 * In a terminal: make, what it has started, and nothing else, are ended by it. Its own handler may
 * come upon a child that the call it interrupted has reaped (GNU make 4.3, without the library as
 * with it): then it says "wait: No child processes" and ends with 2.
 */
static void interrupt(const char *script)
{
	struct desk d;

	desk_start(&d, ARGV("setsid", "--ctty", "--wait", "sh", "-c", script));
	desk_await(&d, "begun a");
	desk_await(&d, "begun b");
	desk_type(&d, "\003");
	desk_await(&d, "the end");
	cr_assert(strstr(d.seen, "status 130") || strstr(d.seen, "status 2"), "%s", d.seen);
	cr_assert_eq(desk_end(&d), 0);
}

Test(preload, ctrl_c_ends_a_build)
{
	interrupt(INTERRUPTED AND_AFTER);
	interrupt(INTERRUPTED WITH "SPAWN_PRELOAD=require " AND_AFTER);
}
