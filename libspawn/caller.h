/* SPDX-License-Identifier: MIT */
/* caller.h - what a child has from the calling thread when the request says nothing else. */
#ifndef LIBSPAWN_CALLER_H
#define LIBSPAWN_CALLER_H

#include <stdint.h>
#include <sys/types.h>

/* An O_PATH descriptor of the working directory. 0 or a negative errno. */
int caller_cwd(int *ret_fd);
/* Both at once, which is cheaper. In the mask, bit n-1: signal n is blocked. 0 or a negative errno.
 */
int caller_masks(mode_t *ret_umask, uint64_t *ret_sigmask);
uint64_t caller_sigmask(void);
/* The ignored signals, in the same form: a system call each. */
uint64_t caller_ignored(void);

#endif
