/* SPDX-License-Identifier: MIT */
/* What the application's children are, and who waits for them. */
#include "private_caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void status_by_waitpid(void)
{
	struct spawn_client *client = own_client();
	struct spawn_proc *proc = start(client, shell("exit 7"));
	int status = wait_status(spawn_proc_pid(proc));

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%x", (unsigned)status);
	spawn_proc_free(proc);
	proc = start(client, shell("kill -SEGV $$"));
	status = wait_status(spawn_proc_pid(proc));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%x", (unsigned)status);
	spawn_proc_free(proc);
	spawn_client_close(client);
}

static void parent_is_the_caller(void)
{
	struct spawn_client *client = own_client();
	char *text = output_of(client, shell("echo $PPID"));

	CHECK(strtol(text, NULL, 10) == getpid(), "%s", text);
	free(text);
	spawn_client_close(client);
}

static void status_by_proc_wait(void)
{
	struct spawn_client *client = own_client();
	struct spawn_proc *proc = start(client, shell("exec sleep 1000"));
	struct spawn_usage usage = {.size = sizeof(usage)};
	struct spawn_exit *end = NULL;
	int r;

	spawn_client_close(client); /* a proc outlives it */
	CHECK(spawn_proc_wait(proc, 0, &end) == -ETIMEDOUT, "over at once");
	CHECK(spawn_proc_kill(proc, SIGTERM) == 0, "kill");
	r = spawn_proc_wait(proc, -1, &end);
	CHECK(r == 0 && spawn_exit_known(end) && spawn_exit_signal(end) == SIGTERM, "%d", r);
	CHECK(spawn_exit_usage(end, &usage) == 0 && usage.maxrss_kib > 0, "no usage");
	spawn_exit_free(end);
	CHECK(spawn_proc_wait(proc, -1, &end) == 0 && spawn_exit_signal(end) == SIGTERM, "again");
	spawn_exit_free(end);
	CHECK(spawn_proc_kill(proc, SIGTERM) == -ESRCH, "killed twice");
	CHECK(waitpid(spawn_proc_pid(proc), NULL, 0) < 0 && errno == ECHILD, "not reaped");
	spawn_proc_free(proc);
}

/* PIDFD_GET_INFO tells the status of what was reaped from Linux 6.15 on; before it is unknown. */
static void waitpid_first_leaves_no_guess(void)
{
	struct spawn_client *client = own_client();
	struct spawn_proc *proc = start(client, shell("exit 8"));
	struct spawn_exit *end;

	wait_status(spawn_proc_pid(proc));
	CHECK(spawn_proc_wait(proc, -1, &end) == 0, "wait");
	CHECK(spawn_exit_status(end) == (spawn_exit_known(end) ? 8 : -1), "status %d",
	      spawn_exit_status(end));
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_client_close(client);
}

static void freed_proc_is_left_to_waitpid(void)
{
	struct spawn_client *client = own_client();
	struct spawn_proc *proc = start(client, shell("exit 5"));
	pid_t pid = spawn_proc_pid(proc);

	spawn_proc_free(proc);
	CHECK(WEXITSTATUS(wait_status(pid)) == 5, "status");
	spawn_client_close(client);
}

static void sigchld_arrives(void)
{
	struct spawn_client *client;
	struct spawn_proc *proc;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	client = own_client();
	proc = start(client, shell("exit 6"));
	CHECK(sigwaitinfo(&set, &info) == SIGCHLD, "%s", strerror(errno));
	CHECK(info.si_pid == spawn_proc_pid(proc) && info.si_code == CLD_EXITED &&
		      info.si_status == 6,
	      "pid %d code %d status %d", (int)info.si_pid, info.si_code, info.si_status);
	wait_status(info.si_pid);
	spawn_proc_free(proc);
	spawn_client_close(client);
}

static void sigchld_ignored(void)
{
	struct spawn_client *client;
	struct spawn_proc *proc;
	struct spawn_exit *end;

	signal(SIGCHLD, SIG_IGN);
	client = own_client();
	proc = start(client, probe("exit", "4", NULL));
	CHECK(spawn_proc_wait(proc, -1, &end) == 0, "wait");
	CHECK(spawn_exit_status(end) == (spawn_exit_known(end) ? 4 : -1), "status %d",
	      spawn_exit_status(end));
	spawn_exit_free(end);
	spawn_proc_free(proc);
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left");
}

