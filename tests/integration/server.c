/* SPDX-License-Identifier: MIT */
#include "server.h"

#include "census.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_SHOWN 16384

static const char *env(const char *name)
{
	const char *value = getenv(name);

	cr_assert_not_null(value, "%s is not set: run the tests by meson", name);
	return value;
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pause_briefly(void)
{
	poll(NULL, 0, 3);
}

bool await_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t end = now_ms() + PATIENCE_MS;
	int r;

	do {
		uint64_t now = now_ms();

		r = poll(&p, 1, now >= end ? 0 : (int)(end - now));
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

void server_write_config(struct server *s, const char *config)
{
	_cleanup_close_ int fd = open(s->config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0, "%s: %s", s->config, strerror(errno));
	cr_assert_eq(fd_write_all(fd, config, strlen(config)), 0);
}

static int notify_socket(const struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", s->dir);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0, "bind %s: %s",
		     address.sun_path, strerror(errno));
	return fd;
}

void server_prepare(struct server *s, const char *config)
{
	const char *tmp = getenv("TMPDIR");
	char run[96];
	rlim_t nofile = s->nofile;

	/* A long $TMPDIR would not leave room in the 108 bytes of a socket's path. */
	if (!tmp || strlen(tmp) > 40)
		tmp = "/tmp";
	*s = (struct server){.pidfd = -1, .notify = -1, .nofile = nofile};
	s->fds_before = census_fds(getpid());
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(s->dir, sizeof(s->dir), "%s/spawnd-test-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(s->dir), "%s: %s", s->dir, strerror(errno));
	snprintf(run, sizeof(run), "%s/run", s->dir);
	cr_assert_eq(mkdir(run, 0700), 0);
	snprintf(s->socket, sizeof(s->socket), "%s/run/socket", s->dir);
	snprintf(s->config, sizeof(s->config), "%s/spawnd.json", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	server_write_config(s, config ? config : CONFIG(PROBE));
	s->notify = notify_socket(s);
}

static _Noreturn void exec_server(const struct server *s, const char *binary,
				  const char *template_dir, int log)
{
	char notify[112];

	snprintf(notify, sizeof(notify), "%s/notify", s->dir);
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("XDG_RUNTIME_DIR", s->dir, 1);
	/* A test that crashes takes its server along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, 2);
	dup2(log, 1);
	if (s->passed_socket) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		dup2(s->passed_socket, 3); /* SD_LISTEN_FDS_START */
	}
	if (s->nofile) {
		struct rlimit limit = {s->nofile, s->nofile};

		setrlimit(RLIMIT_NOFILE, &limit);
	}
	execl(binary, binary, "--user", "--config", s->config, "--socket", s->socket,
	      "--template-dir", template_dir, (char *)NULL);
	dprintf(2, "%s: %s\n", binary, strerror(errno));
	_exit(127);
}

void server_launch(struct server *s)
{
	/* Looked up here: a child of fork may not assert. */
	const char *binary = env("SPAWND"), *template_dir = env("TEMPLATE_DIR");
	_cleanup_close_ int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	cr_assert_geq(log, 0);
	s->pid = fork();
	cr_assert_geq(s->pid, 0);
	if (s->pid == 0)
		exec_server(s, binary, template_dir, log);
	s->pidfd = pidfd_open_pid(s->pid);
	cr_assert_geq(s->pidfd, 0);
}

void server_await_notice(struct server *s, const char *text)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	char buf[4096];

	for (;;) {
		struct pollfd p[] = {{s->notify, POLLIN, 0}, {s->pidfd, POLLIN, 0}};
		uint64_t now = now_ms();
		ssize_t n;

		cr_assert(now < end && poll(p, 2, (int)(end - now)) > 0, "no %s from the server",
			  text);
		if (!(p[0].revents & POLLIN)) {
			cr_assert(!p[1].revents, "the server ended instead of saying %s", text);
			continue;
		}
		n = recv(s->notify, buf, sizeof(buf) - 1, 0);
		cr_assert_geq(n, 0);
		buf[n] = '\0';
		if (strstr(buf, text))
			return;
	}
}

void server_start(struct server *s, const char *config)
{
	server_prepare(s, config);
	server_launch(s);
	server_await_notice(s, "READY=1");
}

char *server_log(const struct server *s)
{
	_cleanup_close_ int fd = open(s->log, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0);
	text = calloc(1, (size_t)st.st_size + 1);
	cr_assert_not_null(text);
	cr_assert_eq(fd_pread_all(fd, text, (size_t)st.st_size, 0), 0);
	return text;
}

void server_signal(struct server *s, int sig)
{
	cr_assert_eq(pidfd_signal(s->pidfd, sig), 0);
}

int server_await_end(struct server *s)
{
	siginfo_t info = {0};

	cr_assert(await_readable(s->pidfd), "the server does not end");
	cr_assert_eq(waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED), 0);
	s->pidfd = fd_close(s->pidfd);
	s->pid = 0;
	return info.si_code == CLD_EXITED ? info.si_status : -1;
}

int server_terminate(struct server *s)
{
	server_signal(s, SIGTERM);
	return server_await_end(s);
}

void server_remove_stale(const struct server *s)
{
	char lock[112];

	unlink(s->socket);
	snprintf(lock, sizeof(lock), "%s.lock", s->socket);
	unlink(lock);
}

/* Whatever came to this process, its subreaper, by the death of the keeper. */
static void kill_descendants(void)
{
	struct census_process all[512];
	size_t n = census_descendants(getpid(), all, 512);

	for (size_t i = 0; i < n && i < 512; i++)
		kill(all[i].pid, SIGKILL);
}

