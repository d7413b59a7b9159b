/* SPDX-License-Identifier: MIT */
/* A host but for how it was started and what it warms: both are its lane's. */
#include "arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/nofork.h"
#include "host/compact.h"
#include "host/gate.h"
#include "host/lane.h"
#include "host/nofork.h"
#include "signals.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#define FRAME_SIZE 1536

/* Makes descriptors that libraries and leaves cannot stumble over. */
static int prepare_fds(struct host *h)
{
	int r;

	if ((r = fd_set_cloexec(HOST_KEEPER_FD, 1)) < 0 ||
	    (r = fd_set_cloexec(HOST_SLOTS_FD, 1)) < 0)
		return r;
	/* A standard stream that the program closed would else be one of ours. */
	while ((r = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && r <= STDERR_FILENO)
		fd_set_cloexec(r, 0);
	h->warm->null_fd = r;
	return r < 0 ? -errno : 0;
}

int host_choose_nofork(struct host *h, struct spawn_error *err)
{
	bool kernel = nofork_kernel_probe() == 1;

	/* What becomes another program is born so in any case: it makes no copy until then. */
	h->warm->born_nofork =
		kernel &&
		(lane_executes || (h->warm->nofork != NOFORK_OFF && !h->warm->nofork_weaker));
	h->warm->kernel_nofork = kernel && (!lane_executes || nofork_kernel_probe_exec() == 1);
	if (h->enforce_kernel && !h->warm->kernel_nofork)
		return error_set(
			err, -EOPNOTSUPP, SPAWN_ORIGIN_HOST, STEP_NOFORK,
			"template \"%s\": this kernel has no PR_SET_NOFORK%s: run a patched one, or "
			"say \"enforce\": \"any\" to accept the seccomp filter",
			h->warm->name, kernel ? " that exec keeps" : "");
	h->brood.nofork = h->warm->nofork;
	/* Who enforces `copy` here, also for a request that asks for it of a template that does
	 * not. */
	h->brood.nofork_by = !h->warm->kernel_nofork ? NOFORK_BY_SECCOMP
			     : lane_executes	     ? NOFORK_BY_KERNEL_EXEC
						     : NOFORK_BY_KERNEL;
	return 0;
}

static int read_limits(struct warm *w)
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (getrlimit((__rlimit_resource_t)resource, &w->limits[resource]) < 0)
			return -errno;
	return 0;
}

/* Told in `spawn status`, or refused. */
static int pass_gate(struct host *h, struct spawn_error *err)
{
	char text[GATE_TEXT_SIZE];
	int r = gate_look(h, text);

	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_WARM,
				   "template \"%s\": look for what a fork does not keep (/proc)",
				   h->warm->name);
	if (r == 0)
		return 0;
	if (h->gate_refuses)
		return error_set(err, -EBUSY, SPAWN_ORIGIN_HOST, STEP_WARM,
				 "template \"%s\" is not to be forked as it is: %s (undo it before "
				 "the end of warm-up, or say \"gate\": \"warn\")",
				 h->warm->name, text);
	snprintf(h->findings, sizeof(h->findings), "gate: %s", text);
	if (!h->note)
		h->note = h->findings;
	return 0;
}

int host_settle(struct host *h, struct spawn_error *err)
{
	int r = pass_gate(h, err);

	if (r < 0)
		return r;
	fflush(NULL); /* else each leaf would write it once more */
	/* What a library may have left: with SIGCHLD ignored, records would vanish. */
	signals_default();
	/* Of what a program armed for itself, that would end a host. */
	for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++)
		setitimer((__itimer_which_t)timer, &(struct itimerval){0}, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 0); /* the keeper is: a host waits for its leaves alone */
	r = read_limits(h->warm);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_RLIMIT, "read the limits");
	r = threads_settle(err);
	if (r == 0 && h->compacts)
		compact();
	return r;
}

void host_tell_failed(int code, const struct spawn_error *err)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;
	frame_begin(&f, buf, sizeof(buf), MSG_WARM_FAILED, 0);
	frame_u32(&f, REC_CODE, (uint32_t)-code);
	frame_u32(&f, REC_STEP, step_number(err->step));
	frame_text(&f, REC_TEXT, err->message);
	channel_send_frame(HOST_KEEPER_FD, &f, NULL, 0, 0);
}

static int tell_warmed(const struct host *h)
{
	uint8_t buf[FRAME_SIZE];
	struct frame f;

	frame_begin(&f, buf, sizeof(buf), MSG_WARMED, 0);
	frame_u32(&f, REC_NOFORK, h->brood.nofork);
	frame_u32(&f, REC_NOFORK_BY, h->brood.nofork_by);
	return channel_send_frame(HOST_KEEPER_FD, &f, NULL, 0, 0);
}

