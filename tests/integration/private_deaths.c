/* SPDX-License-Identifier: MIT */
/* Private hosts that die, stop or are left alone; callers that fork or die. */
#include "private_caller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_status(struct spawn_client *client, int status)
{
	struct spawn_proc *proc;
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	proc = start(client, probe("exit", text, NULL));
	CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(proc))) == status, "status");
	spawn_proc_free(proc);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void close_leaves_nothing(void)
{
	int before = count_fds();
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid());

	CHECK(host > 0, "no host");
	expect_status(client, 1);
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
	CHECK(count_fds() == before, "%d descriptors, not %d", count_fds(), before);
}

static void close_completes_what_is_in_flight(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = probe("exit", "2", NULL);
	static struct completion c[MANY(50, 10)];
	const int n = sizeof(c) / sizeof(c[0]);

	for (int i = 0; i < n; i++)
		submit(client, request, &c[i]);
	spawn_client_close(client);
	for (int i = 0; i < n; i++) {
		CHECK(c[i].calls == 1 && c[i].proc, "%d: %s", i, c[i].message);
		CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(c[i].proc))) == 2, "status");
		spawn_proc_free(c[i].proc);
	}
	spawn_request_free(request);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
}

static void killed_host_is_replaced(void)
{
	struct spawn_client *client = own_client();

	for (int i = 0; i < 5; i++) {
		pid_t host = host_of(getpid());

		CHECK(host > 0 && kill(host, SIGKILL) == 0, "kill");
		expect_status(client, i);
		CHECK(host_of(getpid()) != host, "the same");
	}
	CHECK(count_children('Z') == 0, "zombies");
	spawn_client_close(client);
}

static void requests_that_a_killed_host_had_not_read_did_not_run(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = probe("exit", "2", NULL);
	pid_t host = host_of(getpid());
	static struct completion c[50];

	CHECK(kill(host, SIGSTOP) == 0, "stop");
	for (int i = 0; i < 50; i++)
		submit(client, request, &c[i]);
	CHECK(kill(host, SIGKILL) == 0, "kill");
	await_completions(client, c, 50);
	for (int i = 0; i < 50; i++)
		CHECK(c[i].code == -ECONNRESET && strstr(c[i].message, "does not run") &&
			      strstr(c[i].message, "private host"),
		      "%d: %d %s", i, c[i].code, c[i].message);
	spawn_request_free(request);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
	expect_status(client, 9);
	spawn_client_close(client);
}

/* Killed at whatever moment: what is said to have run, and nothing else, ran. */
static void requests_in_flight_are_told_as_they_are(void)
{
	char path[] = "/tmp/spawnd-private-XXXXXX";
	int file = mkostemp(path, O_CLOEXEC), ran = 0, not = 0;
	struct spawn_client *client = own_client();
	struct spawn_request *request = probe("mark", path, NULL);
	static struct completion c[40];
	struct stat st;

	CHECK(file >= 0, "%s", path);
	for (int round = 0; round < 25; round++) {
		pid_t host;

		memset(c, 0, sizeof(c));
		/* Now, when no copy of it is there that has not executed yet. */
		CHECK(spawn_client_ping(client, NULL) == 0, "ping");
		host = host_of(getpid());
		for (int i = 0; i < 40; i++) {
			submit(client, request, &c[i]);
			if (i == round)
				CHECK(kill(host, SIGKILL) == 0, "kill");
		}
		await_completions(client, c, 40);
		for (int i = 0; i < 40; i++) {
			int status;

			if (!c[i].proc) {
				CHECK(c[i].code == -ECONNRESET, "%d %s", c[i].code, c[i].message);
				not ++;
				continue;
			}
			status = wait_status(spawn_proc_pid(c[i].proc));
			CHECK(status == 0, "status %x", (unsigned)status);
			spawn_proc_free(c[i].proc);
			ran++;
		}
	}
	CHECK(fstat(file, &st) == 0 && st.st_size == ran, "%d ran, and were told %d (%d did not)",
	      (int)st.st_size, ran, not );
	CHECK(ran > 0, "none ran");
	unlink(path);
	spawn_request_free(request);
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
}

static void stopped_host_is_continued(void)
{
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid());

	CHECK(kill(host, SIGSTOP) == 0, "stop");
	expect_status(client, 4);
	CHECK(host_of(getpid()) == host, "another");
	spawn_client_close(client);
}

static void stopped_host_does_not_hold_up_close(void)
{
	struct spawn_client *client = own_client();

	CHECK(host_of(getpid()) > 0 && kill(host_of(getpid()), SIGSTOP) == 0, "stop");
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
}

static void signals_to_the_group_leave_the_host(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGALRM, SIGUSR1};
	struct spawn_client *client;
	pid_t host;

	CHECK(setpgid(0, 0) == 0, "setpgid");
	client = own_client();
	host = host_of(getpid());
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		signal(sigs[i], SIG_IGN);
		CHECK(kill(0, sigs[i]) == 0, "kill");
	}
	expect_status(client, 3);
	CHECK(host_of(getpid()) == host, "another");
	spawn_client_close(client);
}

