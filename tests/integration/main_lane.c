/* SPDX-License-Identifier: MIT */
/*
 * The lane `main`: programs that know nothing of spawnd (tests/templates/held.c, and those that
 * main_lane.lines names, from the distribution) do as a leaf what they do cold; what cannot be held
 * is executed, and said to be.
 */
#include "scratch.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name, *path;
} programs[] = {
	{"bash", "/bin/bash"},
	{"cat", "/bin/cat"},
	{"clang", "/usr/lib/llvm-14/bin/clang"},
	{"cmake", "/usr/bin/cmake"},
	{"date", "/bin/date"},
	{"env", "/usr/bin/env"},
	{"git", "/usr/bin/git"},
	{"head", "/usr/bin/head"},
	{"ls", "/bin/ls"},
	{"ninja", "/usr/bin/ninja"},
	{"od", "/usr/bin/od"},
	{"perl", "/usr/bin/perl"},
	{"python", "/usr/bin/python3"},
	{"rg", "/usr/bin/rg"},
	{"seq", "/usr/bin/seq"},
	{"sha256sum", "/usr/bin/sha256sum"},
	{"sort", "/usr/bin/sort"},
	{"sqlite3", "/usr/bin/sqlite3"},
	{"stat", "/usr/bin/stat"},
	{"tail", "/usr/bin/tail"},
	{"tr", "/usr/bin/tr"},
	{"wc", "/usr/bin/wc"},
	{"yes", "/usr/bin/yes"},
};

static struct server server;
static struct spawn_client *client;

static void clean(void)
{
	setenv("PATH", "/usr/bin:/bin", 1);
	unsetenv("LD_LIBRARY_PATH");
	unsetenv("MALLOC_PERTURB_"); /* of meson's */
}

static void start_config(char *config)
{
	server_start(&server, config);
	client = server_client(&server);
	free(config);
}

/* One template "held", with this program. */
static void start_with(const char *program, const char *members)
{
	char *config;

	cr_assert_geq(
		asprintf(&config,
			 "{\"templates\": {\"held\": {\"lane\": \"main\", \"program\": \"%s\", "
			 "%s}}}",
			 program, members),
		0);
	start_config(config);
}

static const char *held(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/held", getenv("TEMPLATE_DIR"));
	return path;
}

static void stop(void)
{
	spawn_client_close(client);
	client = NULL;
	server_stop(&server);
}

TestSuite(main_lane, .init = clean, .fini = stop, .timeout = 60);

/* What a script that runs the program as `held` writes and ends with, cold and as a leaf. */
static void expect_as_cold(const char *script, const char *part)
{
	struct tool_end cold, leaf;
	char *text;

	setenv("HELD", held(), 1);
	cr_assert_geq(asprintf(&text, "held() { \"$HELD\" \"$@\"; }\n%s", script), 0);
	tool_shell(&server, text, &cold);
	free(text);
	cr_assert_geq(asprintf(&text,
			       "held() { \"$SPAWN\" -t held --argv0 \"$HELD\" -- \"$@\"; }\n%s",
			       script),
		      0);
	tool_shell(&server, text, &leaf);
	free(text);
	cr_expect_str_eq(leaf.out, cold.out, "%s: %s\ncold: %s\nstderr: %s", script, leaf.out,
			 cold.out, leaf.err);
	cr_expect_str_eq(leaf.err, cold.err, "%s: %s\ncold: %s", script, leaf.err, cold.err);
	cr_expect_eq(leaf.status, cold.status, "%s: %d, cold %d", script, leaf.status, cold.status);
	cr_expect(strstr(leaf.out, part), "%s: no \"%s\" in: %s", script, part, leaf.out);
	tool_end_free(&cold);
	tool_end_free(&leaf);
}

static void expect_reason(const char *reason)
{
	struct template_state_seen seen;

	server_status(client, "held", &seen);
	cr_expect_str_eq(seen.state, "warm");
	if (*reason)
		cr_expect(strstr(seen.reason, reason), "no \"%s\" in: %s", reason, seen.reason);
	else
		cr_expect_str_eq(seen.reason, "");
}

