/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_PROCESS 1
#define CAPABILITY_ADMIN   21 /* CAP_SYS_ADMIN */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif
#ifndef PR_GET_IO_FLUSHER
#define PR_GET_IO_FLUSHER 58 /* Linux 5.6 */
#endif
#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66 /* Linux 6.3 */
#endif
#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68 /* Linux 6.4 */
#endif
#define KEYCTL_GET_KEYRING_ID 0
#define KEYRING_SESSION	      (-3)
#define NODES_LOOKED	      1024
#define FNV_BASIS	      0xcbf29ce484222325u
#define FNV_PRIME	      0x100000001b3u

/* Of a process's status, in the order of the kernel. */
static const struct wanted {
	const char *key;
	bool compared; /* else it has a number to be told */
} wanted[] = {
	{"Umask:", false},	    {"Uid:", true},	     {"Gid:", true},
	{"Groups:", true},	    {"SigIgn:", false},	     {"CapInh:", true},
	{"CapPrm:", true},	    {"CapEff:", true},	     {"CapBnd:", true},
	{"CapAmb:", true},	    {"NoNewPrivs:", true},   {"Seccomp:", true},
	{"Seccomp_filters:", true}, {"Cpus_allowed:", true}, {"Mems_allowed:", true},
};
#define N_WANTED    (sizeof(wanted) / sizeof(wanted[0]))
#define LAST_NEEDED 10 /* NoNewPrivs */

struct reader {
	size_t next;	  /* of wanted: what a kernel does not have is passed over */
	bool in_compared; /* in the middle of a line that is longer than the buffer */
	uint64_t hash, mask, ignored, permitted;
};

static uint64_t number(const char *text, const char *end, unsigned base)
{
	uint64_t value = 0;

	for (; text < end; text++) {
		unsigned digit = *text >= '0' && *text <= '9'	? (unsigned)(*text - '0')
				 : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
								: base;

		if (digit < base)
			value = value * base + digit;
	}
	return value;
}

static void hash(struct reader *r, const char *text, const char *end)
{
	for (; text < end; text++)
		r->hash = (r->hash ^ (unsigned char)*text) * FNV_PRIME;
}

/* end: behind the line, or behind as much of it as there is. */
static void take_line(struct reader *r, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	size_t len = colon ? (size_t)(colon + 1 - line) : 0, i = r->next;

	while (i < N_WANTED &&
	       (strncmp(wanted[i].key, line, len) != 0 || wanted[i].key[len] || !len))
		i++;
	if (i == N_WANTED)
		return;
	r->next = i + 1;
	r->in_compared = wanted[i].compared;
	if (r->in_compared)
		hash(r, line, end);
	if (strcmp(wanted[i].key, "CapPrm:") == 0)
		r->permitted = number(line + len, end, 16);
	else if (strcmp(wanted[i].key, "SigIgn:") == 0)
		r->ignored = number(line + len, end, 16);
	else if (strcmp(wanted[i].key, "Umask:") == 0)
		r->mask = number(line + len, end, 8);
}

/* Returns how much is to be kept: the begin of a line. */
static size_t take_text(struct reader *r, const char *text, size_t n, bool full)
{
	const char *end = text + n, *newline;

	while ((newline = memchr(text, '\n', (size_t)(end - text)))) {
		if (r->in_compared)
			hash(r, text, newline);
		else
			take_line(r, text, newline);
		r->in_compared = false;
		text = newline + 1;
	}
	if (r->in_compared)
		hash(r, text, end);
	else if (full && text == end - n)
		take_line(r, text, end); /* groups, of any number */
	else
		return (size_t)(end - text);
	return 0;
}

static int read_status(struct reader *r)
{
	_cleanup_close_ int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	size_t kept = 0;

	if (fd < 0)
		return -errno;
	while (r->next < N_WANTED) {
		ssize_t n = read(fd, text + kept, sizeof(text) - kept);
		size_t have;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* what comes last is not there without the kernel's CONFIG_CPUSETS */
			return r->next > LAST_NEEDED ? 0 : -ENODATA;
		have = kept + (size_t)n;
		kept = take_text(r, text, have, have == sizeof(text));
		memmove(text, text + have - kept, kept);
	}
	return 0;
}