/* It is the child's own, and the parent's goes on. */
static void forked_child_has_a_host_of_its_own(void)
{
	struct spawn_client *client = own_client();
	pid_t host = host_of(getpid()), child;
	struct spawn_proc *proc = start(client, shell("exit 5"));

	child = fork();
	CHECK(child >= 0, "fork");
	if (child == 0) {
		int before = count_fds();
		struct spawn_exit *end;
		char *text = output_of(client, shell("echo $PPID"));

		CHECK(strtol(text, NULL, 10) == getpid(), "%s", text);
		CHECK(host_of(getpid()) > 0 && host_of(getpid()) != host, "the parent's");
		CHECK(spawn_proc_wait(proc, -1, &end) == -ECHILD, "the parent's proc");
		spawn_proc_free(proc);
		spawn_client_close(client);
		CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "a process is left");
		/* Copies of the parent's: the channel twice, its host's pidfd, and the proc's. */
		CHECK(count_fds() == before - 4, "%d descriptors, %d before", count_fds(), before);
		_exit(0);
	}
	CHECK(wait_status(child) == 0, "the child");
	CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(proc))) == 5, "status");
	spawn_proc_free(proc);
	expect_status(client, 6);
	CHECK(host_of(getpid()) == host, "another");
	spawn_client_close(client);
}

/* Also with a process that the caller forked, and that has the channel still. */
static void host_ends_with_its_caller(void)
{
	pid_t caller, host = 0, left = 0;
	int tell[2], status;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	CHECK(pipe2(tell, O_CLOEXEC) == 0, "pipe");
	caller = fork();
	CHECK(caller >= 0, "fork");
	if (caller == 0) {
		own_client();
		host = host_of(getpid());
		left = fork();
		if (left == 0) {
			pause();
			_exit(0);
		}
		CHECK(write(tell[1], &host, sizeof(host)) == sizeof(host), "write");
		CHECK(write(tell[1], &left, sizeof(left)) == sizeof(left), "write");
		_exit(0);
	}
	CHECK(read(tell[0], &host, sizeof(host)) == sizeof(host), "read");
	CHECK(read(tell[0], &left, sizeof(left)) == sizeof(left), "read");
	wait_status(caller);
	status = wait_status(host); /* or the alarm */
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
	kill(left, SIGKILL);
	wait_status(left);
}

/* One that comes to life after its caller's end has another parent, which must not keep it. */
static void host_of_a_dead_caller_ends(void)
{
	pid_t caller, host, holder;
	int tell[2], status;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	CHECK(pipe2(tell, O_CLOEXEC) == 0, "pipe");
	caller = fork();
	if (caller == 0) {
		int pair[2], pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

		CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "pair");
		holder = fork();
		if (holder == 0) {
			pause();
			_exit(0);
		}
		CHECK(write(tell[1], &holder, sizeof(holder)) == sizeof(holder), "write");
		host = fork();
		if (host == 0) {
			poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1);
			dup2(fcntl(pair[1], F_DUPFD_CLOEXEC, 10), 3);
			execl(getenv("SPAWN_PRIVATE_HOST"), "spawn-private", (char *)NULL);
			_exit(1);
		}
		CHECK(write(tell[1], &host, sizeof(host)) == sizeof(host), "write");
		_exit(0);
	}
	CHECK(read(tell[0], &holder, sizeof(holder)) == sizeof(holder), "read");
	CHECK(read(tell[0], &host, sizeof(host)) == sizeof(host), "read");
	wait_status(caller);
	status = wait_status(host); /* or the alarm */
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
	kill(holder, SIGKILL);
	wait_status(holder);
}

/* What the host itself has. */
static void host_holds_nothing_of_the_callers(void)
{
	struct spawn_client *client;
	struct spawn_proc *proc;
	char path[64];
	DIR *dir;
	int n = 0, pipe_fds[2];
	char c;

	CHECK(pipe(pipe_fds) == 0, "pipe"); /* not close-on-exec */
	client = own_client();
	proc = start(client, shell("exit 0"));
	wait_status(spawn_proc_pid(proc));
	spawn_proc_free(proc);
	close(pipe_fds[1]);
	CHECK(read(pipe_fds[0], &c, 1) == 0, "somebody has the pipe's end");
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)host_of(getpid()));
	dir = opendir(path);
	CHECK(dir, "%s", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	CHECK(n - 2 == 5,
	      "%d descriptors, not the 3 of nothing, its channel, and its parent's pidfd", n - 2);
	spawn_client_close(client);
}

const struct scenario deaths_scenarios[] = {
	{"close_leaves_nothing", close_leaves_nothing},
	{"close_completes_what_is_in_flight", close_completes_what_is_in_flight},
	{"killed_host_is_replaced", killed_host_is_replaced},
	{"requests_that_a_killed_host_had_not_read_did_not_run",
	 requests_that_a_killed_host_had_not_read_did_not_run},
	{"requests_in_flight_are_told_as_they_are", requests_in_flight_are_told_as_they_are},
	{"stopped_host_is_continued", stopped_host_is_continued},
	{"stopped_host_does_not_hold_up_close", stopped_host_does_not_hold_up_close},
	{"signals_to_the_group_leave_the_host", signals_to_the_group_leave_the_host},
	{"forked_child_has_a_host_of_its_own", forked_child_has_a_host_of_its_own},
	{"host_ends_with_its_caller", host_ends_with_its_caller},
	{"host_of_a_dead_caller_ends", host_of_a_dead_caller_ends},
	{"host_holds_nothing_of_the_callers", host_holds_nothing_of_the_callers},
	{NULL, NULL},
};