void server_kill(struct server *s)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	server_signal(s, SIGKILL);
	server_await_end(s);
	for (;;) {
		siginfo_t info = {0};

		kill_descendants();
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 && errno == ECHILD)
			return;
		cr_assert_lt(now_ms(), end, "processes that do not die");
		if (info.si_pid == 0)
			pause_briefly();
	}
}

static void remove_dir(const struct server *s)
{
	const char *const names[] = {"run/socket", "run/socket.lock", "run",
				     "notify",	   "spawnd.json",     "log"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, names[i]);
		remove(path);
	}
}

static bool fini_failed;

void fini_expect(bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	fini_failed = true;
	fputs("after the test: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void fini_end(void)
{
	if (!fini_failed)
		return;
	fflush(stderr);
	prctl(PR_SET_DUMPABLE, 0); /* no core: it is no crash */
	abort();
}

static void show_log(const struct server *s)
{
	_cleanup_free_ char *text = server_log(s);
	size_t len = strlen(text);

	fini_expect(s->may_be_overdue || !strstr(text, "stop-overdue"),
		    "hosts did not stop in time");
	if (len > 0)
		fprintf(stderr, "---- log of %s\n%s----\n", s->dir,
			len > LOG_SHOWN ? text + len - LOG_SHOWN : text);
}

/* After the end: nothing is left. Removes the directory. */
static void census(struct server *s)
{
	struct census_process left[16];
	char run[96];
	size_t n;
	int files, fds;

	if (s->dir[0] == '\0')
		return;
	show_log(s);
	n = census_descendants(getpid(), left, 16);
	for (size_t i = 0; i < n && i < 16; i++)
		fprintf(stderr, "left behind: %d %s (%c), child of %d\n", (int)left[i].pid,
			left[i].comm, left[i].state, (int)left[i].parent);
	snprintf(run, sizeof(run), "%s/run", s->dir);
	files = census_entries(run);
	remove_dir(s);
	s->notify = fd_close(s->notify);
	fds = census_fds(getpid());
	fini_expect(n == 0, "%zu processes are left", n);
	fini_expect(files == 0, "%d files are left in the runtime directory", files);
	fini_expect(rmdir(s->dir) == 0, "the temporary directory is not empty");
	fini_expect(fds == s->fds_before, "%d descriptors before, %d after", s->fds_before, fds);
	s->dir[0] = '\0';
}

void server_stop(struct server *s)
{
	if (s->pid) {
		int status = -1;

		server_signal(s, SIGTERM);
		if (await_readable(s->pidfd))
			status = server_await_end(s);
		else
			server_kill(s);
		fini_expect(status == 0, "the server ended with %d", status);
	}
	census(s);
	kill_descendants();
	fini_end();
}

struct spawn_client *server_client(const struct server *s)
{
	struct spawn_client *client = NULL;
	struct spawn_error err = {0};

	cr_assert_eq(spawn_client_open(&client, s->socket, &err), 0, "connect: %s", err.message);
	return client;
}

pid_t server_broker(const struct server *s)
{
	pid_t pid;

	AWAIT((pid = census_find(s->pid, "spawnd-broker", 0)) != 0);
	return pid;
}

struct status_search {
	const char *name;
	struct template_state_seen *seen;
};

static void see_template(const struct spawn_template_status *t, void *user)
{
	struct status_search *search = user;
	struct template_state_seen *seen = search->seen;

	if (strcmp(t->name, search->name) != 0)
		return;
	seen->found = true;
	snprintf(seen->state, sizeof(seen->state), "%s", t->state);
	snprintf(seen->nofork, sizeof(seen->nofork), "%s", t->nofork);
	snprintf(seen->reason, sizeof(seen->reason), "%s", t->reason);
	snprintf(seen->tail, sizeof(seen->tail), "%s", t->tail);
	seen->generation = t->generation;
	seen->hits = t->hits;
	seen->misses = t->misses;
	seen->retry_ms = t->retry_ms;
	seen->parked = t->parked;
	seen->launched = t->launched;
	seen->queued = t->queued;
	seen->host = t->host_pid;
}

static void see_leaf(const struct spawn_leaf_status *leaf, void *user)
{
	struct status_search *search = user;
	struct template_state_seen *seen = search->seen;

	if (strcmp(leaf->template_name, search->name) != 0 || seen->n_leaves == 512)
		return;
	snprintf(seen->leaf_states[seen->n_leaves], sizeof(seen->leaf_states[0]), "%s",
		 leaf->state);
	seen->leaves[seen->n_leaves++] = leaf->pid;
}

void server_status(struct spawn_client *client, const char *template_name,
		   struct template_state_seen *ret)
{
	const struct spawn_status_calls calls = {.template_ = see_template, .leaf = see_leaf};
	struct status_search search = {template_name, ret};
	struct spawn_error err = {0};
	int r;

	memset(ret, 0, sizeof(*ret));
	r = spawn_client_status(client, &calls, &search, &err);
	if (r == -ECONNRESET) { /* the broker was killed; this one asks the next */
		memset(ret, 0, sizeof(*ret));
		r = spawn_client_status(client, &calls, &search, &err);
	}
	cr_assert_eq(r, 0, "status: %s", err.message);
}

void server_await_parked(struct spawn_client *client, const char *template_name, uint32_t n)
{
	struct template_state_seen seen;

	AWAIT((server_status(client, template_name, &seen), seen.parked >= n));
}

pid_t server_parked_leaf(struct spawn_client *client, const char *template_name)
{
	struct template_state_seen seen;

	server_status(client, template_name, &seen);
	for (size_t i = 0; i < seen.n_leaves; i++) {
		if (strcmp(seen.leaf_states[i], "parked") == 0)
			return seen.leaves[i];
	}
	return 0;
}