static void reap_all(int sig)
{
	int saved = errno;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

/* As many an application has it. */
static void handler_that_reaps_all_is_no_harm(void)
{
	struct spawn_request *missing = spawn_request_new(NULL);
	struct sigaction reap = {.sa_handler = reap_all, .sa_flags = SA_RESTART};
	struct spawn_client *client;
	int known = 0;

	CHECK(sigaction(SIGCHLD, &reap, NULL) == 0, "sigaction");
	spawn_request_program(missing, "/nonexistent");
	client = own_client();
	for (int i = 0; i < 200; i++) {
		struct spawn_proc *proc;
		struct spawn_exit *end;
		struct spawn_error err;
		int r;

		if (i % 10 == 9) {
			r = spawn_process(client, missing, &proc, &err);
			CHECK(r == -ENOENT && strcmp(err.step, "exec") == 0, "%d %s", r,
			      err.message);
		}
		if (i % 50 == 49) {
			pid_t host = host_of(getpid());

			CHECK(host > 0 && kill(host, SIGKILL) == 0, "no host");
		}
		proc = start(client, probe("exit", "3", NULL));
		r = spawn_proc_wait(proc, -1, &end);
		CHECK(r == 0, "wait: %d", r);
		CHECK(spawn_exit_status(end) == (spawn_exit_known(end) ? 3 : -1), "status %d",
		      spawn_exit_status(end));
		known += spawn_exit_known(end);
		spawn_exit_free(end);
		spawn_proc_free(proc);
	}
	spawn_request_free(missing);
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left (%d known)", known);
}

static void program_by_descriptor(void)
{
	int fd = open(getenv("PRIVATE_PROBE"), O_PATH | O_CLOEXEC);
	struct spawn_request *request = spawn_request_new(NULL);
	struct spawn_client *client = own_client();
	char *text;

	CHECK(fd >= 0, "%s", getenv("PRIVATE_PROBE"));
	spawn_request_program_fd(request, fd);
	spawn_request_args(request, 1, (const char *const[]){"attributes"});
	text = output_of(client, request);
	CHECK(strstr(text, "\nfd 2 ") && !strstr(text, "\nfd 3 "), "%s", text);
	free(text);
	close(fd);
	spawn_client_close(client);
}

static void terminal_is_the_callers(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	struct spawn_client *client;
	char line[64];
	ssize_t n;

	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "pty");
	CHECK(setsid() > 0, "setsid");
	slave = open(ptsname(master), O_RDWR | O_CLOEXEC); /* the controlling terminal */
	CHECK(slave >= 0, "%s", ptsname(master));
	client = own_client();
	free(output_of(client, shell("echo hello >/dev/tty")));
	n = read(master, line, sizeof(line) - 1);
	CHECK(n > 0, "read");
	line[n] = '\0';
	CHECK(strncmp(line, "hello", 5) == 0, "%s", line);
	spawn_client_close(client);
}

/*
 * What fork and exec make of the same program, but for descriptors that are not close-on-exec: a
 * request names those. (posix_spawn would add two ignored signals of glibc's own.)
 */
