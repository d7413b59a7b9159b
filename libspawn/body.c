/* SPDX-License-Identifier: MIT */
#include "body.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "caller.h"
#include "program.h"
#include "wire/channel.h"
#include "wire/sealed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORDS_BYTES(n, size) ((n) * (WIRE_RECORD_SIZE + (size)))
/* READY and FAILED are far below; a leaf's user code cannot reach this socket. */
#define ANSWER_MAX     256
#define AFTER_READY_MS 10000
#define SEARCH_MAX     65535 /* as SEARCH of messages.def */

/* The descriptors of a body; slot 0 is kept for a sealed memfd. */
struct passing {
	int fd[WIRE_FDS_MAX];
	size_t n; /* of those behind slot 0 */
	uint32_t target[WIRE_USER_FDS];
	size_t n_targets;
	int cwd;	     /* owned; -1: none */
	bool program;	     /* one of them, behind cwd */
	int cgroup;	     /* owned; -1: none, or the request's */
	bool has_cgroup;     /* one of them, behind program */
	int socket;	     /* of the pair, made for this */
	struct identity *as; /* NULL: of no interest */
};

/* What exec would keep: where the caller has none, a descriptor of this library's may be in its
 * place. */
static bool is_callers(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

static int pass(struct passing *p, int fd, int target)
{
	if (p->n_targets == WIRE_USER_FDS)
		return -EMFILE;
	p->fd[1 + p->n++] = fd;
	p->target[p->n_targets++] = (uint32_t)target;
	return 0;
}

/* As exec would; what the request passes itself is the child's in its place. */
static int pass_inherited(struct passing *p, const struct spawn_request *r)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return -errno;
	while (rc == 0 && (entry = readdir(dir))) {
		long fd = strtol(entry->d_name, NULL, 10);

		if (fd > 2 && fd < r->inherit_below && fd != dirfd(dir) && is_callers((int)fd) &&
		    request_needs_stdio(r, (int)fd))
			rc = pass(p, (int)fd, (int)fd);
	}
	closedir(dir);
	return rc;
}

static int collect_fds(struct passing *p, const struct spawn_request *r, struct spawn_error *err)
{
	int rc = r->chdir_fd < 0 ? caller_cwd(&p->cwd) : fd_dup_above(r->chdir_fd, 3);

	if (r->chdir_fd >= 0 && rc >= 0) {
		p->cwd = rc;
		rc = 0;
	}
	if (rc == 0)
		p->fd[1 + p->n++] = p->cwd;
	else if (!r->chdir || r->chdir[0] != '/' || r->chdir_fd >= 0)
		return error_errno(
			err, rc, SPAWN_ORIGIN_CLIENT, STEP_CHDIR,
			"cannot open the working directory%s",
			rc == -EACCES || rc == -ENOENT ? " (give the child an absolute one)" : "");
	if (r->program_fd >= 0) {
		p->fd[1 + p->n++] = r->program_fd;
		p->program = true;
	}
	if (r->cgroup) {
		p->cgroup = open(r->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (p->cgroup < 0)
			return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CGROUP,
					   "cannot open the control group '%s'", r->cgroup);
	}
	p->has_cgroup = r->cgroup || r->cgroup_fd >= 0;
	if (p->has_cgroup)
		p->fd[1 + p->n++] = r->cgroup ? p->cgroup : r->cgroup_fd;
	rc = 0;
	for (int fd = 0; rc == 0 && fd <= 2 && fd < r->inherit_below; fd++)
		if (request_needs_stdio(r, fd) && is_callers(fd))
			rc = pass(p, fd, fd);
	if (rc == 0 && r->inherit_below > 3)
		rc = pass_inherited(p, r);
	for (size_t i = 0; rc == 0 && i < r->n_fds; i++)
		rc = pass(p, r->fds[i].fd, r->fds[i].target);
	if (rc < 0 && rc != -EMFILE)
		return error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_FDS,
				   "cannot list the descriptors that are to be inherited");
	if (rc < 0)
		return error_set(err, rc, SPAWN_ORIGIN_CLIENT, STEP_FDS,
				 "more than %d descriptors to pass, with 0, 1 and 2",
				 WIRE_USER_FDS);
	return 0;
}

