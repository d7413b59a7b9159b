/* SPDX-License-Identifier: MIT */
#include "wire/tally.h"

#include "base/fd.h"
#include "wire/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Static_assert(sizeof(struct tally) <= TALLY_SIZE, "a tally is a page");

static int map(int fd, struct tally **ret)
{
	void *p = mmap(NULL, TALLY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int tally_create(struct tally **ret, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct tally *t = NULL;
	int r = file_size_check(TALLY_SIZE);

	if (r < 0)
		return r;
	fd = fd_above_stdio(memfd_create("spawn-tally", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (fd < 0 || ftruncate(fd, TALLY_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, SIZE_SEALS) < 0)
		return -errno;
	r = map(fd, &t);
	if (r < 0)
		return r;
	/* A child would release its parent's. */
	if (madvise(t, TALLY_SIZE, MADV_DONTFORK) < 0) {
		r = -errno;
		tally_unmap(&t);
		return r;
	}
	*ret = t;
	*ret_fd = take_fd(&fd);
	return 0;
}

int tally_map(int fd, struct tally **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Of huge pages there may be none left: but those come in other sizes. */
	if (st.st_size != TALLY_SIZE)
		return -EINVAL;
	return map(fd, ret);
}

void tally_unmap(struct tally **t)
{
	if (*t)
		munmap(*t, TALLY_SIZE);
	*t = NULL;
}

static bool is_watched(const struct tally *t)
{
	return __atomic_load_n(&t->watched, __ATOMIC_SEQ_CST);
}

enum tally_put tally_put(struct tally *t, uint32_t *written, uint64_t serial)
{
	if (!is_watched(t) || *written - tally_done(t) >= TALLY_SERIALS)
		return TALLY_FULL;
	__atomic_store_n(&t->serial[*written % TALLY_SERIALS], serial, __ATOMIC_RELAXED);
	__atomic_store_n(&t->written, ++*written, __ATOMIC_SEQ_CST);
	/* The broker says that it looks no more, and then looks: one of us sees the other. */
	return is_watched(t) ? TALLY_WRITTEN : TALLY_MISSED;
}

uint32_t tally_done(const struct tally *t)
{
	return __atomic_load_n(&t->done, __ATOMIC_ACQUIRE);
}

int tally_get(const struct tally *t, uint32_t *read, uint64_t *ret_serial)
{
	uint32_t left = __atomic_load_n(&t->written, __ATOMIC_SEQ_CST) - *read;

	if (left == 0)
		return 0;
	if (left > TALLY_SERIALS)
		return -EPROTO;
	*ret_serial = __atomic_load_n(&t->serial[*read % TALLY_SERIALS], __ATOMIC_RELAXED);
	++*read;
	return 1;
}

void tally_set_watched(struct tally *t, bool watched)
{
	__atomic_store_n(&t->watched, watched, __ATOMIC_SEQ_CST);
}

void tally_set_done(struct tally *t, uint32_t read)
{
	__atomic_store_n(&t->done, read, __ATOMIC_RELEASE);
}
