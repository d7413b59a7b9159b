/* SPDX-License-Identifier: MIT */
/* The codec, each message and record of messages.def in turn: the table makes the cases. */
#include "wire/message.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_U32, KIND_U64, KIND_BYTES, KIND_STRING, KIND_STRINGS };

static const struct record_case {
	const char *name;
	uint16_t number;
	enum kind kind;
	size_t min, max;
} records[] = {
#define RECORD(name, number, kind, min, max) {#name, number, KIND_##kind, min, max},
#include "wire/messages.def"
};

#define S(state)  STATE_##state
#define R(record) (1ull << REC_##record)
static const struct message_case {
	const char *name;
	uint16_t number;
	enum peer sender, receiver;
	uint32_t states;
	size_t min_fds, max_fds;
	uint64_t required, optional, repeated;
} messages[] = {
#define MESSAGE(name, number, sender, receiver, states, min_fds, max_fds, required, optional, \
		repeated)                                                                     \
	{#name,	  number,  PEER_##sender, PEER_##receiver, states,                            \
	 min_fds, max_fds, required,	  optional,	   repeated},
#include "wire/messages.def"
};
#undef S
#undef R

#define N_RECORDS  (sizeof(records) / sizeof(records[0]))
#define N_MESSAGES (sizeof(messages) / sizeof(messages[0]))
#define for_each_message(m) \
	for (const struct message_case *m = messages; m < messages + N_MESSAGES; m++)
#define for_each_record(r) for (const struct record_case *r = records; r < records + N_RECORDS; r++)

#define ID		   0x89abcdefu

static bool in(uint64_t set, const struct record_case *r)
{
	return set >> r->number & 1;
}

static uint64_t all_of(const struct message_case *m)
{
	return m->required | m->optional | m->repeated;
}

/* A legal value: text for the kinds that are text, counting bytes for the others. */
static void add_record(struct frame *f, const struct record_case *r, size_t len)
{
	uint8_t *p = frame_space(f, r->number, len);

	cr_assert(p, "no room for %s", r->name);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)('a' + (i + r->number) % 26);
	if (r->kind == KIND_STRINGS && len > 0)
		p[len - 1] = 0;
}

static size_t usual_length(const struct record_case *r)
{
	size_t len = r->min < 24 ? 24 : r->min;

	return len > r->max ? r->max : len;
}

static uint8_t buffer[4u << 20];

/* A message with these records, those that may be repeated twice. */
static size_t compose(const struct message_case *m, uint64_t set)
{
	struct frame f;
	int len;

	frame_begin(&f, buffer, sizeof(buffer), m->number, ID);
	for_each_record(r)
	{
		if (!in(set, r))
			continue;
		add_record(&f, r, usual_length(r));
		if (in(m->repeated, r))
			add_record(&f, r, usual_length(r));
	}
	len = frame_finish(&f);
	cr_assert_gt(len, 0);
	return (size_t)len;
}

static uint32_t a_state(const struct message_case *m)
{
	return m->states & -m->states;
}

static int decode(const struct message_case *m, const void *data, size_t len, struct message *ret,
		  struct spawn_error *err)
{
	return message_decode(data, len, m->sender, m->receiver, a_state(m), m->min_fds, ret, err);
}

/* Decodes buffer[0, len) and expects this refusal, with words about it. */
static void refused(const struct message_case *m, size_t len, int code, const char *words)
{
	struct message decoded;
	struct spawn_error err;
	int r = decode(m, buffer, len, &decoded, &err);

	cr_assert_eq(r, code, "%s: %d, not %d", m->name, r, code);
	cr_assert_eq(err.code, code);
	cr_assert_eq(err.origin, SPAWN_ORIGIN_WIRE);
	cr_assert(strstr(err.message, words), "%s: \"%s\" lacks \"%s\"", m->name, err.message,
		  words);
	cr_assert_eq(decode(m, buffer, len, &decoded, NULL), code, "a NULL err changes the answer");
}

/* Reads all that there is to read: under ASan, nothing may lie outside of the datagram. */
static uint64_t read_everything(const struct message *m)
{
	char text[64];
	uint64_t sum = m->type + m->id;
	struct record r;

	message_for_each (m, cursor, &r) {
		sum += r.type;
		for (uint32_t i = 0; i < r.len; i++)
			sum += r.data[i];
	}
	for_each_record(rc)
	{
		size_t len;
		const uint8_t *p = message_bytes(m, rc->number, &len);

		sum += len > 0 ? p[len - 1] : 0;
		sum += message_u32(m, rc->number) + message_u64(m, rc->number);
		sum += strlen(message_string(m, rc->number, text, sizeof(text)));
	}
	return sum;
}