static void stop(struct host *h, uint64_t grace_ms, bool end_leaves)
{
	h->stopping = true;
	h->brood.stopping = true;
	h->brood.warm = false;
	h->stop_grace_ms = grace_ms;
	h->end_leaves = end_leaves;
}

static void keeper_ready(struct watch *w, uint32_t events)
{
	struct host *h = watch_owner(w, struct host, keeper);
	uint8_t buf[FRAME_SIZE];
	struct message m;
	struct fds fds;
	ssize_t n = channel_receive(w->fd, buf, sizeof(buf), &fds, NULL, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	if (n <= 0 || message_decode(buf, (size_t)n, PEER_KEEPER, PEER_HOST, STATE_WARM, fds.n, &m,
				     NULL) < 0) {
		/*
		 * Without a keeper: fork no more, see the running leaves to their end, then leave.
		 * No broker can come and ask how they ended.
		 */
		fds_close(&fds);
		poller_remove(&h->poller, &h->keeper);
		stop(h, 0, false);
		brood_forget_records(&h->brood);
		return;
	}
	if (m.type == MSG_BROKER)
		brood_connect(&h->brood, fds_take(&fds, 0));
	else if (m.type == MSG_STOP)
		stop(h, message_u64(&m, REC_GRACE), message_u32(&m, REC_FLAGS) & FLAG_STOP_LEAVES);
	fds_close(&fds);
}

static void fork_call(struct brood *b, uint32_t count, uint32_t waited_for)
{
	host_fork(watch_owner(b, struct host, brood), count, waited_for);
}

static const struct brood_calls calls = {.fork = fork_call};

struct host *host_new(struct warm *warm)
{
	struct host *h = arena_map(sizeof(*h));

	if (!h)
		return NULL;
	warm->null_fd = -1;
	*h = (struct host){.warm = warm, .keeper = {.fd = -1, .ready = keeper_ready}};
	return h;
}

void host_take_summons(struct host *h, const struct summons *s)
{
	h->warm->name = s->name;
	h->warm->nofork = s->nofork;
	h->warm->nofork_weaker = s->nofork_weaker;
	h->id = s->id;
	h->n_slots = s->n_slots;
	h->enforce_kernel = s->enforce_kernel;
	h->gate_refuses = s->gate_refuses;
	h->compacts = s->compacts;
}

int host_open(struct host *h, struct spawn_error *err)
{
	int r;

	/* Nobody who may not already read the template's memory shall do so through ptrace or
	 * /proc. */
	h->warm->dumpable = prctl(PR_GET_DUMPABLE) == 1;
	prctl(PR_SET_DUMPABLE, 0);
	r = prepare_fds(h);
	if (r == 0)
		r = poller_open(&h->poller);
	if (r == 0)
		r = brood_open(&h->brood, &h->poller, HOST_SLOTS_FD, h->n_slots, &calls);
	return r < 0 ? error_errno(err, r, SPAWN_ORIGIN_HOST, STEP_START, "template \"%s\": set-up",
				   h->warm->name)
		     : 0;
}

static int run(struct host *h)
{
	while (!h->stopping || h->brood.n_leaves > 0) {
		int r = poller_run(&h->poller, clock_poll_timeout(h->brood.next_deadline));

		if (r < 0)
			return r;
		brood_tick(&h->brood);
		if (h->end_leaves)
			brood_stop(&h->brood, h->stop_grace_ms);
	}
	brood_flush(&h->brood);
	return 0;
}

int host_serve(struct host *h)
{
	struct spawn_error err;
	int r = h->warm->born_nofork ? nofork_kernel_children(1) : 0;

	if (r < 0) {
		error_errno(&err, r, SPAWN_ORIGIN_HOST, STEP_NOFORK, "PR_SET_NOFORK");
		host_tell_failed(r, &err);
		return 1;
	}
	h->brood.warm = true;
	h->brood.note = h->note;
	r = tell_warmed(h);
	if (r == 0)
		r = poller_add(&h->poller, &h->keeper, HOST_KEEPER_FD, EPOLLIN);
	if (r == 0)
		r = run(h);
	if (r < 0) /* into the tail that the keeper keeps of this output */
		dprintf(STDERR_FILENO,
			"spawn-host: template \"%s\": %s (did it close descriptors that are not its own, "
			"3 to 6?)\n",
			h->warm->name, strerrordesc_np(-r));
	return r < 0;
}
