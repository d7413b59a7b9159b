/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int slots_create(uint32_t n, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r = file_size_check(n * sizeof(struct slot));

	if (r < 0)
		return r;
	fd = memfd_create("spawnd-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)(n * sizeof(struct slot))) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SIZE_SEALS) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int slots_map(int fd, uint32_t n, struct slot **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != (uint64_t)n * sizeof(struct slot))
		return -EINVAL;
	p = mmap(NULL, n * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	/* Leaves write through the descriptor: shared memory is none of theirs. */
	if (madvise(p, n * sizeof(struct slot), MADV_DONTFORK) < 0) {
		int r = -errno;

		munmap(p, n * sizeof(struct slot));
		return r;
	}
	*ret = p;
	return 0;
}

void slots_unmap(struct slot *slots, uint32_t n)
{
	if (slots)
		munmap(slots, n * sizeof(struct slot));
}