Test(codec, each_message_round_trips_with_all_its_records)
{
	for_each_message(m)
	{
		struct message decoded;
		struct spawn_error err;
		size_t len = compose(m, all_of(m)), cursor = 0;
		struct record got;

		cr_assert_eq(decode(m, buffer, len, &decoded, &err), 0, "%s: %s", m->name,
			     err.message);
		cr_assert_eq(decoded.type, m->number);
		cr_assert_eq(decoded.id, ID);
		cr_assert_eq(decoded.present, all_of(m));
		for_each_record(r)
		{
			int times = in(m->repeated, r) ? 2 : in(all_of(m), r);

			cr_assert_eq(message_has(&decoded, r->number), times > 0);
			while (times-- > 0) {
				cr_assert(message_next(&decoded, &cursor, &got));
				cr_assert_eq(got.type, r->number);
				cr_assert_eq(got.len, usual_length(r));
				cr_assert(got.len == 0 || got.data[0] == 'a' + r->number % 26 ||
					  r->kind == KIND_STRINGS);
			}
		}
		cr_assert_not(message_next(&decoded, &cursor, &got));
	}
}

Test(codec, each_message_is_complete_with_the_required_records_alone)
{
	for_each_message(m)
	{
		struct message decoded;

		cr_assert_eq(decode(m, buffer, compose(m, m->required), &decoded, NULL), 0, "%s",
			     m->name);
		cr_assert_eq(decoded.present, m->required);
	}
}

Test(codec, numbers_come_back_as_they_were_sent)
{
	struct message m;
	struct frame f;
	uint8_t token[WIRE_TOKEN_SIZE] = {1, 2, 3}, body[EXIT_RECORD_SIZE] = {7};
	size_t len;

	frame_begin(&f, buffer, sizeof(buffer), MSG_LEAF_EXIT, 0);
	frame_u64(&f, REC_SERIAL, 0xfedcba9876543210ull);
	frame_u32(&f, REC_PID, 0xdeadbeefu);
	frame_u64(&f, REC_OWNER, UINT64_MAX);
	frame_bytes(&f, REC_TOKEN, token, sizeof(token));
	frame_bytes(&f, REC_EXIT, body, sizeof(body));
	cr_assert_eq(message_decode(buffer, (size_t)frame_finish(&f), PEER_HOST, PEER_BROKER,
				    STATE_OPEN, 0, &m, NULL),
		     0);
	cr_assert_eq(message_u64(&m, REC_SERIAL), 0xfedcba9876543210ull);
	cr_assert_eq(message_u32(&m, REC_PID), 0xdeadbeefu);
	cr_assert_eq(message_u64(&m, REC_OWNER), UINT64_MAX);
	cr_assert_eq(memcmp(message_bytes(&m, REC_TOKEN, &len), token, sizeof(token)), 0);
	cr_assert_eq(len, sizeof(token));
	cr_assert_eq(message_u32(&m, REC_COUNT), 0, "an absent number is 0");
	cr_assert_eq(message_u32_or(&m, REC_COUNT, 9), 9, "or the fallback");
	cr_assert_null(message_bytes(&m, REC_TEXT, &len));
	cr_assert_eq(len, 0);
}

Test(codec, integers_are_little_endian)
{
	const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t out[8];

	cr_assert_eq(get_u16(bytes), 0x0201);
	cr_assert_eq(get_u32(bytes), 0x04030201u);
	cr_assert_eq(get_u64(bytes), 0x0807060504030201ull);
	put_u64(out, 0x0807060504030201ull);
	cr_assert_eq(memcmp(out, bytes, 8), 0);
	put_u32(out, 0x04030201u);
	cr_assert_eq(memcmp(out, bytes, 4), 0);
}

Test(codec, a_string_is_cut_to_the_buffer_and_terminated)
{
	struct message m;
	struct frame f;
	char small[4];

	frame_begin(&f, buffer, sizeof(buffer), MSG_SPAWN, 1);
	frame_string(&f, REC_TEMPLATE, "words");
	frame_u32(&f, REC_FLAGS, 0);
	cr_assert_eq(message_decode(buffer, (size_t)frame_finish(&f), PEER_CLIENT, PEER_BROKER,
				    STATE_OPEN, 1, &m, NULL),
		     0);
	cr_assert_str_eq(message_string(&m, REC_TEMPLATE, small, sizeof(small)), "wor");
	cr_assert_str_eq(message_string(&m, REC_TEXT, small, sizeof(small)), "");
}

