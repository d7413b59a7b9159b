/* SPDX-License-Identifier: MIT */
#include "host/body.h"

#include "base/error.h"
#include "base/fd.h"
#include "host/credentials.h"
#include "host/limits.h"
#include "wire/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static char path_buffer[PATH_MAX]; /* a name that is to be ended with NUL; of one call at a time */

static int fail(struct body_error *failed, unsigned step, int code, int index)
{
	*failed = (struct body_error){step, code, index};
	return code;
}

/* Memory that is never given back: it lives as long as the leaf. */
static void *pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * Replaces the outer message by the one in the sealed memfd, which is the first descriptor. It is
 * read, never mapped: whoever made it cannot change what was checked, nor make a read fault.
 */
static int unseal(struct body *b, struct body_error *failed)
{
	_cleanup_close_ int fd = fds_take(&b->fds, 0);
	uint64_t said = message_u64(&b->message, REC_SIZE);
	uint8_t *data;
	size_t size;
	int r = sealed_check(fd, WIRE_SEALED_MAX, &size);

	if (r < 0)
		return fail(failed, STEP_BODY, r, -1);
	if (size != said)
		return fail(failed, STEP_BODY, -EBADMSG, -1);
	data = pages(size);
	if (!data)
		return fail(failed, STEP_MEMORY, -ENOMEM, -1);
	r = fd_pread_all(fd, data, size, 0);
	if (r < 0)
		return fail(failed, STEP_BODY, r, -1);
	memmove(&b->fds.fd[0], &b->fds.fd[1], --b->fds.n * sizeof(int));
	r = message_decode(data, size, PEER_CLIENT, PEER_LEAF, STATE_LAUNCHED, b->fds.n,
			   &b->message, NULL);
	if (r == 0 && b->message.type != MSG_BODY)
		r = -EPROTO;
	return r < 0 ? fail(failed, STEP_BODY, r, -1) : 0;
}

static size_t count_strings(const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += data[i] == 0;
	return n;
}

static void point_at_strings(char **list, const uint8_t *data, size_t n)
{
	char *p = (char *)(uintptr_t)data; /* ours, and argv is writable by custom */

	for (size_t i = 0; i < n; i++) {
		list[i] = p;
		p += strlen(p) + 1;
	}
	list[n] = NULL;
}

static int lay_out_strings(struct body *b, struct body_error *failed)
{
	size_t argv_len, env_len, argc, envc;
	const uint8_t *argv = message_bytes(&b->message, REC_ARGV, &argv_len);
	const uint8_t *env = message_bytes(&b->message, REC_ENV, &env_len);
	const char *name;
	char **lists;

	argc = count_strings(argv, argv_len);
	envc = env ? count_strings(env, env_len) : 0;
	lists = argc + envc + 2 <= sizeof(b->lists) / sizeof(b->lists[0])
			? b->lists
			: pages((argc + envc + 2) * sizeof(char *));
	if (!lists)
		return fail(failed, STEP_MEMORY, -ENOMEM, -1);
	b->argc = (int)argc; /* at most 2 MiB of them */
	b->argv = lists;
	b->envp = lists + argc + 1;
	point_at_strings(b->argv, argv, argc);
	point_at_strings(b->envp, env, envc);
	name = strrchr(b->argv[0], '/');
	name = name && name[1] ? name + 1 : b->argv[0];
	memcpy(b->name, name, strnlen(name, sizeof(b->name) - 1));
	return 0;
}

/* Passed descriptors in front of those with a target. */
static size_t first_target(const struct body *b)
{
	return (b->flags & FLAG_CWD ? 1u : 0u) + (b->flags & FLAG_EXECUTE_FD ? 1u : 0u) +
	       (b->flags & FLAG_CGROUP_FD ? 1u : 0u);
}

/* The program's own, once they are all where they shall be. */
static int program_fd(const struct body *b)
{
	return b->flags & FLAG_EXECUTE_FD ? b->fds.fd[b->flags & FLAG_CWD ? 1 : 0] : -1;
}

static int check_fds(const struct body *b, struct body_error *failed)
{
	size_t targets = 0;
	struct record r;

	message_for_each (&b->message, cursor, &r) {
		if (r.type == REC_FD) {
			if (get_u32(r.data) > INT_MAX)
				return fail(failed, STEP_FDS, -EBADF, (int)targets);
			targets++;
		}
	}
	if (b->fds.n != targets + first_target(b))
		return fail(failed, STEP_BODY, -EPROTO, -1);
	return 0;
}

static int lay_out_string(struct body *b, enum record_type type, char **ret,
			  struct body_error *failed)
{
	size_t len;
	const uint8_t *data = message_bytes(&b->message, type, &len);