static size_t body_size(const struct spawn_request *r, const char *argv0, const struct strings *env,
			const char *search, const struct passing *p)
{
	size_t size = WIRE_HEADER_SIZE;

	size += RECORDS_BYTES(1, strlen(argv0) + 1 + r->args.len);
	size += RECORDS_BYTES(1, env->len);
	size += RECORDS_BYTES(1, r->chdir ? strlen(r->chdir) : 0);
	size += RECORDS_BYTES(1, r->program ? strlen(r->program) : 0);
	size += RECORDS_BYTES(1, search ? strlen(search) : 0);
	size += RECORDS_BYTES(4, 8); /* FLAGS, UMASK, SIGMASK, SIGIGNORE */
	size += attributes_size(&r->attributes);
	size += RECORDS_BYTES(p->n_targets, 4);
	for (size_t i = 0; i < r->n_steps; i++)
		size += RECORDS_BYTES(1, 12 + (r->steps[i].path ? strlen(r->steps[i].path) : 0));
	return size + RECORDS_BYTES(RLIM_NLIMITS, 20);
}

static void encode_argv(struct frame *f, const struct spawn_request *r, const char *argv0)
{
	size_t n = strlen(argv0) + 1;
	uint8_t *p = frame_space(f, REC_ARGV, n + r->args.len);

	if (!p)
		return;
	memcpy(p, argv0, n);
	if (r->args.len > 0)
		memcpy(p + n, r->args.data, r->args.len);
}

static void encode_program(struct frame *f, const struct spawn_request *r, const char *search)
{
	if (r->program)
		frame_string(f, REC_EXECUTE, r->program);
	if (search)
		frame_string(f, REC_SEARCH, search);
}

static void encode_steps(struct frame *f, const struct spawn_request *r)
{
	for (size_t i = 0; i < r->n_steps; i++) {
		const struct fd_step *o = &r->steps[i];
		size_t n = o->path ? strlen(o->path) : 0;
		uint8_t *p = frame_space(f, o->path ? REC_OPEN : REC_ACTION, 12 + n);

		if (!p)
			return;
		put_u32(p, o->path ? (uint32_t)o->target : o->act);
		put_u32(p + 4, (uint32_t)(o->path ? o->flags : o->from));
		put_u32(p + 8, o->path ? (uint32_t)o->mode : (uint32_t)o->target);
		memcpy(p + 12, o->path ? o->path : "", n);
	}
}

static int encode_limits(struct frame *f, uint32_t asked_for)
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit limit;
		uint8_t *p;

		if (asked_for & 1u << resource)
			continue;
		if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
			return -errno;
		p = frame_space(f, REC_RLIMIT, 20);
		if (!p)
			return 0; /* latched in the frame */
		put_u32(p, (uint32_t)resource);
		put_u64(p + 4, limit.rlim_cur);
		put_u64(p + 12, limit.rlim_max);
	}
	return 0;
}

/* What the request leaves to the calling thread. */
static int look_at_caller(const struct spawn_request *r, const struct passing *p, mode_t *ret_umask,
			  uint64_t *ret_sigmask, uint64_t *ret_ignored, struct spawn_error *err)
{
	int rc = 0;

	*ret_ignored = r->attributes.ignored;
	if (p->as || r->umask_given)
		*ret_sigmask = caller_sigmask();
	if (p->as) {
		rc = identity_look(p->as, p->socket, ret_umask, ret_ignored);
		if (rc < 0) { /* no /proc */
			*ret_ignored = caller_ignored();
			if (!r->umask_given)
				rc = caller_masks(ret_umask, ret_sigmask);
		}
		if (r->attributes.ignored_given)
			*ret_ignored = r->attributes.ignored;
		*ret_ignored &= ~r->attributes.defaulted;
	} else if (!r->umask_given) {
		rc = caller_masks(ret_umask, ret_sigmask);
	}
	if (r->attributes.sigmask_given)
		*ret_sigmask = r->attributes.sigmask;
	if (r->umask_given)
		*ret_umask = r->umask;
	else if (rc < 0)
		return error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_UMASK,
				   "cannot read the umask from /proc/thread-self/status%s",
				   rc == -ENOENT ? " (give one in the request)" : "");
	return 0;
}

