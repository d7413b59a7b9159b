// SPDX-License-Identifier: GPL-2.0-only
/*
 * objects - what rmap objects a whole system has, and each of its processes: ended one after the
 * other, the objects that go with one were its own. Nothing is left of the system after that, so it
 * ends the guest as init.c does.
 */
#define _GNU_SOURCE
#include "../bench/bench.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define DEBUG_EXIT_PORT	 0xf4
#define DEBUG_EXIT_VALUE 16
#define PROCESSES_MAX	 512

struct process {
	char name[32];
	int pid, fd;
	unsigned long nofork;
	bool program; /* it has memory of its own: no kernel thread */
};

_Noreturn void give_up(const char *what)
{
	fprintf(stderr, "objects: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool process_read(int pid, struct process *ret)
{
	char path[64], line[256];
	FILE *f;

	*ret = (struct process){.pid = pid, .fd = -1};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Name: %31s", ret->name);
		sscanf(line, "NoFork: %lu", &ret->nofork);
		if (strncmp(line, "VmSize:", 7) == 0)
			ret->program = true;
	}
	fclose(f);
	return true;
}

/* All but this one, its ancestors and the first of all. */
static size_t processes_read(struct process *processes)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	if (!dir)
		give_up("/proc");
	while ((entry = readdir(dir)) && n < PROCESSES_MAX) {
		int pid = isdigit((unsigned char)*entry->d_name) ? (int)strtol(entry->d_name, NULL, 10) : 0;

		if (pid > 1 && pid != getpid() && pid != getppid() &&
		    process_read(pid, &processes[n]) && processes[n].program) {
			processes[n].fd = (int)syscall(SYS_pidfd_open, pid, 0);
			n += processes[n].fd >= 0;
		}
	}
	closedir(dir);
	return n;
}

static void process_end(const struct process *p)
{
	struct pollfd pfd = {p->fd, POLLIN, 0};

	if (syscall(SYS_pidfd_send_signal, p->fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		give_up("pidfd_send_signal");
	while (poll(&pfd, 1, 10000) < 0 && errno == EINTR)
		;
	if (!(pfd.revents & POLLIN))
		fprintf(stderr, "objects: %s (%d) does not end\n", p->name, p->pid);
}

static void tell_token(void)
{
	char line[4096] = "", *at;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		give_up("/proc/cmdline");
	close(fd);
	at = strstr(line, " token=");
	if (at)
		printf("init: all held %.*s\n", (int)strcspn(at + 7, " \n"), at + 7);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

/* The first process would start anew what ends. */
static void freeze_first(void)
{
	if (!write_text("/sys/fs/cgroup/init.scope/cgroup.freeze", "1"))
		give_up("init.scope/cgroup.freeze");
}

int main(void)
{
	static struct process processes[PROCESSES_MAX];
	struct slab now, before;
	size_t n;

	freeze_first();
	n = processes_read(processes);
	for (size_t i = 0; i < n; i++)
		syscall(SYS_pidfd_send_signal, processes[i].fd, SIGSTOP, NULL, 0);
	before = slab_read();
	printf("system\t%zu\t%ld\t%ld\t%ld\n", n + 2, before.anon_vma + before.leaf, before.chain,
	       before.anon_vma_bytes + before.leaf_bytes + before.chain_bytes);
	for (size_t i = 0; i < n; i++) {
		process_end(&processes[i]);
		now = slab_read();
		printf("process\t%s\t%lu\t%ld\t%ld\t%ld\n", processes[i].name, processes[i].nofork,
		       before.anon_vma + before.leaf - now.anon_vma - now.leaf,
		       before.chain - now.chain,
		       before.anon_vma_bytes + before.leaf_bytes + before.chain_bytes -
			       now.anon_vma_bytes - now.leaf_bytes - now.chain_bytes);
		before = now;
	}
	tell_token();
	sync();
	if (ioperm(DEBUG_EXIT_PORT, 4, 1) == 0)
		outl(DEBUG_EXIT_VALUE, DEBUG_EXIT_PORT);
	reboot(RB_POWER_OFF);
	return 1;
}