Test(codec, a_text_too_long_for_its_record_is_cut_when_sent)
{
	struct message m;
	struct frame f;
	char text[2048];
	size_t len;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	frame_begin(&f, buffer, sizeof(buffer), MSG_ERROR, 1);
	frame_u32(&f, REC_CODE, 1);
	frame_u32(&f, REC_ORIGIN, 1);
	frame_u32(&f, REC_STEP, 1);
	frame_text(&f, REC_TEXT, text);
	cr_assert_eq(message_decode(buffer, (size_t)frame_finish(&f), PEER_BROKER, PEER_CLIENT,
				    STATE_OPEN, 0, &m, NULL),
		     0);
	message_bytes(&m, REC_TEXT, &len);
	cr_assert_eq(len, 1024);
}

Test(codec, a_frame_latches_the_first_record_that_does_not_fit)
{
	uint8_t small[WIRE_HEADER_SIZE + WIRE_RECORD_SIZE + 4], after[8] = {0};
	struct frame f;

	frame_begin(&f, small, sizeof(small), MSG_TAKE, 1);
	frame_u64(&f, REC_SERIAL, 1);
	cr_assert_eq(f.len, WIRE_HEADER_SIZE, "nothing was written");
	frame_bytes(&f, REC_TAIL, after, 0);
	frame_u32(&f, REC_COUNT, 1);
	cr_assert_eq(frame_finish(&f), -EMSGSIZE, "a record that fits does not unlatch it");
}

Test(codec, rejects_less_than_a_header)
{
	size_t len = compose(&messages[0], messages[0].required);

	for (size_t i = 0; i < WIRE_HEADER_SIZE && i < len; i++)
		refused(&messages[0], i, -EBADMSG, "shorter than its header");
}

Test(codec, rejects_a_length_that_is_not_the_datagrams)
{
	for_each_message(m)
	{
		size_t len = compose(m, m->required);
		static const int64_t off[] = {-1, 1, -4, 65536};

		for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
			put_u32(buffer, (uint32_t)((int64_t)len + off[i]));
			refused(m, len, -EMSGSIZE, "says");
		}
	}
}

Test(codec, rejects_reserved_bits_of_the_header)
{
	for (int bit = 0; bit < 16; bit++) {
		size_t len = compose(&messages[0], messages[0].required);

		buffer[6 + bit / 8] = (uint8_t)(1 << bit % 8);
		refused(&messages[0], len, -EBADMSG, "reserved bits");
	}
}

Test(codec, rejects_reserved_bits_of_a_record)
{
	for (int bit = 0; bit < 16; bit++) {
		size_t len = compose(&messages[0], messages[0].required);

		buffer[WIRE_HEADER_SIZE + 2 + bit / 8] = (uint8_t)(1 << bit % 8);
		refused(&messages[0], len, -EBADMSG, "reserved bits");
	}
}

Test(codec, rejects_every_number_that_is_no_message)
{
	size_t len = compose(&messages[0], messages[0].required);

	for (unsigned number = 0; number <= UINT16_MAX; number++) {
		struct message decoded;
		bool known = false;

		for_each_message(m) known = known || m->number == number;
		if (known)
			continue;
		buffer[4] = (uint8_t)number;
		buffer[5] = (uint8_t)(number >> 8);
		cr_assert_eq(decode(&messages[0], buffer, len, &decoded, NULL), -EPROTO, "%u",
			     number);
	}
}

Test(codec, rejects_every_other_sender_and_receiver)
{
	for_each_message(m)
	{
		size_t len = compose(m, m->required);

		for (int from = PEER_CLIENT; from <= PEER_LEAF; from++) {
			for (int to = PEER_CLIENT; to <= PEER_LEAF; to++) {
				struct message decoded;
				int r = message_decode(buffer, len, (enum peer)from, (enum peer)to,
						       a_state(m), m->min_fds, &decoded, NULL);
				bool right = from == (int)m->sender && to == (int)m->receiver;

				cr_assert_eq(r, right ? 0 : -EPROTO, "%s %d %d", m->name, from, to);
			}
		}
	}
}

Test(codec, rejects_a_message_in_every_state_but_its_own)
{
	for_each_message(m)
	{
		size_t len = compose(m, m->required);

		for (int bit = 0; bit < 7; bit++) {
			struct message decoded;
			int r = message_decode(buffer, len, m->sender, m->receiver, 1u << bit,
					       m->min_fds, &decoded, NULL);

			cr_assert_eq(r, m->states >> bit & 1 ? 0 : -EPROTO, "%s in state %d",
				     m->name, bit);
		}
	}
}