Test(main_lane, leaf_sees_of_itself_what_it_would_see_cold)
{
	start_with(held(), PRESTART);
	expect_as_cold("export A=1; held", "A=1");
	expect_as_cold("ulimit -s 1024; held", "stack of threads 1048576");
	expect_as_cold("ulimit -s unlimited 2>/dev/null; held", "stack of threads");
	expect_as_cold("held 7 'two words'", "constructor 3 two words");
	expect_reason("");
}

Test(main_lane, name_is_of_the_executable_and_not_of_argv0)
{
	start_with(held(), PRESTART);
	tool_expect(
		&server,
		"\"$SPAWN\" -t held --argv0 /opt/other -- 5 | grep argv; \"$SPAWN\" -t held -- 5 "
		">/dev/null",
		5, "argv[0] /opt/other, /opt/other, other, comm held\n", "");
}

Test(main_lane, leaf_may_fork_unless_told_otherwise)
{
	start_with("/bin/bash", PRESTART);
	tool_expect(&server, "\"$SPAWN\" -t held -- -c '(exit 4); echo $?'", 0, "4\n", "");
	tool_expect(&server, "\"$SPAWN\" -t held --nofork -- -c '(exit 4)' 2>&1 | grep -c fork", 0,
		    "1\n", "");
}

/* getenv() of a library's constructor is noticed: another value there needs another process. */
Test(main_lane, environment_that_a_constructor_asked_for_is_honoured)
{
	start_with(held(), PRESTART);
	expect_as_cold("HELD_LIB=1 A=2; export HELD_LIB A; held", "library saw 1");
	tool_expect(&server,
		    "HELD_LIB=1 \"$SPAWN\" -t held --timing 2>&1 | grep -c 'executed anew'", 0,
		    "1\n", "");
	tool_expect(&server, "A=1 \"$SPAWN\" -t held --timing 2>&1 | grep -c 'executed anew'", 1,
		    "0\n", "");
	expect_as_cold("A=2; export A; held", "library saw \n");
	expect_reason("");
}

Test(main_lane, environment_of_the_dynamic_linker_is_honoured)
{
	start_with(held(), PRESTART);
	expect_as_cold("export LD_PRELOAD=libutil.so.1; held", "preload is there");
}

Test(main_lane, template_may_have_the_environment_of_its_requests)
{
	start_with(held(), PRESTART ", \"env\": {\"HELD_LIB\": \"as given\"}");
	expect_as_cold("export HELD_LIB='as given'; held", "library saw as given");
	expect_as_cold("export HELD_LIB='another'; held", "library saw another");
	expect_as_cold("held", "library saw \n");
}

Test(main_lane, template_may_preload_a_library_of_its_own)
{
	start_with(held(), PRESTART ", \"env\": {\"LD_PRELOAD\": \"libutil.so.1\"}");
	expect_as_cold("export LD_PRELOAD=libutil.so.1; held", "preload is there");
	tool_expect(
		&server,
		"LD_PRELOAD=libutil.so.1 \"$SPAWN\" -t held --timing 2>&1 | grep -c 'executed anew'",
		1, "0\n", "");
	expect_as_cold("held", "preload is not there");
}

Test(main_lane, leaf_without_memory_for_its_arguments_says_so)
{
	start_with("/bin/cat", PRESTART);
	tool_expect(&server, "\"$SPAWN\" -t held --limit data=4096 -- /dev/null", 127, "",
		    "/bin/cat: no memory for its arguments");
}

#ifdef __x86_64__
Test(main_lane, program_linked_before_glibc_2_34_is_held_as_well)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/held-old", getenv("TEMPLATE_DIR"));
	start_with(path, PRESTART);
	tool_expect(&server, "\"$SPAWN\" -i -E A=1 -t held -- x", 3, "init 2 x A=1\nmain 2 x A=1\n",
		    "");
	expect_reason("");
}
#endif

static void expect_executed(const char *members, const char *reason)
{
	start_with(held(), members);
	expect_as_cold("held 3", "argv[0]");
	expect_reason(reason);
}

Test(main_lane, library_that_starts_a_thread_is_executed)
{
	expect_executed(PRESTART ", \"env\": {\"HELD_LIB\": \"thread\"}",
			"has libraries that start threads before main");
}