static char *output_by_fork_and_exec(char *const argv[])
{
	int out[2];
	char *text;
	pid_t pid;

	CHECK(pipe2(out, O_CLOEXEC) == 0, "pipe");
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (pid == 0) {
		dup2(out[1], 1);
		close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	text = read_all(out[0]);
	close(out[0]);
	CHECK(wait_status(pid) == 0, "%s", text);
	return text;
}

/* The inode of a pipe that was made for it is no difference. */
static void drop_pipe_inode(char *text)
{
	char *line = strstr(text, "fd 1 "), *inode = line ? strstr(line, "inode ") : NULL;

	CHECK(inode, "%s", text);
	for (inode += 6; *inode >= '0' && *inode <= '9'; inode++)
		*inode = '-';
	for (char *from = inode; (inode[-1] == '-') && *from; from++) {
		memmove(inode - 1, inode, strlen(inode) + 1);
		inode--;
	}
}

static void expect_like_fork_and_exec(struct spawn_client *client, const char *when)
{
	char *argv[] = {getenv("PRIVATE_PROBE"), (char *)(uintptr_t) "attributes", NULL};
	char *expected = output_by_fork_and_exec(argv);
	char *text = output_of(client, probe("attributes", NULL));

	drop_pipe_inode(text);
	drop_pipe_inode(expected);
	CHECK(strcmp(text, expected) == 0, "%s:\n%s---- by fork and exec:\n%s", when, text,
	      expected);
	free(text);
	free(expected);
}

static void attributes_as_fork_and_exec(void)
{
	struct spawn_client *client = own_client();
	struct rlimit limit;
	cpu_set_t cpus;
	sigset_t set;

	expect_like_fork_and_exec(client, "at first");
	umask(0137);
	CHECK(chdir("/usr") == 0, "chdir");
	setenv("SPAWN_T_NEW", "value", 1);
	unsetenv("HOME");
	expect_like_fork_and_exec(client, "umask, directory, environment");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMAX, SIG_IGN);
	expect_like_fork_and_exec(client, "signals");
	signal(SIGPIPE, SIG_DFL);
	expect_like_fork_and_exec(client, "a signal no longer ignored");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 200;
	setrlimit(RLIMIT_NOFILE, &limit);
	setrlimit(RLIMIT_CORE, &(struct rlimit){1000, 2000});
	expect_like_fork_and_exec(client, "limits");
	if (getuid() == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){3000, 4000});
		limit.rlim_max += 10; /* where root may */
		setrlimit(RLIMIT_NOFILE, &limit);
		expect_like_fork_and_exec(client, "hard limits that were raised");
	}
	CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0, "nice");
	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (int i = 0; CPU_COUNT(&cpus) > 1; i++)
		CPU_CLR(i, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	expect_like_fork_and_exec(client, "scheduling");
	CHECK(setpgid(0, 0) == 0, "setpgid");
	expect_like_fork_and_exec(client, "process group");
	close(0);
	CHECK(fcntl(2, F_SETFD, FD_CLOEXEC) == 0, "cloexec");
	expect_like_fork_and_exec(client, "standard streams that are not there");
	spawn_client_close(client);
}

/* fork hands on what is not close-on-exec; a request names what it passes. */
static void descriptors_are_those_asked_for(void)
{
	struct spawn_client *client;
	struct spawn_request *request;
	int stray = open("/dev/null", O_RDONLY); /* not close-on-exec: not for a program */
	char *text;

	CHECK(stray >= 0, "/dev/null");
	client = own_client();
	request = shell("cd /proc/self/fd && echo *");
	spawn_request_fd(request, stray, 7);
	spawn_request_fd(request, stray, 4);
	text = output_of(client, request);
	/* One of them is the shell's own, of the directory that it lists: the lowest that is free.
	 */
	CHECK(strcmp(text, "0 1 2 3 4 7\n") == 0, "%s", text);
	free(text);
	spawn_client_close(client);
}

/* More than fit beside each other and their targets, for a moment, within the caller's soft limit.
 */
static void many_descriptors_within_a_small_limit(void)
{
	struct spawn_client *client;
	struct spawn_request *request = shell("cd /proc/self/fd && set -- * && echo $#");
	struct rlimit limit;
	char *text;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 1024)
		SKIP("a small hard limit");
	limit.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &limit);
	client = own_client();
	for (int target = 50; target < 250; target++)
		spawn_request_fd(request, 0, target);
	text = output_of(client, request);
	CHECK(strtol(text, NULL, 10) >= 203, "%s", text);
	free(text);
	spawn_client_close(client);
}

static void large_environment_arrives(void)
{
	struct spawn_client *client = own_client();
	char *value = malloc(100001), *text;
	struct spawn_request *request = shell("echo ${#L0} ${#L11}");

	memset(value, 'v', 100000);
	value[100000] = '\0';
	for (int i = 0; i < 12; i++) {
		char name[8];

		snprintf(name, sizeof(name), "L%d", i);
		spawn_request_setenv(request, name, value);
	}
	text = output_of(client, request);
	CHECK(strcmp(text, "100000 100000\n") == 0, "%s", text);
	free(text);
	free(value);
	spawn_client_close(client);
}