	*ret = NULL;
	if (!message_has(&b->message, type))
		return 0;
	*ret = pages(len + 1); /* ends with the NUL that is there */
	if (!*ret)
		return fail(failed, STEP_MEMORY, -ENOMEM, -1);
	memcpy(*ret, data, len);
	return 0;
}

int body_receive(int socket, struct body *ret, struct body_error *failed)
{
	ssize_t n = channel_receive(socket, ret->data, sizeof(ret->data), &ret->fds, NULL,
				    MSG_DONTWAIT);
	int r;

	if (n == 0)
		return fail(failed, STEP_BODY, -ECONNRESET, -1);
	if (n < 0)
		return fail(failed, STEP_BODY, n == -EAGAIN ? -EPROTO : (int)n, -1);
	r = message_decode(ret->data, (size_t)n, PEER_CLIENT, PEER_LEAF, STATE_LAUNCHED, ret->fds.n,
			   &ret->message, NULL);
	if (r < 0)
		return fail(failed, STEP_BODY, r, -1);
	if (ret->message.type == MSG_BODY_SEALED) {
		r = unseal(ret, failed);
		if (r < 0)
			return r;
	}
	ret->flags = message_u32(&ret->message, REC_FLAGS);
	if (ret->flags & ~FLAG_BODY_KNOWN)
		return fail(failed, STEP_BODY, -EPROTO, -1);
	ret->sigmask = message_u64(&ret->message, REC_SIGMASK);
	ret->sigignore = message_u64(&ret->message, REC_SIGIGNORE);
	ret->program_fd = -1;
	if ((r = check_fds(ret, failed)) < 0 ||
	    (r = settings_decode(&ret->message, &ret->settings, failed)) < 0 ||
	    (r = lay_out_string(ret, REC_EXECUTE, &ret->program, failed)) < 0 ||
	    (r = lay_out_string(ret, REC_SEARCH, &ret->search, failed)) < 0)
		return r;
	return lay_out_strings(ret, failed);
}

/* One more than the greatest target. */
static int targets_end(const struct body *b)
{
	int end = 3;
	struct record r;

	message_for_each (&b->message, cursor, &r) {
		int target = -1;

		if (r.type == REC_FD || r.type == REC_OPEN)
			target = (int)(get_u32(r.data) & INT_MAX);
		else if (r.type == REC_ACTION && get_u32(r.data) == ACTION_DUP)
			target = (int)((get_u32(r.data + 4) > get_u32(r.data + 8)
						? get_u32(r.data + 4)
						: get_u32(r.data + 8)) &
				       INT_MAX);
		if (target >= end && target < INT_MAX)
			end = target + 1;
	}
	return end;
}

/* Above every target, so that no dup2 can hit a descriptor that is still to be used. */
static int move_high(int *fd, int floor)
{
	int moved;

	if (*fd >= floor)
		return 0;
	moved = fd_dup_above(*fd, floor);
	if (moved < 0)
		return moved;
	close(*fd);
	*fd = moved;
	return 0;
}

static int place_fds(struct body *b, struct body_error *failed)
{
	size_t first = first_target(b);
	struct record r;
	int i = 0;

	message_for_each (&b->message, cursor, &r) {
		if (r.type != REC_FD)
			continue;
		/* The copy is not close-on-exec: it is the leaf's own. */
		if (dup2(b->fds.fd[first + (size_t)i], (int)get_u32(r.data)) < 0)
			return fail(failed, STEP_FDS, -errno, i);
		i++;
	}
	return 0;
}

static int change_directory(struct body *b, struct body_error *failed)
{
	if ((b->flags & FLAG_CWD) && fchdir(b->fds.fd[0]) < 0)
		return fail(failed, STEP_CHDIR, -errno, -1);
	if (message_has(&b->message, REC_CHDIR) &&
	    chdir(message_string(&b->message, REC_CHDIR, path_buffer, sizeof(path_buffer))) < 0)
		return fail(failed, STEP_CHDIR, -errno, -1);
	return 0;
}

/*
 * The kernel looks at who opened the file and who writes, and at the groups between: the leaf does
 * both. A file of that name elsewhere would take the word and do nothing.
 */
static int enter_cgroup(struct body *b, struct body_error *failed)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;
	int dir;

	if (!(b->flags & FLAG_CGROUP_FD))
		return 0;
	dir = b->fds.fd[first_target(b) - 1];
	if (fstatfs(dir, &fs) < 0)
		return fail(failed, STEP_CGROUP, -errno, -1);
	if (fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != CGROUP_SUPER_MAGIC)
		return fail(failed, STEP_CGROUP, -EMEDIUMTYPE, -1);
	fd = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return fail(failed, STEP_CGROUP, -errno, -1);
	return 0;
}

