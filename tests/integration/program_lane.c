/* SPDX-License-Identifier: MIT */
/*
 * The lane `program`: tests/templates/program.c serves by itself, and goes on in a leaf as if that
 * had been started; or it is told what is in the way.
 */
#include "enforcer.h"
#include "probe_run.h"
#include "server.h"
#include "tool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct spawn_client *client;

/* A configuration with the template "prog", which runs tests/templates/BINARY with these arguments
 * (JSON), beside the probe. Free it. */
static char *config_of(const char *binary, const char *args, const char *members)
{
	char *config;

	cr_assert_geq(asprintf(&config,
			       "{\"templates\": {" PROBE ", \"prog\": {\"lane\": \"program\", "
			       "\"program\": \"%s/%s\", \"args\": [%s], %s}}}",
			       getenv("TEMPLATE_DIR"), binary, args, members),
		      0);
	return config;
}

static void start_as(const char *binary, const char *args, const char *members)
{
	char *config = config_of(binary, args, members);

	server_start(&server, config);
	client = server_client(&server);
	free(config);
}

static void start(const char *args, const char *members)
{
	start_as("program", args, members);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(program_lane, .fini = stop, .timeout = 60);

#define REQUEST(...) template_request("prog", __VA_ARGS__, NULL)

static void expect_output(struct spawn_request *request, const char *expected)
{
	char *output = probe_output(client, request);

	cr_expect_str_eq(output, expected);
	free(output);
}

Test(program_lane, leaf_has_the_arguments_of_its_request)
{
	char *output;

	start("\"its\", \"own\"", PRESTART);
	output = probe_output(client, REQUEST("argv", "two words", ""));
	cr_expect(strncmp(output, "argc 4 ", 7) == 0, "%s", output);
	cr_expect(strstr(output, "\nprog\nargv\ntwo words\n\n"), "%s", output);
	free(output);
}

Test(program_lane, host_has_the_arguments_of_the_configuration)
{
	start("\"its own\"", PRESTART);
	expect_output(REQUEST("host-argument"), "its own\n");
}

Test(program_lane, leaf_has_the_environment_of_its_request_alone)
{
	struct spawn_request *request = NULL;

	start("", COLD ", \"env\": {\"OF_THE_HOST\": \"1\"}");
	request = REQUEST("environ");
	cr_assert_eq(spawn_request_env(request, (const char *const[]){"A=1", "B=", NULL}), 0);
	expect_output(request, "A=1\nB=\n");
}

Test(program_lane, leaf_is_in_the_directory_of_its_request_with_its_umask)
{
	struct spawn_request *request;

	start("", PRESTART);
	request = REQUEST("cwd", "umask");
	cr_assert_eq(spawn_request_chdir(request, "/usr"), 0);
	cr_assert_eq(spawn_request_umask(request, 027), 0);
	expect_output(request, "/usr\n027\n");
}

Test(program_lane, nothing_is_open_in_a_leaf_but_what_was_asked_for)
{
	struct spawn_request *request;
	struct outcome o;

	start("\"litters\"", PRESTART);
	request = REQUEST("print-fds");
	cr_assert_eq(spawn_request_open(request, 7, "/dev/zero", 0, 0), 0);
	probe_run(client, request, &o);
	cr_expect(strstr(o.output, "\n7 /dev/zero\n"), "%s", o.output);
	cr_expect(!strstr(o.output, "socket:"), "%s", o.output);
	for (const char *line = o.output; *line; line = strchr(line, '\n') + 1)
		cr_expect(*line <= '2' || *line == '7', "%s", o.output);
	outcome_free(&o);
}

Test(program_lane, signal_handlers_of_the_host_are_not_the_leafs)
{
	struct outcome o;

	start("\"litters\"", PRESTART);
	probe_run(client, REQUEST("signal", "15"), &o);
	cr_expect_eq(o.signal, SIGTERM, "status %d", o.status);
	outcome_free(&o);
	probe_run(client, REQUEST("signal", "13"), &o);
	cr_expect_eq(o.signal, SIGPIPE, "status %d", o.status);
	outcome_free(&o);
}

Test(program_lane, leaf_ends_as_the_program_does)
{
	struct outcome o;

	start("\"atexit\"", PRESTART);
	probe_run(client, REQUEST("printf", "from stdio", "return", "12"), &o);
	cr_expect_eq(o.status, 12);
	cr_expect_str_eq(o.output, "atexit\nfrom stdio\n");
	outcome_free(&o);
	probe_run(client, REQUEST("exit", "13"), &o);
	cr_expect_eq(o.status, 13);
	outcome_free(&o);
}

Test(program_lane, what_the_host_had_not_flushed_is_not_a_leafs_output)
{
	start("\"unflushed\"", PRESTART);
	expect_output(REQUEST("printf", "mine"), "mine\n");
	expect_output(REQUEST("printf", "mine"), "mine\n");
}

Test(program_lane, leaf_is_named_by_its_arguments)
{
	struct spawn_request *request;
	char *output;

	start("\"as it was\"", PRESTART);
	request = REQUEST("title", "name");
	cr_assert_eq(spawn_request_argv0(request, "/opt/one"), 0);
	output = probe_output(client, request);
	cr_expect(strstr(output, "says /opt/one one\none\n"), "%s", output);
	free(output);
}

Test(program_lane, leaf_that_serves_again_goes_on)
{
	start("", PRESTART);
	expect_output(REQUEST("again"), "serve 0\n");
}

Test(program_lane, leaf_is_dumpable_again)
{
	start("", PRESTART);
	expect_output(REQUEST("dumpable"), "dumpable 1\n");
}

Test(program_lane, leaf_promises_copy_unless_told_otherwise)
{
	struct spawn_request *request;
	struct spawn_proc *proc;

	start("", PRESTART);
	expect_output(REQUEST("fork-libc"), "fork-libc EPERM\n");
	expect_output(REQUEST("threads", "4"), "threads 4\n");
	expect_output(REQUEST("posix-spawn", "/bin/true"), "posix-spawn status 0\n");
	request = REQUEST("exit", "0");
	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	cr_expect_str_eq(spawn_proc_nofork(proc), copy_in_words());
	spawn_request_free(request);
	proc_expect_status(proc, 0);
}

Test(program_lane, template_may_let_its_leaves_fork)
{
	start("", PRESTART "," NOFORK("off"));
	expect_output(REQUEST("fork-libc"), "fork-libc made a process\n");
}

Test(program_lane, program_to_become_is_not_for_it)
{
	struct spawn_request *request;
	struct spawn_error err = {0};

	start("", PRESTART);
	request = spawn_request_new("prog");
	cr_assert_eq(spawn_request_program(request, "/bin/true"), 0);
	cr_expect_eq(probe_refused(client, request, &err), -EINVAL);
	cr_expect(strstr(err.message, "executes no programs"), "%s", err.message);
}

Test(program_lane, static_library_does_the_same)
{
	start_as("program-static", "\"its\"", PRESTART);
	expect_output(REQUEST("host-argument"), "its\n");
	expect_output(REQUEST("fork-libc"), "fork-libc EPERM\n");
}

Test(program_lane, command_runs_a_leaf_and_status_names_the_lane)
{
	start("", PRESTART);
	tool_expect(&server, "\"$SPAWN\" -t prog -- printf \"it is\" return 7", 7, "it is\n", "");
	tool_expect(&server, "\"$SPAWN\" status | grep -c '^prog  *program '", 0, "1\n", "");
}

/* Asserts that a spawn of "prog" fails by its host, with these words in message and status, and
 * these in the tail of its output; and that others are served. */
static void expect_refusal(const char *text, const char *tail)
{
	struct template_state_seen seen;
	struct spawn_error err = {0};
	struct outcome o;

	probe_refused(client, REQUEST("exit", "0"), &err);
	cr_expect_eq(err.origin, SPAWN_ORIGIN_HOST, "origin %s", spawn_origin_name(err.origin));
	cr_expect(strstr(err.message, text), "no \"%s\" in: %s", text, err.message);
	server_status(client, "prog", &seen);
	cr_expect_str_eq(seen.state, "down");
	cr_expect(strstr(seen.reason, text), "no \"%s\" in the reason: %s", text, seen.reason);
	cr_expect(strstr(seen.tail, tail), "no \"%s\" in the tail: %s", tail, seen.tail);
	probe_run(client, probe_request("exit", "3", NULL), &o);
	cr_expect_eq(o.status, 3);
	outcome_free(&o);
}

Test(program_lane, program_that_ends_without_serving_is_told_with_its_output)
{
	start("\"exits\"", COLD);
	expect_refusal("exited with status 3 while warming, before its process was ready in "
		       "spawn_template_serve()",
		       "nothing to serve");
}

Test(program_lane, program_that_crashes_while_warming_is_told_with_its_output)
{
	start("\"crashes\"", COLD);
	expect_refusal("SEGV", "about to crash");
}

Test(program_lane, program_that_does_not_serve_in_time_is_ended_and_told)
{
	start("\"hangs\"", COLD "," WARM_TIMEOUT(300));
	expect_refusal("warm_timeout_ms", "never answers");
}

/* The suite's census would find it. */
Test(program_lane, what_a_program_started_ends_with_it_when_it_does_not_get_warm)
{
	start("\"family\"", COLD "," WARM_TIMEOUT(300));
	expect_refusal("warm_timeout_ms", "never answers");
}

Test(program_lane, program_with_a_thread_is_refused_by_its_name)
{
	start("\"thread\"", COLD);
	expect_refusal("\"straggler\"", "");
}

Test(program_lane, program_whose_thread_was_joined_serves)
{
	start("\"joined\"", PRESTART);
	expect_output(REQUEST("printf", "mine"), "mine\n");
}

/* libc tells the other threads by a signal whose handler it installed with the first thread. */
Test(program_lane, leaf_of_one_that_had_a_thread_may_have_threads_and_set_its_uid)
{
	start("\"joined\"", PRESTART);
	expect_output(REQUEST("setuid"), "setuid 0\n");
}

Test(program_lane, program_that_closed_the_servers_descriptors_is_told)
{
	start("\"closes\"", COLD);
	expect_refusal("exited with status 1", "descriptor 3 is not the server's any more");
}

Test(program_lane, program_that_is_not_there_is_told)
{
	start_as("no-such-program", "", COLD);
	expect_refusal("No such file", "");
}

Test(program_lane, program_with_hooks_of_another_size_is_refused)
{
	start("\"old-hooks\"", COLD);
	expect_refusal("struct spawn_template_hooks", "");
}

/* One before more than after: that of its own fork. */
Test(program_lane, hooks_are_called_around_each_fork_and_in_a_leaf)
{
	struct spawn_request *request;
	struct outcome o;
	int before = 1;

	start("\"hooks\"", PRESTART);
	for (int i = 0; i < 3; i++) {
		request = REQUEST("seen");
		cr_assert_eq(spawn_request_setenv(request, "FOR_THE_LEAF", "applied"), 0);
		probe_run(client, request, &o);
		cr_expect_str_eq(o.output, "hooks 1 1 1, host dumpable 0, applied\n");
		cr_expect_gt(o.status, before);
		before = o.status;
		outcome_free(&o);
	}
}

Test(program_lane, hooks_may_end_a_thread_and_start_it_again)
{
	start("\"thread\", \"hooks\"", PRESTART);
	for (int i = 0; i < 6; i++)
		expect_output(REQUEST("printf", "mine"), "mine\n");
}

Test(program_lane, what_hooks_write_and_set_is_not_in_leaves)
{
	struct outcome o;

	start("\"noisy-hooks\"", PRESTART);
	for (int i = 0; i < 3; i++)
		expect_output(REQUEST("printf", "mine"), "mine\n");
	/* One that ends while a hook ignores SIGCHLD leaves no record: then nothing is known. */
	for (int i = 0; i < 20; i++) {
		probe_run(client, REQUEST("exit", "7"), &o);
		cr_expect_eq(o.status, o.known ? 7 : -1);
		outcome_free(&o);
	}
	probe_run(client, REQUEST("signal", "15"), &o);
	cr_expect_eq(o.signal, o.known ? SIGTERM : 0);
	outcome_free(&o);
}

Test(program_lane, leaf_is_as_dumpable_as_its_program_was)
{
	start("\"undumpable\"", PRESTART);
	expect_output(REQUEST("dumpable"), "dumpable 0\n");
}

Test(program_lane, timer_that_the_program_armed_does_not_end_its_host)
{
	struct template_state_seen seen;

	start("\"alarm\"", PRESTART);
	for (int i = 0; i < 20; i++)
		expect_output(REQUEST("printf", "mine"), "mine\n");
	server_status(client, "prog", &seen);
	cr_expect_eq(seen.generation, 1);
}

/* Run by hand, with all of its output. */
static void expect_plain(const char *words, const char *expected, int status)
{
	char script[512];

	snprintf(script, sizeof(script), "exec \"$TEMPLATE_DIR/program\" %s", words);
	tool_expect(NULL, script, status, expected, "");
}

Test(program_lane, program_that_spawnd_did_not_start_goes_on)
{
	expect_plain("one two", "serve 0 argc 3\n", 0);
	expect_plain("hooks", "serve 0 argc 2\n", 0);
	expect_plain("thread", "serve 0 argc 2\n", 0);
}

Test(program_lane, hooks_of_another_size_are_an_error_without_spawnd_too)
{
	expect_plain("old-hooks", "serve -22 argc 2\n", 1);
}

Test(program_lane, variable_meant_for_another_process_changes_nothing)
{
	tool_expect(NULL, "SPAWND_HOST=1,1,1,1,1,0,x \"$TEMPLATE_DIR/program\"", 0,
		    "serve 0 argc 1\n", "");
}

Test(program_lane, library_and_server_of_two_versions_say_so)
{
	tool_expect(NULL, "export SPAWND_HOST=2,$$,; exec \"$TEMPLATE_DIR/program\"", 1, "",
		    "are not of one version");
}

Test(program_lane, host_without_a_server_ends)
{
	tool_expect(NULL, "export SPAWND_HOST=1,$$,1,1,1,0,x; exec \"$TEMPLATE_DIR/program\" 3<&-",
		    1, "", "descriptor 3 is not the server's any more");
}

Test(program_lane, what_the_program_starts_while_warming_is_no_host)
{
	start("\"helper\"", PRESTART);
	expect_output(REQUEST("printf", "mine"), "mine\n");
}

Test(program_lane, host_that_dies_is_replaced)
{
	struct template_state_seen seen;
	struct outcome o;

	start("", PRESTART);
	server_await_parked(client, "prog", 1);
	server_status(client, "prog", &seen);
	cr_assert_eq(kill(seen.host, SIGKILL), 0);
	AWAIT((server_status(client, "prog", &seen), seen.generation == 2 && seen.parked > 0));
	probe_run(client, REQUEST("exit", "5"), &o);
	cr_expect_eq(o.status, 5);
	outcome_free(&o);
}

Test(program_lane, other_arguments_make_another_generation)
{
	char *changed, *output = NULL;

	start("\"first\"", PRESTART);
	expect_output(REQUEST("host-argument"), "first\n");
	changed = config_of("program", "\"second\"", PRESTART);
	server_write_config(&server, changed);
	free(changed);
	server_signal(&server, SIGHUP);
	server_await_notice(&server, "RELOADING=1");
	server_await_notice(&server, "READY=1");
	AWAIT((free(output), output = probe_output(client, REQUEST("host-argument")),
	       strcmp(output, "second\n") == 0));
	free(output);
}
