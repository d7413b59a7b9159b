/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int raw_connect(const struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

int raw_send_hello(int fd, uint32_t id)
{
	uint8_t data[256];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_HELLO, id);
	frame_u32(&f, REC_VERSION_MIN, WIRE_VERSION);
	frame_u32(&f, REC_VERSION_MAX, WIRE_VERSION);
	frame_string(&f, REC_PROGRAM, "raw");
	return channel_send_frame(fd, &f, NULL, 0, 0);
}

int raw_open(const struct server *s)
{
	struct raw_reply reply;
	int fd = raw_connect(s);

	cr_assert_geq(fd, 0, "connect: %s", strerror(-fd));
	cr_assert_eq(raw_send_hello(fd, 1), 0);
	raw_expect(fd, &reply, MSG_WELCOME);
	return fd;
}

int raw_send_spawn(int fd, uint32_t id, const char *template_name, uint32_t flags, int body_end)
{
	uint8_t data[256];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_SPAWN, id);
	frame_string(&f, REC_TEMPLATE, template_name);
	frame_u32(&f, REC_FLAGS, flags);
	return channel_send_frame(fd, &f, &body_end, 1, 0);
}

int raw_send_release(int fd, uint64_t serial)
{
	uint8_t data[64];
	struct frame f;

	frame_begin(&f, data, sizeof(data), MSG_RELEASE, 0);
	frame_u64(&f, REC_SERIAL, serial);
	return channel_send_frame(fd, &f, NULL, 0, 0);
}

int raw_send_body(int fd, const char *const *args)
{
	uint8_t data[4096], strings[2048];
	struct frame f;
	size_t len = 0;

	for (; *args; args++) {
		size_t n = strlen(*args) + 1;

		cr_assert_leq(n, sizeof(strings) - len);
		memcpy(strings + len, *args, n);
		len += n;
	}
	frame_begin(&f, data, sizeof(data), MSG_BODY, 0);
	frame_bytes(&f, REC_ARGV, strings, len);
	frame_bytes(&f, REC_ENV, "", 0);
	frame_u32(&f, REC_FLAGS, 0);
	return channel_send_frame(fd, &f, NULL, 0, 0);
}

void raw_receive(int fd, struct raw_reply *ret, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct spawn_error err = {0};
	ssize_t n;

	ret->closed = ret->timed_out = false;
	ret->message = (struct message){0};
	ret->fds.n = 0;
	if (poll(&p, 1, timeout_ms) <= 0) {
		ret->timed_out = true;
		return;
	}
	n = channel_receive(fd, ret->data, sizeof(ret->data), &ret->fds, &ret->sender,
			    MSG_DONTWAIT);
	if (n == -ECONNRESET) /* what it sent before may still be there */
		n = channel_receive(fd, ret->data, sizeof(ret->data), &ret->fds, &ret->sender,
				    MSG_DONTWAIT);
	if (n <= 0) {
		ret->closed = true;
		return;
	}
	cr_assert_eq(message_decode(ret->data, (size_t)n, PEER_BROKER, PEER_CLIENT,
				    STATE_NEW | STATE_OPEN, ret->fds.n, &ret->message, &err),
		     0, "the server broke the protocol: %s", err.message);
}

void raw_expect(int fd, struct raw_reply *ret, enum message_type type)
{
	raw_receive(fd, ret, PATIENCE_MS);
	cr_assert(!ret->closed && !ret->timed_out, "%s instead of %s",
		  ret->closed ? "closed" : "nothing", message_name(type));
	if (ret->message.type == MSG_ERROR && type != MSG_ERROR) {
		char text[1025];

		cr_assert_fail("ERROR %u instead of %s: %s", message_u32(&ret->message, REC_CODE),
			       message_name(type),
			       message_string(&ret->message, REC_TEXT, text, sizeof(text)));
	}
	cr_assert_eq(ret->message.type, type, "%s instead of %s", message_name(ret->message.type),
		     message_name(type));
}

bool raw_is_refused(int fd)
{
	struct raw_reply reply;

	raw_receive(fd, &reply, 1000);
	fds_close(&reply.fds);
	return reply.closed || (!reply.timed_out && reply.message.type == MSG_ERROR);
}
