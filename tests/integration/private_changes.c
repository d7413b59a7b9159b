/* SPDX-License-Identifier: MIT */
/* A caller that is not what its private host was started with gets another one. */
#include "private_caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_works(struct spawn_client *client)
{
	struct spawn_proc *proc = start(client, probe("exit", "3", NULL));

	CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(proc))) == 3, "status");
	spawn_proc_free(proc);
}

/* Asserts that the one before the change is over, and reaped. */
static void expect_another_host(struct spawn_client *client, pid_t *host, const char *what)
{
	pid_t now;

	expect_works(client);
	now = host_of(getpid());
	CHECK(now != 0 && now != *host, "the same host after %s", what);
	CHECK(waitpid(*host, NULL, 0) < 0 && errno == ECHILD, "a host is left after %s", what);
	expect_works(client);
	CHECK(host_of(getpid()) == now, "not the same host after nothing");
	*host = now;
}

/* Not by a shell, which goes back to its real ids. */
static void expect_id(struct spawn_client *client, const char *option, const char *expected)
{
	struct spawn_request *request = spawn_request_new(NULL);
	char *text;

	spawn_request_program(request, "/usr/bin/id");
	spawn_request_args(request, 1, &option);
	text = output_of(client, request);
	CHECK(strcmp(text, expected) == 0, "id %s: %s, not %s", option, text, expected);
	free(text);
}

static void session_group_and_scheduling(void)
{
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid());
	cpu_set_t cpus;

	expect_works(client);
	CHECK(host_of(getpid()) == host, "not the first host");
	/* What travels with each request needs none. */
	umask(0101);
	CHECK(chdir("/") == 0, "chdir");
	expect_works(client);
	CHECK(host_of(getpid()) == host, "another host for a umask");
	CHECK(setpgid(0, 0) == 0, "setpgid");
	expect_another_host(client, &host, "setpgid");
	CHECK(setpriority(PRIO_PROCESS, 0, 2) == 0, "nice");
	expect_another_host(client, &host, "nice");
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (CPU_COUNT(&cpus) > 1) {
		for (int i = 0; CPU_COUNT(&cpus) > 1; i++)
			CPU_CLR(i, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		expect_another_host(client, &host, "sched_setaffinity");
	}
	CHECK(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}) == 0, "batch");
	expect_another_host(client, &host, "sched_setscheduler");
	CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0, "ioprio_set"); /* best effort, 6 */
	expect_another_host(client, &host, "ioprio_set");
	CHECK(personality(ADDR_NO_RANDOMIZE) >= 0, "personality");
	expect_another_host(client, &host, "personality");
	spawn_client_close(client);
}

static void session(void)
{
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid());

	CHECK(setsid() > 0, "setsid");
	expect_another_host(client, &host, "setsid");
	spawn_client_close(client);
}

static void add_filter(void)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	struct sock_fprog filter = {1, &allow};

	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "filter");
}

static void sandbox(void)
{
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid());
	char *text;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	expect_another_host(client, &host, "no_new_privs");
	text = output_of(client, shell("grep NoNewPrivs /proc/self/status"));
	CHECK(strcmp(text, "NoNewPrivs:\t1\n") == 0, "%s", text);
	free(text);
	add_filter();
	expect_another_host(client, &host, "a filter");
	add_filter(); /* still mode 2 */
	expect_another_host(client, &host, "a second filter");
	spawn_client_close(client);
}

static void credentials(void)
{
	struct spawn_client *client;
	pid_t host;

	if (getuid() != 0)
		SKIP("not root");
	client = own_client();
	host = host_of(getpid());
	CHECK(setgroups(2, (gid_t[]){4, 24}) == 0, "setgroups");
	expect_another_host(client, &host, "setgroups");
	expect_id(client, "-G", "0 4 24\n");
	CHECK(prctl(PR_CAPBSET_DROP, 25 /* CAP_SYS_TIME */) == 0, "bounding set");
	expect_another_host(client, &host, "a smaller bounding set");
	CHECK(setegid(65534) == 0, "setegid");
	expect_another_host(client, &host, "setegid");
	CHECK(seteuid(65534) == 0, "seteuid");
	/* The old one has more rights than we: it ends by the end of its channel. */
	expect_another_host(client, &host, "seteuid");
	expect_id(client, "-u", "65534\n");
	CHECK(seteuid(0) == 0, "seteuid 0");
	expect_another_host(client, &host, "seteuid 0");
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0,
	      "setresuid");
	expect_another_host(client, &host, "setresuid");
	expect_id(client, "-ru", "65534\n");
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left");
	is_other_user = true;
}

