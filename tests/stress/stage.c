/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include "../integration/census.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SHOWN 8192

static int complain(const char *what)
{
	fprintf(stderr, "stress: %s: %s\n", what, strerror(errno));
	return -1;
}

/* The environment differs from one to the next, so that each reload makes a new generation. */
static int write_config(const struct stage *s)
{
	char path[96], text[1024];
	int fd, r, n;

	n = snprintf(text, sizeof(text),
		     "{\"limits\": {\"connections_per_uid\": %u, \"leaves_per_uid\": 4096},\n"
		     " \"stop_timeout_ms\": 5000,\n"
		     " \"templates\": {\"counted\": {\n"
		     "\t\"lane\": \"object\", \"object\": \"counted.so\", \"prestart\": true,\n"
		     "\t\"env\": {\"RELOADS\": \"%u\"}, \"leaves_max\": 2048,\n"
		     "\t\"pool\": {\"size\": %d, \"low\": %d}}}}\n",
		     2 * s->clients_max + 16, s->reloads, STAGE_POOL, STAGE_POOL / 2);
	snprintf(path, sizeof(path), "%s.new", s->config);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return complain(path);
	r = fd_write_all(fd, text, (size_t)n);
	fd_close(fd);
	if (r < 0 || rename(path, s->config) < 0)
		return complain(s->config);
	return 0;
}

