/* SPDX-License-Identifier: MIT */
/*
 * body.h - the socket between caller and leaf: the request goes down before the server is asked,
 * and the leaf says on it whether it became what was asked for.
 */
#ifndef LIBSPAWN_BODY_H
#define LIBSPAWN_BODY_H

#include "identity.h"
#include "request.h"
#include "wire/message.h"

struct body {
	int fd;				/* the caller's end; -1 when nothing more will come */
	bool ready, failed, over;	/* READY came, FAILED came, end of file was seen */
	uint8_t token[WIRE_TOKEN_SIZE]; /* of READY */
	uint64_t launched, prepared;	/* TIMES of READY */
	bool executed;
	uint32_t step, code, index; /* of FAILED; code is a positive errno */
	pid_t pid;		    /* of a child of this process; 0: the server's, or not said */
	bool has_index;
};

/*
 * Makes the pair and queues the request in it. The leaf's end is for the server. ret_as, if not
 * NULL, is who asks.
 */
int body_open(struct body *body, const struct spawn_request *request, struct identity *ret_as,
	      int *ret_leaf_fd, struct spawn_error *err);
void body_close(struct body *body);

/* Reads what is there, never blocks. */
void body_drain(struct body *body);
/*
 * Waits for the end of file, which comes right behind READY and FAILED and is all that need wake
 * us, and reads what is there. For no longer than that: see below.
 */
void body_await_end(struct body *body, int timeout_ms);
/*
 * Waits and reads until it is decided, or the deadline (0: none). pidfd, if not -1, is the leaf's:
 * it also decides, since a process that the caller forked meanwhile may hold the leaf's end open.
 */
int body_wait(struct body *body, int pidfd, uint64_t deadline);

/* What FAILED said, in words; request may be NULL. */
int body_error(const struct body *body, const struct spawn_request *request,
	       struct spawn_error *err);

#endif
