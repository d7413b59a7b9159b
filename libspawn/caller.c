/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define HAVE_SINGLE_THREADED 1 /* glibc 2.32 */
#endif
#endif

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

/* By the kernel's own call: one word, and no signal is left out. */
static uint64_t change_sigmask(const uint64_t *mask)
{
	uint64_t before = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, &before, sizeof(before));
	return before;
}

/*
 * umask() can only be read by changing it. Where no other thread and no signal handler can see that
 * it is two cheap calls; a umask that forbids most, for all the same: a worker of an io_uring, or
 * who else shares the umask unknown to libc (CLONE_FS), may make a file in between.
 */
static mode_t read_umask_alone(uint64_t *ret_sigmask)
{
	const uint64_t all = ~0ull;
	mode_t mask;

	*ret_sigmask = change_sigmask(&all);
	mask = umask(0777);
	umask(mask);
	change_sigmask(ret_sigmask);
	return mask;
}

/* Where there are threads. The descriptor is not kept: after a fork it would show the parent. */
static int read_umask_of_thread(mode_t *ret)
{
	static const char key[] = "\nUmask:\t";
	_cleanup_close_ int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	char text[512]; /* Umask is the second line, behind a name of at most 15 bytes, escaped */
	unsigned mask = 0;
	const char *p;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, sizeof(text) - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	p = strstr(text, key);
	if (!p)
		return -ENODATA;
	for (p += sizeof(key) - 1; *p >= '0' && *p <= '7'; p++)
		mask = mask * 8 + (unsigned)(*p - '0');
	if (*p != '\n' || mask > 0777)
		return -ENODATA;
	*ret = (mode_t)mask;
	return 0;
}

static bool is_single_threaded(void)
{
#ifdef HAVE_SINGLE_THREADED
	return __libc_single_threaded;
#else
	return false;
#endif
}

int caller_masks(mode_t *ret_umask, uint64_t *ret_sigmask)
{
	if (is_single_threaded()) {
		*ret_umask = read_umask_alone(ret_sigmask);
		return 0;
	}
	*ret_sigmask = caller_sigmask();
	return read_umask_of_thread(ret_umask);
}

uint64_t caller_sigmask(void)
{
	return change_sigmask(NULL);
}

uint64_t caller_ignored(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} now;
	uint64_t ignored = 0;

	for (int sig = 1; sig <= 64; sig++)
		if (syscall(SYS_rt_sigaction, sig, NULL, &now, 8) == 0 && now.handler == SIG_IGN)
			ignored |= 1ull << (sig - 1);
	return ignored;
}
