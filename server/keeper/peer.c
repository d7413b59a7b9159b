/* SPDX-License-Identifier: MIT */
#include "keeper/peer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* The Groups: line of 4096 groups, and the other lines before the last that is read. */
#define STATUS_MAX 65536

static const char *const namespace_names[PEER_NAMESPACES] = {
	"user", "pid", "mnt", "net", "ipc", "uts", "cgroup",
};

/* How a peer is more confined; the first reasons win when there is no room for all. */
struct reasons {
	char text[PEER_CONFINED_MAX + 1];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void reason_add(struct reasons *reasons,
							     const char *format, ...)
{
	size_t room = sizeof(reasons->text) - reasons->len;
	size_t comma = reasons->len > 0 ? 2 : 0;
	va_list ap;
	int n;

	if (room <= comma)
		return;
	va_start(ap, format);
	n = vsnprintf(reasons->text + reasons->len + comma, room - comma, format, ap);
	va_end(ap);
	if (n < 0 || (comma && (size_t)n >= room - comma)) {
		reasons->text[reasons->len] = '\0';
		return;
	}
	memcpy(reasons->text + reasons->len, ", ", comma);
	reasons->len = strlen(reasons->text);
}

static void reason_unreadable(struct reasons *reasons, pid_t pid, const char *what, int error)
{
	const char *words = strerrordesc_np(-error);

	reason_add(reasons, "cannot read /proc/%d/%s (%s)", (int)pid, what,
		   words ? words : "unknown error");
}

/* Reads a small file of /proc whole, or its first size - 1 bytes; ends it with NUL. */
static ssize_t read_text(int dir, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

/* A number of a status file. The kernel escapes newlines in Name:, so no field can be forged. */
static bool status_field(const char *status, const char *key, int base, uint64_t *ret)
{
	const char *at = strstr(status, key);
	char *end;

	if (!at)
		return false;
	at += strlen(key);
	errno = 0;
	*ret = strtoull(at, &end, base);
	return end > at && *end == '\n' && errno == 0;
}

/* Adds one thread to what is known of its process. */
static int read_thread(int dir, const char *path, struct peer_confinement *c, uint64_t *ret_threads)
{
	char status[STATUS_MAX];
	uint64_t bounding, no_new_privs, seccomp = 0, filters = 0;
	ssize_t n = read_text(dir, path, status, sizeof(status));

	if (n < 0)
		return (int)n;
	/* Fields that come late tell of a file that was cut; every kernel of ours has Cpus_allowed
	 * behind them, and those without seccomp have no Seccomp. */
	if (!status_field(status, "\nThreads:\t", 10, ret_threads) ||
	    !status_field(status, "\nCapBnd:\t", 16, &bounding) ||
	    !status_field(status, "\nNoNewPrivs:\t", 10, &no_new_privs) ||
	    !strstr(status, "\nCpus_allowed:"))
		return -EBADMSG;
	if (strstr(status, "\nSeccomp:") &&
	    (!status_field(status, "\nSeccomp:\t", 10, &seccomp) ||
	     !status_field(status, "\nSeccomp_filters:\t", 10, &filters)))
		return -EBADMSG;
	c->no_new_privs |= no_new_privs != 0;
	c->bounding &= bounding;
	/* Strict is mode 1 and more confined than any filter. */
	if (seccomp == 1 || c->seccomp == 0)
		c->seccomp = (unsigned)seccomp;
	if (filters > c->filters)
		c->filters = filters;
	return 0;
}

/* All threads beside the leader. One that ends meanwhile confines nobody any more. */
static int read_other_threads(int proc, struct peer_confinement *c)
{
	int fd = openat(proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned n = 0;
	int r = 0;

	if (!dir) {
		r = -errno;
		fd_close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)); errno = 0) {
		char path[sizeof(entry->d_name) + sizeof("/status")];
		uint64_t threads;

		if (entry->d_name[0] == '.')
			continue;
		if (++n > PEER_THREADS_MAX) {
			r = -E2BIG;
			break;
		}
		snprintf(path, sizeof(path), "%s/status", entry->d_name);
		r = read_thread(dirfd(dir), path, c, &threads);
		if (r == -ENOENT || r == -ESRCH)
			r = 0;
	}
	if (r == 0 && !entry && errno != 0)
		r = -errno;
	closedir(dir);
	return r;
}

static int read_threads(int proc, struct peer_confinement *c)
{
	uint64_t threads;
	int r = read_thread(proc, "status", c, &threads);

	if (r < 0)
		return r;
	if (threads > PEER_THREADS_MAX)
		return -E2BIG;
	/* Threads that it starts now have what the only one has, or more, which is too late. */
	return threads > 1 ? read_other_threads(proc, c) : 0;
}

static int read_place(int proc, const char *path, struct peer_place *ret)
{
	struct stat st;

	if (fstatat(proc, path, &st, 0) < 0)
		return -errno;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return 0;
}

static int read_namespace(int proc, size_t i, struct peer_place *ret)
{
	char path[32];

	snprintf(path, sizeof(path), "ns/%s", namespace_names[i]);
	return read_place(proc, path, ret);
}

static int read_label(int proc, char label[PEER_LABEL_MAX])
{
	ssize_t n = read_text(proc, "attr/current", label, PEER_LABEL_MAX);

	/* No security module, or none that labels. */
	if (n == -EINVAL || n == -ENOENT) {
		label[0] = '\0';
		return 0;
	}
	if (n < 0)
		return (int)n;
	label[strcspn(label, "\n")] = '\0';
	for (char *c = label; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return 0;
}

static bool same_place(const struct peer_place *a, const struct peer_place *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* Labels that are known to confine nothing. */
static bool label_is_mild(const char *label)
{
	static const char mode[] = " (unconfined)", type[] = ":unconfined_t";
	size_t len = strlen(label);
	const char *field;

	if (strcmp(label, "unconfined") == 0)
		return true;
	/* AppArmor: a named profile that is in unconfined mode. */
	if (len >= sizeof(mode) && strcmp(label + len - (sizeof(mode) - 1), mode) == 0)
		return true;
	/* SELinux: user:role:type:level */
	field = strchr(label, ':');
	field = field ? strchr(field + 1, ':') : NULL;
	if (!field || strncmp(field, type, sizeof(type) - 1) != 0)
		return false;
	field += sizeof(type) - 1;
	return *field == '\0' || *field == ':';
}

static void compare_threads(const struct peer_confinement *self,
			    const struct peer_confinement *peer, struct reasons *reasons)
{
	if (peer->no_new_privs && !self->no_new_privs)
		reason_add(reasons, "no_new_privs");
	if (peer->seccomp == 1 && self->seccomp != 1)
		reason_add(reasons, "strict seccomp");
	else if (peer->seccomp != 0 && self->seccomp == 0 && peer->filters == 0)
		reason_add(reasons, "seccomp");
	if (peer->filters > self->filters)
		reason_add(reasons, "%llu seccomp filters, the server has %llu",
			   (unsigned long long)peer->filters, (unsigned long long)self->filters);
	if (self->bounding & ~peer->bounding)
		reason_add(reasons, "capability bounding set without %#llx",
			   (unsigned long long)(self->bounding & ~peer->bounding));
}

static void compare_places(int proc, pid_t pid, const struct peer_confinement *self,
			   struct reasons *reasons)
{
	struct peer_place place = {0};
	int r;

	for (size_t i = 0; i < PEER_NAMESPACES; i++) {
		if (self->namespaces[i].ino == 0)
			continue;
		r = read_namespace(proc, i, &place);
		if (r < 0) {
			/* What hides one hides all. */
			reason_unreadable(reasons, pid, "ns", r);
			break;
		}
		if (!same_place(&place, &self->namespaces[i]))
			reason_add(reasons, "another %s namespace", namespace_names[i]);
	}
	r = read_place(proc, "root", &place);
	if (r < 0)
		reason_unreadable(reasons, pid, "root", r);
	else if (!same_place(&place, &self->root))
		reason_add(reasons, "another root directory");
}

static void compare_label(int proc, pid_t pid, const struct peer_confinement *self,
			  struct reasons *reasons)
{
	char label[PEER_LABEL_MAX];
	int r;

	if (!self->label[0])
		return;
	r = read_label(proc, label);
	if (r < 0)
		reason_unreadable(reasons, pid, "attr/current", r);
	else if (strcmp(label, self->label) != 0 && !label_is_mild(label))
		reason_add(reasons, "security label %s", label);
}

static void compare(int proc, pid_t pid, const struct peer_confinement *self,
		    struct reasons *reasons)
{
	struct peer_confinement peer = {.bounding = UINT64_MAX};
	int r = read_threads(proc, &peer);

	if (r == -E2BIG)
		reason_add(reasons, "more than %d threads", PEER_THREADS_MAX);
	else if (r < 0)
		reason_unreadable(reasons, pid, "status", r);
	else
		compare_threads(self, &peer, reasons);
	compare_places(proc, pid, self, reasons);
	compare_label(proc, pid, self, reasons);
}

int peer_baseline_read(struct peer_baseline *ret, struct spawn_error *err)
{
	struct peer_baseline self = {.confinement = {.bounding = UINT64_MAX}};
	struct peer_confinement *c = &self.confinement;
	_cleanup_close_ int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = proc < 0 ? -errno : read_threads(proc, c);

	for (size_t i = 0; r == 0 && i < PEER_NAMESPACES; i++) {
		r = read_namespace(proc, i, &c->namespaces[i]);
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		r = read_place(proc, "root", &c->root);
	if (r == 0)
		r = read_label(proc, c->label);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_NONE, STEP_START,
				   "cannot read the server's own confinement from /proc/self, with "
				   "which its clients are compared (is /proc mounted?)");
	*ret = self;
	return 0;
}

static int read_groups(int connection, struct peer_identity *identity, struct spawn_error *err)
{
	uint32_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(groups);

	_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "groups are copied as they come");
	if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
		if (errno == ERANGE)
			return error_set(err, -E2BIG, SPAWN_ORIGIN_POLICY, STEP_CONNECT,
					 "process %d has %zu supplementary groups; at most %d are "
					 "served",
					 (int)identity->pid, len / sizeof(gid_t), PEER_GROUPS_MAX);
		return error_errno(err, -errno, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot read the groups of process %d", (int)identity->pid);
	}
	identity->n_groups = len / sizeof(gid_t);
	if (len == 0)
		return 0;
	identity->groups = malloc(len);
	if (!identity->groups)
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot keep the groups of process %d", (int)identity->pid);
	memcpy(identity->groups, groups, len);
	return 0;
}

static int peer_gone(pid_t pid, struct spawn_error *err)
{
	return error_set(err, -ESRCH, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
			 "process %d was gone before it could be identified", (int)pid);
}

static uint64_t boot_ticks(void)
{
	struct timespec now;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / NS_PER_S;
}

/* When it started, in ticks since boot: field 22 of stat, behind a name that may hold anything. */
static int start_ticks(int proc, uint64_t *ret)
{
	char stat[1024], *at, *end;
	ssize_t n = read_text(proc, "stat", stat, sizeof(stat));

	if (n < 0)
		return (int)n;
	at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EBADMSG;
	errno = 0;
	*ret = strtoull(at + 1, &end, 10);
	return end > at + 1 && *end == ' ' && errno == 0 ? 0 : -EBADMSG;
}

/* Before Linux 6.5: the process that has the pid now, if it is old enough to have connected. */
static int open_by_pid(pid_t pid, uint64_t called, int *ret_fd, struct spawn_error *err)
{
	_cleanup_close_ int pidfd = pidfd_open_pid((int)pid), proc = -1;
	uint64_t started = 0;
	char path[32];
	int r;

	if (pidfd == -ESRCH)
		return peer_gone(pid, err);
	if (pidfd < 0)
		return error_errno(err, pidfd, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot open a pidfd of process %d", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = proc < 0 ? -errno : start_ticks(proc, &started);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot read when process %d started", (int)pid);
	if (started > called)
		return peer_gone(pid, err);
	*ret_fd = take_fd(&pidfd);
	return 0;
}

static int open_pidfd(int connection, pid_t pid, uint64_t called, int *ret_fd,
		      struct spawn_error *err)
{
	int pidfd = -1; /* close-on-exec by the kernel */
	socklen_t len = sizeof(pidfd);

	if (getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
		*ret_fd = pidfd;
		return 0;
	}
	if (errno == ENOPROTOOPT)
		return open_by_pid(pid, called, ret_fd, err);
	/* How kernels say that it was reaped. */
	if (errno == ESRCH || errno == EINVAL || errno == ENODATA)
		return peer_gone(pid, err);
	return error_errno(err, -errno, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
			   "cannot open a pidfd of process %d", (int)pid);
}

/*
 * The directory in /proc belongs to one process for good, and a pid is not reused while its
 * process lives; so when the pidfd's process is alive at the end, all that was read was its own.
 */
static int read_confinement(struct peer_identity *identity, const struct peer_baseline *self,
			    struct spawn_error *err)
{
	struct reasons reasons = {.len = 0};
	_cleanup_close_ int proc = -1;
	char path[32];
	int over;

	snprintf(path, sizeof(path), "/proc/%d", (int)identity->pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		reason_unreadable(&reasons, identity->pid, "", -errno);
	else
		compare(proc, identity->pid, &self->confinement, &reasons);
	over = pidfd_is_over(identity->pidfd);
	if (over < 0)
		return error_errno(err, over, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot ask whether process %d lives", (int)identity->pid);
	if (over)
		return peer_gone(identity->pid, err);
	memcpy(identity->confined, reasons.text, sizeof(identity->confined));
	return 0;
}

int peer_identify(int connection_fd, const struct peer_baseline *self, struct peer_identity *ret,
		  struct spawn_error *err)
{
	struct peer_identity identity = {.pidfd = -1};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uint64_t called = boot_ticks();
	int r;

	if (getsockopt(connection_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_WIRE, STEP_CONNECT,
				   "cannot read who connected");
	if (cred.pid <= 0)
		return error_set(err, -EPERM, SPAWN_ORIGIN_POLICY, STEP_CONNECT,
				 "a process of uid %u in a pid namespace that the server cannot "
				 "see connected: start a server in there",
				 (unsigned)cred.uid);
	identity.pid = cred.pid;
	identity.uid = cred.uid;
	identity.gid = cred.gid;
	r = read_groups(connection_fd, &identity, err);
	if (r == 0)
		r = open_pidfd(connection_fd, cred.pid, called, &identity.pidfd, err);
	if (r == 0)
		r = read_confinement(&identity, self, err);
	if (r < 0) {
		peer_identity_finish(&identity);
		return r;
	}
	*ret = identity;
	return 0;
}

void peer_identity_finish(struct peer_identity *identity)
{
	if (!identity)
		return;
	identity->pidfd = fd_close(identity->pidfd);
	free(identity->groups);
	identity->groups = NULL;
	identity->n_groups = 0;
}
