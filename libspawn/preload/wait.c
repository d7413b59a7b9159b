/* SPDX-License-Identifier: MIT */
/*
 * The wait family sees a process's children and not the private host, which is one as well. Calls
 * that name a child are libc's at once. One that waits for any looks first, without taking it, who
 * has ended. If nobody has and the private host is the only child, the answer is what it would be
 * without: ECHILD.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int hidden;

void hidden_set(pid_t pid)
{
	atomic_store(&hidden, pid);
}

pid_t hidden_pid(void)
{
	return atomic_load(&hidden);
}

void hidden_gone(pid_t pid)
{
	int expected = pid;

	atomic_compare_exchange_strong(&hidden, &expected, 0);
}

/* Are there others in this list of pids? */
static bool has_others(const char *list, pid_t host)
{
	while (*list) {
		char *end;
		long pid = strtol(list, &end, 10);

		if (end == list)
			break;
		if (pid > 0 && pid != host)
			return true;
		list = end;
	}
	return false;
}

enum family { FAMILY_UNKNOWN, FAMILY_OTHERS, FAMILY_HOST_ALONE };

/* What a thread has made: a list is cut where the buffer ends, as so many have others among them.
 */
static enum family family_of(int tasks, const char *task, pid_t host)
{
	char name[32], list[256];
	size_t n = strlen(task);
	ssize_t len;
	int fd;

	if (n > sizeof(name) - sizeof("/children"))
		return FAMILY_UNKNOWN;
	memcpy(name, task, n);
	memcpy(name + n, "/children", sizeof("/children"));
	fd = openat(tasks, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) /* the thread may have ended meanwhile */
		return errno == ENOENT && faccessat(tasks, task, F_OK, 0) < 0 ? FAMILY_HOST_ALONE
									      : FAMILY_UNKNOWN;
	len = read(fd, list, sizeof(list) - 1);
	close(fd);
	list[len > 0 ? len : 0] = 0;
	return has_others(list, host) ? FAMILY_OTHERS : FAMILY_HOST_ALONE;
}

/* Where the kernel's own call has an entry; libc's readdir() has the heap, and a handler of SIGCHLD
 * that waits may have interrupted that. */
struct entry {
	uint64_t ino;
	int64_t next;
	unsigned short len;
	unsigned char type;
	char name[];
};

static enum family family_look(pid_t host)
{
	int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum family family = tasks < 0 ? FAMILY_UNKNOWN : FAMILY_HOST_ALONE;
	_Alignas(struct entry) char entries[1024];
	long n;

	if (tasks < 0)
		return family;
	while (family == FAMILY_HOST_ALONE &&
	       (n = syscall(SYS_getdents64, tasks, entries, sizeof(entries))) > 0) {
		for (long at = 0; family == FAMILY_HOST_ALONE && at < n;) {
			const struct entry *e = (const void *)(entries + at);

			at += e->len;
			if (e->name[0] != '.')
				family = family_of(tasks, e->name, host);
		}
	}
	close(tasks);
	return family;
}

/* waitid() of any, or of a group, that never answers with the private host; takes nothing. */
static int wait_seen(idtype_t type, id_t id, siginfo_t *info, int options)
{
	bool hang = !(options & WNOHANG);
	pid_t host;

	for (;;) {
		host = hidden_pid();
		if (host == 0)
			return next()->waitid(type, id, info, options | WNOWAIT);
		memset(info, 0, sizeof(*info));
		if (next()->waitid(type, id, info, options | WNOHANG | WNOWAIT) < 0)
			return -1;
		if (info->si_pid == 0) {
			switch (family_look(host)) {
			case FAMILY_HOST_ALONE:
				errno = ECHILD;
				return -1;
			case FAMILY_UNKNOWN:
				if (!hang)
					return 0;
				preload_retire();
				continue;
			case FAMILY_OTHERS:
				if (!hang)
					return 0;
			}
			if (next()->waitid(type, id, info, options | WNOWAIT) < 0)
				return -1;
		}
		if (info->si_pid == host) {
			/* It has ended, was stopped or continued: taken, and told to nobody. */
			if (next()->waitid(P_PID, (id_t)host, info,
					   (options & (WEXITED | WSTOPPED | WCONTINUED)) |
						   WNOHANG) == 0 &&
			    info->si_pid == host && info->si_code >= CLD_EXITED &&
			    info->si_code <= CLD_DUMPED)
				hidden_gone(host);
			continue;
		}
		return 0;
	}
}

PUBLIC int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	siginfo_t own;
	int r;

	if (!info)
		info = &own;
	if (type != P_ALL && type != P_PGID) {
		r = next()->waitid(type, id, info, options);
		if (r == 0 && info->si_pid > 0 && !(options & WNOWAIT) && (options & WEXITED) &&
		    info->si_code != CLD_STOPPED && info->si_code != CLD_CONTINUED)
			hidden_gone(info->si_pid);
		return r;
	}
	for (;;) {
		pid_t pid;

		r = wait_seen(type, id, info, options);
		pid = info->si_pid;
		if (r < 0 || pid == 0 || options & WNOWAIT)
			return r;
		/* Another thread may have taken it since. */
		memset(info, 0, sizeof(*info));
		if (next()->waitid(P_PID, (id_t)pid, info, options | WNOHANG) == 0 &&
		    info->si_pid == pid)
			return 0;
	}
}

static pid_t wait_any(pid_t pid, int *status, int options, struct rusage *usage)
{
	int id_options = WEXITED |
			 (options & (WNOHANG | WCONTINUED | __WALL | __WCLONE | __WNOTHREAD)) |
			 (options & WUNTRACED ? WSTOPPED : 0);
	idtype_t type = pid == -1 ? P_ALL : P_PGID;
	siginfo_t info;

	for (;;) {
		pid_t r;

		if (hidden_pid() == 0)
			return next()->wait4(pid, status, options, usage);
		if (wait_seen(type, pid == -1 ? 0 : (id_t)-pid, &info, id_options | WNOWAIT) < 0)
			return -1;
		if (info.si_pid == 0)
			return 0;
		r = next()->wait4(info.si_pid, status, options | WNOHANG, usage);
		if (r != 0 && (r > 0 || errno != ECHILD))
			return r;
	}
}

PUBLIC pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	if (pid > 0 || hidden_pid() == 0)
		return next()->wait4(pid, status, options, usage);
	return wait_any(pid, status, options, usage);
}

PUBLIC pid_t waitpid(pid_t pid, int *status, int options)
{
	return wait4(pid, status, options, NULL);
}

PUBLIC pid_t wait(int *status)
{
	return wait4(-1, status, 0, NULL);
}

PUBLIC pid_t wait3(int *status, int options, struct rusage *usage)
{
	return wait4(-1, status, options, usage);
}
