/* SPDX-License-Identifier: MIT */
/*
 * message.h - one datagram: a header and bounded type-length-value records.
 *
 *	header	u32 length of the whole, u16 message number, u16 zero, u32 id
 *	record	u16 record number (bit 15: may be ignored when unknown), u16 zero, u32 length, bytes
 *
 * All little-endian, nothing padded. message_decode() checks everything that the table in
 * messages.def says before any field can be read; the readers that follow cannot fail on a record
 * that the table requires. Nothing here allocates, logs or locks: a leaf may use all of it.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "libspawn-error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION	 1
#define WIRE_INLINE_MAX	 65536	 /* the largest datagram */
#define WIRE_SEALED_MAX	 2162688 /* the largest sealed body: 2 MiB of argv + env, and the rest */
#define WIRE_FDS_MAX	 244	 /* below the kernel's SCM_MAX_FD of 253 */
#define WIRE_USER_FDS	 240
#define WIRE_OFFER_MAX	 64 /* leaves in one OFFER */
#define WIRE_REAP_MAX	 24 /* leaves in one REAP */
#define WIRE_HEADER_SIZE 12
#define WIRE_RECORD_SIZE 8
#define WIRE_OPTIONAL	 0x8000u
#define WIRE_TOKEN_SIZE	 16

/* FLAGS of SPAWN, STARTED and LAUNCH */
#define FLAG_KILL_WITH_CALLER (1u << 0)
#define FLAG_POOL_HIT	      (1u << 1) /* STARTED: a parked leaf was waiting */
#define FLAG_PROGRAM	      (1u << 2) /* SPAWN: the body names a program to become */
#define FLAG_SPAWN_KNOWN      (FLAG_KILL_WITH_CALLER | FLAG_PROGRAM)
/* FLAGS of BODY */
#define FLAG_CWD	(1u << 0) /* the first passed fd is the working directory */
#define FLAG_EXECUTE_FD (1u << 1) /* the next one is the program to become */
#define FLAG_CGROUP_FD	(1u << 2) /* and the next one the directory of a control group */
#define FLAG_BODY_KNOWN (FLAG_CWD | FLAG_EXECUTE_FD | FLAG_CGROUP_FD)
/* FLAGS of STOP */
#define FLAG_EXECUTED	 (1u << 0) /* READY: not from where the template is, but by exec */

#define FLAG_STOP_LEAVES (1u << 0) /* TERM to running leaves, KILL after the grace */

enum peer { PEER_CLIENT, PEER_BROKER, PEER_KEEPER, PEER_HOST, PEER_LEAF };

/* States of a receiver; which one is meant follows from who it is. */
#define STATE_NEW      (1u << 0) /* a connection before HELLO */
#define STATE_OPEN     (1u << 1)
#define STATE_PARKED   (1u << 2)
#define STATE_LAUNCHED (1u << 3)
#define STATE_WARMING  (1u << 4)
#define STATE_WARM     (1u << 5)
#define STATE_STOPPING (1u << 6)
#define STATE_ANY      (~0u)

/* STATE of LEAF and STATUS_LEAF */
enum leaf_state { LEAF_PARKED = 1, LEAF_LAUNCHED = 2, LEAF_OVER = 3 };
/* STATE of LISTED, HOST_UP and STATUS_TEMPLATE */
enum template_state {
	TEMPLATE_COLD = 1,
	TEMPLATE_WARMING = 2,
	TEMPLATE_WARM = 3,
	TEMPLATE_DOWN = 4,
	TEMPLATE_RETIRING = 5
};

/* What a SETTING of BODY is of: an attribute of one number. Never reused; each comes once. */
enum setting {
	SETTING_SESSION = 1,	   /* 1: it leads one */
	SETTING_GROUP = 2,	   /* the process group to join, or 0: it leads one */
	SETTING_NICE = 3,	   /* signed */
	SETTING_OOM_SCORE_ADJ = 4, /* signed */
	SETTING_TIMER_SLACK = 5,   /* ns */
	SETTING_NO_NEW_PRIVS = 6,  /* 1 */
	SETTING_DEATH_SIGNAL = 7,  /* what it gets when its parent, the caller, ends */
	SETTING_CAPABILITIES = 8,  /* bit n: it may keep capability n */
	SETTING_END
};

