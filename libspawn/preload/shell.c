/* SPDX-License-Identifier: MIT */
/* system(3), popen(3) and pclose(3), which libc starts by a way of its own. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL "/bin/sh"

/* INT and QUIT are ignored as long as any thread is in system(). */
static pthread_mutex_t signals_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction interrupt_before, quit_before;
static int waiting;

static void signals_ignore(sigset_t *ret_old)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t child;

	pthread_mutex_lock(&signals_lock);
	if (waiting++ == 0) {
		sigaction(SIGINT, &ignore, &interrupt_before);
		sigaction(SIGQUIT, &ignore, &quit_before);
	}
	pthread_mutex_unlock(&signals_lock);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, ret_old);
}

static void signals_restore(const sigset_t *old)
{
	pthread_mutex_lock(&signals_lock);
	if (--waiting == 0) {
		sigaction(SIGINT, &interrupt_before, NULL);
		sigaction(SIGQUIT, &quit_before, NULL);
	}
	pthread_mutex_unlock(&signals_lock);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

struct running {
	pid_t pid;
	sigset_t old;
};

/* system() is a point of cancellation; its child does not outlive it. */
static void cancelled(void *arg)
{
	struct running *running = arg;

	kill(running->pid, SIGKILL); /* a child of ours that nobody has waited for */
	while (next()->wait4(running->pid, NULL, 0, NULL) < 0 && errno == EINTR)
		;
	signals_restore(&running->old);
}

static int wait_for(struct running *running)
{
	int status = -1, r;

	pthread_cleanup_push(cancelled, running);
	do
		r = next()->wait4(running->pid, &status, 0, NULL);
	while (r < 0 && errno == EINTR);
	pthread_cleanup_pop(0);
	return r < 0 ? -1 : status;
}

PUBLIC int system(const char *command)
{
	const char *argv[] = {"sh", "-c", command, NULL};
	struct running running;
	posix_spawnattr_t attr;
	int status, saved, r;
	sigset_t defaults;

	if (!command)
		return access(SHELL, X_OK) == 0;
	signals_ignore(&running.old);
	sigemptyset(&defaults);
	if (interrupt_before.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGINT);
	if (quit_before.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &running.old);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	r = preload_spawn(&running.pid, NULL, SHELL, false, NULL, &attr, (char *const *)argv,
			  environ);
	posix_spawnattr_destroy(&attr);
	/* As glibc has it: no shell is a shell that says 127. */
	status = r == 0 ? wait_for(&running) : W_EXITCODE(127, 0);
	saved = r ? r : errno;
	signals_restore(&running.old);
	if (r || status == -1)
		errno = saved;
	return status;
}

/* Streams of popen(3) that are open. */
struct stream {
	struct stream *next;
	FILE *file;
	pid_t pid;
};
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream *streams;

static int start(const char *command, int theirs, int target, pid_t *ret)
{
	const char *argv[] = {"sh", "-c", command, NULL};
	posix_spawn_file_actions_t fa;
	int r = posix_spawn_file_actions_init(&fa);

	if (r)
		return r;
	r = posix_spawn_file_actions_adddup2(&fa, theirs, target);
	/* No child has the streams of those before it. */
	for (struct stream *s = streams; r == 0 && s; s = s->next)
		if (fileno(s->file) != target)
			r = posix_spawn_file_actions_addclose(&fa, fileno(s->file));
	if (r == 0)
		r = preload_spawn(ret, NULL, SHELL, false, &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

static int mode_read(const char *type, bool *ret_read, bool *ret_cloexec)
{
	int kinds = 0;

	*ret_read = *ret_cloexec = false;
	for (; *type; type++) {
		switch (*type) {
		case 'r':
			*ret_read = true;
			kinds++;
			break;
		case 'w':
			kinds++;
			break;
		case 'e':
			*ret_cloexec = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return kinds == 1 ? 0 : -EINVAL;
}

PUBLIC FILE *popen(const char *command, const char *type)
{
	struct stream *s = NULL;
	bool reads, cloexec;
	int ends[2], r;

	if (mode_read(type, &reads, &cloexec) < 0) {
		errno = EINVAL;
		return NULL;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s)
		s->file = fdopen(ends[!reads], reads ? "r" : "w");
	if (!s || !s->file) {
		free(s);
		close(ends[0]);
		close(ends[1]);
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&streams_lock);
	r = start(command, ends[reads], reads ? 1 : 0, &s->pid);
	if (r == 0) {
		if (!cloexec)
			fcntl(ends[!reads], F_SETFD, 0);
		s->next = streams;
		streams = s;
	}
	pthread_mutex_unlock(&streams_lock);
	close(ends[reads]);
	if (r) {
		fclose(s->file);
		free(s);
		errno = r;
		return NULL;
	}
	return s->file;
}

PUBLIC int pclose(FILE *file)
{
	struct stream **at = &streams, *s;
	int status, r;

	pthread_mutex_lock(&streams_lock);
	while (*at && (*at)->file != file)
		at = &(*at)->next;
	s = *at;
	if (s)
		*at = s->next;
	pthread_mutex_unlock(&streams_lock);
	if (!s)
		return next()->pclose(file);
	fclose(file);
	do
		r = next()->wait4(s->pid, &status, 0, NULL);
	while (r < 0 && errno == EINTR);
	free(s);
	return r < 0 ? -1 : status;
}
