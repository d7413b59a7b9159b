/* SPDX-License-Identifier: MIT */
/*
 * raw.h - a client that speaks the protocol by hand, to do what the library never does.
 */
#ifndef TEST_RAW_H
#define TEST_RAW_H

#include "server.h"

#include "wire/channel.h"
#include "wire/message.h"

/* What came of a receive. */
struct raw_reply {
	bool closed; /* end of file, or reset */
	bool timed_out;
	struct message message;
	struct fds fds;
	struct sender sender;
	uint8_t data[WIRE_INLINE_MAX];
};

/* A connected socket before HELLO; a negative errno. */
int raw_connect(const struct server *s);
/* After WELCOME; asserts. */
int raw_open(const struct server *s);
int raw_send_hello(int fd, uint32_t id);
/* SPAWN of "probe"; body_end is borrowed. */
int raw_send_spawn(int fd, uint32_t id, const char *template_name, uint32_t flags, int body_end);
/* Gives up the record of a child. */
int raw_send_release(int fd, uint64_t serial);
/* BODY with these arguments (NULL-terminated), no descriptors. */
int raw_send_body(int fd, const char *const *args);
/* The next message of the server's, decoded as by a client in the OPEN state (NEW before WELCOME),
 * or the end, or nothing within timeout_ms. */
void raw_receive(int fd, struct raw_reply *ret, int timeout_ms);
/* Asserts that the next message is of that type. */
void raw_expect(int fd, struct raw_reply *ret, enum message_type type);
/* Asserts that an ERROR with that code, origin wire, or the end comes within a second's bound. */
bool raw_is_refused(int fd);

#endif
