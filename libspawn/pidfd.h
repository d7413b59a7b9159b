/* SPDX-License-Identifier: MIT */
/* pidfd.h - what the kernel says of a process that nobody keeps a record of. */
#ifndef LIBSPAWN_PIDFD_H
#define LIBSPAWN_PIDFD_H

#include "wire/record.h"

#include <stdint.h>

/* Until the process is over; 0, -ETIMEDOUT, or another negative errno. */
int pidfd_wait(int pidfd, uint64_t deadline);
/* Code and status of a process that was reaped, from Linux 6.15; -ENODATA where not to be had. */
int pidfd_exit_status(int pidfd, struct exit_record *ret);

#endif
