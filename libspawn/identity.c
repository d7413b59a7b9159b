/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_PROCESS 1
#define CAPABILITY_ADMIN   21 /* CAP_SYS_ADMIN */
#define FNV_BASIS	   0xcbf29ce484222325u
#define FNV_PRIME	   0x100000001b3u

static const char *const wanted[] = {
	"Uid:",		 "Gid:",    "Groups:",	   "CapInh:",  "CapPrm:",	   "CapEff:",
	"CapBnd:",	 "CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "Cpus_allowed:",
	"Mems_allowed:",
};

/* One line may come in parts: the groups of one process fill many buffers. */
struct reader {
	char key[24];
	size_t key_len;
	bool in_value, is_wanted, is_permitted;
	struct identity *to;
};

static void enter_value(struct reader *r)
{
	r->key[r->key_len] = '\0';
	r->in_value = true;
	r->is_wanted = false;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		r->is_wanted |= strcmp(r->key, wanted[i]) == 0;
	r->is_permitted = strcmp(r->key, "CapPrm:") == 0;
}

static void take_value(struct reader *r, char c)
{
	if (!r->is_wanted)
		return;
	r->to->status = (r->to->status ^ (unsigned char)c) * FNV_PRIME;
	if (r->is_permitted && c >= '0' && c <= '9')
		r->to->capabilities = r->to->capabilities << 4 | (uint64_t)(c - '0');
	else if (r->is_permitted && c >= 'a' && c <= 'f')
		r->to->capabilities = r->to->capabilities << 4 | (uint64_t)(c - 'a' + 10);
}

/* True when the last line of interest is complete. */
static bool take_text(struct reader *r, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c == '\n') {
			take_value(r, c);
			if (r->in_value && strcmp(r->key, "Mems_allowed:") == 0)
				return true;
			r->in_value = false;
			r->key_len = 0;
		} else if (r->in_value) {
			take_value(r, c);
		} else if (r->key_len + 1 < sizeof(r->key)) {
			r->key[r->key_len++] = c;
			if (c == ':')
				enter_value(r);
		}
	}
	return false;
}

static bool read_status(struct identity *id)
{
	_cleanup_close_ int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	struct reader r = {.to = id};
	char text[4096];
	bool done = false;

	id->status = FNV_BASIS;
	while (fd >= 0 && !done) {
		ssize_t n = read(fd, text, sizeof(text));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done = take_text(&r, text, (size_t)n);
	}
	return done;
}

static ino_t inode(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/*
 * Without CAP_SYS_ADMIN, then and now, there is no way into another namespace but through a new
 * user namespace. (The mount namespace shows in the root's mount.)
 */
static void read_namespaces(struct identity *id)
{
	id->namespaces[0] = inode("/proc/thread-self/ns/user");
	if (!(id->capabilities >> CAPABILITY_ADMIN & 1))
		return;
	id->namespaces[1] = inode("/proc/thread-self/ns/net");
	id->namespaces[2] = inode("/proc/thread-self/ns/pid_for_children");
	id->namespaces[3] = inode("/proc/thread-self/ns/ipc");
	id->namespaces[4] = inode("/proc/thread-self/ns/uts");
	id->namespaces[5] = inode("/proc/thread-self/ns/cgroup");
	id->namespaces[6] = inode("/proc/thread-self/ns/time_for_children");
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

void identity_look(struct identity *ret)
{
	struct sched_param param = {0};

	*ret = (struct identity){
		.thread = gettid(),
		.session = getsid(0),
		.group = getpgrp(),
		.securebits = prctl(PR_GET_SECUREBITS),
		.personality = personality(0xffffffff),
		.nice = getpriority(PRIO_PROCESS, 0),
		.policy = sched_getscheduler(0),
		.io_priority = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0),
	};
	sched_getparam(0, &param);
	ret->priority = param.sched_priority;
	ret->known = read_status(ret) && read_root(ret);
	if (ret->known)
		read_namespaces(ret);
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	if (!a->known || !b->known)
		return false;
	for (int i = 0; i < IDENTITY_NAMESPACES; i++)
		if (a->namespaces[i] != b->namespaces[i])
			return false;
	return a->status == b->status && a->capabilities == b->capabilities &&
	       a->root_mount == b->root_mount && a->root_ino == b->root_ino &&
	       a->session == b->session && a->group == b->group && a->securebits == b->securebits &&
	       a->personality == b->personality && a->nice == b->nice && a->policy == b->policy &&
	       a->priority == b->priority && a->io_priority == b->io_priority;
}
