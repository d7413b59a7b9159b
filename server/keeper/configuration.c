/* SPDX-License-Identifier: MIT */
/*
 * The configuration is parsed by spawnd-config, a process that lives for that alone; what comes
 * back is a flat table in a memfd. A reload that fails changes nothing.
 */
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/program.h"
#include "wire/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

static void tool_path(const struct options *o, char *path, size_t size)
{
	snprintf(path, size, "%s/spawnd-config", o->libexec_dir);
}

static int start_parser(struct keeper *k, int table_fd, int *ret_errors, pid_t *ret_pid,
			int *ret_pidfd, struct spawn_error *err)
{
	const struct options *o = &k->options;
	_cleanup_close_ int near = -1, far = -1;
	char path[PATH_MAX];
	char *argv[] = {(char *)"spawnd-config",
			(char *)"--template-dir",
			o->template_dir,
			(char *)"--mode",
			o->system_mode ? (char *)"system" : (char *)"user",
			o->config,
			NULL};
	struct program p = {
		.path = path, .argv = argv, .envp = environ, .fds = {table_fd}, .n_fds = 1};
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_CONFIG, "pipe");
	near = pipe_fds[0];
	far = pipe_fds[1];
	tool_path(o, path, sizeof(path));
	p.output = far;
	r = program_start(&p, ret_pid, ret_pidfd, err);
	if (r < 0)
		return r;
	*ret_errors = take_fd(&near);
	return 0;
}

/* What the parser said, once it is over: its one line becomes the message. */
static int finish_parser(pid_t pid, int errors, struct spawn_error *err)
{
	char text[SPAWN_ERROR_TEXT] = "";
	size_t len = 0;
	siginfo_t si;
	ssize_t n;

	while (len < sizeof(text) - 1 &&
	       ((n = read(errors, text + len, sizeof(text) - 1 - len)) > 0 ||
		(n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	while (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0)
		if (errno != EINTR)
			return error_errno(err, -errno, SPAWN_ORIGIN_HOST, STEP_CONFIG,
					   "wait for spawnd-config");
	if (si.si_code == CLD_EXITED && si.si_status == 0)
		return 0;
	if (!text[0])
		return error_set(err, -EIO, SPAWN_ORIGIN_HOST, STEP_CONFIG,
				 "spawnd-config ended with %s %d and said nothing",
				 si.si_code == CLD_EXITED ? "status" : "signal", si.si_status);
	return error_set(err,
			 si.si_code == CLD_EXITED && si.si_status == EXIT_CONFIG ? -EINVAL : -EIO,
			 SPAWN_ORIGIN_HOST, STEP_CONFIG, "%s", text);
}

/* Everything that can fail comes before anything is changed. Takes table_fd. */
static int accept_table(struct keeper *k, int *table_fd, struct spawn_error *err)
{
	struct config *config;
	int r = sealed_seal(*table_fd);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_CONFIG, "seal the table");
	r = config_read(*table_fd, &config, err);
	if (r < 0)
		return r;
	config_free(k->config);
	k->config = config;
	fd_close(k->table_fd);
	k->table_fd = take_fd(table_fd);
	k->table_id++;
	return 0;
}

int configuration_load(struct keeper *k, struct spawn_error *err)
{
	_cleanup_close_ int table = -1, errors = -1, pidfd = -1;
	pid_t pid;
	int r = sealed_open("spawnd-table", &table);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_CONFIG, "memfd");
	r = start_parser(k, table, &errors, &pid, &pidfd, err);
	if (r == 0)
		r = finish_parser(pid, errors, err);
	return r < 0 ? r : accept_table(k, &table, err);
}

static void reload_over(struct watch *w, uint32_t events)
{
	struct keeper *k = watch_owner(w, struct keeper, reload_pidfd);
	char quoted[SPAWN_ERROR_TEXT * 2];
	int pidfd = w->fd, r;
	struct spawn_error err;

	poller_remove(&k->poller, w);
	fd_close(pidfd);
	r = finish_parser(k->reload_pid, k->reload_errors_fd, &err);
	k->reload_pid = 0;
	k->reload_errors_fd = fd_close(k->reload_errors_fd);
	if (r == 0)
		r = accept_table(k, &k->reload_table_fd, &err);
	k->reload_table_fd = fd_close(k->reload_table_fd);
	if (r < 0) {
		log_line(LOG_ERR, "reload-refused", "kept=the-old-configuration reason=%s",
			 log_quote(quoted, sizeof(quoted), err.message));
		notify("READY=1\nSTATUS=Reload refused: %s", err.message);
		return;
	}
	log_line(LOG_INFO, "reloaded", "templates=%zu", k->config->n_templates);
	k->ready_told = false; /* READY=1 when the broker says that it serves by it */
	broker_tell(k, false);
}

void configuration_reload_watch(struct keeper *k)
{
	int fd = k->reload_pidfd.fd;

	k->reload_pidfd = (struct watch){.fd = -1, .ready = reload_over};
	if (fd >= 0)
		poller_add(&k->poller, &k->reload_pidfd, fd, EPOLLIN);
}

void configuration_reload(struct keeper *k)
{
	char quoted[SPAWN_ERROR_TEXT * 2];
	struct spawn_error err;
	int r;

	/* One at a time; a wish that comes meanwhile stays and is granted after it. */
	if (k->reload_pid)
		return;
	k->reload = false;
	notify("RELOADING=1");
	r = sealed_open("spawnd-table", &k->reload_table_fd);
	if (r < 0)
		error_errno(&err, r, SPAWN_ORIGIN_HOST, STEP_CONFIG, "memfd");
	else
		r = start_parser(k, k->reload_table_fd, &k->reload_errors_fd, &k->reload_pid,
				 &k->reload_pidfd.fd, &err);
	if (r < 0) {
		k->reload_table_fd = fd_close(k->reload_table_fd);
		log_line(LOG_ERR, "reload-refused", "kept=the-old-configuration reason=%s",
			 log_quote(quoted, sizeof(quoted), err.message));
		notify("READY=1");
		return;
	}
	configuration_reload_watch(k);
}

/* --check-config and --print-config: the parser itself, in our place. */
int configuration_tool(const struct options *o, const char *action)
{
	char path[PATH_MAX];
	char *argv[] = {(char *)"spawnd-config",
			(char *)(uintptr_t)action,
			(char *)"--template-dir",
			o->template_dir,
			(char *)"--mode",
			o->system_mode ? (char *)"system" : (char *)"user",
			o->config,
			NULL};

	tool_path(o, path, sizeof(path));
	execv(path, argv);
	dprintf(STDERR_FILENO, "spawnd: cannot run %s: %s\n", path, strerrordesc_np(errno));
	return 1;
}
