/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Name and parent; false when the process is gone. */
static bool read_stat(pid_t pid, char name[16], pid_t *ret_parent)
{
	char path[64], line[1024], *open, *close;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	len = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[len] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || sscanf(close + 2, "%*c %d", ret_parent) != 1)
		return false;
	snprintf(name, 16, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

size_t processes_of(pid_t of, struct process ret[PROCESSES_MAX])
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	if (!proc)
		err(1, "/proc");
	while ((entry = readdir(proc)) && n < PROCESSES_MAX) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), parent;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !read_stat(pid, ret[n].name, &parent) || (pid != of && parent != of))
			continue;
		ret[n++].pid = pid;
	}
	closedir(proc);
	return n;
}

static double clock_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		err(1, "a process's clock");
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

double process_cpu_us(pid_t pid)
{
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0)
		errx(1, "process %d is gone", (int)pid);
	return clock_us(clock);
}

double self_cpu_us(void)
{
	return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

double machine_busy_us(void)
{
	unsigned long long user, nice, system, irq, softirq;
	FILE *f = fopen("/proc/stat", "re");

	if (!f || fscanf(f, "cpu %llu %llu %llu %*u %*u %llu %llu", &user, &nice, &system, &irq,
			 &softirq) != 5)
		err(1, "/proc/stat");
	fclose(f);
	return (double)(user + nice + system + irq + softirq) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}
