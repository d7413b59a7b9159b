/* SPDX-License-Identifier: MIT */
#include "server.h"

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

static const struct {
	const char *name, *recipe; /* members of the configuration */
} templates[TEMPLATES] = {
	[TEMPLATE_TINY] = {"tiny", "\"lane\": \"object\", \"object\": \"tiny.so\""},
	[TEMPLATE_WORDS] = {"words", "\"lane\": \"object\", \"object\": \"words-stamp.so\""},
	[TEMPLATE_UNFILTERED] = {"unfiltered", "\"lane\": \"object\", \"object\": \"tiny.so\", "
					       "\"nofork\": \"off\""},
	[TEMPLATE_EXEC] = {"exec", "\"lane\": \"exec\""},
	[TEMPLATE_SCARCE] = {"scarce", "\"lane\": \"object\", \"object\": \"tiny.so\""},
};

const char *template_name(enum template t)
{
	return templates[t].name;
}

enum work template_work(enum template t)
{
	return t == TEMPLATE_WORDS ? WORK_WORDS : WORK_TINY;
}

static void write_config(const struct bench *b, const char *path,
			 const struct pool_sizes pools[TEMPLATES])
{
	FILE *f = fopen(path, "we");
	const char *comma = "";

	if (!f)
		err(1, "%s", path);
	fputs("{\"templates\": {\n", f);
	for (int t = 0; t < TEMPLATES; t++) {
		if (pools[t].size == 0)
			continue;
		fprintf(f,
			"%s\"%s\": {%s, \"leaves_max\": 4096, "
			"\"pool\": {\"size\": %u, \"low\": %u}, \"prestart\": true}\n",
			comma, templates[t].name, templates[t].recipe, pools[t].size, pools[t].low);
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

void server_start(struct server *s, const struct bench *b, const struct pool_sizes pools[TEMPLATES],
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

	for (int i = 0; i < TEMPLATES; i++)
		if (strcmp(t->name, templates[i].name) == 0 && f->s->pools[i].size > 0 &&
		    t->parked >= f->s->pools[i].size)
			f->lacking--;
}

void server_settle(struct server *s)
{
	const struct spawn_status_calls calls = {.template_ = see_template};
	struct spawn_error why;

	for (unsigned waited = 0; waited < SETTLE_MS; waited++) {
		struct fullness f = {.s = s};

		for (int t = 0; t < TEMPLATES; t++)
			f.lacking += s->pools[t].size > 0;
		if (spawn_client_status(s->client, &calls, &f, &why) < 0)
			errx(1, "status: %s", why.message);
		if (f.lacking == 0)
			return;
		pause_for(1);
	}
	errx(1, "the pools do not fill");
}

double server_cpu_us(const struct server *s)
{
	struct process processes[PROCESSES_MAX];
	size_t n = processes_of(s->pid, processes);
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += process_cpu_us(processes[i].pid);
	return sum;
}
