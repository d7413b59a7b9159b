/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include "probe_run.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void tool_start(const struct server *s, const char *const *argv, struct tool *ret)
{
	const char *binary = strchr(argv[0], '/') ? argv[0] : getenv(argv[0]);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int in[2], out[2], err[2], r;

	cr_assert_not_null(binary, "%s is not set: run the tests by meson", argv[0]);
	if (s)
		setenv("SPAWND_SOCKET", s->socket, 1);
	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	/* A process group of its own under a parent in this session: not orphaned, so it can stop.
	 */
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	r = posix_spawn(&ret->pid, binary, &actions, &attributes, (char *const *)(uintptr_t)argv,
			environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	cr_assert_eq(r, 0, "%s: %s", binary, strerror(r));
	close(in[0]);
	close(out[1]);
	close(err[1]);
	ret->in = in[1];
	ret->out = out[0];
	ret->err = err[0];
}

void tool_finish(struct tool *t, struct tool_end *ret)
{
	_cleanup_close_ int pidfd = pidfd_open_pid(t->pid);
	int status;

	t->in = fd_close(t->in);
	/* What these say is less than a pipe holds: one after the other is no deadlock. */
	ret->out = read_to_end(t->out, NULL);
	ret->err = read_to_end(t->err, NULL);
	t->out = fd_close(t->out);
	t->err = fd_close(t->err);
	if (!await_readable(pidfd)) {
		kill(t->pid, SIGKILL);
		cr_assert_fail("a command does not end");
	}
	cr_assert_eq(waitpid(t->pid, &status, 0), t->pid);
	ret->signalled = WIFSIGNALED(status);
	ret->status = ret->signalled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void tool_run(const struct server *s, const char *const *argv, struct tool_end *ret)
{
	struct tool t;

	tool_start(s, argv, &t);
	tool_finish(&t, ret);
}

void tool_shell(const struct server *s, const char *script, struct tool_end *ret)
{
	tool_run(s, ARGV("/bin/sh", "-c", script), ret);
}

void tool_expect(const struct server *s, const char *script, int status, const char *out,
		 const char *err)
{
	struct tool_end end;

	tool_shell(s, script, &end);
	cr_expect_eq(end.status, status, "%s: status %d, not %d; stderr: %s", script, end.status,
		     status, end.err);
	cr_expect_str_eq(end.out, out, "%s: stdout: %s; stderr: %s", script, end.out, end.err);
	if (*err)
		cr_expect(strstr(end.err, err), "%s: no \"%s\" in: %s", script, err, end.err);
	else
		cr_expect_str_eq(end.err, "", "%s: stderr: %s", script, end.err);
	tool_end_free(&end);
}

bool tool_blocks(pid_t pid, int sig)
{
	char path[64], line[256];
	unsigned long long set = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SigBlk: %llx", &set) == 1)
			break;
	}
	fclose(f);
	return set >> (sig - 1) & 1;
}

void tool_end_free(struct tool_end *end)
{
	free(end->out);
	free(end->err);
}