static bool read_link(const char *path, char ret[32])
{
	ssize_t n = readlink(path, ret, 31);

	if (n > 0)
		ret[n] = '\0';
	return n > 0;
}

/*
 * A new mount namespace shows in the root's mount, a new network in the sockets that are made.
 * Without CAP_SYS_ADMIN, then and now, there is no way into others but through a new user
 * namespace.
 */
static bool read_namespaces(struct identity *id, int socket)
{
	socklen_t len = sizeof(id->network);

	if (getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &id->network, &len) < 0)
		return false;
	if (!read_link("/proc/thread-self/ns/user", id->users))
		return false;
	return !(id->permitted >> CAPABILITY_ADMIN & 1) ||
	       read_link("/proc/thread-self/ns/pid_for_children", id->processes);
}

/* chroot(2) changes the inode, a new mount namespace the mount. */
static bool read_root(struct identity *id)
{
	struct statx st;

	if (statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &st) < 0)
		return false;
	id->root_ino = st.stx_ino;
	id->root_mount = st.stx_mnt_id;
	return true;
}

/* What a kernel does not have, or a sandbox does not let us see, is so for all of our children. */
static uint64_t read_settings(void)
{
	unsigned long nodes[NODES_LOOKED / (8 * sizeof(unsigned long))] = {0};
	struct reader reader = {.hash = FNV_BASIS};
	int policy = 0;
	long seen[] = {
		prctl(PR_GET_TIMERSLACK),
		prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0),
		prctl(PR_MCE_KILL_GET, 0, 0, 0, 0),
		prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0),
		prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0),
		prctl(PR_GET_MDWE, 0, 0, 0, 0),
		prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0),
		prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0),
		syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEYRING_SESSION, 0),
		syscall(SYS_get_mempolicy, &policy, nodes, (unsigned long)NODES_LOOKED, NULL, 0ul),
	};

	hash(&reader, (const char *)seen, (const char *)(seen + sizeof(seen) / sizeof(seen[0])));
	hash(&reader, (const char *)&policy, (const char *)(&policy + 1));
	hash(&reader, (const char *)nodes,
	     (const char *)(nodes + sizeof(nodes) / sizeof(nodes[0])));
	return reader.hash;
}

int identity_look(struct identity *ret, int socket, mode_t *ret_umask, uint64_t *ret_ignored)
{
	struct reader reader = {.hash = FNV_BASIS};
	struct sched_param param = {0};
	struct rlimit limit = {0};
	int r;

	sched_getparam(0, &param);
	getrlimit(RLIMIT_NPROC, &limit);
	*ret = (struct identity){
		.thread = gettid(),
		.session = getsid(0),
		.group = getpgrp(),
		.securebits = prctl(PR_GET_SECUREBITS),
		.personality = personality(0xffffffff),
		.nice = getpriority(PRIO_PROCESS, 0),
		.policy = sched_getscheduler(0),
		.priority = param.sched_priority,
		.io_priority = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0),
		.processes_max = limit.rlim_cur,
		.settings = read_settings(),
	};
	r = read_status(&reader);
	if (r < 0)
		return r;
	ret->status = reader.hash;
	ret->permitted = reader.permitted;
	ret->known = read_root(ret) && read_namespaces(ret, socket);
	*ret_umask = (mode_t)reader.mask;
	*ret_ignored = reader.ignored;
	return 0;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->known && b->known && a->status == b->status && a->settings == b->settings &&
	       a->root_mount == b->root_mount && a->root_ino == b->root_ino &&
	       a->network == b->network && strcmp(a->users, b->users) == 0 &&
	       strcmp(a->processes, b->processes) == 0 && a->session == b->session &&
	       a->group == b->group && a->securebits == b->securebits &&
	       a->personality == b->personality && a->nice == b->nice && a->policy == b->policy &&
	       a->priority == b->priority && a->io_priority == b->io_priority &&
	       a->processes_max == b->processes_max;
}