Test(codec, rejects_every_count_of_descriptors_out_of_bounds)
{
	for_each_message(m)
	{
		size_t len = compose(m, m->required);

		for (size_t n = 0; n <= 253; n++) {
			struct message decoded;
			int r = message_decode(buffer, len, m->sender, m->receiver, a_state(m), n,
					       &decoded, NULL);

			cr_assert_eq(r, n >= m->min_fds && n <= m->max_fds ? 0 : -EPROTO,
				     "%s with %zu", m->name, n);
		}
	}
}

Test(codec, rejects_a_message_that_ends_inside_a_records_head)
{
	for_each_message(m)
	{
		for (size_t extra = 1; extra < WIRE_RECORD_SIZE; extra++) {
			size_t len = compose(m, m->required);

			memset(buffer + len, 0, extra);
			put_u32(buffer, (uint32_t)(len + extra));
			refused(m, len + extra, -EBADMSG, "ends inside a record");
		}
	}
}

Test(codec, rejects_a_record_longer_than_its_message)
{
	for_each_message(m)
	{
		static const uint32_t over[] = {1, 8, 0x7fffffff, 0xfffffff0, UINT32_MAX};
		size_t len = compose(m, all_of(m));
		uint32_t first =
			len > WIRE_HEADER_SIZE ? get_u32(buffer + WIRE_HEADER_SIZE + 4) : 0;

		if (len == WIRE_HEADER_SIZE)
			continue;
		for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
			uint32_t rest = (uint32_t)len - WIRE_HEADER_SIZE - WIRE_RECORD_SIZE;
			uint32_t claim = over[i] > UINT32_MAX - rest ? over[i] : rest + over[i];

			put_u32(buffer + WIRE_HEADER_SIZE + 4, claim);
			refused(m, len, -EBADMSG, "longer than itself");
		}
		put_u32(buffer + WIRE_HEADER_SIZE + 4, first);
		cr_assert_eq(decode(m, buffer, len, &(struct message){0}, NULL), 0);
	}
}

/* Appends a record of 4 bytes with that number to a message with its required records. */
static size_t append_number(const struct message_case *m, uint16_t number)
{
	size_t len = compose(m, m->required);

	put_u32(buffer + len, number);
	put_u32(buffer + len + 4, 4);
	put_u32(buffer + len + 8, 0x61616161);
	put_u32(buffer, (uint32_t)(len + 12));
	return len + 12;
}

static bool is_record(unsigned number)
{
	for_each_record(r) if (r->number == number) return true;
	return false;
}

Test(codec, rejects_an_unknown_mandatory_record)
{
	for (unsigned number = 0; number < WIRE_OPTIONAL; number++)
		if (!is_record(number))
			refused(&messages[0], append_number(&messages[0], (uint16_t)number),
				-EPROTO, "unknown mandatory record");
}

Test(codec, skips_an_unknown_optional_record)
{
	for_each_message(m)
	{
		struct message decoded;
		struct record got;
		size_t len = append_number(m, WIRE_OPTIONAL | 0x7fff), cursor = 0;

		cr_assert_eq(decode(m, buffer, len, &decoded, NULL), 0, "%s", m->name);
		cr_assert_eq(decoded.present, m->required);
		while (message_next(&decoded, &cursor, &got))
			cr_assert_neq(got.type, 0x7fff, "an unknown record was handed out");
	}
}

Test(codec, rejects_every_record_of_other_messages)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			struct frame f = {buffer, sizeof(buffer), compose(m, m->required), 0};

			if (in(all_of(m), r))
				continue;
			add_record(&f, r, usual_length(r));
			refused(m, (size_t)frame_finish(&f), -EPROTO, "has no record");
		}
	}
}

Test(codec, rejects_duplicate_record)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			struct frame f = {buffer, sizeof(buffer), compose(m, all_of(m)), 0};

			if (!in(all_of(m) & ~m->repeated, r))
				continue;
			add_record(&f, r, usual_length(r));
			refused(m, (size_t)frame_finish(&f), -EPROTO, "twice");
		}
	}
}

Test(codec, rejects_each_missing_record)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			if (!in(m->required, r))
				continue;
			refused(m, compose(m, all_of(m) & ~(1ull << r->number)), -EPROTO,
				"lacks record");
		}
	}
}

