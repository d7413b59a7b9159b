/* SPDX-License-Identifier: MIT */
#include "inventory.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KINDS_MAX 64

struct kind {
	char name[64];
	unsigned n;
};

/* Its process is reaped: the kernel shows -1. */
static bool is_over(pid_t pid, const char *fd)
{
	char path[64], line[256];
	int of = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", (int)pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f) && sscanf(line, "Pid: %d", &of) != 1)
		;
	fclose(f);
	return of == -1;
}

static bool read_kind(pid_t pid, const char *fd, struct kind *ret)
{
	char path[64], target[256];
	ssize_t n;

	ret->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	if (strstr(target, "pidfd"))
		snprintf(ret->name, sizeof(ret->name), "pidfd%s",
			 is_over(pid, fd) ? " of a process that is over" : "");
	else
		snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(target, "[("), target);
	return true;
}

void inventory_show(const char *name, pid_t pid)
{
	struct kind kinds[KINDS_MAX] = {0}, kind;
	struct dirent *entry;
	size_t n = 0, i;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !read_kind(pid, entry->d_name, &kind))
			continue;
		for (i = 0; i < n && strcmp(kinds[i].name, kind.name) != 0; i++)
			;
		if (i == n && n < KINDS_MAX)
			kinds[n++] = kind;
		if (i < n)
			kinds[i].n++;
	}
	closedir(dir);
	fprintf(stderr, "stress: %s (pid %d) holds:", name, (int)pid);
	for (i = 0; i < n; i++)
		fprintf(stderr, "%s %u %s", i ? "," : "", kinds[i].n, kinds[i].name);
	fputc('\n', stderr);
}