Test(main_lane, library_that_keeps_a_descriptor_is_executed)
{
	expect_executed(PRESTART ", \"env\": {\"HELD_LIB\": \"descriptor\"}",
			"has libraries that keep a descriptor open (5)");
}

Test(main_lane, library_that_handles_a_signal_is_executed)
{
	expect_executed(PRESTART ", \"env\": {\"HELD_LIB\": \"signal\"}",
			"has libraries that handle or ignore a signal (SIGUSR1)");
}

Test(main_lane, setuid_program_is_executed_and_status_says_so)
{
	char *path;

	scratch_make();
	path = strdup(scratch_file("id", 0700, ""));
	tool_expect(NULL, "true", 0, "", "");
	setenv("COPY", path, 1);
	tool_expect(NULL, "cat /usr/bin/id >\"$COPY\"; chmod 4755 \"$COPY\"", 0, "", "");
	start_with(path, PRESTART);
	tool_expect(&server, "[ \"$(\"$SPAWN\" -t held -- -u)\" = \"$(id -u)\" ]", 0, "", "");
	expect_reason("is setuid");
	tool_expect(&server, "\"$SPAWN\" status | grep -o 'main -> exec: .*/id is setuid' | wc -l",
		    0, "1\n", "");
	scratch_remove("id");
	scratch_end();
	free(path);
}

Test(main_lane, static_program_is_executed_and_status_says_so)
{
	start_with(getenv("PRIVATE_PROBE"), PRESTART);
	tool_expect(
		&server,
		"\"$PRIVATE_PROBE\" nonsense >/dev/null 2>&1; a=$?; \"$SPAWN\" -t held -- nonsense "
		">/dev/null 2>&1; [ $a = $? ]",
		0, "", "");
	expect_reason("is statically linked");
}

Test(main_lane, script_is_executed_and_status_says_so)
{
	const char *path;

	scratch_make();
	path = scratch_file("script", 0755, "#!/bin/sh\necho \"$1\"\nexit 6\n");
	start_with(path, PRESTART);
	tool_expect(&server, "\"$SPAWN\" -t held -- hello", 6, "hello\n", "");
	expect_reason("is a script");
	scratch_remove("script");
	scratch_end();
}

Test(main_lane, program_that_is_not_there_is_told)
{
	struct template_state_seen seen;

	start_with("/no/such/program", COLD);
	tool_expect(&server, "\"$SPAWN\" -t held", 125, "", "/no/such/program: No such file");
	server_status(client, "held", &seen);
	cr_expect_str_eq(seen.state, "down");
}

Test(main_lane, status_names_the_lane)
{
	start_with(held(), PRESTART);
	tool_expect(&server, "\"$SPAWN\" status | grep -c '^held  *main '", 0, "1\n", "");
}

/* ---- the command lines ---- */

static char *preamble(bool cold, char **ret_config)
{
	char *text = NULL, *config = NULL;
	size_t text_size, config_size;
	FILE *t = open_memstream(&text, &text_size), *c = open_memstream(&config, &config_size);

	fputs("{\"templates\": {", c);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const char *name = programs[i].name, *path = programs[i].path;

		if (cold)
			fprintf(t, "%s() { %s \"$@\"; }\n", name, path);
		else
			fprintf(t, "%s() { \"$SPAWN\" -t %s --argv0 %s -- \"$@\"; }\n", name, name,
				path);
		fprintf(c, "%s\"%s\": {\"lane\": \"main\", \"program\": \"%s\"}", i ? ", " : "",
			name, path);
	}
	fputs("}}", c);
	fclose(t);
	fclose(c);
	*ret_config = config;
	return text;
}

/* In an empty directory that has the same path each time. */
static void run_line(const char *functions, const char *line, struct tool_end *ret)
{
	char *script;

	cr_assert_geq(
		asprintf(&script,
			 "rm -rf \"$WORK\" && mkdir \"$WORK\" && cd \"$WORK\" || exit 99\n%s%s",
			 functions, line),
		0);
	tool_shell(&server, script, ret);
	free(script);
}

