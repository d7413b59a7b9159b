// SPDX-License-Identifier: GPL-2.0-only
/* misbehave.c - does to a guest what must not be taken for success; ./dev/kernel test --prove. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static int crash(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "c", 1) != 1;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "not") == 0)
		return 0;
	if (strcmp(what, "fail") == 0)
		return 3;
	if (strcmp(what, "crash") == 0)
		return crash();
	if (strcmp(what, "off") == 0)
		return reboot(RB_POWER_OFF);
	if (strcmp(what, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(what, "quiet") == 0) { /* says what init says, without its token */
		puts("init: all held");
		fflush(stdout);
		return reboot(RB_POWER_OFF);
	}
	fprintf(stderr, "Usage: misbehave not|fail|crash|off|hang|quiet\n");
	return 2;
}
