/* SPDX-License-Identifier: MIT */
#include "connector.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Some 160,000 events; memory is taken as they come. */
#define BUFFER_SIZE    (64 << 20)
#define ACK_TIMEOUT_MS 2000
/* Of the kernel's own threads, in the initial namespaces: one of these is where this process is. */
#define INITIAL_USER_NS "user:[4026531837]"
#define INITIAL_PID_NS	"pid:[4026531836]"

/* A message is a netlink header, a connector's, and what it says; behind the first it is not
 * aligned. */
#define HEADERS_SIZE (NLMSG_HDRLEN + sizeof(struct cn_msg))

struct message {
	uint32_t number, ack;
	struct proc_event event;
};

static int complain(int code, const char *why)
{
	fprintf(stderr, "spawn-census: no process events: %s\n", why);
	return code;
}

static int complain_of_open(int code)
{
	if (code == -EPROTONOSUPPORT || code == -EAFNOSUPPORT || code == -ESOCKTNOSUPPORT)
		return complain(code, "this kernel has no connector: it needs one built with "
				      "CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y");
	if (code == -EPERM || code == -EACCES)
		return complain(code, "the kernel tells them to privileged processes alone: run "
				      "this as root, or with CAP_NET_ADMIN");
	return complain(code, strerror(-code));
}

static int complain_of_request(int code)
{
	if (code == -ECONNREFUSED)
		return complain(code, "nobody answers in this network namespace: run this in the "
				      "machine's own, outside of a container; or the kernel has no "
				      "CONFIG_PROC_EVENTS");
	return complain_of_open(code);
}

static bool in_namespace(const char *link, const char *initial)
{
	char name[64];
	ssize_t n = readlink(link, name, sizeof(name) - 1);

	if (n < 0)
		return true;
	name[n] = '\0';
	return strcmp(name, initial) == 0;
}

static int complain_of_silence(void)
{
	if (!in_namespace("/proc/self/ns/user", INITIAL_USER_NS) ||
	    !in_namespace("/proc/self/ns/pid", INITIAL_PID_NS))
		return complain(-EPERM, "the kernel tells them in the machine's own pid and user "
					"namespaces alone: run this outside of the container");
	return complain(-ENOSYS, "the kernel does not answer: it needs to be built with "
				 "CONFIG_PROC_EVENTS=y");
}

/* The answer has this number + 1, and goes to all that listen, as does that to others. */
static int subscribe(int fd, uint32_t number)
{
	const enum proc_cn_mcast_op op = PROC_CN_MCAST_LISTEN;
	char request[HEADERS_SIZE + sizeof(op)];
	const struct nlmsghdr netlink = {.nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE};
	const struct cn_msg connector = {
		.id = {CN_IDX_PROC, CN_VAL_PROC},
		.ack = number,
		.len = sizeof(op),
	};

	memcpy(request, &netlink, sizeof(netlink));
	memcpy(request + NLMSG_HDRLEN, &connector, sizeof(connector));
	memcpy(request + HEADERS_SIZE, &op, sizeof(op));
	return send(fd, request, sizeof(request), 0) < 0 ? -errno : 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* One datagram: 1 and its event; 0 for something else; -EAGAIN, -ENOBUFS, ... */
static int receive(int fd, struct message *ret)
{
	char buffer[HEADERS_SIZE + sizeof(ret->event)];
	struct sockaddr_nl from;
	struct nlmsghdr netlink;
	struct cn_msg connector;
	struct iovec data = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	/* From the kernel; of one that is newer than this the end may be cut off. */
	if (from.nl_pid != 0 || (size_t)n < sizeof(buffer))
		return 0;
	memcpy(&netlink, buffer, sizeof(netlink));
	memcpy(&connector, buffer + NLMSG_HDRLEN, sizeof(connector));
	memcpy(&ret->event, buffer + HEADERS_SIZE, sizeof(ret->event));
	ret->number = connector.seq;
	ret->ack = connector.ack;
	return netlink.nlmsg_type == NLMSG_DONE && connector.id.idx == CN_IDX_PROC &&
	       connector.id.val == CN_VAL_PROC;
}

static int note_number(struct connector *c, const struct message *m)
{
	int64_t lost = sequence_note(&c->sequence, m->event.cpu, m->number);

	if (lost < 0)
		return (int)lost;
	c->lost += (uint64_t)lost;
	return 0;
}

/* The answer to the request. Events before it are from before the beginning; where nobody answers
 * there may be many, if others listen. */
static int await_ack(struct connector *c, uint32_t number)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	uint64_t end = now_ms() + ACK_TIMEOUT_MS, at;
	struct message m;
	int r;

	while ((at = now_ms()) < end) {
		r = receive(c->fd, &m);
		if (r == -EAGAIN) {
			if (poll(&p, 1, (int)(end - at)) < 0 && errno != EINTR)
				return -errno;
			continue;
		}
		if (r < 0 && r != -EINTR && r != -ENOBUFS)
			return r;
		if (r <= 0)
			continue;
		r = note_number(c, &m);
		if (r < 0)
			return r;
		if (m.event.what == PROC_EVENT_NONE && m.ack == number + 1)
			return -(int)m.event.event_data.ack.err;
	}
	return -ETIMEDOUT;
}

