/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS  60000
#define SETTLE_MS 60000

static const char *const objects[WORKS] = {"tiny.so", "words-stamp.so"};

static void write_config(const struct bench *b, const char *path,
			 const struct pool_sizes pools[WORKS])
{
	FILE *f = fopen(path, "we");
	const char *comma = "";

	if (!f)
		err(1, "%s", path);
	fputs("{\"templates\": {\n", f);
	for (int w = 0; w < WORKS; w++) {
		if (pools[w].size == 0)
			continue;
		fprintf(f,
			"%s\"%s\": {\"lane\": \"object\", \"object\": \"%s\", \"leaves_max\": 4096, "
			"\"pool\": {\"size\": %u, \"low\": %u}, \"prestart\": true}\n",
			comma, work_name((enum work)w), objects[w], pools[w].size, pools[w].low);
		comma = ",";
	}
	fputs("}}\n", f);
	if (fclose(f) != 0)
		err(1, "%s", path);
}

static int open_notify(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", path);
	return fd;
}

/* In the child. */
_Noreturn static void run_spawnd(const struct bench *b, const struct server *s, const char *config,
				 const char *log, const char *cgroup_procs)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || dup2(fd, 2) < 0 || dup2(fd, 1) < 0)
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* a bench that fails takes it along */
	if (cgroup_procs) {
		fd = open(cgroup_procs, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(125);
	}
	execl(b->spawnd, b->spawnd, "--user", "--config", config, "--socket", s->socket,
	      "--template-dir", b->templates, (char *)NULL);
	_exit(127);
}

static void await_ready(const struct server *s, int notify, const char *log)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = notify, .events = POLLIN},
				      {.fd = s->pidfd, .events = POLLIN}};
		char text[1024];
		ssize_t n;
		int r = poll(p, 2, READY_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || !p[0].revents)
			errx(1, "spawnd did not become ready; its log is %s", log);
		n = recv(notify, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "READY=1"))
			return;
	}
}

void server_start(struct server *s, const struct bench *b, const struct pool_sizes pools[WORKS],
		  const char *cgroup_procs)
{
	char config[128], notify_path[100], log[128];
	struct spawn_error why;
	int notify;

	memcpy(s->pools, pools, sizeof(s->pools));
	if (snprintf(s->socket, sizeof(s->socket), "%s/socket", b->directory) >=
	    (int)sizeof(notify_path))
		errx(1, "%s: too long a path for a socket", b->directory);
	snprintf(config, sizeof(config), "%s/config", b->directory);
	snprintf(notify_path, sizeof(notify_path), "%s/notify", b->directory);
	snprintf(log, sizeof(log), "%s/log", b->directory);
	write_config(b, config, pools);
	notify = open_notify(notify_path);
	setenv("NOTIFY_SOCKET", notify_path, 1);
	setenv("XDG_RUNTIME_DIR", b->directory, 1);
	unsetenv("JOURNAL_STREAM");
	s->pid = fork();
	if (s->pid < 0)
		err(1, "fork");
	if (s->pid == 0)
		run_spawnd(b, s, config, log, cgroup_procs);
	unsetenv("NOTIFY_SOCKET");
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	await_ready(s, notify, log);
	close(notify);
	s->client = NULL;
	if (spawn_client_open(&s->client, s->socket, &why) < 0)
		errx(1, "%s", why.message);
	server_settle(s);
}

void server_stop(struct server *s)
{
	int status;

	spawn_client_close(s->client);
	kill(s->pid, SIGTERM); /* ours and not reaped */
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(s->pidfd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "spawnd ended with wait status %#x", (unsigned)status);
}

struct fullness {
	const struct server *s;
	unsigned lacking;
};

static void see_template(const struct spawn_template_status *t, void *user)
{
	struct fullness *f = user;

	for (int w = 0; w < WORKS; w++)
		if (strcmp(t->name, work_name((enum work)w)) == 0 &&
		    t->parked >= f->s->pools[w].size)
			f->lacking--;
}

void server_settle(struct server *s)
{
	const struct spawn_status_calls calls = {.template_ = see_template};
	struct spawn_error why;

	for (unsigned waited = 0; waited < SETTLE_MS; waited++) {
		struct fullness f = {.s = s};

		for (int w = 0; w < WORKS; w++)
			f.lacking += s->pools[w].size > 0;
		if (spawn_client_status(s->client, &calls, &f, &why) < 0)
			errx(1, "status: %s", why.message);
		if (f.lacking == 0)
			return;
		pause_for(1);
	}
	errx(1, "the pools do not fill");
}

/* The line of /proc/PID/stat behind the name; false when the process is gone. */
static bool read_stat(pid_t pid, char name[16], char *line, size_t size, const char **ret_rest)
{
	char path[64], *open, *close;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	len = fread(line, 1, size - 1, f);
	fclose(f);
	line[len] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close)
		return false;
	snprintf(name, 16, "%.*s", (int)(close - open - 1), open + 1);
	*ret_rest = close + 2;
	return true;
}

size_t server_processes(const struct server *s, struct server_process ret[PROCESSES_MAX])
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	if (!proc)
		err(1, "/proc");
	while ((entry = readdir(proc)) && n < PROCESSES_MAX) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct server_process *p = &ret[n];
		char line[1024], state;
		const char *rest;
		int parent;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !read_stat(pid, p->name, line, sizeof(line), &rest) ||
		    sscanf(rest, "%c %d", &state, &parent) != 2)
			continue;
		if (pid != s->pid && parent != s->pid)
			continue;
		p->pid = pid;
		n++;
	}
	closedir(proc);
	return n;
}

double process_cpu_us(pid_t pid)
{
	unsigned long user, system;
	char line[1024], name[16];
	const char *rest;

	if (!read_stat(pid, name, line, sizeof(line), &rest) ||
	    sscanf(rest, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) !=
		    2)
		errx(1, "process %d is gone", (int)pid);
	return ((double)user + (double)system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double server_cpu_us(const struct server *s)
{
	struct server_process processes[PROCESSES_MAX];
	size_t n = server_processes(s, processes);
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += process_cpu_us(processes[i].pid);
	return sum;
}
