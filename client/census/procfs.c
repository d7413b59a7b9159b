/* SPDX-License-Identifier: MIT */
#include "procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the flags in stat, include/linux/sched.h of the kernel: they have been these for long. */
#define FLAG_EXITING	0x00000004
#define FLAG_FORKNOEXEC 0x00000040
#define FLAG_KERNEL	0x00200000

#define PATH_LEN	64

/* The start of a small file, ended with NUL; its length, or a negative errno. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	else
		buf[n] = '\0';
	close(fd);
	return n;
}

struct stat_seen {
	char name[NAME_SIZE];
	char state;
	pid_t parent;
	unsigned flags;
	long threads;
};

static int parse_stat(char *text, struct stat_seen *ret)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open)
		return -EPROTO;
	*close = '\0';
	*ret->name = '\0';
	strncat(ret->name, open + 1, sizeof(ret->name) - 1);
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
		   &ret->state, &ret->parent, &ret->flags, &ret->threads) != 4)
		return -EPROTO;
	return 0;
}

static int read_stat(const char *path, struct stat_seen *ret)
{
	char text[512];
	ssize_t n = read_file(path, text, sizeof(text));

	return n < 0 ? (int)n : parse_stat(text, ret);
}

static bool is_dead(const struct stat_seen *s)
{
	return s->state == 'Z' || s->state == 'X' || s->state == 'x';
}

static pid_t number_of(const struct dirent *entry)
{
	return isdigit((unsigned char)*entry->d_name) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
}

/* A main thread may be dead and others not. */
static void sight(struct population *p, pid_t tgid)
{
	struct sighting seen = {.tgid = tgid};
	bool sighted = false;
	struct stat_seen s;
	struct dirent *entry;
	char path[PATH_LEN];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tgid);
	if (read_stat(path, &s) < 0)
		return;
	seen.parent_tgid = s.parent;
	seen.kernel = s.flags & FLAG_KERNEL;
	memcpy(seen.name, s.name, sizeof(seen.name));
	snprintf(path, sizeof(path), "/proc/%d/task", (int)tgid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t pid = number_of(entry);

		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)tgid, (int)pid);
		if (pid == 0 || read_stat(path, &s) < 0 || is_dead(&s))
			continue;
		if (!sighted)
			population_sight(p, &seen);
		sighted = true;
		population_sight_thread(p, tgid, pid);
	}
	if (dir)
		closedir(dir);
}

int procfs_sight_all(struct population *p)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		pid_t pid = number_of(entry);

		if (pid > 0)
			sight(p, pid);
	}
	closedir(dir);
	return 0;
}

void procfs_name(pid_t tgid, char ret[NAME_SIZE])
{
	char path[PATH_LEN], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tgid);
	n = read_file(path, text, sizeof(text));
	memset(ret, 0, NAME_SIZE);
	if (n > 0)
		memcpy(ret, text, strnlen(text, NAME_SIZE - 1));
	ret[strcspn(ret, "\n")] = '\0';
}

static bool has_flags(pid_t pid, unsigned wanted, unsigned unwanted)
{
	char path[PATH_LEN];
	struct stat_seen s;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return read_stat(path, &s) == 0 && (s.flags & (wanted | unwanted)) == wanted;
}

/*
 * Who ends is EXITING before it gives up its memory: a parent that is not, after the comparison,
 * had memory when it was made, and if that was the child's too the child had not executed.
 *
 * That it was not proves a copy if the child had not executed. The kernel compares while neither of
 * the two can be in the midst of an exec, which clears FORKNOEXEC before the next comparison can be
 * made: so if the child has it after the comparison, and is not EXITING, what was compared is the
 * memory that it was born with.
 */
enum memory procfs_memory(pid_t parent, pid_t child, int *ret_refused)
{
	long r = syscall(SYS_kcmp, parent, child, KCMP_VM, 0, 0);

	*ret_refused = r < 0 && errno != ESRCH && errno != EINTR ? errno : 0;
	if (r < 0)
		return MEMORY_UNTOLD;
	if (r != 0 && !has_flags(child, FLAG_FORKNOEXEC, FLAG_EXITING))
		return MEMORY_UNTOLD;
	if (!has_flags(parent, 0, FLAG_EXITING))
		return MEMORY_UNTOLD;
	return r == 0 ? MEMORY_SHARED : MEMORY_COPIED;
}

bool procfs_is_over(pid_t tgid)
{
	char path[PATH_LEN];
	struct stat_seen s;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tgid);
	return read_stat(path, &s) < 0 || (is_dead(&s) && s.threads <= 1);
}

int64_t procfs_anonymous(pid_t tgid)
{
	char path[PATH_LEN], line[512];
	int64_t n = 0;
	bool counted = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)tgid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	errno = 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned long kib;

		if (strncmp(line, "Size:", 5) == 0)
			counted = false;
		else if (!counted &&
			 (sscanf(line, "Anonymous: %lu", &kib) == 1 ||
			  sscanf(line, "Swap: %lu", &kib) == 1) &&
			 kib > 0) {
			counted = true;
			n++;
		}
	}
	if (ferror(f))
		n = errno ? -errno : -EIO;
	fclose(f);
	return n;
}

static size_t slab_pages(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int procfs_cache(const char *name, struct cache *ret)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512], found[64];
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), f)) {
		uint64_t active, pages, slabs;

		if (sscanf(line,
			   "%63s %" SCNu64 " %*u %*u %*u %" SCNu64 " : tunables %*u %*u %*u : "
			   "slabdata %*u %" SCNu64,
			   found, &active, &pages, &slabs) == 4 &&
		    strcmp(found, name) == 0) {
			ret->objects = active;
			ret->bytes = slabs * pages * slab_pages();
			r = 0;
		}
	}
	fclose(f);
	return r;
}

unsigned procfs_cache_sharers(const char *name)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/aliases", name);
	if (read_file(path, text, sizeof(text)) <= 0)
		return 0;
	return (unsigned)strtoul(text, NULL, 10);
}