static _Noreturn void exec_server(const struct stage *s, const char *spawnd,
				  const char *template_dir)
{
	int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	sigset_t none;
	char notify[96];

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(notify, sizeof(notify), "%s/notify", s->dir);
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("XDG_RUNTIME_DIR", s->dir, 1);
	/* The driver that crashes takes its server along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, 1);
	dup2(log, 2);
	execl(spawnd, spawnd, "--user", "--config", s->config, "--socket", s->socket,
	      "--template-dir", template_dir, (char *)NULL);
	dprintf(2, "%s: %s\n", spawnd, strerror(errno));
	_exit(127);
}

static int notify_socket(const struct stage *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", s->dir);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fd_close(fd);
		return complain(address.sun_path);
	}
	return fd;
}

static int await_ready(const struct stage *s, int notify)
{
	uint64_t end = clock_now() + STAGE_PATIENCE_MS * NS_PER_MS;
	char buf[4096];

	for (;;) {
		struct pollfd p[] = {{notify, POLLIN, 0}, {s->pidfd, POLLIN, 0}};
		ssize_t n;

		if (poll(p, 2, clock_poll_timeout(end)) <= 0 || !(p[0].revents & POLLIN)) {
			fprintf(stderr, "stress: the server does not start\n");
			return -1;
		}
		n = recv(notify, buf, sizeof(buf) - 1, 0);
		buf[n < 0 ? 0 : n] = '\0';
		if (strstr(buf, "READY=1"))
			return 0;
	}
}

int stage_start(struct stage *s, const char *spawnd, const char *template_dir, unsigned clients)
{
	_cleanup_close_ int notify = -1;
	struct spawn_error err;
	char run[80];

	*s = (struct stage){
		.pidfd = -1, .clients_max = clients, .dir = "/tmp/spawnd-stress-XXXXXX"};
	if (!mkdtemp(s->dir)) {
		s->dir[0] = '\0';
		return complain("/tmp");
	}
	snprintf(run, sizeof(run), "%s/run", s->dir);
	snprintf(s->socket, sizeof(s->socket), "%s/run/socket", s->dir);
	snprintf(s->config, sizeof(s->config), "%s/spawnd.json", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	if (mkdir(run, 0700) < 0)
		return complain(run);
	notify = notify_socket(s);
	if (notify < 0 || write_config(s) < 0)
		return -1;
	s->pid = fork();
	if (s->pid < 0)
		return complain("fork");
	if (s->pid == 0)
		exec_server(s, spawnd, template_dir);
	s->pidfd = pidfd_open_pid(s->pid);
	if (s->pidfd < 0 || await_ready(s, notify) < 0)
		return -1;
	if (spawn_client_open(&s->client, s->socket, &err) < 0) {
		fprintf(stderr, "stress: %s\n", err.message);
		return -1;
	}
	return 0;
}

int stage_reload(struct stage *s)
{
	s->reloads++;
	return write_config(s) < 0 ? -1 : pidfd_signal(s->pidfd, SIGHUP);
}

int stage_stop(struct stage *s)
{
	struct pollfd p = {.fd = s->pidfd, .events = POLLIN};
	siginfo_t info = {0};
	int r;

	spawn_client_close(s->client);
	s->client = NULL;
	pidfd_signal(s->pidfd, SIGTERM);
	r = poll(&p, 1, STAGE_PATIENCE_MS);
	if (r <= 0)
		pidfd_signal(s->pidfd, SIGKILL);
	waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED);
	s->pidfd = fd_close(s->pidfd);
	s->pid = 0;
	if (r <= 0)
		return -2;
	return info.si_code == CLD_EXITED ? info.si_status : -1;
}

/* The last of the log, ended with NUL; its length. */
static size_t read_log(const struct stage *s, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(s->log, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	n = pread(fd, buf, size - 1,
		  st.st_size > (off_t)size - 1 ? st.st_size - (off_t)size + 1 : 0);
	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

void stage_show_log(const struct stage *s)
{
	char text[LOG_SHOWN];

	if (read_log(s, text, sizeof(text)) > 0)
		fprintf(stderr, "---- the end of the server's log\n%s----\n", text);
}

bool stage_log_has(const struct stage *s, const char *text)
{
	char log[LOG_SHOWN];

	return read_log(s, log, sizeof(log)) > 0 && strstr(log, text);
}

int stage_remove(struct stage *s)
{
	static const char *const names[] = {"spawnd.json", "log", "notify"};
	char path[96];
	int left;

	snprintf(path, sizeof(path), "%s/run", s->dir);
	left = census_entries(path);
	unlink(s->socket);
	rmdir(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, names[i]);
		unlink(path);
	}
	if (rmdir(s->dir) < 0 && left == 0)
		left = census_entries(s->dir);
	return left;
}

static void see_template(const struct spawn_template_status *t, void *user)
{
	struct stage_status *seen = user;

	seen->parked = t->parked;
	seen->launched = t->launched;
	seen->queued = t->queued;
	seen->hits = t->hits;
	seen->misses = t->misses;
	seen->generation = t->generation;
	seen->host = t->host_pid;
}

static void see_leaf(const struct spawn_leaf_status *leaf, void *user)
{
	struct stage_status *seen = user;

	if (strcmp(leaf->state, "parked") == 0) {
		if (seen->n_parked < STAGE_LEAVES_MAX)
			seen->parked_pids[seen->n_parked++] = leaf->pid;
	} else if (seen->n_launched < STAGE_LEAVES_MAX) {
		seen->launched_pids[seen->n_launched++] = leaf->pid;
	}
}

_Noreturn static void on_alarm(int sig)
{
	static const char text[] = "stress: the server does not answer STATUS: it hangs\n";

	(void)!write(2, text, sizeof(text) - 1);
	_exit(1);
}

int stage_status(struct stage *s, struct stage_status *ret)
{
	static const struct spawn_status_calls calls = {.template_ = see_template,
							.leaf = see_leaf};
	const struct sigaction act = {.sa_handler = on_alarm};
	struct spawn_error err;
	int r = -1;

	sigaction(SIGALRM, &act, NULL);
	alarm(STAGE_PATIENCE_MS / 1000);
	/* The broker may be killed between question and answer; the library does not ask again. */
	for (int tries = 0; r < 0 && tries < 10; tries++) {
		memset(ret, 0, sizeof(*ret));
		r = spawn_client_status(s->client, &calls, ret, &err);
		if (r < 0 && r != -ECONNRESET)
			break;
	}
	alarm(0);
	if (r < 0)
		fprintf(stderr, "stress: status: %s\n", err.message);
	return r < 0 ? -1 : 0;
}

pid_t stage_broker(const struct stage *s)
{
	return census_find(s->pid, "spawnd-broker", 0);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *close;
	int parent = 0;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	close = strrchr(line, ')'); /* its name may hold any character */
	return close && sscanf(close + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool stage_is_child(const struct stage *s, pid_t pid)
{
	return pid > 0 && parent_of(pid) == s->pid;
}

int stage_pidfd(const struct stage *s, pid_t pid)
{
	_cleanup_close_ int fd = pid > 0 ? pidfd_open_pid(pid) : -1;
	pid_t parent;

	if (fd < 0)
		return -1;
	/* Looked at while the pidfd holds the number: a host's child, or the keeper's. */
	parent = parent_of(pid);
	if (parent != s->pid && parent_of(parent) != s->pid)
		return -1;
	return pidfd_is_over(fd) == 0 ? take_fd(&fd) : -1;
}
