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

/*
 * umask() can only be read by changing it, which another thread's open() would see; so from /proc.
 * The descriptor is not kept: after a fork it would still show the parent.
 */
int caller_umask(mode_t *ret)
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
