/* SPDX-License-Identifier: MIT */
#include "census.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES_MAX 16384

/* comm may hold spaces and parentheses: the last ')' ends it. */
static bool read_stat(pid_t pid, struct census_process *ret)
{
	char path[64], line[1024], *open, *close;
	FILE *f;
	size_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close)
		return false;
	*close = '\0';
	*ret = (struct census_process){.pid = pid};
	snprintf(ret->comm, sizeof(ret->comm), "%s", open + 1);
	if (sscanf(close + 2, "%c %d", &ret->state, &parent) != 2)
		return false;
	ret->parent = parent;
	return true;
}

static size_t read_all(struct census_process *all)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) && n < PROCESSES_MAX) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end == '\0' && pid > 0 && read_stat((pid_t)pid, &all[n]))
			n++;
	}
	closedir(dir);
	return n;
}

size_t census_descendants(pid_t root, struct census_process *ret, size_t max)
{
	struct census_process *all = calloc(PROCESSES_MAX, sizeof(*all));
	bool *in = calloc(PROCESSES_MAX, sizeof(*in)), grew = true;
	size_t n_all, n = 0;

	if (!all || !in)
		abort();
	n_all = read_all(all);
	while (grew) {
		grew = false;
		for (size_t i = 0; i < n_all; i++) {
			bool child = all[i].parent == root;

			for (size_t j = 0; j < n_all && !child && !in[i]; j++)
				child = in[j] && all[j].pid == all[i].parent;
			if (!child || in[i])
				continue;
			in[i] = grew = true;
			if (n < max)
				ret[n] = all[i];
			n++;
		}
	}
	free(in);
	free(all);
	return n;
}

#define DESCENDANTS_MAX 4096

/* Counts, and finds, the descendants that `wanted` says yes to. */
static size_t select_descendants(pid_t root, bool (*wanted)(const struct census_process *, void *),
				 void *user)
{
	struct census_process *all = calloc(DESCENDANTS_MAX, sizeof(*all));
	size_t n, count = 0;

	if (!all)
		abort();
	n = census_descendants(root, all, DESCENDANTS_MAX);
	for (size_t i = 0; i < n && i < DESCENDANTS_MAX; i++)
		count += wanted(&all[i], user);
	free(all);
	return count;
}

struct search {
	const char *comm;
	pid_t but, found;
};

static bool is_searched(const struct census_process *p, void *user)
{
	struct search *s = user;

	if (p->state == 'Z' || p->pid == s->but || strcmp(p->comm, s->comm) != 0)
		return false;
	if (!s->found)
		s->found = p->pid;
	return true;
}

pid_t census_find(pid_t root, const char *comm, pid_t but)
{
	struct search s = {comm, but, 0};

	select_descendants(root, is_searched, &s);
	return s.found;
}

char census_state(pid_t pid)
{
	struct census_process p;

	return read_stat(pid, &p) ? p.state : 0;
}

static bool is_zombie(const struct census_process *p, void *user)
{
	return p->state == 'Z';
}

size_t census_zombies(pid_t root)
{
	return select_descendants(root, is_zombie, NULL);
}

int census_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

int census_fds(pid_t pid)
{
	char path[64];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	n = census_entries(path);
	return n > 0 && pid == getpid() ? n - 1 : n; /* one was the listing's own */
}

struct fd_sum {
	pid_t root;
	int sum;
	bool hidden;
};

static bool add_fds(const struct census_process *p, void *user)
{
	struct fd_sum *s = user;
	int n;

	/* Keeper, broker and hosts are children of the keeper; leaves are children of hosts. */
	if (p->parent != s->root || p->state == 'Z')
		return false;
	n = census_fds(p->pid);
	if (n < 0)
		s->hidden = true;
	s->sum += n;
	return true;
}

int census_server_fds(pid_t root)
{
	struct fd_sum s = {.root = root, .sum = census_fds(root)};

	select_descendants(root, add_fds, &s);
	return s.hidden || s.sum < 0 ? -1 : s.sum;
}

long census_rss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	}
	fclose(f);
	return kib;
}