static void expect_refused(struct spawn_client *client, struct spawn_request *request, int code,
			   const char *step, const char *part)
{
	struct spawn_error err = {0};
	struct spawn_proc *proc;
	int r = spawn_process(client, request, &proc, &err);

	CHECK(r == code && strcmp(err.step, step) == 0 && strstr(err.message, part), "%d at %s: %s",
	      r, err.step, err.message);
	spawn_request_free(request);
}

static struct spawn_request *program(const char *path)
{
	struct spawn_request *request = spawn_request_new(NULL);

	spawn_request_program(request, path);
	return request;
}

static void failed_start_leaves_no_zombie(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request;

	expect_refused(client, program("/nonexistent"), -ENOENT, "exec", "/nonexistent");
	expect_refused(client, program("/etc/passwd/x"), -ENOTDIR, "exec", "/etc/passwd/x");
	expect_refused(client, program("/etc"), -EACCES, "exec", "/etc");
	request = shell("exit 0");
	spawn_request_chdir(request, "/nonexistent");
	expect_refused(client, request, -ENOENT, "chdir", "/nonexistent");
	request = shell("exit 0");
	spawn_request_open(request, 5, "/nonexistent/file", O_RDONLY, 0);
	expect_refused(client, request, -ENOENT, "open", "/nonexistent/file");
	CHECK(count_children('Z') == 0, "zombies");
	CHECK(waitpid(-1, NULL, WNOHANG) == 0, "something to wait for");
	spawn_client_close(client);
}

static void submitted_failure_is_in_the_record(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = program("/nonexistent");
	struct completion c = {0};
	struct spawn_exit *end;
	const char *step;

	submit(client, request, &c);
	await_completions(client, &c, 1);
	CHECK(c.proc, "%s", c.message);
	CHECK(spawn_proc_wait(c.proc, -1, &end) == 0, "wait");
	CHECK(spawn_exit_start_error(end, &step) == -ENOENT && strcmp(step, "exec") == 0, "%s",
	      step);
	CHECK(spawn_exit_status(end) == -1, "status %d", spawn_exit_status(end));
	spawn_exit_free(end);
	spawn_proc_free(c.proc);
	spawn_request_free(request);
	CHECK(count_children('Z') == 0, "zombies");
	spawn_client_close(client);
}

static void refusals_name_what_is_refused(void)
{
	struct spawn_client *client = own_client();
	const struct spawn_status_calls calls = {0};
	struct spawn_request *request;
	struct spawn_error err;

	request = shell("exit 0");
	spawn_request_kill_with_caller(request, true);
	expect_refused(client, request, -EOPNOTSUPP, "owner", "kill_with_caller");
	request = shell("exit 0");
	spawn_request_deadline(request, 100, 100);
	expect_refused(client, request, -EOPNOTSUPP, "owner", "deadline");
	expect_refused(client, spawn_request_new("words"), -ENOTCONN, "owner", "words");
	expect_refused(client, spawn_request_new(NULL), -EINVAL, "owner", "program");
	request = shell("exit 0");
	spawn_request_owner(request, SPAWN_OWNER_SERVER);
	expect_refused(client, request, -ENOTCONN, "owner", "server");
	CHECK(spawn_client_status(client, &calls, NULL, &err) == -ENOTCONN, "status");
	CHECK(spawn_client_ping(client, &err) == 0, "%s", err.message);
	spawn_client_close(client);
}

static void nofork_holds(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = shell("/bin/true; exit 3");
	struct spawn_proc *proc;

	spawn_request_nofork(request, SPAWN_NOFORK_PROCESS);
	proc = start(client, request);
	CHECK(strcmp(spawn_proc_nofork(proc), "process (seccomp: inherited, no_new_privs)") == 0,
	      "%s", spawn_proc_nofork(proc));
	CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(proc))) != 3, "the shell made a process");
	spawn_proc_free(proc);
	proc = start(client, shell("/bin/true; exit 3"));
	CHECK(strcmp(spawn_proc_nofork(proc), "off") == 0, "%s", spawn_proc_nofork(proc));
	CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(proc))) == 3, "off by default");
	spawn_proc_free(proc);
	spawn_client_close(client);
}

#define CHILDREN MANY(10000, 1024)

static struct spawn_client *their_client;
/* By pid: 1 + the status that the child of that pid shall have; 0: none that is known. Pids come
 * again, once they are waited for. */
static int expected[4194305];