static void namespaces(void)
{
	struct spawn_client *client;
	pid_t host;

	if (getuid() != 0)
		SKIP("not root");
	client = own_client();
	host = host_of(getpid());
	if (unshare(CLONE_NEWNS) < 0)
		SKIP("no namespaces here");
	expect_another_host(client, &host, "a new mount namespace");
	if (unshare(CLONE_NEWNET) == 0)
		expect_another_host(client, &host, "a new network namespace");
	if (unshare(CLONE_NEWUSER) == 0)
		expect_another_host(client, &host, "a new user namespace");
	spawn_client_close(client);
}

/* Nothing can be compared there: each request has a host of its own, and is as right. */
static void without_proc(void)
{
	struct spawn_client *client;
	char *text;

	if (getuid() != 0)
		SKIP("not root");
	client = own_client();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
		SKIP("no namespaces here");
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	for (int i = 0; i < 3; i++) {
		umask((mode_t)i);
		text = output_of(client, shell("kill -USR1 $$; umask"));
		CHECK(strtol(text, NULL, 8) == i, "%s", text);
		free(text);
	}
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left");
	CHECK(umount("/proc") == 0, "umount");
}

static void root_directory(void)
{
	char dir[] = "/tmp/spawnd-private-XXXXXX", path[64];
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_client *client;
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	int r, root = open("/", O_PATH | O_CLOEXEC);

	if (getuid() != 0)
		SKIP("not root");
	client = own_client();
	CHECK(mkdtemp(dir), "%s", dir);
	snprintf(path, sizeof(path), "%s/only", dir);
	CHECK(mkdir(path, 0755) == 0, "mkdir");
	CHECK(chroot(dir) == 0 && chdir("/") == 0, "chroot");
	/* The executable is not there to be started again: the old root's is not used. */
	spawn_request_program(request, "/bin/sh");
	spawn_request_umask(request, 022);
	r = spawn_process(client, request, &proc, &err);
	CHECK(r == -ENOENT && strstr(err.message, "private host"), "%d %s", r, err.message);
	spawn_request_free(request);
	CHECK(fchdir(root) == 0 && chroot(".") == 0, "out of it");
	expect_works(client);
	rmdir(path);
	rmdir(dir);
	spawn_client_close(client);
}

/* Hard limits too, of who may: a host that was started with less makes no difference. */
static void raised_limits(void)
{
	struct spawn_client *client;
	char *text;

	if (getuid() != 0)
		SKIP("not root");
	CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){512, 1024}) == 0, "limit");
	client = own_client();
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){2048, 4096}) < 0)
		SKIP("no CAP_SYS_RESOURCE");
	text = output_of(client, shell("ulimit -Sc; ulimit -Hc"));
	CHECK(strcmp(text, "4\n8\n") == 0, "%s", text); /* in 512 bytes */
	free(text);
	spawn_client_close(client);
}

static void limit_of_processes(void)
{
	struct spawn_request *request = shell("exit 0");
	struct spawn_client *client;
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	int r;

	if (getuid() != 0)
		SKIP("not root");
	/* A user with no other process: this one and its host. */
	CHECK(setresuid(54321, 54321, 54321) == 0, "setresuid");
	client = own_client();
	CHECK(setrlimit(RLIMIT_NPROC, &(struct rlimit){2, 2}) == 0, "limit");
	r = spawn_process(client, request, &proc, &err);
	CHECK(r == -EAGAIN && strstr(err.message, "RLIMIT_NPROC"), "%d %s", r, err.message);
	spawn_request_free(request);
	spawn_client_close(client);
	is_other_user = true;
}

const struct scenario changes_scenarios[] = {
	{"session_group_and_scheduling", session_group_and_scheduling},
	{"session", session},
	{"sandbox", sandbox},
	{"credentials", credentials},
	{"namespaces", namespaces},
	{"without_proc", without_proc},
	{"root_directory", root_directory},
	{"raised_limits", raised_limits},
	{"limit_of_processes", limit_of_processes},
	{NULL, NULL},
};
