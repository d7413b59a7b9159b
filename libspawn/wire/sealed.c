/* SPDX-License-Identifier: MIT */
#include "wire/sealed.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int sealed_may_have(size_t len)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && len > limit.rlim_cur ? -EFBIG : 0;
}

int sealed_open(const char *name, int *ret_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int sealed_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int sealed_create(const char *name, const void *data, size_t len, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r = sealed_may_have(len);

	if (r == 0)
		r = sealed_open(name, &fd);
	if (r < 0)
		return r;
	r = fd_write_all(fd, data, len);
	if (r < 0)
		return r;
	r = sealed_seal(fd);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int sealed_check(int fd, size_t max, size_t *ret_size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* Not a memfd: EINVAL. Without the seals its owner could change it under the reader. */
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return -EMSGSIZE;
	*ret_size = (size_t)st.st_size;
	return 0;
}