static void expect(struct spawn_proc *proc, const struct spawn_error *err, void *user)
{
	const int *status = user;

	CHECK(proc, "%s", err->message);
	CHECK(expected[spawn_proc_pid(proc)] == 0, "pid %d twice", (int)spawn_proc_pid(proc));
	expected[spawn_proc_pid(proc)] = 1 + *status;
	spawn_proc_free(proc);
}

static int collect(int flags)
{
	int n = 0, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, flags)) > 0) {
		/* A child may be over before the library has told who it is. */
		while (expected[pid] == 0)
			dispatch_once(their_client);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected[pid] - 1,
		      "pid %d: %x, not %d", (int)pid, (unsigned)status, expected[pid] - 1);
		expected[pid] = 0;
		n++;
		if (!flags)
			break;
	}
	return n;
}

static void ten_thousand_by_submit_and_waitpid(void)
{
	static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
	struct spawn_request *requests[16];
	int reaped = 0, ahead = 0;

	their_client = own_client();
	for (int i = 0; i < 16; i++) {
		char status[16];

		snprintf(status, sizeof(status), "%d", primes[i]);
		requests[i] = probe("exit", status, NULL);
	}
	for (int i = 0; i < CHILDREN; i++) {
		struct spawn_error err;
		int r;

		while ((r = spawn_submit(their_client, requests[i % 16], expect,
					 (void *)(uintptr_t)&primes[i % 16], NULL, &err)) ==
		       -EAGAIN)
			dispatch_once(their_client);
		CHECK(r == 0, "%d %s", r, err.message);
		if (i % 64 < 63)
			continue;
		r = spawn_client_dispatch(their_client);
		ahead += r >= 0 && r < 64; /* it was not waited for */
		reaped += collect(WNOHANG);
		/* With a sanitizer it takes its time, and whoever waits wants to see it go on. */
		if (i % 128 == 127)
			progress();
	}
	while (reaped < CHILDREN) {
		reaped += collect(0);
		if (reaped % 128 == 0)
			progress();
	}
	CHECK(ahead > 0, "not pipelined");
	for (int i = 0; i < 16; i++)
		spawn_request_free(requests[i]);
	spawn_client_close(their_client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left");
}

static void *start_fifty(void *user)
{
	struct spawn_client *client = user;

	for (int i = 0; i < 50; i++) {
		struct spawn_proc *proc;
		struct spawn_exit *end;
		char status[16];

		snprintf(status, sizeof(status), "%d", i);
		proc = start(client, probe("exit", status, NULL));
		CHECK(spawn_proc_wait(proc, -1, &end) == 0, "wait");
		CHECK(spawn_exit_status(end) == i, "%d, not %d", spawn_exit_status(end), i);
		spawn_exit_free(end);
		spawn_proc_free(proc);
	}
	return NULL;
}

static void eight_threads_at_once(void)
{
	struct spawn_client *client = own_client();
	pthread_t threads[8];
	pid_t host = host_of(getpid());

	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, start_fifty, client) == 0, "thread");
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK(host_of(getpid()) == host, "not one host");
	CHECK(count_children('Z') == 0, "zombies");
	spawn_client_close(client);
}

static void *wait_too(void *user)
{
	struct spawn_exit *end;

	CHECK(spawn_proc_wait(user, -1, &end) == 0, "wait");
	CHECK(spawn_exit_known(end) && spawn_exit_status(end) == 17, "%d", spawn_exit_status(end));
	spawn_exit_free(end);
	return NULL;
}

static void eight_threads_wait_for_one(void)
{
	struct spawn_client *client = own_client();
	struct spawn_request *request = shell("read x; exit 17");
	struct spawn_proc *proc;
	pthread_t threads[8];
	int in[2];

	CHECK(pipe2(in, O_CLOEXEC) == 0, "pipe");
	spawn_request_fd(request, in[0], 0);
	proc = start(client, request);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_too, proc) == 0, "thread");
	close(in[1]);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	spawn_proc_free(proc);
	close(in[0]);
	spawn_client_close(client);
}

/* With $SPAWND_SOCKET: one client, children of both kinds, one descriptor to poll. */
/* Has used nothing of the client but what is to be its own. */
static void expect_forked_child_waits_for_its_own(struct spawn_client *client,
						  struct spawn_request *request)
{
	pid_t child = fork();

