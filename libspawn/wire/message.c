/* SPDX-License-Identifier: MIT */
#include "wire/message.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>

enum record_kind { KIND_U32, KIND_U64, KIND_BYTES, KIND_STRING, KIND_STRINGS };

struct record_rule {
	const char *name;
	enum record_kind kind;
	uint32_t min, max;
};

struct message_rule {
	const char *name;
	enum peer sender, receiver;
	uint32_t states;
	uint8_t min_fds, max_fds;
	uint64_t required, optional, repeated;
};

static const struct record_rule record_rules[] = {
#define RECORD(name, number, kind, min, max) [number] = {#name, KIND_##kind, min, max},
#include "wire/messages.def"
};
#define N_RECORDS (sizeof(record_rules) / sizeof(record_rules[0]))
_Static_assert(N_RECORDS <= 64, "sets of records are 64 bits wide");

#define S(state)  STATE_##state
#define R(record) (1ull << REC_##record)
static const struct message_rule message_rules[] = {
#define MESSAGE(name, number, sender, receiver, states, min_fds, max_fds, required, optional, \
		repeated)                                                                     \
	[number] = {#name,   PEER_##sender, PEER_##receiver, states,  min_fds,                \
		    max_fds, required,	    optional,	     repeated},
#include "wire/messages.def"
};
#undef S
#undef R
#define N_MESSAGES (sizeof(message_rules) / sizeof(message_rules[0]))

void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

const char *message_name(unsigned type)
{
	return type < N_MESSAGES && message_rules[type].name ? message_rules[type].name : "unknown";
}

const char *record_name(unsigned type)
{
	return type < N_RECORDS && record_rules[type].name ? record_rules[type].name : "unknown";
}

#define BAD(code, ...) error_set(err, code, SPAWN_ORIGIN_WIRE, STEP_DECODE, __VA_ARGS__)

static int check_record(const struct message_rule *rule, const struct record *r, uint64_t present,
			struct spawn_error *err)
{
	const struct record_rule *rr = &record_rules[r->type];
	uint64_t bit = 1ull << r->type;

	if (!((rule->required | rule->optional | rule->repeated) & bit))
		return BAD(-EPROTO, "%s has no record %s", rule->name, rr->name);
	if ((present & bit) && !(rule->repeated & bit))
		return BAD(-EPROTO, "%s has record %s twice", rule->name, rr->name);
	if (r->len < rr->min || r->len > rr->max)
		return BAD(-EBADMSG, "record %s of %s is %u bytes, not %u to %u", rr->name,
			   rule->name, r->len, rr->min, rr->max);
	if (rr->kind == KIND_STRING && memchr(r->data, 0, r->len))
		return BAD(-EBADMSG, "record %s of %s has a NUL in it", rr->name, rule->name);
	if (rr->kind == KIND_STRINGS && r->len > 0 && r->data[r->len - 1] != 0)
		return BAD(-EBADMSG, "record %s of %s does not end with NUL", rr->name, rule->name);
	return 0;
}

static int check_records(const struct message_rule *rule, struct message *m,
			 struct spawn_error *err)
{
	const uint8_t *p = m->records;
	size_t left = m->records_len;

	while (left > 0) {
		struct record r;
		uint16_t number;
		int rc;

		if (left < WIRE_RECORD_SIZE)
			return BAD(-EBADMSG, "%s ends inside a record", rule->name);
		number = get_u16(p);
		r.type = number & (uint16_t)~WIRE_OPTIONAL;
		r.len = get_u32(p + 4);
		r.data = p + WIRE_RECORD_SIZE;
		if (get_u16(p + 2) != 0)
			return BAD(-EBADMSG, "%s has a record with reserved bits set", rule->name);
		if (r.len > left - WIRE_RECORD_SIZE)
			return BAD(-EBADMSG, "%s has a record longer than itself", rule->name);
		if (r.type < N_RECORDS && record_rules[r.type].name) {
			rc = check_record(rule, &r, m->present, err);
			if (rc < 0)
				return rc;
			m->present |= 1ull << r.type;
		} else if (!(number & WIRE_OPTIONAL)) {
			return BAD(-EPROTO, "%s has an unknown mandatory record %u", rule->name,
				   r.type);
		}
		p += WIRE_RECORD_SIZE + r.len;
		left -= WIRE_RECORD_SIZE + r.len;
	}
	if ((m->present & rule->required) != rule->required) {
		uint64_t missing = rule->required & ~m->present;

		return BAD(-EPROTO, "%s lacks record %s", rule->name,
			   record_name((unsigned)__builtin_ctzll(missing)));
	}
	return 0;
}

