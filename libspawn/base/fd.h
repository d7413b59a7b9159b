/* SPDX-License-Identifier: MIT */
/*
 * fd.h - descriptors with an owner.
 *
 * Every descriptor is close-on-exec at creation and -1 when not held. *take* verbs consume on
 * success only, *borrow* never closes, ret_ hands out.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>

/* Closes fd if it is not -1; never retried (Linux frees the number even at EINTR). Keeps errno.
 * Returns -1. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}
#define _cleanup_close_ __attribute__((cleanup(fd_closep)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *take_pointer(void *slot)
{
	void **p = slot, *taken = *p;

	*p = NULL;
	return taken;
}

/* Frees what the variable points to; for _cleanup_free_. */
void free_pointer(void *slot);
#define _cleanup_free_ __attribute__((cleanup(free_pointer)))

/* 0 or a negative errno. */
int fd_set_cloexec(int fd, int on);
int fd_set_nonblock(int fd, int on);

/* True if fd is an AF_UNIX SOCK_SEQPACKET socket. */
int fd_is_seqpacket(int fd);

/* A duplicate of fd numbered at or above floor, close-on-exec; negative errno. */
int fd_dup_above(int fd, int floor);

/*
 * The same descriptor, or its duplicate above 2 when its number is one of the three that programs
 * take for standard streams (the process had closed one): it shall not be taken for that, nor
 * inherited as that. Consumes fd; a negative fd passes through. Negative errno.
 */
int fd_above_stdio(int fd);

/*
 * The same for one that is kept: its duplicate at 32 or above, so that the lower numbers are a
 * program's own, as if we were not there; where the limit leaves no room, above 2.
 */
int fd_for_long(int fd);

/*
 * -EFBIG where this process may have no file of that size, memory files too: to make one would not
 * fail but send SIGXFSZ, which ends the process.
 */
int file_size_check(size_t size);

/* Reads all of [offset, offset + len) with pread; -ENODATA when the file is shorter. */
int fd_pread_all(int fd, void *buf, size_t len, size_t offset);
/* Writes all of buf; 0 or a negative errno. */
int fd_write_all(int fd, const void *buf, size_t len);

/* A readable pidfd says that the process is over. 1, 0, or a negative errno. */
int pidfd_is_over(int pidfd);
int pidfd_open_pid(int pid);
int pidfd_signal(int pidfd, int sig);

#endif
