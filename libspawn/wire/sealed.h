/* SPDX-License-Identifier: MIT */
/*
 * sealed.h - bytes in a memfd that nobody can change any more.
 *
 * The reader verifies the seals before it believes the size, and reads with pread: a mapping of
 * somebody else's memfd could be made to fault. sealed_check() allocates nothing: a leaf uses it.
 */
#ifndef WIRE_SEALED_H
#define WIRE_SEALED_H

#include <stddef.h>

/* 0, or -EFBIG: RLIMIT_FSIZE, which counts for a memfd too, would end the process by SIGXFSZ. */
int sealed_may_have(size_t len);
/* A memfd (close-on-exec) that holds the bytes and can be neither written nor resized. */
int sealed_create(const char *name, const void *data, size_t len, int *ret_fd);
/* An empty memfd that can still be written, to be passed to sealed_seal(). */
int sealed_open(const char *name, int *ret_fd);
int sealed_seal(int fd);
/* The size of a memfd that carries all the seals, at most max; -EPERM (not sealed), -EMSGSIZE. */
int sealed_check(int fd, size_t max, size_t *ret_size);

#endif
