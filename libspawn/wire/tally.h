/* SPDX-License-Identifier: MIT */
/*
 * tally.h - which records a client releases, in a page that it shares with the broker.
 *
 * A RELEASE wakes the broker, and nobody waits for what it does then. So the client writes the
 * serial here instead, and the broker reads it with the connection's next message, or when it looks
 * by itself: it says when it will (watched), which is for a moment after each EXIT. Only what is
 * written later is worth a message. A serial is done for good (done) once the host was told: what
 * a broker that died has not got that far is released again on the next connection.
 *
 * The client makes the memory and hands it over with HELLO, its size sealed: no access reaches beyond it.
 * Neither side believes the other: counts and serials are read once and checked like a message's.
 */
#ifndef WIRE_TALLY_H
#define WIRE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define TALLY_SIZE    4096
#define TALLY_SERIALS 256

struct tally {
	uint32_t watched; /* of the broker: it will look here without being told */
	uint32_t done;	  /* of the broker: so many are */
	uint32_t written; /* of the client: so many are here, the last TALLY_SERIALS of them */
	uint32_t zero;
	uint64_t serial[TALLY_SERIALS];
};

/* The client's: not there in a child that it forks. *ret_fd is for the broker. */
int tally_create(struct tally **ret, int *ret_fd);
/* The broker's; -EPERM or -EINVAL for what is no such memory. fd is borrowed. */
int tally_map(int fd, struct tally **ret);
void tally_unmap(struct tally **t);

enum tally_put {
	TALLY_FULL,    /* or not watched: not written, send a RELEASE */
	TALLY_MISSED,  /* written, and perhaps not seen: send one too */
	TALLY_WRITTEN, /* the broker will find it */
};

/* *written counts for the client, who does not read back what the broker could have changed. */
enum tally_put tally_put(struct tally *t, uint32_t *written, uint64_t serial);
/* How many of those written are done for good. */
uint32_t tally_done(const struct tally *t);

/*
 * For the broker: the next serial. *read counts for it. 1, 0 when there is none, or -EPROTO for
 * counts that cannot be.
 */
int tally_get(const struct tally *t, uint32_t *read, uint64_t *ret_serial);
/* After false is said: look once more, for what was written on the strength of true. */
void tally_set_watched(struct tally *t, bool watched);
void tally_set_done(struct tally *t, uint32_t read);

#endif
