/* SPDX-License-Identifier: MIT */
/* Processes that leaves left behind arrive at the keeper, the subreaper, and are waited for. */
#include "base/fd.h"
#include "base/pidfd_info.h"
#include "keeper/keeper.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAT_PARENT  4
#define STAT_STARTED 22

/* Before Linux 6.13: the pid's, whoever has it now. */
static int read_origin(pid_t pid, pid_t *ret_parent, uint64_t *ret_started)
{
	char path[64], buf[1024], *p, *end;
	unsigned long long started;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	long parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name before it may contain anything */
	for (int field = 2; p && field < STAT_PARENT; field++)
		p = strchr(p + 1, ' ');
	parent = p ? strtol(p + 1, &end, 10) : 0;
	for (int field = STAT_PARENT; p && field < STAT_STARTED; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	started = strtoull(p + 1, &end, 10);
	if (end == p + 1 || *end != ' ')
		return -EBADMSG;
	*ret_parent = (pid_t)parent;
	*ret_started = started;
	return 0;
}

/*
 * Where the kernel tells the parent (Linux 6.13) a pidfd's inode is of exactly one process for as
 * long as the kernel runs (6.9), which makes it the better name: and of exactly the process that
 * the pidfd is of, so there is nothing to look at twice.
 */
int process_origin(int pidfd, pid_t pid, pid_t *ret_parent, uint64_t *ret_identity)
{
	struct pidfd_info_v0 info = {.mask = PIDFD_INFO_PID_BIT};
	struct stat st;
	int r;

	if (ioctl(pidfd, PIDFD_INFO_IOCTL, &info) == 0) {
		if (!(info.mask & PIDFD_INFO_PID_BIT) || fstat(pidfd, &st) < 0)
			return -EBADMSG;
		*ret_parent = (pid_t)info.ppid;
		*ret_identity = st.st_ino;
		return 0;
	}
	if (errno == ESRCH)
		return -ESRCH;
	r = read_origin(pid, ret_parent, ret_identity);
	/* Not reaped yet: still the process of when the pidfd was opened, so this is about it. */
	if (r == -ENOENT || (r == 0 && pidfd_signal(pidfd, 0) == -ESRCH))
		return -ESRCH;
	return r;
}

bool registered_is_alive(const struct registered *r)
{
	_cleanup_close_ int pidfd = r->pid ? pidfd_open_pid(r->pid) : -1;
	uint64_t identity;
	pid_t parent;

	return pidfd >= 0 && process_origin(pidfd, r->pid, &parent, &identity) == 0 &&
	       identity == r->identity;
}

void descriptors_close(struct fds *fds)
{
	struct fds strange = {.n = 0};
	long pid;

	for (size_t i = 0; i < fds->n; i++)
		if (fds->fd[i] >= 0 && !fd_is_seqpacket(fds->fd[i]))
			strange.fd[strange.n++] = fds_take(fds, i);
	fds_close(fds);
	if (strange.n == 0)
		return;
	/* The kernel's own call: what follows in the child are system calls alone. It is reaped as
	 * a stranger; should there be no room for it, they stay open. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid != 0)
		return;
	for (size_t i = 0; i < strange.n; i++)
		close(strange.fd[i]);
	_exit(0);
}

static bool is_known(const struct keeper *k, pid_t pid)
{
	if (pid == k->broker.pid || pid == k->reload_pid)
		return true;
	for (const struct host_process *h = k->hosts; h; h = h->next) {
		if (pid == h->pid)
			return true;
		for (uint32_t i = 0; h->brood && i < h->n_slots; i++)
			if (h->brood->leaves[i].pid == pid)
				return true;
		/*
		 * A host that is dead and not seen to be so yet: its leaves are ours already, and
		 * their zombies are records.
		 */
		for (uint32_t i = 0; h->pid && i < h->n_slots; i++)
			if (h->registered[i].pid == pid && registered_is_alive(&h->registered[i]))
				return true;
	}
	return false;
}

/* Past a zombie that is somebody's record waitid() cannot look: ask for each number there is. */
static void reap_one_by_one(struct keeper *k)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");

	while (dir && (e = readdir(dir))) {
		siginfo_t si = {0};
		long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;

		/* Most are no zombies of ours, which one call tells. */
		if (pid > 0 && waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    si.si_pid != 0 && !is_known(k, (pid_t)pid))
			waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG);
	}
	if (dir)
		closedir(dir);
}

void reap_strangers(struct keeper *k)
{
	for (;;) {
		siginfo_t si = {0};

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		if (is_known(k, si.si_pid)) {
			reap_one_by_one(k);
			return;
		}
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
	}
}
