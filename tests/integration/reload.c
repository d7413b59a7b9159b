/* SPDX-License-Identifier: MIT */
/* SIGHUP: all of the new configuration, or nothing of it. */
#include "census.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(&server, CONFIG(PROBE "," TEMPLATE("second", "probe.so", PRESTART)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(reload, .init = start, .fini = stop, .timeout = 60);

static void reload(const char *config)
{
	server_write_config(&server, config);
	server_signal(&server, SIGHUP);
	server_await_notice(&server, "RELOADING=1");
	server_await_notice(&server, "READY=1");
}

static int run_of(const char *template_name)
{
	struct outcome o;

	probe_run(client, template_request(template_name, "exit", "12", NULL), &o);
	outcome_free(&o);
	return o.status;
}

Test(reload, bad_configuration_keeps_the_old_one_and_says_why)
{
	char *log;

	reload("{\"templates\": {\n  \"probe\": {\"lane\": \"nowhere\"}\n}}");
	log = server_log(&server);
	cr_assert(strstr(log, "spawnd.json:2:"), "no place in the log:\n%s", log);
	free(log);
	cr_assert_eq(run_of("probe"), 12);
	cr_assert_eq(run_of("second"), 12);
}

Test(reload, added_template_is_served)
{
	cr_assert_eq(probe_refused(client, template_request("third", NULL), NULL), -ENOENT);
	reload(CONFIG(PROBE "," TEMPLATE("second", "probe.so",
					 PRESTART) "," TEMPLATE("third", "probe.so", PRESTART)));
	cr_assert_eq(run_of("third"), 12);
	cr_assert_eq(run_of("probe"), 12);
}

Test(reload, removed_template_is_unknown_and_its_running_leaf_lives_on)
{
	struct template_state_seen seen;
	struct probe p;
	struct outcome o;

	probe_start_fed(client,
			template_request("second", "tell", "here", "echo", "0", "exit", "19", NULL),
			&p);
	probe_await_line(&p, "here");
	reload(CONFIG(PROBE));
	AWAIT(({
		struct spawn_request *request = template_request("second", "exit", "0", NULL);
		struct spawn_proc *proc = NULL;
		int r = spawn_process(client, request, &proc, NULL);

		spawn_request_free(request);
		if (r == 0)
			proc_expect_status(proc, 0);
		r == -ENOENT;
	}));
	cr_assert_eq(spawn_proc_kill(p.proc, 0), 0);
	probe_finish(&p, &o);
	cr_assert(o.known && o.status == 19, "known %d status %d", o.known, o.status);
	outcome_free(&o);
	/* With its last leaf its host goes. */
	AWAIT((server_status(client, "second", &seen), seen.host == 0));
}

static uint64_t generation_of(const char *template_name)
{
	struct spawn_request *request = template_request(template_name, "exit", "0", NULL);
	struct spawn_proc *proc;
	uint64_t generation;

	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	spawn_request_free(request);
	generation = spawn_proc_generation(proc);
	proc_expect_status(proc, 0);
	return generation;
}

Test(reload, changed_template_gets_another_generation_and_others_do_not)
{
	cr_assert_eq(generation_of("probe"), 1);
	cr_assert_eq(generation_of("second"), 1);
	reload(CONFIG(PROBE
		      "," TEMPLATE("second", "probe.so", PRESTART ", \"env\": {\"NEW\": \"1\"}")));
	AWAIT(generation_of("second") == 2);
	cr_assert_eq(generation_of("probe"), 1);
}

Test(reload, requests_during_reloads_are_all_served)
{
	for (int i = 0; i < 10; i++) {
		server_write_config(
			&server,
			i % 2 ? CONFIG(PROBE "," TEMPLATE("second", "probe.so", PRESTART))
			      : CONFIG(TEMPLATE("probe", "probe.so", PRESTART "," POOL(3, 1))));
		server_signal(&server, SIGHUP);
		for (int j = 0; j < 5; j++)
			cr_assert_eq(run_of("probe"), 12);
		server_await_notice(&server, "READY=1");
	}
}

Test(reload, old_hosts_and_leaves_do_not_add_up)
{
	struct census_process ignored[1];
	size_t before;

	server_await_parked(client, "probe", 4);
	server_await_parked(client, "second", 4);
	before = census_descendants(server.pid, ignored, 1);
	for (int i = 0; i < 6; i++)
		reload(i % 2 ? CONFIG(PROBE "," TEMPLATE("second", "probe.so", PRESTART))
			     : CONFIG(PROBE "," TEMPLATE("second", "probe.so",
							 PRESTART ", \"env\": {\"N\": \"1\"}")));
	AWAIT(census_descendants(server.pid, ignored, 1) == before);
	cr_assert_eq(run_of("second"), 12);
}
