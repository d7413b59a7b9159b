/* SPDX-License-Identifier: MIT */
/* What a leaf promises about making processes it keeps, by every route, and it is told in full. */
#include "enforcer.h"
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(
		&server,
		CONFIG(PROBE "," TEMPLATE("process", "probe.so", NOFORK("process") "," COLD) "," TEMPLATE(
			"off", "probe.so",
			NOFORK("off") "," COLD) "," TEMPLATE("weaker", "probe.so",
							     "\"nofork_weaker\": true," COLD) "," TEMPLATE("kernel",
													   "probe.so",
													   "\"enforce\": \"kernel\"," COLD)));
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(nofork, .init = start, .fini = stop, .timeout = 120);

#define PROCESS_IN_WORDS "process (seccomp: inherited, no_new_privs)"

static void expect(const char *template_name, const char *route, const char *arg,
		   const char *expected)
{
	struct spawn_request *request = template_request(template_name, route, arg, NULL);
	char *output = probe_output(client, request);

	cr_expect_str_eq(output, expected, "%s under %s: %s", route, template_name, output);
	free(output);
}

static void expect_level(const char *template_name, int level, const char *words)
{
	struct spawn_request *request = template_request(template_name, "exit", "0", NULL);
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	struct outcome o;

	if (level >= 0)
		spawn_request_nofork(request, (enum spawn_nofork)level);
	cr_assert_eq(spawn_process(client, request, &proc, &err), 0, "%s", err.message);
	cr_expect_str_eq(spawn_proc_nofork(proc), words);
	proc_finish(proc, &o);
	cr_expect_str_eq(o.nofork, words);
	spawn_request_free(request);
}

Test(nofork, copy_refuses_fork_by_libc)
{
	expect("probe", "fork-libc", NULL, "fork-libc EPERM\n");
}

Test(nofork, copy_refuses_fork_by_raw_calls)
{
	expect("probe", "fork-raw", NULL, "fork-raw EPERM\n");
	expect("probe", "clone", NULL, "clone EPERM\n");
}

/* By seccomp clone3 is absent, so that libc falls back to clone, whose flags a filter can see. */
Test(nofork, copy_refuses_clone3)
{
	expect("probe", "clone3", NULL, kernel_enforces() ? "clone3 EPERM\n" : "clone3 ENOSYS\n");
}

/* Where the kernel has no such table the call does not exist: also no process. */
static void expect_no_process(const char *template_name, const char *route)
{
	struct outcome o;

	probe_run(client, template_request(template_name, route, NULL), &o);
	cr_expect(!strstr(o.output, "made a process"), "%s: %s", route, o.output);
	cr_expect(o.signal == SIGSEGV || strstr(o.output, "EPERM") || strstr(o.output, "ENOSYS"),
		  "%s: signal %d, %s", route, o.signal, o.output);
	outcome_free(&o);
}

Test(nofork, copy_and_process_refuse_fork_by_the_other_tables)
{
	expect_no_process("probe", "fork-int80");
	expect_no_process("probe", "fork-x32");
	expect_no_process("process", "fork-int80");
	expect_no_process("process", "fork-x32");
}

Test(nofork, copy_lets_threads_vfork_and_posix_spawn_work)
{
	expect("probe", "threads", "16", "threads 16\n");
	expect("probe", "vfork", NULL, "vfork made a process\n");
	expect("probe", "clone-vm", NULL, "clone-vm made a process\n");
	expect("probe", "posix-spawn", "/bin/true", "posix-spawn status 0\n");
}

/* The filter is inherited by helpers, the kernel's mark is not: a shell lives by forking. */
Test(nofork, copy_by_the_kernel_lets_a_helper_fork)
{
	expect("probe", "posix-spawn-shell", "id | cat >/dev/null",
	       kernel_enforces() ? "posix-spawn-shell status 0\n" : "posix-spawn-shell status 2\n");
}

Test(nofork, what_only_the_kernel_may_enforce_is_refused_where_it_cannot)
{
	struct spawn_request *request = template_request("kernel", "exit", "0", NULL);
	struct spawn_error err = {0};

	if (kernel_enforces()) {
		spawn_request_free(request);
		expect_level("kernel", -1, "copy (kernel)");
	} else {
		cr_assert_eq(probe_refused(client, request, &err), -EOPNOTSUPP);
		cr_assert(strstr(err.message, "no PR_SET_NOFORK: run a patched one"), "%s",
			  err.message);
	}
}

