/* SPDX-License-Identifier: MIT */
/* What a request says about the process itself, in children of the application's own. */
#include "private_caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct spawn_request *status_request(void)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, "/bin/cat");
	spawn_request_args(request, 1, (const char *const[]){"/proc/self/status"});
	return request;
}

static void expect_in_output(struct spawn_client *client, struct spawn_request *request,
			     const char *line)
{
	char *text = output_of(client, request);

	CHECK(strstr(text, line), "no \"%s\" in %s", line, text);
	free(text);
}

/* Without the two of glibc's own, which posix_spawn makes who started this ignore. */
static void expect_ignored(struct spawn_client *client, struct spawn_request *request,
			   unsigned long long expected)
{
	char *text = output_of(client, request), *line = strstr(text, "\nSigIgn:\t");
	unsigned long long set = line ? strtoull(line + 9, NULL, 16) : 0;

	CHECK(line && (set & ~(3ull << 31)) == expected, "%llx in %s", set, text);
	free(text);
}

static void asked_signals(void)
{
	struct spawn_request *request = status_request();
	struct spawn_client *client;
	sigset_t set;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	client = own_client();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	spawn_request_sigdefault(request, &set);
	expect_ignored(client, request, 1 << (SIGUSR2 - 1));
	expect_ignored(client, status_request(), 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1));
	request = status_request();
	spawn_request_sigmask(request, &set);
	expect_in_output(client, request, "\nSigBlk:\t0000000000000200\n");
	expect_in_output(client, status_request(), "\nSigBlk:\t0000000000004000\n");
	spawn_client_close(client);
}

static void expect_refused(struct spawn_client *client, struct spawn_request *request, int code,
			   const char *step)
{
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	int r = spawn_process(client, request, &proc, &err);

	CHECK(r == code && strcmp(err.step, step) == 0, "%d at %s: %s", r, err.step, err.message);
	spawn_request_free(request);
	CHECK(count_children('Z') == 0, "zombies");
}

#define READ_STAT "read pid comm state parent group session rest </proc/$$/stat; "

static void asked_group_and_session(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = shell("read x");
	struct spawn_proc *leader;
	char expected[64];
	int in[2];

	CHECK(pipe2(in, O_CLOEXEC) == 0, "pipe");
	spawn_request_fd(request, in[0], 0);
	spawn_request_process_group(request, 0);
	leader = start(client, request);
	CHECK(getpgid(spawn_proc_pid(leader)) == spawn_proc_pid(leader), "no new group");
	request = shell(READ_STAT "echo $group $session.");
	spawn_request_process_group(request, spawn_proc_pid(leader));
	snprintf(expected, sizeof(expected), "%d %d.", (int)spawn_proc_pid(leader), (int)getsid(0));
	expect_in_output(client, request, expected);
	request = shell(READ_STAT "echo $group $session.");
	snprintf(expected, sizeof(expected), "%d %d.", (int)getpgrp(), (int)getsid(0));
	expect_in_output(client, request, expected);
	request = shell(READ_STAT "echo $((group - $$)) $((session - $$)).");
	spawn_request_session(request, true);
	expect_in_output(client, request, "0 0.");
	close(in[1]);
	wait_status(spawn_proc_pid(leader));
	request = shell("exit 0");
	spawn_request_process_group(request, spawn_proc_pid(leader)); /* over, and its pid free */
	expect_refused(client, request, -EPERM, "group");
	spawn_proc_free(leader);
	close(in[0]);
	spawn_client_close(client);
}

static void asked_limits_and_scheduling(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = shell(
		"ulimit -Sn; ulimit -Hn; nice; cat /proc/$$/oom_score_adj /proc/$$/timerslack_ns");
	const unsigned none[] = {8191};
	unsigned cpu = 0;
	char line[64];
	cpu_set_t set;
	int fd;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	spawn_request_rlimit(request, RLIMIT_NOFILE, 77, 99);
	spawn_request_nice(request, 9);
	spawn_request_oom_score_adj(request, 777);
	spawn_request_timer_slack(request, 4321);
	expect_in_output(client, request, "77\n99\n9\n777\n4321\n");
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "300", 3) == 3, "oom_score_adj");
	close(fd);
	request = shell("cat /proc/$$/oom_score_adj");
	spawn_request_oom_score_adj(request, 200); /* as this process could itself */
	expect_in_output(client, request, "200\n");
	request = status_request();
	spawn_request_cpus(request, 1, &cpu);
	snprintf(line, sizeof(line), "\nCpus_allowed:\t%x\n", 1u << cpu);
	expect_in_output(client, request, line);
	request = shell("exit 0");
	spawn_request_cpus(request, 1, none);
	expect_refused(client, request, -EINVAL, "affinity");
	request = shell("exit 0");
	spawn_request_rlimit(request, RLIMIT_NOFILE, UINT64_MAX, UINT64_MAX);
	expect_refused(client, request, -EPERM, "rlimit");
	spawn_client_close(client);
}

static void asked_no_new_privs(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = status_request();

	spawn_request_no_new_privs(request, true);
	expect_in_output(client, request, "\nNoNewPrivs:\t1\n");
	expect_in_output(client, status_request(), "\nNoNewPrivs:\t0\n");
	spawn_client_close(client);
}