static void compare_line(const char *cold_functions, const char *functions, const char *line)
{
	struct tool_end cold, leaf;

	run_line(cold_functions, line, &cold);
	run_line(functions, line, &leaf);
	cr_expect_str_eq(leaf.out, cold.out, "%s\n--- leaf:\n%s\n--- cold:\n%s\n(%s)", line,
			 leaf.out, cold.out, leaf.err);
	cr_expect_str_eq(leaf.err, cold.err, "%s\n--- leaf:\n%s\n--- cold:\n%s", line, leaf.err,
			 cold.err);
	cr_expect_eq(leaf.status, cold.status, "%s: status %d, cold %d (%s)", line, leaf.status,
		     cold.status, leaf.err);
	tool_end_free(&cold);
	tool_end_free(&leaf);
}

/* What was compared went through the template. */
static void expect_held(const char *name)
{
	struct tool_end end;

	tool_run(&server,
		 ARGV("SPAWN", "-t", name, "--timing", "--stdin", "null", "--", "--version"), &end);
	cr_expect(strstr(end.err, "generation") && !strstr(end.err, "executed anew"), "%s: %s",
		  name, end.err);
	tool_end_free(&end);
}

Test(main_lane, command_lines_do_what_they_do_cold, .timeout = 240)
{
	char *config, *cold = preamble(true, &config), *functions, *line = NULL;
	size_t size = 0, n = 0;
	FILE *f;

	free(config);
	functions = preamble(false, &config);
	scratch_make();
	setenv("WORK", scratch_path("work"), 1);
	setenv("HOME", scratch_path("work"), 1);
	start_config(config);
	f = fopen(getenv("MAIN_LANE_LINES"), "re");
	cr_assert_not_null(f);
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		compare_line(cold, functions, line);
		n++;
	}
	cr_expect_geq(n, 40);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		struct template_state_seen seen;

		server_status(client, programs[i].name, &seen);
		cr_expect_str_eq(seen.state, "warm", "%s: %s", programs[i].path, seen.reason);
		cr_expect_str_eq(seen.reason, "", "%s: %s", programs[i].path, seen.reason);
		expect_held(programs[i].name);
	}
	tool_expect(NULL, "rm -rf \"$WORK\"", 0, "", "");
	fclose(f);
	free(line);
	free(cold);
	free(functions);
	scratch_end();
}

/* ---- spawn template try ---- */

Test(main_lane, trial_says_that_a_program_fits, .fini = NULL)
{
	tool_expect(NULL, "\"$SPAWN\" template try --runs 3 /bin/cat | head -n 1", 0,
		    "/bin/cat fits the lane \"main\"\n", "");
	tool_expect(NULL,
		    "\"$SPAWN\" template try --runs 3 --json /bin/cat /etc/passwd | "
		    "grep -o '\"fits\":true.*\"output\":\"same\",\"status\":0' | wc -l",
		    0, "1\n", "");
}

Test(main_lane, trial_says_why_one_does_not, .fini = NULL)
{
	tool_expect(NULL,
		    "\"$SPAWN\" template try --runs 2 \"$PRIVATE_PROBE\" | head -n 1 | "
		    "grep -o 'is statically linked'",
		    0, "is statically linked\n", "");
	tool_expect(NULL, "\"$SPAWN\" template try --runs 2 \"$PRIVATE_PROBE\" >/dev/null", 1, "",
		    "");
	tool_expect(NULL,
		    "HELD_LIB=thread \"$SPAWN\" template try --runs 2 \"$TEMPLATE_DIR/held\" | "
		    "head -n 1 | grep -c 'before main is asked for HELD_LIB, so'",
		    0, "1\n", "");
}

Test(main_lane, trial_of_wrong_words_is_wrong_usage, .fini = NULL)
{
	tool_expect(NULL, "\"$SPAWN\" template try", 2, "", "wants a program");
	tool_expect(NULL, "\"$SPAWN\" template", 2, "", "try PROGRAM");
	tool_expect(NULL, "\"$SPAWN\" template try --runs 0 cat", 2, "", "--runs wants 1 to");
	tool_expect(NULL, "\"$SPAWN\" template try /no/such/program", 2, "", "there is no program");
}

Test(main_lane, trial_leaves_nothing, .fini = NULL)
{
	scratch_make();
	setenv("XDG_RUNTIME_DIR", scratch_path(""), 1);
	tool_expect(NULL, "\"$SPAWN\" template try --runs 2 /bin/true >/dev/null", 0, "", "");
	scratch_end();
}
