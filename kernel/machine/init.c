// SPDX-License-Identifier: GPL-2.0-only
/*
 * init.c - the first process of a guest: runs the programs of /job one after the other, says how
 * each ended and, only if all of them ended with 0, the token of this run. Then it ends the guest
 * in a way that nothing else does: see kernel/machine/guest.
 *
 * A line that begins with @ is run in the file system of the machine that runs this guest, shared
 * by 9p and with a layer above it that takes what is written and is gone at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARGS_MAX	 32
#define DEBUG_EXIT_PORT	 0xf4
#define DEBUG_EXIT_VALUE 16 /* QEMU's status is 2 * 16 + 1 */

static const struct {
	const char *type, *at, *options;
} mounts[] = {
	{"proc", "/proc", NULL},
	{"sysfs", "/sys", NULL},
	{"devtmpfs", "/dev", NULL},
	{"devpts", "/dev/pts", NULL},
	{"tmpfs", "/dev/shm", NULL},
	{"tmpfs", "/tmp", NULL},
	{"debugfs", "/sys/kernel/debug", NULL},
	{"cgroup2", "/sys/fs/cgroup", NULL},
};

/* What a kernel lacks is for the programs to miss. */
static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].at, 0755);
		mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, mounts[i].options);
	}
}

/* Its /tmp and the like are the guest's own, but for where the job's program is. */
static bool mount_machine(const char *program)
{
	static bool done;

	if (done)
		return true;
	mkdir("/lower", 0755);
	mkdir("/layer", 0755);
	mkdir("/machine", 0755);
	if (mount("machine", "/lower", "9p", MS_RDONLY,
		  "trans=virtio,version=9p2000.L,cache=loose,msize=512000") < 0 ||
	    mount("tmpfs", "/layer", "tmpfs", 0, "size=80%") < 0)
		return false;
	mkdir("/layer/upper", 0755);
	mkdir("/layer/work", 0755);
	if (mount("overlay", "/machine", "overlay", 0,
		  "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work") < 0)
		return false;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		char at[64];
		size_t length = strlen(mounts[i].at);

		if (strncmp(program, mounts[i].at, length) == 0 && program[length] == '/')
			continue;
		snprintf(at, sizeof(at), "/machine%s", mounts[i].at);
		mkdir(at, 0755);
		mount(mounts[i].at, at, NULL, MS_BIND, NULL);
	}
	done = mount("tmpfs", "/machine/run", "tmpfs", 0, NULL) == 0;
	return done;
}

/* By the kernel, that got it as an argument which it does not know. */
static const char *token(void)
{
	const char *t = getenv("token");

	return t ? t : "none";
}

static int split(char *line, char **argv)
{
	int n = 0;

	for (char *save, *word = strtok_r(line, " \t\n", &save); word && n < ARGS_MAX;
	     word = strtok_r(NULL, " \t\n", &save))
		argv[n++] = word;
	argv[n] = NULL;
	return n;
}

static int wait_for(pid_t pid)
{
	int status;

	for (;;) {
		pid_t ended = wait(&status);

		if (ended == pid)
			return status;
		if (ended < 0 && errno != EINTR)
			return -1;
	}
}

static bool run(char *line)
{
	char *argv[ARGS_MAX + 1], said[256];
	bool machine = *line == '@';
	int status;
	pid_t pid;

	snprintf(said, sizeof(said), "%.*s", (int)strcspn(line, "\n"), line);
	if (split(line + machine, argv) == 0)
		return true;
	if (machine && !mount_machine(argv[0])) {
		printf("init: %s: no file system of the machine: %s\n", said, strerror(errno));
		return false;
	}
	pid = fork();
	if (pid == 0) {
		setsid();
		if (machine && (chroot("/machine") < 0 || chdir("/") < 0))
			_exit(127);
		execv(argv[0], argv);
		fprintf(stderr, "init: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	status = pid < 0 ? -1 : wait_for(pid);
	if (status != 0)
		printf("init: %s: status %#x\n", said, (unsigned)status);
	return status == 0;
}

static bool run_all(void)
{
	FILE *job = fopen("/job", "re");
	bool held = job != NULL;
	char line[1024];
	int n = 0;

	while (job && fgets(line, sizeof(line), job)) {
		n++;
		held &= run(line);
	}
	if (job)
		fclose(job);
	return held && n > 0;
}

int main(void)
{
	bool held;

	mount_all();
	puts("init: begins");
	fflush(stdout);
	held = run_all();
	if (held)
		printf("init: all held %s\n", token());
	else
		puts("init: not all held");
	fflush(stdout);
	tcdrain(STDOUT_FILENO); /* at the end what the serial port holds is lost */
	sync();
#ifdef __x86_64__
	/* Not there on User-Mode Linux. */
	if (held && ioperm(DEBUG_EXIT_PORT, 4, 1) == 0)
		outl(DEBUG_EXIT_VALUE, DEBUG_EXIT_PORT);
#endif
	reboot(RB_POWER_OFF);
	return 1;
}