Test(nofork, process_refuses_every_process)
{
	expect("process", "fork-libc", NULL, "fork-libc EPERM\n");
	expect("process", "fork-raw", NULL, "fork-raw EPERM\n");
	expect("process", "clone", NULL, "clone EPERM\n");
	expect("process", "clone-vm", NULL, "clone-vm EPERM\n");
	expect("process", "vfork", NULL, "vfork EPERM\n");
	expect("process", "posix-spawn", "/bin/true", "posix-spawn EPERM\n");
	expect("process", "clone3", NULL, "clone3 ENOSYS\n");
}

Test(nofork, process_lets_threads_work)
{
	expect("process", "threads", "16", "threads 16\n");
}

Test(nofork, off_lets_everything_work_and_adds_nothing)
{
	expect("off", "fork-libc", NULL, "fork-libc made a process\n");
	expect("off", "fork-raw", NULL, "fork-raw made a process\n");
	expect("off", "posix-spawn", "/bin/true", "posix-spawn status 0\n");
	expect("off", "no-new-privs", NULL,
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ? "no_new_privs 1\n" : "no_new_privs 0\n");
}

Test(nofork, reply_and_record_say_the_level_in_full_words)
{
	expect_level("probe", -1, copy_in_words());
	expect_level("process", -1, PROCESS_IN_WORDS);
	expect_level("off", -1, "off");
}

Test(nofork, status_says_the_level_in_full_words)
{
	struct template_state_seen seen;

	server_await_parked(client, "probe", 1);
	server_status(client, "probe", &seen);
	cr_assert_str_eq(seen.nofork, copy_in_words());
}

Test(nofork, more_than_the_templates_level_is_granted_and_holds)
{
	struct spawn_request *request = probe_request("vfork", "fork-libc", NULL);
	char *output;

	spawn_request_nofork(request, SPAWN_NOFORK_PROCESS);
	output = probe_output(client, request);
	cr_assert_str_eq(output, "vfork EPERM\nfork-libc EPERM\n");
	free(output);
	expect_level("probe", SPAWN_NOFORK_PROCESS, PROCESS_IN_WORDS);
	expect_level("off", SPAWN_NOFORK_PROCESS, PROCESS_IN_WORDS);
	request = template_request("off", "fork-libc", NULL);
	spawn_request_nofork(request, SPAWN_NOFORK_COPY);
	output = probe_output(client, request);
	cr_assert_str_eq(output, "fork-libc EPERM\n");
	free(output);
}

Test(nofork, less_than_the_templates_level_is_refused_by_policy)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_error err = {0};

	spawn_request_nofork(request, SPAWN_NOFORK_OFF);
	cr_assert_eq(probe_refused(client, request, &err), -EPERM);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_POLICY);
}

Test(nofork, less_is_granted_where_the_template_permits)
{
	struct spawn_request *request = template_request("weaker", "fork-libc", NULL);
	char *output;

	spawn_request_nofork(request, SPAWN_NOFORK_OFF);
	output = probe_output(client, request);
	cr_assert_str_eq(output, "fork-libc made a process\n");
	free(output);
	expect_level("weaker", SPAWN_NOFORK_OFF, "off");
	expect_level("weaker", -1, copy_in_words());
}

/* The way out by a sibling: a parked leaf or the host would fork on its behalf. */
static void expect_sibling_untouched(const char *template_name, const char *route)
{
	struct template_state_seen seen;
	char pid[16], *output;

	server_await_parked(client, template_name, 1);
	server_status(client, template_name, &seen);
	for (size_t i = 0; i <= seen.n_leaves; i++) {
		pid_t target = i < seen.n_leaves ? seen.leaves[i] : seen.host;

		snprintf(pid, sizeof(pid), "%d", (int)target);
		output = probe_output(client, template_request(template_name, route, pid, NULL));
		cr_expect(strstr(output, " EPERM\n") || strstr(output, " ESRCH\n") ||
				  strstr(output, " self\n"),
			  "%s of %s: %s", route, pid, output);
		free(output);
	}
}

Test(nofork, process_cannot_reach_into_host_and_siblings)
{
	free(probe_output(client, template_request("process", "exit", "0", NULL)));
	expect_sibling_untouched("process", "ptrace");
	expect_sibling_untouched("process", "vm-read");
}

/* Root may trace what is not dumpable; there the filter of `process` is what holds. */
Test(nofork, copy_cannot_reach_into_host_and_siblings)
{
	if (geteuid() == 0)
		cr_skip_test("root may trace every process");
	expect_sibling_untouched("probe", "ptrace");
	expect_sibling_untouched("probe", "vm-read");
}
