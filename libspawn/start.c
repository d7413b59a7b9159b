/* SPDX-License-Identifier: MIT */
#include "start.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "client.h"
#include "exit.h"
#include "proc.h"
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How long the outcome of a request is looked for when the connection was lost: by a thread that
 * waits for just that, and by one that has others to serve. */
#define START_TRIES    3
#define FIRST_MS       20
#define LOST_MS	       10000
#define LOST_SUBMIT_MS 1000

static int refuse(struct spawn_error *err, int code, const char *why)
{
	return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_OWNER, "%s", why);
}

/* What a child of the caller's cannot have. */
static int check_own(const struct spawn_request *r, bool has_server, struct spawn_error *err)
{
	if (strcmp(r->template_name, "exec") != 0)
		return error_set(
			err, has_server ? -EINVAL : -ENOTCONN, SPAWN_ORIGIN_CLIENT, STEP_OWNER,
			has_server ? "a leaf of template \"%s\" is the server's child: leave "
				     "SPAWN_OWNER_CALLER out, or name a program instead"
				   : "template \"%s\" is a server's, and a client of "
				     "spawn_private_open() has none: use spawn_client_open()",
			r->template_name);
	if (!request_has_program(r))
		return refuse(err, -EINVAL,
			      "a child of the caller's needs a program: spawn_request_program(), "
			      "_path_search() or _program_fd()");
	if (r->kill_with_caller)
		return refuse(
			err, -EOPNOTSUPP,
			"kill_with_caller is a server's work: a child of the caller's lives on "
			"as after fork; leave SPAWN_OWNER_CALLER out, or use "
			"spawn_request_death_signal()");
	if (r->deadline_given)
		return refuse(
			err, -EOPNOTSUPP,
			"a deadline is a server's work: for a child of the caller's, wait with a "
			"timeout and use spawn_proc_kill()");
	return 0;
}

/* What a child of the server's cannot have. */
static int check_servers(const struct spawn_request *r, struct spawn_error *err)
{
	if (attributes_have(&r->attributes, SETTING_GROUP) && r->attributes.value[SETTING_GROUP])
		return refuse(err, -EOPNOTSUPP,
			      "a child of the server's is in another session than this process's "
			      "groups and leads one of its own: use SPAWN_OWNER_CALLER, or process "
			      "group 0");
	if (attributes_have(&r->attributes, SETTING_DEATH_SIGNAL))
		return refuse(
			err, -EOPNOTSUPP,
			"a death signal is of the parent, and this child's is the server: use "
			"spawn_request_kill_with_caller(), or SPAWN_OWNER_CALLER");
	return 0;
}

static int check_group(const struct spawn_request *r, struct spawn_error *err)
{
	if (!attributes_have(&r->attributes, SETTING_SESSION) ||
	    r->attributes.value[SETTING_GROUP] == 0)
		return 0;
	return error_set(err, -EINVAL, SPAWN_ORIGIN_CLIENT, STEP_REQUEST,
			 "a session's leader leads a process group of its own: it cannot join %llu",
			 (unsigned long long)r->attributes.value[SETTING_GROUP]);
}

int start_choose(struct spawn_client *client, const struct spawn_request *r,
		 struct connection **ret, struct spawn_error *err)
{
	bool has_server = !atomic_load(&client->connection)->is_private;
	enum spawn_owner owner = r->owner_given ? r->owner
				 : has_server	? SPAWN_OWNER_SERVER
						: SPAWN_OWNER_CALLER;
	int rc;

	if (r->error.code) {
		if (err)
			*err = r->error;
		return r->error.code;
	}
	rc = check_group(r, err);
	if (rc < 0)
		return rc;
	if (owner == SPAWN_OWNER_CALLER) {
		rc = check_own(r, has_server, err);
		return rc < 0 ? rc : client_enter_private(client, ret, err);
	}
	if (!has_server)
		return refuse(err, -ENOTCONN,
			      "SPAWN_OWNER_SERVER needs a server, and a client of "
			      "spawn_private_open() has none: use spawn_client_open()");
	rc = check_servers(r, err);
	return rc < 0 ? rc : client_enter(client, ret, err);
}

