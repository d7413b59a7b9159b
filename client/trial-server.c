/* SPDX-License-Identifier: MIT */
#include "trial-server.h"

#include "build-config.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 10000

static int complain(const char *what)
{
	fprintf(stderr, "spawn: template try: %s: %s\n", what, strerror(errno));
	return -1;
}

static char *path_of(const struct trial_server *s, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", s->dir, name);
	return buf;
}

bool trial_is_key(const char *entry)
{
	return strncmp(entry, "LD_", 3) == 0 || strncmp(entry, "MALLOC_", 7) == 0 ||
	       strncmp(entry, "GLIBC_TUNABLES=", 15) == 0;
}

static void write_env(FILE *f)
{
	bool first = true;

	for (char **p = environ; *p; p++) {
		char *equals = strchr(*p, '=');

		if (!equals || !trial_is_key(*p))
			continue;
		*equals = '\0';
		fputs(first ? "" : ", ", f);
		json_string(f, *p);
		fputs(": ", f);
		json_string(f, equals + 1);
		*equals = '=';
		first = false;
	}
}

static int write_config(const struct trial_server *s, const char *program)
{
	char path[PATH_MAX];
	FILE *f = fopen(path_of(s, "spawnd.json", path, sizeof(path)), "wxe");

	if (!f)
		return complain(path);
	fprintf(f,
		"{\"stop_timeout_ms\": 0, \"templates\": {\"" TRIAL_TEMPLATE
		"\": {\"lane\": \"main\", \"prestart\": true, \"pool\": {\"size\": 4, \"low\": 2}, "
		"\"program\": ");
	json_string(f, program);
	fputs(", \"env\": {", f);
	write_env(f);
	fputs("}}}}\n", f);
	fchmod(fileno(f), 0600);
	return fclose(f) == 0 ? 0 : complain(path);
}

static int make_directory(struct trial_server *s)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (!run || run[0] != '/' || access(run, W_OK) < 0 || strlen(run) > 80)
		run = "/tmp";
	snprintf(s->dir, sizeof(s->dir), "%s/spawn-try-XXXXXX", run);
	if (!mkdtemp(s->dir)) {
		s->dir[0] = '\0';
		return complain("a temporary directory");
	}
	snprintf(s->socket, sizeof(s->socket), "%s/run/socket", s->dir);
	return 0;
}

static int open_notify(struct trial_server *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", s->dir) >=
	    (int)sizeof(a.sun_path))
		return -1;
	s->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->notify < 0 || bind(s->notify, (struct sockaddr *)&a, sizeof(a)) < 0)
		return complain(a.sun_path);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	return 0;
}

static int launch(struct trial_server *s)
{
	const char *spawnd = getenv("SPAWND");
	char config[PATH_MAX], log[PATH_MAX];
	char *argv[] = {(char *)"spawnd",
			(char *)"--user",
			(char *)"--config",
			config,
			(char *)"--socket",
			s->socket,
			NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	if (!spawnd || !*spawnd)
		spawnd = SPAWND_PATH;
	path_of(s, "spawnd.json", config, sizeof(config));
	path_of(s, "log", log, sizeof(log));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	/* What the terminal sends is for this command, which ends the server. */
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	r = posix_spawn(&s->pid, spawnd, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	unsetenv("NOTIFY_SOCKET");
	if (r != 0) {
		s->pid = 0;
		fprintf(stderr, "spawn: template try: cannot start %s: %s (SPAWND names it)\n",
			spawnd, strerror(r));
		return -1;
	}
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	return s->pidfd < 0 ? complain("pidfd_open") : 0;
}

static void show_log(const struct trial_server *s)
{
	char path[PATH_MAX], line[512];
	FILE *f = fopen(path_of(s, "log", path, sizeof(path)), "re");

	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "| %s", line);
	if (f)
		fclose(f);
}

static int await_ready(const struct trial_server *s)
{
	struct pollfd fds[2] = {{.fd = s->notify, .events = POLLIN},
				{.fd = s->pidfd, .events = POLLIN}};
	char text[256];

	while (poll(fds, 2, START_TIMEOUT_MS) > 0 && !fds[1].revents) {
		ssize_t n = recv(s->notify, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "READY=1"))
			return 0;
	}
	fputs("spawn: template try: its server did not start:\n", stderr);
	show_log(s);
	return -1;
}

int trial_server_start(struct trial_server *s, const char *program)
{
	*s = (struct trial_server){.pidfd = -1, .notify = -1};
	if (make_directory(s) < 0 || write_config(s, program) < 0 || open_notify(s) < 0 ||
	    launch(s) < 0)
		return -1;
	return await_ready(s);
}

void trial_server_stop(struct trial_server *s)
{
	static const char *const left[] = {"spawnd.json", "log", "notify"};
	char path[PATH_MAX];

	if (s->pid > 0) {
		kill(s->pid, SIGTERM); /* ours, and not reaped: the pid is its */
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (s->pidfd >= 0)
		close(s->pidfd);
	if (s->notify >= 0)
		close(s->notify);
	if (!s->dir[0])
		return;
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		unlink(path_of(s, left[i], path, sizeof(path)));
	rmdir(path_of(s, "run", path, sizeof(path)));
	if (rmdir(s->dir) < 0)
		complain(s->dir);
}