static int open_one(const struct record *r, struct body_error *failed, int index)
{
	uint32_t target = get_u32(r->data), flags = get_u32(r->data + 4),
		 mode = get_u32(r->data + 8);
	size_t len = r->len - 12;
	int fd, placed;

	if (target > INT_MAX - 1 || len >= sizeof(path_buffer) || memchr(r->data + 12, 0, len))
		return fail(failed, STEP_OPEN, -EINVAL, index);
	memcpy(path_buffer, r->data + 12, len);
	path_buffer[len] = '\0';
	fd = open(path_buffer, (int)(flags & ~(uint32_t)O_CLOEXEC),
		  mode); /* not CLOEXEC: it is the leaf's own */
	if (fd < 0)
		return fail(failed, STEP_OPEN, -errno, index);
	if (fd == (int)target)
		return 0;
	placed = dup2(fd, (int)target) < 0 ? -errno : 0;
	close(fd);
	return placed < 0 ? fail(failed, STEP_OPEN, placed, index) : 0;
}

/* Nothing of the child's is at end or above, but what the leaf itself needs is. */
static int act(const struct record *r, int end, struct body_error *failed, int index)
{
	uint32_t action = get_u32(r->data), from = get_u32(r->data + 4), to = get_u32(r->data + 8);

	if (action == ACTION_CLOSE) {
		if (from < (uint32_t)end)
			close((int)from);
		return 0;
	}
	if (action == ACTION_CLOSE_FROM) {
		if (from < (uint32_t)end)
			syscall(SYS_close_range, from, (unsigned)end - 1, 0);
		return 0;
	}
	if (action != ACTION_DUP)
		return fail(failed, STEP_BODY, -EPROTO, -1);
	/* What is close-on-exec is not the child's: one of 0 to 2 that it has not. */
	if (from >= (uint32_t)end || to >= (uint32_t)end || fcntl((int)from, F_GETFD) != 0)
		return fail(failed, STEP_OPEN, -EBADF, index);
	return dup2((int)from, (int)to) < 0 ? fail(failed, STEP_OPEN, -errno, index) : 0;
}

static int open_files(struct body *b, int end, struct body_error *failed)
{
	struct record r;
	int i = 0;

	message_for_each (&b->message, cursor, &r) {
		int rc = 0;

		if (r.type == REC_OPEN)
			rc = open_one(&r, failed, i++);
		else if (r.type == REC_ACTION)
			rc = act(&r, end, failed, i++);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The smallest wanted descriptor at or above from, or INT_MAX. */
static int next_target(const struct body *b, int from, int socket)
{
	int best = socket >= from ? socket : INT_MAX;
	struct record r;

	if (b->program_fd >= from && b->program_fd < best)
		best = b->program_fd;
	if (b->kept_fd >= from && b->kept_fd < best)
		best = b->kept_fd;
	message_for_each (&b->message, cursor, &r) {
		int target;

		if (r.type != REC_FD)
			continue;
		target = (int)(get_u32(r.data) & INT_MAX);
		if (target >= from && target < best)
			best = target;
	}
	return best;
}

static int close_the_rest(const struct body *b, int socket, struct body_error *failed)
{
	int from = 3;

	for (;;) {
		int keep = next_target(b, from, socket);

		if (keep > from && syscall(SYS_close_range, (unsigned)from,
					   keep == INT_MAX ? ~0u : (unsigned)keep - 1, 0) < 0)
			return fail(failed, STEP_FDS, -errno, -1);
		if (keep == INT_MAX)
			return 0;
		from = keep + 1;
	}
}

int body_apply(struct body *b, const struct rlimit *limits, int *socket, struct body_error *failed)
{
	int floor = targets_end(b), r;

	r = move_high(socket, floor);
	if (r == 0 && b->kept_fd >= 0)
		r = move_high(&b->kept_fd, floor);
	for (size_t i = 0; r == 0 && i < b->fds.n; i++)
		r = move_high(&b->fds.fd[i], floor);
	if (r < 0)
		return fail(failed, STEP_FDS, r, -1);
	b->program_fd = program_fd(b);
	if ((r = enter_cgroup(b, failed)) < 0 || (r = place_fds(b, failed)) < 0 ||
	    (r = change_directory(b, failed)) < 0)
		return r;
	if (message_has(&b->message, REC_UMASK))
		umask((mode_t)message_u32(&b->message, REC_UMASK) & 0777);
	/* Then, so that nothing of the leaf's own is duplicated. */
	if ((r = close_the_rest(b, *socket, failed)) < 0 || (r = open_files(b, floor, failed)) < 0)
		return r;
	if ((r = limits_affinity(&b->message, failed)) < 0 ||
	    (r = settings_schedule(&b->settings, b->of_server, failed)) < 0)
		return r;
	if ((r = limits_set(&b->message, limits, failed)) < 0 ||
	    (r = credentials_set(&b->message, &b->settings, failed)) < 0)
		return r;
	return settings_confine(&b->settings, b->of_server, failed);
}