/* The message with this record at this length. */
static size_t compose_sized(const struct message_case *m, const struct record_case *r, size_t len)
{
	struct frame f = {buffer, sizeof(buffer), compose(m, m->required & ~(1ull << r->number)),
			  0};

	add_record(&f, r, len);
	return (size_t)frame_finish(&f);
}

Test(codec, accepts_each_record_at_its_bounds_and_rejects_one_byte_beyond)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			if (!in(all_of(m), r))
				continue;
			for (int bound = 0; bound < 2; bound++) {
				size_t len = compose_sized(m, r, bound ? r->max : r->min);

				cr_assert_eq(decode(m, buffer, len, &(struct message){0}, NULL), 0,
					     "%s of %s", r->name, m->name);
			}
			refused(m, compose_sized(m, r, r->max + 1), -EBADMSG, "bytes, not");
			if (r->min > 0)
				refused(m, compose_sized(m, r, r->min - 1), -EBADMSG, "bytes, not");
		}
	}
}

Test(codec, rejects_a_nul_anywhere_in_a_string)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			size_t len = usual_length(r);

			if (r->kind != KIND_STRING || !in(all_of(m), r))
				continue;
			for (size_t i = 0; i < len; i++) {
				size_t whole = compose_sized(m, r, len);

				buffer[whole - len + i] = 0;
				refused(m, whole, -EBADMSG, "has a NUL");
			}
		}
	}
}

Test(codec, rejects_strings_without_a_last_nul)
{
	for_each_message(m)
	{
		for_each_record(r)
		{
			size_t len;

			if (r->kind != KIND_STRINGS || !in(all_of(m), r))
				continue;
			len = compose_sized(m, r, usual_length(r));
			buffer[len - 1] = 'x';
			refused(m, len, -EBADMSG, "does not end with NUL");
		}
	}
}

/* In memory of exactly its size, so that ASan sees a read beyond it. */
static void decode_exactly(const struct message_case *m, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct message decoded;
	struct spawn_error err;

	memcpy(copy, bytes, len);
	if (decode(m, copy, len, &decoded, &err) == 0)
		read_everything(&decoded);
	free(copy);
}

Test(codec, survives_truncation_at_every_byte)
{
	for_each_message(m)
	{
		size_t len = compose(m, all_of(m));

		for (size_t cut = 0; cut < len; cut++) {
			if (cut >= WIRE_HEADER_SIZE) {
				put_u32(buffer, (uint32_t)len);
				refused(m, cut, -EMSGSIZE, "says");
			}
			put_u32(buffer, (uint32_t)cut); /* a liar that corrects the length */
			decode_exactly(m, buffer, cut);
		}
	}
}

Test(codec, survives_every_single_bit_flipped)
{
	for_each_message(m)
	{
		size_t len = compose(m, all_of(m));

		for (size_t bit = 0; bit < 8 * len; bit++) {
			buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
			decode_exactly(m, buffer, len);
			buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

Test(codec, leaves_the_output_alone_on_failure)
{
	struct message decoded = {.type = 4711};

	cr_assert_lt(decode(&messages[0], "", 0, &decoded, NULL), 0);
	cr_assert_eq(decoded.type, 4711);
}

Test(codec, names_each_message_and_record)
{
	for_each_message(m) cr_assert_str_eq(message_name(m->number), m->name);
	for_each_record(r) cr_assert_str_eq(record_name(r->number), r->name);
	cr_assert_str_eq(message_name(0), "unknown");
	cr_assert_str_eq(message_name(UINT32_MAX), "unknown");
	cr_assert_str_eq(record_name(0), "unknown");
	cr_assert_str_eq(record_name(UINT32_MAX), "unknown");
}

Test(codec, uses_each_number_once)
{
	for (size_t i = 0; i < N_MESSAGES; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_neq(messages[i].number, messages[j].number);
	for (size_t i = 0; i < N_RECORDS; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_neq(records[i].number, records[j].number);
}

Test(codec, an_exit_record_round_trips)
{
	const struct exit_record sent = {-1, 255, 3,  4,	  5,  6,  7, 8,
					 9,  10,  11, UINT64_MAX, 13, 14, 15};
	struct exit_record got;
	uint8_t bytes[EXIT_RECORD_SIZE];

	exit_record_encode(&sent, bytes);
	exit_record_decode(bytes, &got);
	cr_assert_eq(got.code, -1);
	cr_assert_eq(got.status, 255);
	cr_assert_eq(memcmp(&got, &sent, sizeof(got)), 0);
}
