/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "base/fd.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int create(const char *name, size_t size, int protection, void **ret)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC);
	void *at;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -1;
	at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -1;
	*ret = at;
	return take_fd(&fd);
}

int ledger_create(uint32_t n, struct ledger **ret)
{
	size_t size = sizeof(struct ledger) + n * sizeof(struct entry);
	void *at;
	int fd = create("ledger", size, PROT_READ | PROT_WRITE, &at);

	if (fd < 0)
		return -1;
	*ret = at;
	(*ret)->n = n;
	return fd;
}

struct ledger *ledger_open(int fd)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0)
		return NULL;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

uint32_t ledger_taken(const struct ledger *ledger)
{
	uint32_t next = atomic_load(&ledger->next);

	return next < ledger->n ? next : ledger->n;
}

int runs_create(uint32_t n, const uint8_t **ret)
{
	size_t size = ((size_t)n + 2 * RUNS_SPARE) / RUNS_SPARE * RUNS_SPARE;
	void *at;
	int fd = create("runs", size, PROT_READ, &at);

	if (fd >= 0)
		*ret = at;
	return fd;
}
