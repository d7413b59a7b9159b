/* SPDX-License-Identifier: MIT */
#include "demo.h"
#include "leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 60000
#define JOB_TIMEOUT_MS	 300000
#define STOP_TIMEOUT_MS	 30000

/* A started program; pidfd -1 when there is none. */
struct child {
	pid_t pid;
	int pidfd;
};

struct scene {
	const struct demo *demo;
	char *dir;
	char notify_path[64], socket_path[64], log_path[64];
	int signals, notify;
	struct child server, job;
	int signal; /* that asked us to stop, or 0 */
};

static int complain(const char *what, int r)
{
	fprintf(stderr, "demo: %s: %s\n", what, strerror(-r));
	return r;
}

static int child_start(struct child *ret, char *const argv[], const char *output, short flags)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	pid_t pid;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes,
				 (short)(flags | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	if (output) {
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND,
						 0600);
		posix_spawn_file_actions_adddup2(&actions, 1, 2);
	}
	r = -posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (r < 0)
		return complain(argv[0], r);
	ret->pid = pid;
	ret->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return ret->pidfd < 0 ? complain("pidfd_open", -errno) : 0;
}

static void child_signal(const struct child *c, int sig)
{
	if (c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
}

/* Reaps a child that is over: its exit status, or 128 + the signal. */
static int child_end(struct child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(c->pidfd);
	c->pidfd = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* 1 when fd is readable; -EINTR when a signal asks to stop, -ESRCH when the server is over,
 * -ETIMEDOUT. */
static int scene_await(struct scene *s, int fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = s->signals, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
		{.fd = s->server.pidfd, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	int n;

	do
		n = poll(fds, 3, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	if (fds[0].revents && read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		s->signal = (int)info.ssi_signo;
		return -EINTR;
	}
	return fds[1].revents ? 1 : -ESRCH;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_notify(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int scene_open(struct scene *s)
{
	char dir[] = "/tmp/spawnd-demo.XXXXXX";

	s->signals = open_signals();
	if (s->signals < 0)
		return complain("signalfd", -errno);
	if (!mkdtemp(dir)) /* 0700 */
		return complain(dir, -errno);
	s->dir = strdup(dir);
	if (!s->dir)
		return complain(dir, -ENOMEM);
	snprintf(s->notify_path, sizeof(s->notify_path), "%s/notify", dir);
	snprintf(s->socket_path, sizeof(s->socket_path), "%s/socket", dir);
	snprintf(s->log_path, sizeof(s->log_path), "%s/log", dir);
	s->notify = open_notify(s->notify_path);
	if (s->notify < 0)
		return complain(s->notify_path, s->notify);
	/* What loses its parent comes to us: so that nothing can be left unseen. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return complain("PR_SET_CHILD_SUBREAPER", -errno);
	return 0;
}

/* Whether a line of the datagram is READY=1. */
static bool says_ready(const char *text)
{
	static const char ready[] = "READY=1";

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len == sizeof(ready) - 1 && memcmp(text, ready, len) == 0)
			return true;
		text += len + (text[len] == '\n');
	}
	return false;
}

static int start_server(struct scene *s)
{
	char *argv[] = {(char *)s->demo->spawnd,
			(char *)"--user",
			(char *)"--config",
			(char *)s->demo->config,
			(char *)"--socket",
			s->socket_path,
			NULL};
	int r;

	setenv("XDG_RUNTIME_DIR", s->dir, 1);
	setenv("NOTIFY_SOCKET", s->notify_path, 1);
	unsetenv("JOURNAL_STREAM");
	/* A process group of its own: Ctrl-C comes to us, and we stop it in order. */
	r = child_start(&s->server, argv, s->log_path, POSIX_SPAWN_SETPGROUP);
	unsetenv("NOTIFY_SOCKET");
	while (r >= 0) {
		char text[1024];
		ssize_t n;

		r = scene_await(s, s->notify, READY_TIMEOUT_MS);
		if (r < 0)
			break;
		n = recv(s->notify, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (says_ready(text))
			return 0;
	}
	if (r == -ESRCH)
		fputs("demo: spawnd ended before it was ready\n", stderr);
	else if (r == -ETIMEDOUT)
		fputs("demo: spawnd did not become ready\n", stderr);
	return r;
}

static int run_job(struct scene *s)
{
	const struct demo *d = s->demo;
	char leaves[32];
	char *argv[] = {(char *)"/proc/self/exe",
			(char *)"--job",
			s->socket_path,
			(char *)d->spawnd,
			(char *)d->spawn,
			(char *)d->cold,
			(char *)d->config,
			(char *)d->text,
			leaves,
			NULL};
	int r;

	snprintf(leaves, sizeof(leaves), "%zu", d->leaves);
	r = child_start(&s->job, argv, NULL, POSIX_SPAWN_SETPGROUP);
	if (r < 0)
		return r;
	r = scene_await(s, s->job.pidfd, JOB_TIMEOUT_MS);
	if (r == -ESRCH)
		fputs("demo: spawnd ended in the middle of the job\n", stderr);
	else if (r == -ETIMEDOUT)
		fputs("demo: the job takes too long\n", stderr);
	if (r < 0)
		return r;
	return child_end(&s->job) == 0 ? 0 : -EBADMSG;
}

/* Ends the server and waits for it. 0 if it ended by itself with status 0. */
static int stop_server(struct scene *s)
{
	struct pollfd over = {.fd = s->server.pidfd, .events = POLLIN};
	int status, n;

	if (s->server.pidfd < 0)
		return 0;
	child_signal(&s->server, SIGTERM);
	do
		n = poll(&over, 1, STOP_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		fputs("demo: spawnd does not stop; killed\n", stderr);
		child_signal(&s->server, SIGKILL);
	}
	status = child_end(&s->server);
	if (status != 0)
		fprintf(stderr, "demo: spawnd ended with status %d\n", status);
	return status ? -EBADMSG : 0;
}

static void show_log(const char *path)
{
	char line[4096];
	FILE *f = fopen(path, "re");

	if (!f)
		return;
	fputs("demo: what spawnd said:\n", stderr);
	while (fgets(line, sizeof(line), f))
		fprintf(stderr, "  %s", line);
	fclose(f);
}

/* Stops all and looks whether anything is left. 0 or a negative errno. */
static int scene_close(struct scene *s, int r)
{
	int stopped;

	if (s->job.pidfd >= 0) {
		child_signal(&s->job, SIGKILL);
		child_end(&s->job);
	}
	stopped = stop_server(s);
	if (r == 0)
		r = stopped;
	if (leftover_processes() > 0 && r == 0)
		r = -EBUSY;
	if (r < 0 && r != -EINTR && s->log_path[0])
		show_log(s->log_path);
	unlink(s->notify_path);
	unlink(s->log_path);
	if (s->dir && leftover_files(s->dir) > 0 && r == 0)
		r = -EEXIST;
	free(s->dir);
	return r;
}

int stage(struct demo *d)
{
	struct scene s = {
		.demo = d,
		.signals = -1,
		.notify = -1,
		.server = {.pidfd = -1},
		.job = {.pidfd = -1},
	};
	int r = scene_open(&s);

	if (r == 0)
		r = start_server(&s);
	if (r == 0)
		r = run_job(&s);
	r = scene_close(&s, r);
	if (s.signal)
		return 128 + s.signal;
	return r < 0 ? 1 : 0;
}