/* The length of the body in *ret_data (to be freed), or a negative errno. */
static int encode(const struct spawn_request *r, const struct passing *p, uint8_t **ret_data,
		  struct spawn_error *err)
{
	const char *argv0 = request_argv0(r), *search;
	_cleanup_free_ uint8_t *data = NULL;
	struct strings env = {0};
	uint64_t sigmask, ignored;
	struct frame f;
	mode_t mask;
	size_t size;
	int rc;

	rc = look_at_caller(r, p, &mask, &sigmask, &ignored, err);
	if (rc < 0)
		return rc;
	rc = request_environment(r, &env);
	if (rc == -ENOMEM)
		return error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_BODY, "make the request");
	if (rc < 0 || strlen(argv0) + 1 + r->args.len + env.len > STRINGS_MAX) {
		strings_free(&env);
		return error_set(err, -E2BIG, SPAWN_ORIGIN_CLIENT, STEP_BODY,
				 "arguments and environment are larger than 2 MiB together");
	}
	search = request_search(r, &env);
	if (search && strlen(search) > SEARCH_MAX) {
		strings_free(&env);
		return error_set(err, -E2BIG, SPAWN_ORIGIN_CLIENT, STEP_BODY,
				 "the PATH to search is longer than %d bytes", SEARCH_MAX);
	}
	size = body_size(r, argv0, &env, search, p);
	data = malloc(size);
	if (!data) {
		strings_free(&env);
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_BODY,
				   "make the request");
	}
	frame_begin(&f, data, size, MSG_BODY, 0);
	frame_u32(&f, REC_FLAGS,
		  (p->cwd >= 0 ? FLAG_CWD : 0) | (p->program ? FLAG_EXECUTE_FD : 0) |
			  (p->has_cgroup ? FLAG_CGROUP_FD : 0));
	encode_argv(&f, r, argv0);
	encode_program(&f, r, search);
	frame_bytes(&f, REC_ENV, env.data, env.len);
	strings_free(&env);
	if (r->chdir)
		frame_string(&f, REC_CHDIR, r->chdir);
	frame_u32(&f, REC_UMASK, (uint32_t)mask);
	frame_u64(&f, REC_SIGMASK, sigmask);
	if (ignored)
		frame_u64(&f, REC_SIGIGNORE, ignored);
	attributes_encode(&r->attributes, &f);
	for (size_t i = 0; i < p->n_targets; i++)
		frame_u32(&f, REC_FD, p->target[i]);
	encode_steps(&f, r);
	rc = encode_limits(&f, r->attributes.limits_given);
	if (rc < 0)
		return error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_RLIMIT, "read the limits");
	rc = frame_finish(&f);
	if (rc < 0 || rc > WIRE_SEALED_MAX)
		return error_set(err, -E2BIG, SPAWN_ORIGIN_CLIENT, STEP_BODY,
				 "the request has %zu bytes and may have %d", size,
				 WIRE_SEALED_MAX);
	*ret_data = take_pointer(&data);
	return rc;
}

static int send_sealed(int sock, struct passing *p, const uint8_t *data, size_t len)
{
	_cleanup_close_ int memfd = -1;
	uint8_t small[64];
	struct frame f;
	int rc = sealed_create("spawn-body", data, len, &memfd);

	if (rc < 0)
		return rc;
	p->fd[0] = memfd;
	frame_begin(&f, small, sizeof(small), MSG_BODY_SEALED, 0);
	frame_u64(&f, REC_SIZE, len);
	return channel_send_frame(sock, &f, p->fd, p->n + 1, MSG_DONTWAIT);
}