int message_decode(const void *data, size_t len, enum peer from, enum peer to, uint32_t state,
		   size_t n_fds, struct message *ret, struct spawn_error *err)
{
	const struct message_rule *rule;
	const uint8_t *p = data;
	struct message m;
	int r;

	if (len < WIRE_HEADER_SIZE)
		return BAD(-EBADMSG, "a message of %zu bytes is shorter than its header", len);
	if (get_u32(p) != len)
		return BAD(-EMSGSIZE, "a message says %u bytes and has %zu", get_u32(p), len);
	m = (struct message){
		.type = get_u16(p + 4),
		.id = get_u32(p + 8),
		.records = p + WIRE_HEADER_SIZE,
		.records_len = len - WIRE_HEADER_SIZE,
	};
	if (get_u16(p + 6) != 0)
		return BAD(-EBADMSG, "a message has reserved bits set");
	if (m.type >= N_MESSAGES || !message_rules[m.type].name)
		return BAD(-EPROTO, "unknown message %u", m.type);
	rule = &message_rules[m.type];
	if (rule->sender != from || rule->receiver != to)
		return BAD(-EPROTO, "%s is not for this peer to send", rule->name);
	if (!(rule->states & state))
		return BAD(-EPROTO, "%s is not legal in this state", rule->name);
	if (n_fds < rule->min_fds || n_fds > rule->max_fds)
		return BAD(-EPROTO, "%s came with %zu descriptors, not %u to %u", rule->name, n_fds,
			   rule->min_fds, rule->max_fds);
	r = check_records(rule, &m, err);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

bool message_next(const struct message *m, size_t *cursor, struct record *ret)
{
	while (m->records_len - *cursor >= WIRE_RECORD_SIZE) {
		const uint8_t *p = m->records + *cursor;
		uint16_t number = get_u16(p) & (uint16_t)~WIRE_OPTIONAL;

		*ret = (struct record){number, p + WIRE_RECORD_SIZE, get_u32(p + 4)};
		*cursor += WIRE_RECORD_SIZE + ret->len;
		if (number < N_RECORDS && record_rules[number].name)
			return true;
	}
	return false;
}

static bool find(const struct message *m, enum record_type type, struct record *ret)
{
	if (!message_has(m, type))
		return false;
	message_for_each (m, cursor, ret) {
		if (ret->type == type)
			return true;
	}
	return false;
}

uint32_t message_u32_or(const struct message *m, enum record_type type, uint32_t fallback)
{
	struct record r;

	return find(m, type, &r) && r.len == 4 ? get_u32(r.data) : fallback;
}

uint32_t message_u32(const struct message *m, enum record_type type)
{
	return message_u32_or(m, type, 0);
}

uint64_t message_u64(const struct message *m, enum record_type type)
{
	struct record r;

	return find(m, type, &r) && r.len == 8 ? get_u64(r.data) : 0;
}

const uint8_t *message_bytes(const struct message *m, enum record_type type, size_t *ret_len)
{
	struct record r;

	if (!find(m, type, &r)) {
		*ret_len = 0;
		return NULL;
	}
	*ret_len = r.len;
	return r.data;
}

const char *message_string(const struct message *m, enum record_type type, char *buf, size_t size)
{
	size_t len;
	const uint8_t *p = message_bytes(m, type, &len);

	if (len > size - 1)
		len = size - 1;
	if (len > 0)
		memcpy(buf, p, len);
	buf[len] = '\0';
	return buf;
}

void frame_begin(struct frame *f, void *data, size_t size, enum message_type type, uint32_t id)
{
	*f = (struct frame){.data = data, .size = size, .len = WIRE_HEADER_SIZE};
	memset(f->data, 0, WIRE_HEADER_SIZE);
	f->data[4] = (uint8_t)type;
	put_u32(f->data + 8, id);
}

uint8_t *frame_space(struct frame *f, enum record_type type, size_t len)
{
	uint8_t *p;

	if (f->error)
		return NULL;
	if (f->size - f->len < WIRE_RECORD_SIZE || f->size - f->len - WIRE_RECORD_SIZE < len) {
		f->error = -EMSGSIZE;
		return NULL;
	}
	p = f->data + f->len;
	put_u32(p, type); /* the upper half is the reserved zero */
	put_u32(p + 4, (uint32_t)len);
	f->len += WIRE_RECORD_SIZE + len;
	return p + WIRE_RECORD_SIZE;
}

void frame_bytes(struct frame *f, enum record_type type, const void *bytes, size_t len)
{
	uint8_t *p = frame_space(f, type, len);

	if (p && len > 0)
		memcpy(p, bytes, len);
}

void frame_u32(struct frame *f, enum record_type type, uint32_t value)
{
	uint8_t *p = frame_space(f, type, 4);

	if (p)
		put_u32(p, value);
}

void frame_u64(struct frame *f, enum record_type type, uint64_t value)
{
	uint8_t *p = frame_space(f, type, 8);

	if (p)
		put_u64(p, value);
}

void frame_string(struct frame *f, enum record_type type, const char *string)
{
	frame_bytes(f, type, string, strlen(string));
}

void frame_text(struct frame *f, enum record_type type, const char *text)
{
	frame_bytes(f, type, text, strnlen(text, record_rules[type].max));
}

int frame_finish(struct frame *f)
{
	if (f->error)
		return f->error;
	put_u32(f->data, (uint32_t)f->len);
	return (int)f->len;
}
