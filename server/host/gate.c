/* SPDX-License-Identifier: MIT */
#include "host/gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

struct findings {
	char *text;
	size_t used;
	int n;
};

static void found(struct findings *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void found(struct findings *f, const char *format, ...)
{
	va_list ap;
	int n;

	if (f->n++ > 0)
		f->used += (size_t)snprintf(f->text + f->used, GATE_TEXT_SIZE - f->used, "; ");
	if (f->used >= GATE_TEXT_SIZE)
		f->used = GATE_TEXT_SIZE - 1;
	va_start(ap, format);
	n = vsnprintf(f->text + f->used, GATE_TEXT_SIZE - f->used, format, ap);
	va_end(ap);
	f->used += n > 0 ? (size_t)n : 0;
	if (f->used >= GATE_TEXT_SIZE)
		f->used = GATE_TEXT_SIZE - 1;
}

static void look_at_streams(struct findings *f)
{
	size_t out = __fpending(stdout), err = __fpending(stderr);

	if (out > 0)
		found(f, "%zu bytes not flushed in stdout", out);
	if (err > 0)
		found(f, "%zu bytes not flushed in stderr", err);
}

static bool is_own(const struct host *h, long fd)
{
	return fd <= HOST_SLOTS_FD || fd == h->warm->null_fd || fd == h->poller.epoll_fd;
}

/* Files, sockets, timers, an io_uring: what a descriptor is, its link says. */
static int look_at_descriptors(const struct host *h, struct findings *f)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		long fd = strtol(e->d_name, NULL, 10);
		char target[200];
		ssize_t n;

		if (e->d_name[0] == '.' || fd == dirfd(dir) || is_own(h, fd))
			continue;
		n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found(f, "descriptor %ld (%s) is closed in leaves", fd, target);
	}
	closedir(dir);
	return 0;
}

/* Writes of one leaf are seen by all others, and by the host. The slots are not inherited. */
static int look_at_mappings(const struct host *h, struct findings *f)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t size = 0;

	if (!maps)
		return -errno;
	while (getline(&line, &size, maps) > 0) {
		uintptr_t from, to;
		char mode[5];
		int name = 0;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n", &from, &to, mode,
			   &name) < 3 ||
		    mode[1] != 'w' || mode[3] != 's' || from == (uintptr_t)h->brood.slots)
			continue;
		line[strcspn(line, "\n")] = '\0';
		found(f, "%zu KiB of memory that all leaves write to (%s)", (to - from) / 1024,
		      name && line[name] ? line + name : "shared");
	}
	free(line);
	fclose(maps);
	return 0;
}

static void look_at_signals(struct findings *f)
{
	sigset_t pending;

	if (sigpending(&pending) < 0)
		return;
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&pending, sig) == 1)
			found(f, "signal %d (SIG%s) is pending, and lost in leaves", sig,
			      sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");
}

/* Of timer_create(); a kernel without CONFIG_CHECKPOINT_RESTORE does not tell. */
static unsigned count_timers(void)
{
	FILE *timers = fopen("/proc/self/timers", "re");
	char *line = NULL;
	size_t size = 0;
	unsigned n = 0;

	if (!timers)
		return 0;
	while (getline(&line, &size, timers) > 0)
		n += strncmp(line, "ID: ", 4) == 0;
	free(line);
	fclose(timers);
	return n;
}

static void look_at_timers(struct findings *f)
{
	static const char *const names[] = {"ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"};
	unsigned n = count_timers();

	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		struct itimerval now;

		if (getitimer((__itimer_which_t)which, &now) == 0 &&
		    (now.it_value.tv_sec || now.it_value.tv_usec))
			found(f, "a timer is armed (%s), and in no leaf", names[which]);
	}
	if (n > 0)
		found(f, "%u timer%s of timer_create(), in no leaf", n, n == 1 ? "" : "s");
}

int gate_look(const struct host *h, char text[GATE_TEXT_SIZE])
{
	struct findings f = {.text = text};
	int r;

	text[0] = '\0';
	look_at_streams(&f);
	look_at_signals(&f);
	look_at_timers(&f);
	r = look_at_descriptors(h, &f);
	if (r == 0)
		r = look_at_mappings(h, &f);
	return r < 0 ? r : f.n;
}