/* Makes all that can fail before the server is asked. */
static int prepare(struct connection *c, const struct spawn_request *request, uint64_t requested,
		   struct identity *ret_as, struct spawn_proc **ret, int *ret_leaf_fd,
		   struct spawn_error *err)
{
	struct spawn_proc *p;
	int r;

	p = proc_new(c);
	if (!p)
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_REQUEST, "start");
	p->timing.requested = requested;
	r = body_open(&p->body, request, c->is_private ? ret_as : NULL, ret_leaf_fd, err);
	if (r < 0) {
		spawn_proc_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* With the lock; once it returns 0 the call is in flight. */
static int ask(struct connection *c, struct call *call, const struct spawn_request *request,
	       const struct identity *as, int leaf_fd, struct spawn_error *err)
{
	uint8_t buf[256];
	struct frame f;
	int r;

	call->id = call_number(c);
	frame_begin(&f, buf, sizeof(buf), MSG_SPAWN, call->id);
	frame_string(&f, REC_TEMPLATE, request->template_name);
	frame_u32(&f, REC_FLAGS,
		  (request->kill_with_caller ? FLAG_KILL_WITH_CALLER : 0) |
			  (request_has_program(request) ? FLAG_PROGRAM : 0));
	if (request->nofork_given)
		frame_u32(&f, REC_NOFORK, request->nofork);
	if (request->deadline_given) {
		frame_u64(&f, REC_DEADLINE, request->deadline_ms);
		frame_u64(&f, REC_GRACE, request->grace_ms);
	}
	r = connection_send_anew(c, &f, leaf_fd, call->kind == CALL_SPAWN,
				 c->is_private ? as : NULL, err);
	if (r == 0)
		call_add(c, call);
	return r;
}

/* The leaf says that it runs; its token gets the handle. */
static int take(struct connection *c, struct spawn_proc *p, uint64_t deadline)
{
	int r = 0;

	connection_lock(c);
	proc_add_untaken(c, p, p->body.token);
	while (p->state != PROC_HELD && p->state != PROC_ORPHAN) {
		r = connection_open(c, deadline, NULL);
		if (r < 0)
			break;
		procs_take(c);
		r = connection_turn(c, p, deadline);
		if (r == -ETIMEDOUT)
			break;
	}
	r = p->state == PROC_HELD ? 0 : -EINPROGRESS;
	if (r == 0)
		p->timing.started = clock_now();
	else if (p->listed)
		proc_orphan(c, p);
	connection_unlock(c);
	return r;
}

/*
 * The child itself says its pid; the private host that made it cannot any more. That it is, or was,
 * a child of this process is made sure of.
 */
static int adopt(struct connection *c, struct spawn_proc *p)
{
	_cleanup_close_ int pidfd = -1;
	siginfo_t info;

	if (p->body.pid <= 0 || p->pidfd >= 0)
		return p->pidfd >= 0 ? 0 : -EINPROGRESS;
	pidfd = fd_above_stdio(pidfd_open_pid(p->body.pid));
	if (pidfd < 0 || waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -EINPROGRESS;
	connection_lock(c);
	proc_own(c, p, p->body.pid, take_fd(&pidfd));
	p->timing.started = clock_now();
	connection_unlock(c);
	return 0;
}

/* A child of this process that has failed, or ended, before it was what was asked for: nobody else
 * knows of it, so nobody else shall have to reap it. */
static void bury(struct connection *c, struct spawn_proc *p)
{
	struct exit_record record;

	if (p->state != PROC_OWN || (!p->body.failed && (p->body.ready || !p->body.over)))
		return;
	if (adopt(c, p) == 0)
		proc_reap(p, true, &record);
}

/* The answer was lost: the leaf itself says whether it runs. Without the lock. */
static int decide(struct connection *c, const struct call *call, struct spawn_request *request,
		  uint64_t deadline, struct spawn_error *err)
{
	struct spawn_proc *p = call->proc;
	int r = body_wait(&p->body, -1, deadline);

	if (p->body.failed)
		return body_error(&p->body, request, err);
	if (!p->body.ready && p->body.over)
		return error_set(err, -ECONNRESET, SPAWN_ORIGIN_WIRE, STEP_START,
				 "%s was lost before the child was started: it does not run, try "
				 "again",
				 c->peer);
	if (p->body.ready)
		r = p->state == PROC_OWN ? adopt(c, p) : take(c, p, deadline);
	if (r == 0)
		return 0;
	return error_set(err, -EINPROGRESS, SPAWN_ORIGIN_WIRE, STEP_TAKE,
			 "%s was lost and the child %s: outcome unknown", c->peer,
			 p->body.ready ? "runs without a record" : "may have been started");
}

/* It died while it was parked, with the launch unread: nothing at all was done for the request. */
static bool never_launched(struct spawn_proc *p)
{
	struct spawn_exit *end;
	bool never;

	if (spawn_proc_wait(p, LOST_SUBMIT_MS, &end) < 0)
		return false;
	never = end->known && end->record.launched_ns == 0;
	spawn_exit_free(end);
	return never;
}

/* Handed to a leaf: waits until it is what was asked for. Without the lock. */
static int confirm(struct spawn_proc *p, struct spawn_request *request, struct spawn_error *err)
{
	int r = body_wait(&p->body, p->pidfd, 0);

	if (p->body.failed)
		return body_error(&p->body, request, err);
	if (p->body.ready)
		return 0;
	if (p->body.over && p->state != PROC_OWN && never_launched(p))
		return error_set(err, -ECONNRESET, SPAWN_ORIGIN_WIRE, STEP_START,
				 "the leaf died before the request reached it: try again");
	if (p->body.over)
		return error_set(err, -ECONNRESET, SPAWN_ORIGIN_LEAF, STEP_START,
				 "the leaf (pid %d) ended before it was what was asked for",
				 (int)p->pid);
	return error_errno(err, r < 0 ? r : -EINPROGRESS, SPAWN_ORIGIN_CLIENT, STEP_START,
			   "wait for the leaf");
}

int start_send(struct connection *c, const struct spawn_request *request, uint64_t requested,
	       struct call *call, struct spawn_error *err)
{
	struct identity as;
	int leaf_fd, r;

	*call = (struct call){.kind = CALL_SPAWN};
	r = prepare(c, request, requested, &as, &call->proc, &leaf_fd, err);
	if (r < 0)
		return r;
	connection_lock(c);
	r = ask(c, call, request, &as, leaf_fd, err);
	/* The leaf's end is the leaf's alone now: with a copy here its end of file would not come.
	 */
	fd_close(leaf_fd);
	connection_unlock(c);
	if (r < 0)
		spawn_proc_free(call->proc);
	return r;
}

static int settle(struct connection *c, struct spawn_request *request, struct call *call,
		  struct spawn_error *err)
{
	int r = 0;

	/*
	 * Every answer of the server's shows here too: READY comes after STARTED, and the end of
	 * file with an ERROR. So the server's answer, which is of no use yet, need not wake us. Not
	 * for ever: a process that the caller forked meanwhile may keep the end of file away.
	 */
	body_await_end(&call->proc->body, FIRST_MS);
	connection_lock(c);
	while (!call->done)
		connection_turn(c, call, 0);
	connection_unlock(c);
	if (call->lost) {
		r = decide(c, call, request, clock_now() + LOST_MS * NS_PER_MS, err);
	} else if (call->error.code) {
		r = call->error.code;
		if (err)
			*err = call->error;
	}
	return r < 0 ? r : confirm(call->proc, request, err);
}

int start_settle(struct connection *c, struct spawn_request *request, struct call *call,
		 struct spawn_proc **ret, struct spawn_error *err)
{
	int r = settle(c, request, call, err);

	if (r < 0) {
		bury(c, call->proc);
		spawn_proc_free(call->proc);
		return r;
	}
	connection_lock(c);
	proc_read_body(call->proc); /* the times */
	body_close(&call->proc->body);
	connection_unlock(c);
	*ret = call->proc;
	return 0;
}

bool start_may_repeat(int r, const struct spawn_error *why)
{
	return r == -ECONNRESET && why->origin == SPAWN_ORIGIN_WIRE;
}

int start_process(struct connection *c, struct spawn_request *request, uint64_t requested,
		  struct spawn_proc **ret, struct spawn_error *err)
{
	struct call call;
	int r = 0;

	for (int tries = 0; tries < START_TRIES; tries++) {
		r = start_send(c, request, requested, &call, err);
		if (r == 0)
			r = start_settle(c, request, &call, ret, err);
		if (!start_may_repeat(r, err))
			break;
	}
	return r;
}

int spawn_process(struct spawn_client *client, struct spawn_request *request,
		  struct spawn_proc **ret, struct spawn_error *err)
{
	uint64_t requested = clock_now();
	_uncancellable_ cancel = cancel_off();
	struct spawn_error why;
	struct connection *c;
	int r = start_choose(client, request, &c, err);

	if (r < 0)
		return r;
	r = start_process(c, request, requested, ret, &why);
	if (r < 0 && err)
		*err = why;
	connection_unref(c);
	return r;
}

int spawn_submit(struct spawn_client *client, struct spawn_request *request,
		 spawn_started_fn *on_started, void *user, uint32_t *ret_id,
		 struct spawn_error *err)
{
	uint64_t requested = clock_now();
	_uncancellable_ cancel = cancel_off();
	struct connection *c;
	struct identity as;
	struct call *call;
	int r, leaf_fd = -1;

	r = start_choose(client, request, &c, err);
	if (r < 0)
		return r;
	call = calloc(1, sizeof(*call));
	if (!call) {
		connection_unref(c);
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_REQUEST, "start");
	}
	call->kind = CALL_SUBMIT;
	call->on_started = on_started;
	call->user = user;
	r = prepare(c, request, requested, &as, &call->proc, &leaf_fd, err);
	if (r == 0) {
		connection_lock(c);
		r = ask(c, call, request, &as, leaf_fd, err);
		/* Before the lock is let go: another thread may complete it from then on. */
		if (r == 0 && ret_id)
			*ret_id = call->id;
		fd_close(leaf_fd);
		connection_unlock(c);
	}
	if (r < 0) {
		spawn_proc_free(call->proc);
		free(call);
	}
	connection_unref(c);
	return r;
}

void start_complete(struct connection *c, struct call *call)
{
	struct spawn_error err = call->error;
	int r = call->error.code;

	if (call->lost)
		r = decide(c, call, NULL, clock_now() + LOST_SUBMIT_MS * NS_PER_MS, &err);
	if (r < 0) {
		bury(c, call->proc);
		spawn_proc_free(call->proc);
		call->on_started(NULL, &err, call->user);
	} else {
		call->on_started(call->proc, NULL, call->user);
	}
	free(call);
}

int spawn_cancel(struct spawn_client *client, uint32_t id)
{
	uint8_t buf[WIRE_HEADER_SIZE];
	_uncancellable_ cancel = cancel_off();
	struct connection *c;
	struct call *call;
	struct frame f;
	int r;

	if (id & PRIVATE_IDS)
		return -ENOENT; /* a private host hands to the child at once */
	r = client_enter(client, &c, NULL);
	if (r < 0)
		return r;
	connection_lock(c);
	frame_begin(&f, buf, sizeof(buf), MSG_CANCEL, id);
	do {
		call = call_find(c, id);
		r = call && call->kind == CALL_SUBMIT ? connection_send(c, &f, -1) : -ENOENT;
		if (r == -EAGAIN)
			connection_await_room(c);
	} while (r == -EAGAIN);
	connection_unlock(c);
	connection_unref(c);
	/* With the connection lost the request is about to be completed, by what the leaf says. */
	return r == -ECONNRESET ? 0 : r;
}