static int send_error(const struct spawn_request *r, int code, struct spawn_error *err)
{
	if (code == -EBADF && r->program_fd >= 0 && fcntl(r->program_fd, F_GETFD) < 0)
		return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_FDS,
				 "descriptor %d, to be the program, is not open", r->program_fd);
	if (code == -EBADF && r->cgroup_fd >= 0 && fcntl(r->cgroup_fd, F_GETFD) < 0)
		return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_FDS,
				 "descriptor %d, of the control group, is not open", r->cgroup_fd);
	if (code == -EBADF)
		for (size_t i = 0; i < r->n_fds; i++)
			if (fcntl(r->fds[i].fd, F_GETFD) < 0)
				return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_FDS,
						 "descriptor %d, to be the child's %d, is not open",
						 r->fds[i].fd, r->fds[i].target);
	if (code == -EFBIG)
		return error_set(err, -E2BIG, SPAWN_ORIGIN_CLIENT, STEP_BODY,
				 "the request is larger than the limit on files (RLIMIT_FSIZE, "
				 "ulimit -f) lets it be handed over: raise that, or pass a smaller "
				 "environment");
	if (code == -ETOOMANYREFS)
		return error_set(err, -EAGAIN, SPAWN_ORIGIN_CLIENT, STEP_SEND,
				 "too many descriptors of this user are in flight: try again when "
				 "earlier requests have started");
	return error_errno(err, code, SPAWN_ORIGIN_CLIENT, STEP_SEND, "queue the request");
}

int body_open(struct body *body, const struct spawn_request *request, struct identity *ret_as,
	      int *ret_leaf_fd, struct spawn_error *err)
{
	struct passing p = {.cwd = -1, .cgroup = -1, .as = ret_as};
	_cleanup_close_ int ours = -1, leaf = -1;
	_cleanup_free_ uint8_t *data = NULL;
	int pair[2], len, rc;

	rc = channel_pair(pair);
	if (rc < 0)
		return error_errno(err, rc, SPAWN_ORIGIN_CLIENT, STEP_BODY, "make a socket pair");
	p.socket = ours = pair[0];
	leaf = pair[1];
	rc = collect_fds(&p, request, err);
	len = rc < 0 ? rc : encode(request, &p, &data, err);
	if (len < 0) {
		fd_close(p.cgroup);
		fd_close(p.cwd);
		return len;
	}
	rc = -EMSGSIZE;
	if (len <= WIRE_INLINE_MAX)
		rc = channel_send(ours, data, (size_t)len, p.fd + 1, p.n, MSG_DONTWAIT);
	/* Where net.core.wmem_default is small a datagram of that size does not fit. */
	if (rc == -EMSGSIZE || rc == -ENOBUFS || rc == -EAGAIN)
		rc = send_sealed(ours, &p, data, (size_t)len);
	fd_close(p.cgroup);
	fd_close(p.cwd);
	if (rc < 0)
		return send_error(request, rc, err);
	*body = (struct body){.fd = take_fd(&ours)};
	*ret_leaf_fd = take_fd(&leaf);
	return 0;
}

void body_close(struct body *body)
{
	body->fd = fd_close(body->fd);
}

static void note(struct body *body, const struct message *m)
{
	const uint8_t *bytes;
	size_t len;

	body->pid = (pid_t)message_u32(m, REC_PID);
	if (m->type == MSG_READY) {
		bytes = message_bytes(m, REC_TOKEN, &len);
		memcpy(body->token, bytes, sizeof(body->token));
		bytes = message_bytes(m, REC_TIMES, &len);
		body->launched = get_u64(bytes);
		body->prepared = get_u64(bytes + 8);
		body->executed = message_u32(m, REC_FLAGS) & FLAG_EXECUTED;
		body->ready = true;
	} else {
		body->step = message_u32(m, REC_STEP);
		body->code = message_u32(m, REC_CODE);
		body->index = message_u32(m, REC_INDEX);
		body->has_index = message_has(m, REC_INDEX);
		body->failed = true;
	}
}