	if (child == 0) {
		struct completion c = {0};

		submit(client, request, &c);
		await_completions(client, &c, 1);
		CHECK(c.proc, "%s", c.message);
		CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(c.proc))) == 12, "status");
		spawn_proc_free(c.proc);
		spawn_client_close(client);
		_exit(0);
	}
	CHECK(child > 0 && wait_status(child) == 0, "a forked child");
}

static void beside_a_server(void)
{
	struct completion c[2] = {0};
	struct spawn_request *theirs = spawn_request_new("probe"),
			     *ours = probe("exit", "12", NULL);
	struct spawn_client *client;
	struct spawn_error err;
	struct spawn_exit *end;
	char *text;
	int r = spawn_client_open(&client, NULL, &err);

	CHECK(r == 0, "%s", err.message);
	CHECK(host_of(getpid()) == 0, "a host before the first request for it");
	spawn_request_args(theirs, 2, (const char *const[]){"exit", "11"});
	spawn_request_owner(ours, SPAWN_OWNER_CALLER);
	for (int i = 0; i < 3; i++) {
		memset(c, 0, sizeof(c));
		submit(client, ours, &c[0]);
		submit(client, theirs, &c[1]);
		await_completions(client, c, 2);
		CHECK(c[0].proc && c[1].proc, "%s%s", c[0].message, c[1].message);
		CHECK(WEXITSTATUS(wait_status(spawn_proc_pid(c[0].proc))) == 12, "ours");
		CHECK(spawn_proc_wait(c[1].proc, -1, &end) == 0 && spawn_exit_status(end) == 11,
		      "theirs");
		spawn_exit_free(end);
		CHECK(waitpid(spawn_proc_pid(c[1].proc), NULL, WNOHANG) < 0, "theirs is ours");
		spawn_proc_free(c[0].proc);
		spawn_proc_free(c[1].proc);
		if (i == 0) { /* the descriptor is another after this */
			pid_t host = host_of(getpid());

			/* Over, or it might still be sent the next one: that would be lost with it.
			 */
			CHECK(kill(host, SIGKILL) == 0, "kill");
			wait_status(host);
		}
	}
	expect_forked_child_waits_for_its_own(client, ours);
	spawn_request_free(ours);
	ours = shell("echo $PPID");
	spawn_request_owner(ours, SPAWN_OWNER_CALLER);
	text = output_of(client, ours);
	CHECK(strtol(text, NULL, 10) == getpid(), "%s", text);
	free(text);
	spawn_request_owner(theirs, SPAWN_OWNER_CALLER);
	expect_refused(client, theirs, -EINVAL, "owner", "probe");
	spawn_client_close(client);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "something is left");
}

const struct scenario children_scenarios[] = {
	{"status_by_waitpid", status_by_waitpid},
	{"parent_is_the_caller", parent_is_the_caller},
	{"status_by_proc_wait", status_by_proc_wait},
	{"waitpid_first_leaves_no_guess", waitpid_first_leaves_no_guess},
	{"freed_proc_is_left_to_waitpid", freed_proc_is_left_to_waitpid},
	{"sigchld_arrives", sigchld_arrives},
	{"sigchld_ignored", sigchld_ignored},
	{"handler_that_reaps_all_is_no_harm", handler_that_reaps_all_is_no_harm},
	{"program_by_descriptor", program_by_descriptor},
	{"terminal_is_the_callers", terminal_is_the_callers},
	{"attributes_as_fork_and_exec", attributes_as_fork_and_exec},
	{"descriptors_are_those_asked_for", descriptors_are_those_asked_for},
	{"many_descriptors_within_a_small_limit", many_descriptors_within_a_small_limit},
	{"large_environment_arrives", large_environment_arrives},
	{"failed_start_leaves_no_zombie", failed_start_leaves_no_zombie},
	{"submitted_failure_is_in_the_record", submitted_failure_is_in_the_record},
	{"refusals_name_what_is_refused", refusals_name_what_is_refused},
	{"nofork_holds", nofork_holds},
	{"ten_thousand_by_submit_and_waitpid", ten_thousand_by_submit_and_waitpid},
	{"eight_threads_at_once", eight_threads_at_once},
	{"eight_threads_wait_for_one", eight_threads_wait_for_one},
	{"beside_a_server", beside_a_server},
	{NULL, NULL},
};