/* An application that ends at once, with a child that says why it does. */
static void asked_death_signal(void)
{
	char line[16] = "";
	int out[2], ready[2];
	pid_t application;
	ssize_t n;

	CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0, "pipe");
	application = fork();
	if (application == 0) {
		struct spawn_client *client = own_client();
		struct spawn_request *request =
			shell("trap 'echo usr1 >&5; exit' USR1; echo ready >&5; read x <&6");

		spawn_request_fd(request, out[1], 5);
		spawn_request_fd(request, ready[0], 6);
		spawn_request_death_signal(request, SIGUSR1);
		start(client, request);
		CHECK(read(out[0], line, 6) == 6, "no word");
		_exit(0);
	}
	CHECK(wait_status(application) == 0, "the application");
	close(out[1]);
	n = read(out[0], line, sizeof(line) - 1);
	CHECK(n == 5 && strncmp(line, "usr1\n", 5) == 0, "%zd: %s", n, line);
}

static void asked_descriptors(void)
{
	struct spawn_client *client;
	struct spawn_request *request = shell("echo err >&2; ls /proc/$$/fd");
	int file = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	CHECK(file >= 0 && dup2(file, 60) == 60, "dup2");
	client = own_client();
	spawn_request_dup(request, 1, 2);
	spawn_request_fd(request, file, 4);
	spawn_request_dup(request, 4, 6);
	spawn_request_close(request, 4);
	expect_in_output(client, request, "err\n0\n1\n2\n6\n");
	request = shell("ls /proc/$$/fd");
	spawn_request_inherit(request, 1000);
	expect_in_output(client, request, "\n60\n");
	for (int from = 3; from < 12; from++) {
		request = shell("exit 0");
		spawn_request_dup(request, from, 12);
		expect_refused(client, request, -EBADF, "open");
	}
	close(0);
	request = shell("exit 0");
	spawn_request_dup(request, 0, 3); /* nothing is there: not the host's either */
	expect_refused(client, request, -EBADF, "open");
	spawn_client_close(client);
}

static void asked_credentials(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = status_request();
	const gid_t groups[] = {77};

	if (geteuid() != 0)
		SKIP("only root may become somebody else");
	spawn_request_credentials(request, 65000, 65001, 1, groups);
	expect_in_output(client, request,
			 "\nUid:\t65000\t65000\t65000\t65000\nGid:\t65001\t65001\t65001\t65001\n");
	request = status_request();
	spawn_request_credentials(request, 65000, 65001, 1, groups);
	expect_in_output(client, request, "\nGroups:\t77 \n");
	request = status_request();
	spawn_request_capabilities(request, 1);
	expect_in_output(client, request, "\nCapBnd:\t0000000000000001\n");
	/* An application that is not root, and asks for root's. */
	spawn_client_close(client);
	CHECK(setgroups(0, NULL) == 0 && setgid(65001) == 0 && setuid(65000) == 0, "setuid");
	is_other_user = true;
	client = own_client();
	request = shell("exit 0");
	spawn_request_credentials(request, 0, 0, 0, NULL);
	expect_refused(client, request, -EPERM, "gid");
	request = shell("exit 0");
	spawn_request_credentials(request, 0, 65001, 0, NULL);
	expect_refused(client, request, -EPERM, "uid");
	request = shell("exit 0");
	spawn_request_credentials(request, 65000, 65001, 1, groups);
	expect_refused(client, request, -EPERM, "groups");
	request = shell("exit 0");
	spawn_request_capabilities(request, 0);
	expect_refused(client, request, -EPERM, "capabilities");
	request = status_request();
	spawn_request_capabilities(request, 0);
	spawn_request_no_new_privs(request, true);
	expect_in_output(client, request, "\nNoNewPrivs:\t1\n");
	spawn_client_close(client);
}

static void asked_control_group(void)
{
	static const char path[] = "/sys/fs/cgroup/unified/spawnd-test-own";
	struct spawn_client *client = own_client();
	struct spawn_request *request = shell("cat /proc/$$/cgroup");

	spawn_request_cgroup(request, "/tmp");
	expect_refused(client, request, -EMEDIUMTYPE, "cgroup");
	if (mkdir(path, 0700) < 0)
		SKIP("no control group can be made");
	request = shell("cat /proc/$$/cgroup");
	spawn_request_cgroup(request, path);
	expect_in_output(client, request, "/spawnd-test-own\n");
	spawn_client_close(client);
	CHECK(rmdir(path) == 0, "%s", strerror(errno));
}

const struct scenario process_scenarios[] = {
	{"asked_signals", asked_signals},
	{"asked_group_and_session", asked_group_and_session},
	{"asked_limits_and_scheduling", asked_limits_and_scheduling},
	{"asked_no_new_privs", asked_no_new_privs},
	{"asked_death_signal", asked_death_signal},
	{"asked_descriptors", asked_descriptors},
	{"asked_credentials", asked_credentials},
	{"asked_control_group", asked_control_group},
	{NULL, NULL},
};
