/* SPDX-License-Identifier: MIT */
/* How a leaf ended is told right: exit statuses, signals, core dumps, what it used. */
#include "probe_run.h"
#include "server.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;
static struct spawn_client *client;

static void start(void)
{
	server_start(&server, NULL);
	client = server_client(&server);
}

static void stop(void)
{
	spawn_client_close(client);
	server_stop(&server);
}

TestSuite(statuses, .init = start, .fini = stop, .timeout = 180);

Test(statuses, every_exit_status_is_reported)
{
	for (int i = 0; i < 256; i++) {
		char text[16];
		struct outcome o;

		snprintf(text, sizeof(text), "%d", i);
		probe_run(client, probe_request("exit", text, NULL), &o);
		cr_assert(o.known && o.status == i && o.signal == 0 && !o.core,
			  "exit %d was told as status %d signal %d", i, o.status, o.signal);
		outcome_free(&o);
	}
}

Test(statuses, entry_return_value_is_the_status_modulo_256)
{
	struct outcome o;

	probe_run(client, probe_request("return", "300", NULL), &o);
	cr_assert_eq(o.status, 44);
	outcome_free(&o);
}

static bool terminates(int sig)
{
	switch (sig) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return false;
	default:
		return true;
	}
}

Test(statuses, every_fatal_signal_is_reported)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	for (int sig = 1; sig <= 64; sig++) {
		char text[16];
		struct outcome o;

		if (!terminates(sig))
			continue;
		snprintf(text, sizeof(text), "%d", sig);
		probe_run(client, probe_request("signal", text, NULL), &o);
		cr_assert(o.known && o.signal == sig && o.status == -1 && o.start_error == 0,
			  "signal %d was told as status %d signal %d: %s", sig, o.status, o.signal,
			  o.output);
		cr_assert(!o.core, "core with RLIMIT_CORE 0, signal %d", sig);
		outcome_free(&o);
	}
}

Test(statuses, ignored_signals_do_not_end_a_leaf)
{
	struct outcome o;

	probe_run(client, probe_request("signal", "17", "signal", "23", "exit", "5", NULL), &o);
	cr_assert_eq(o.status, 5);
	outcome_free(&o);
}

/* core, or core.PID, as the kernel names it */
static void empty_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	cr_assert_not_null(dir);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* What the kernel does with a core here (core_pattern, its directory) is not this test's to know:
 * a plain child of fork is the measure. */
static bool plain_child_dumps(const char *dir)
{
	siginfo_t info = {0};
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir) < 0)
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		kill(getpid(), SIGABRT);
		_exit(2);
	}
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	cr_assert_eq(info.si_status, SIGABRT);
	return info.si_code == CLD_DUMPED;
}

Test(statuses, core_flag_is_as_for_a_plain_child)
{
	struct rlimit limit;
	struct spawn_request *request;
	struct outcome o;
	char dir[] = "/tmp/spawnd-core-XXXXXX";
	bool dumps;

	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_CORE, &limit);
	cr_assert_not_null(mkdtemp(dir));
	dumps = plain_child_dumps(dir);
	request = probe_request("signal", "6", NULL);
	spawn_request_chdir(request, dir);
	probe_run(client, request, &o);
	cr_assert_eq(o.signal, SIGABRT);
	cr_assert_eq(o.core, dumps, "core %d, for a plain child %d", o.core, dumps);
	outcome_free(&o);
	empty_directory(dir);
	rmdir(dir);
}

Test(statuses, output_of_stdio_is_flushed)
{
	char *output = probe_output(client, probe_request("printf", "not flushed by me", NULL));

	cr_assert_str_eq(output, "not flushed by me\n");
	free(output);
}

Test(statuses, usage_is_reported)
{
	struct spawn_usage usage = {.size = sizeof(usage)};
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *proc;
	struct spawn_exit *end;

	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	cr_assert_eq(spawn_proc_wait(proc, PATIENCE_MS, &end), 0);
	cr_assert_eq(spawn_exit_usage(end, &usage), 0);
	cr_assert_gt(usage.maxrss_kib, 0);
	cr_assert_gt(usage.wall_us, 0);
	cr_assert_gt(usage.minflt, 0);
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_request_free(request);
}

Test(statuses, wait_may_be_repeated)
{
	struct spawn_request *request = probe_request("exit", "9", NULL);
	struct spawn_proc *proc;

	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	for (int i = 0; i < 3; i++) {
		struct spawn_exit *end = NULL;

		cr_assert_eq(spawn_proc_wait(proc, PATIENCE_MS, &end), 0);
		cr_assert_eq(spawn_exit_status(end), 9);
		spawn_exit_free(end);
	}
	spawn_proc_free(proc);
	spawn_request_free(request);
}

Test(statuses, wait_that_times_out_leaves_the_leaf_alone)
{
	struct spawn_exit *end = NULL;
	struct probe p;
	struct outcome o;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", "exit", "4", NULL), &p);
	probe_await_line(&p, "here");
	cr_assert_eq(spawn_proc_wait(p.proc, 0, &end), -ETIMEDOUT);
	cr_assert_eq(spawn_proc_wait(p.proc, 20, &end), -ETIMEDOUT);
	cr_assert_null(end);
	probe_finish(&p, &o);
	cr_assert_eq(o.status, 4);
	outcome_free(&o);
}

Test(statuses, pidfd_is_readable_when_it_is_over_and_not_before)
{
	struct pollfd fd;
	struct probe p;

	probe_start_fed(client, probe_request("tell", "here", "echo", "0", NULL), &p);
	probe_await_line(&p, "here");
	fd = (struct pollfd){.fd = spawn_proc_pidfd(p.proc), .events = POLLIN};
	cr_assert_eq(poll(&fd, 1, 0), 0);
	close(p.in);
	cr_assert(await_readable(fd.fd));
	close(p.out);
	proc_expect_status(p.proc, 0);
}

Test(statuses, kill_after_the_end_says_so)
{
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *proc;
	struct spawn_exit *end;

	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	cr_assert_eq(spawn_proc_wait(proc, PATIENCE_MS, &end), 0);
	cr_assert_eq(spawn_proc_kill(proc, SIGTERM), -ESRCH);
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_request_free(request);
}

Test(statuses, moments_of_a_spawn_are_in_order)
{
	struct spawn_timing t = {.size = sizeof(t)};
	struct spawn_request *request = probe_request("exit", "0", NULL);
	struct spawn_proc *proc;

	server_await_parked(client, "probe", 1);
	cr_assert_eq(spawn_process(client, request, &proc, NULL), 0);
	cr_assert_eq(spawn_proc_timing(proc, &t), 0);
	cr_assert(t.pool_hit, "a parked leaf was there");
	cr_assert(0 < t.requested && t.requested <= t.received && t.received <= t.handed);
	cr_assert(t.handed <= t.launched && t.launched <= t.ready && t.ready <= t.confirmed);
	cr_assert(t.handed <= t.started && t.started <= t.confirmed);
	proc_expect_status(proc, 0);
	spawn_request_free(request);
}
