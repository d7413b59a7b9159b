/* SPDX-License-Identifier: MIT */
#include "pidfd.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* Of linux/pidfd.h, which is older than this on the systems we build on. The ioctl's number holds
 * the size: the kernel fills what fits into the first published version. */
struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");
#define INFO_EXIT (1ull << 3)
#define GET_INFO  _IOWR(0xff, 11, struct pidfd_info_v0)

/* How long the new parent of an orphan has to reap it. */
#define REAP_MS 1000

static int wait_for(int pidfd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = pidfd, .events = events};
		int n = poll(&p, 1, clock_poll_timeout(deadline));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return p.revents & POLLNVAL ? -EBADF : 0;
		if (n == 0 && deadline && clock_now() >= deadline)
			return -ETIMEDOUT;
	}
}

int pidfd_wait(int pidfd, uint64_t deadline)
{
	return wait_for(pidfd, POLLIN, deadline);
}

int pidfd_exit_status(int pidfd, struct exit_record *ret)
{
	struct pidfd_info_v0 info = {.mask = INFO_EXIT};

	if (ioctl(pidfd, GET_INFO, &info) < 0)
		return -ENODATA; /* a kernel without it is not worth the wait */
	/* On a zombie the call succeeds and shows 0; POLLHUP says that it was reaped. */
	info = (struct pidfd_info_v0){.mask = INFO_EXIT};
	if (wait_for(pidfd, 0, clock_now() + REAP_MS * NS_PER_MS) < 0)
		return -ENODATA;
	if (ioctl(pidfd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return -ENODATA;
	*ret = (struct exit_record){0};
	if (WIFEXITED(info.exit_code)) {
		ret->code = CLD_EXITED;
		ret->status = WEXITSTATUS(info.exit_code);
	} else {
		ret->code = WCOREDUMP(info.exit_code) ? CLD_DUMPED : CLD_KILLED;
		ret->status = WTERMSIG(info.exit_code);
	}
	return 0;
}
