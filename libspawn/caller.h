/* SPDX-License-Identifier: MIT */
/* caller.h - what a child has from the calling thread when the request says nothing else. */
#ifndef LIBSPAWN_CALLER_H
#define LIBSPAWN_CALLER_H

#include <stdint.h>
#include <sys/types.h>

/* An O_PATH descriptor of the working directory. 0 or a negative errno. */
int caller_cwd(int *ret_fd);
/* The umask, and the ignored signals: bit n-1 is signal n. 0 or a negative errno. */
int caller_status(mode_t *ret_umask, uint64_t *ret_ignored);
/* The ignored signals alone, where there is no /proc. */
uint64_t caller_ignored(void);
/* Bit n-1: signal n is blocked. */
uint64_t caller_sigmask(void);

#endif