void body_drain(struct body *body)
{
	uint8_t buf[ANSWER_MAX];

	while (body->fd >= 0) {
		struct message m;
		struct fds fds;
		ssize_t n = channel_receive(body->fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return;
		/* The leaf left with something unread: what it said is still in the queue behind.
		 */
		if (n == -ECONNRESET)
			continue;
		if (n > 0 && message_decode(buf, (size_t)n, PEER_LEAF, PEER_CLIENT, STATE_OPEN,
					    fds.n, &m, NULL) == 0) {
			note(body, &m);
			continue;
		}
		fds_close(&fds);
		body->over = true;
		body_close(body);
	}
}

void body_await_end(struct body *body, int timeout_ms)
{
	/* POLLHUP and errors, which are always told. */
	struct pollfd p = {.fd = body->fd, .events = 0};

	poll(&p, 1, timeout_ms);
	body_drain(body);
}

int body_wait(struct body *body, int pidfd, uint64_t deadline)
{
	while (body->fd >= 0 && !body->failed) {
		struct pollfd p[2] = {
			{.fd = body->fd, .events = POLLIN},
			{.fd = pidfd, .events = POLLIN}, /* -1 is skipped by poll */
		};
		int n;

		/* The end of file is the leaf's next step; READY alone decides when a fork of the
		 * caller keeps it from coming. */
		if (body->ready && deadline == 0)
			deadline = clock_now() + AFTER_READY_MS * NS_PER_MS;
		n = poll(p, 2, clock_poll_timeout(deadline));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		body_drain(body);
		if (n > 0 && p[1].revents && body->fd >= 0) {
			body->over = true;
			body_close(body);
		}
	}
	return 0;
}

static int step_error(const struct fd_step *s, int code, struct spawn_error *err)
{
	if (s->path)
		return error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_OPEN, "cannot open '%s'",
				   s->path);
	return error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_OPEN,
			   "cannot duplicate the child's descriptor %d as %d", s->from, s->target);
}

int body_error(const struct body *body, const struct spawn_request *r, struct spawn_error *err)
{
	int code = body->code > 0 && body->code < 4096 ? -(int)body->code : -EPROTO;

	if (body->step == STEP_EXEC)
		return program_error(r, code, err);
	if (body->step == STEP_ENVIRONMENT)
		return error_set(
			err, code, SPAWN_ORIGIN_LEAF, body->step,
			"its environment needs another process image than the template's, which the "
			"no-fork promise of this kernel does not outlive (give the template that "
			"\"env\", or ask for no promise)");
	if (r && body->step == STEP_CHDIR && r->chdir)
		return error_errno(err, code, SPAWN_ORIGIN_LEAF, body->step,
				   "cannot change directory to '%s'", r->chdir);
	if (r && body->step == STEP_CGROUP)
		return error_errno(err, code, SPAWN_ORIGIN_LEAF, body->step,
				   code == -EMEDIUMTYPE ? "'%s' is no directory of a control group"
							: "cannot enter the control group '%s'",
				   r->cgroup ? r->cgroup : "of the descriptor");
	if (r && body->step == STEP_OPEN && body->has_index && body->index < r->n_steps)
		return step_error(&r->steps[body->index], code, err);
	if (r && attributes_error(&r->attributes, body->step, code,
				  body->has_index ? body->index : UINT32_MAX, err))
		return code;
	return error_errno(err, code, SPAWN_ORIGIN_LEAF, body->step,
			   "the leaf could not become what was asked for, at %s",
			   step_name(body->step));
}
