/* SPDX-License-Identifier: MIT */
/*
 * pidfd_info.h - what PIDFD_GET_INFO (Linux 6.13) tells of a process. Of linux/pidfd.h, which is
 * older than this on the systems we build on.
 */
#ifndef BASE_PIDFD_INFO_H
#define BASE_PIDFD_INFO_H

#include <stdint.h>
#include <sys/ioctl.h>

/* The ioctl's number holds the size: the kernel fills what fits into the first published version.
 */
struct pidfd_info_v0 {
	uint64_t mask; /* asked for, then: told; pid and credentials always are */
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");

#define PIDFD_INFO_PID_BIT  (1ull << 0)
#define PIDFD_INFO_EXIT_BIT (1ull << 3) /* Linux 6.15 */
#define PIDFD_INFO_IOCTL    _IOWR(0xff, 11, struct pidfd_info_v0)

#endif