static int open_socket(struct connector *c)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
	int size = BUFFER_SIZE;

	c->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
	if (c->fd < 0)
		return -errno;
	/* What is left is the system's limit, which does without privileges. */
	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return -errno;
	return bind(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int connector_open(struct connector *c)
{
	uint32_t number;
	int r;

	*c = (struct connector){.fd = -1};
	r = open_socket(c);
	if (r < 0)
		return complain_of_open(r);
	if (getentropy(&number, sizeof(number)) < 0)
		return complain(-errno, strerror(errno));
	r = subscribe(c->fd, number);
	if (r < 0)
		return complain_of_request(r);
	r = await_ack(c, number);
	if (r == -ETIMEDOUT)
		return complain_of_silence();
	return r < 0 ? complain_of_request(r) : 0;
}

static bool translate(const struct proc_event *from, struct event *to)
{
	*to = (struct event){.time = from->timestamp_ns};
	switch ((unsigned)from->what) {
	case PROC_EVENT_FORK:
		to->kind = EVENT_FORK;
		to->pid = from->event_data.fork.child_pid;
		to->tgid = from->event_data.fork.child_tgid;
		to->parent_pid = from->event_data.fork.parent_pid;
		to->parent_tgid = from->event_data.fork.parent_tgid;
		return true;
	case PROC_EVENT_EXEC:
		to->kind = EVENT_EXEC;
		to->pid = from->event_data.exec.process_pid;
		to->tgid = from->event_data.exec.process_tgid;
		return true;
	case PROC_EVENT_COMM:
		to->kind = EVENT_NAME;
		to->pid = from->event_data.comm.process_pid;
		to->tgid = from->event_data.comm.process_tgid;
		memcpy(to->name, from->event_data.comm.comm, sizeof(to->name));
		to->name[sizeof(to->name) - 1] = '\0';
		return true;
	case PROC_EVENT_EXIT:
		to->kind = EVENT_EXIT;
		to->pid = from->event_data.exit.process_pid;
		to->tgid = from->event_data.exit.process_tgid;
		return true;
	default:
		return false;
	}
}

int connector_next(struct connector *c, struct event *ret)
{
	struct message m;
	int r;

	for (;;) {
		r = receive(c->fd, &m);
		if (r == -EAGAIN)
			return 0;
		if (r == -EINTR || r == 0)
			continue;
		if (r == -ENOBUFS) { /* said once; the numbers say how many */
			c->overruns++;
			continue;
		}
		if (r < 0)
			return r;
		r = note_number(c, &m);
		if (r < 0)
			return r;
		if (translate(&m.event, ret))
			return 1;
	}
}

void connector_close(struct connector *c)
{
	if (c->fd >= 0)
		close(c->fd);
	sequence_done(&c->sequence);
	*c = (struct connector){.fd = -1};
}