/* What an ACTION of BODY is; with OPEN in the order of the records, once what is passed is in its
 * place. */
enum fd_action {
	ACTION_DUP = 1,	       /* the first becomes the second too */
	ACTION_CLOSE = 2,      /* the first is closed */
	ACTION_CLOSE_FROM = 3, /* and all above */
};

enum message_type {
#define MESSAGE(name, number, ...) MSG_##name = number,
#include "wire/messages.def"
};

enum record_type {
#define RECORD(name, number, kind, min, max) REC_##name = number,
#include "wire/messages.def"
};

/* A decoded datagram: a view of the bytes, which must outlive it. */
struct message {
	uint16_t type; /* enum message_type */
	uint32_t id;   /* of the request that it belongs to; 0 for none */
	const uint8_t *records;
	size_t records_len;
	uint64_t present; /* set of record numbers */
};

struct record {
	uint16_t type;
	const uint8_t *data;
	uint32_t len;
};

/*
 * Checks one datagram that `from` sent to `to`, which is in `state` (a STATE_ bit), with n_fds
 * descriptors. 0, or -EPROTO, -EMSGSIZE or -EBADMSG with err filled (err may be NULL: nothing is
 * formatted then).
 */
int message_decode(const void *data, size_t len, enum peer from, enum peer to, uint32_t state,
		   size_t n_fds, struct message *ret, struct spawn_error *err);

static inline bool message_has(const struct message *m, enum record_type type)
{
	return m->present & (1ull << type);
}
/* The record's value; 0 or fallback where it is absent. */
uint32_t message_u32(const struct message *m, enum record_type type);
uint64_t message_u64(const struct message *m, enum record_type type);
uint32_t message_u32_or(const struct message *m, enum record_type type, uint32_t fallback);
/* Bytes in place; NULL and 0 where absent. A STRING is not terminated. */
const uint8_t *message_bytes(const struct message *m, enum record_type type, size_t *ret_len);
/* Copies a STRING and ends it with NUL; cut to size. An absent one is "". Returns buf. */
const char *message_string(const struct message *m, enum record_type type, char *buf, size_t size);
/* Steps through records in order; start with *cursor = 0. False at the end. */
bool message_next(const struct message *m, size_t *cursor, struct record *ret);
#define message_for_each(m, cursor, record) \
	for (size_t cursor = 0; message_next((m), &cursor, (record));)

/* Encoding into the caller's memory: the first error is latched and told by frame_finish(). */
struct frame {
	uint8_t *data;
	size_t size, len;
	int error;
};

/* size: of data; at least WIRE_HEADER_SIZE. */
void frame_begin(struct frame *f, void *data, size_t size, enum message_type type, uint32_t id);
void frame_u32(struct frame *f, enum record_type type, uint32_t value);
void frame_u64(struct frame *f, enum record_type type, uint64_t value);
void frame_bytes(struct frame *f, enum record_type type, const void *bytes, size_t len);
void frame_string(struct frame *f, enum record_type type, const char *string);
/* A string cut to what the record may hold; for texts made elsewhere. */
void frame_text(struct frame *f, enum record_type type, const char *text);
/* Room for len bytes of a record, to be filled by the caller; NULL when latched. */
uint8_t *frame_space(struct frame *f, enum record_type type, size_t len);
/* The length of the datagram, or -EMSGSIZE. */
int frame_finish(struct frame *f);

void put_u32(uint8_t *p, uint32_t v);
void put_u64(uint8_t *p, uint64_t v);
uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

/* Names for people; "unknown" for other numbers. Static. */
const char *message_name(unsigned type);
const char *record_name(unsigned type);

#endif
