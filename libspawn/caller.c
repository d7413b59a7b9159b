/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

int caller_cwd(int *ret_fd)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	fd = fd_above_stdio(fd);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static ssize_t read_some(int fd, char *text, size_t size)
{
	ssize_t n;

	do
		n = read(fd, text, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The value behind the key, which is a whole line's start; base 8 or 16. */
static int find_number(const char *text, const char *key, unsigned base, uint64_t *ret)
{
	const char *p = strstr(text, key);
	uint64_t value = 0;

	if (!p)
		return -ENODATA;
	for (p += strlen(key);; p++) {
		unsigned digit = *p >= '0' && *p <= '9'	  ? (unsigned)(*p - '0')
				 : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a') + 10
							  : base;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	if (*p != '\n')
		return -ENODATA;
	*ret = value;
	return 0;
}

/*
 * umask() can only be read by changing it, which another thread's open() would see, and signals
 * cost a system call each; so from /proc, both at once. The descriptor is not kept: after a fork it
 * would still show the parent.
 */
int caller_status(mode_t *ret_umask, uint64_t *ret_ignored)
{
	_cleanup_close_ int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	char text[4096]; /* Umask is the second line; SigIgn comes behind the groups, of any length
			  */
	uint64_t mask, ignored;
	size_t kept = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = read_some(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	r = find_number(text, "\nUmask:\t", 8, &mask);
	if (r < 0 || mask > 0777)
		return -ENODATA;
	while ((r = find_number(text, "\nSigIgn:\t", 16, &ignored)) < 0) {
		/* The end of what was read may be the begin of that line. */
		size_t len = kept + (size_t)n;

		kept = len < 64 ? len : 64;
		memmove(text, text + len - kept, kept);
		n = read_some(fd, text + kept, sizeof(text) - 1 - kept);
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		text[kept + (size_t)n] = '\0';
	}
	*ret_umask = (mode_t)mask;
	*ret_ignored = ignored;
	return 0;
}

uint64_t caller_ignored(void)
{
	uint64_t ignored = 0;

	for (int sig = 1; sig <= 64; sig++) {
		struct sigaction now;

		/* glibc says no for its own, which nobody can ignore. */
		if (sigaction(sig, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
		    now.sa_handler == SIG_IGN)
			ignored |= 1ull << (sig - 1);
	}
	return ignored;
}

uint64_t caller_sigmask(void)
{
	uint64_t mask = 0;
	sigset_t set;

	sigemptyset(&set);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (int sig = 1; sig <= 64; sig++)
		if (sigismember(&set, sig) == 1)
			mask |= 1ull << (sig - 1);
	return mask;
}
