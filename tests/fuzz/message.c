/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes, from any sender to any receiver in any state, are decoded or refused. */
#include "wire/message.h"
#include "wire/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every record in every way that a receiver may. */
static void read_all(const struct message *m)
{
	char text[64];
	struct record r;
	size_t len;

	message_for_each (m, cursor, &r) {
		uint8_t sum = 0;

		for (uint32_t i = 0; i < r.len; i++)
			sum ^= r.data[i];
		message_u32(m, r.type);
		message_u64(m, r.type);
		message_string(m, r.type, text, sizeof(text));
		if (!message_bytes(m, r.type, &len) || (sum == 1 && len == 0))
			abort(); /* a record that is there has bytes to point at */
	}
	if (message_has(m, REC_EXIT)) {
		struct exit_record record;
		uint8_t again[EXIT_RECORD_SIZE];
		const uint8_t *bytes = message_bytes(m, REC_EXIT, &len);

		exit_record_decode(bytes, &record);
		exit_record_encode(&record, again);
		if (memcmp(bytes, again, sizeof(again)) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spawn_error err;
	struct message m;
	uint8_t *exact;

	if (size < 4)
		return 0;
	/* The first four bytes say who to whom, in which state, with how many descriptors. */
	exact = malloc(size - 4 + 1);
	memcpy(exact, data + 4, size - 4);
	if (message_decode(exact, size - 4, data[0] % 5, data[1] % 5, 1u << data[2] % 7, data[3],
			   &m, &err) == 0)
		read_all(&m);
	free(exact);
	return 0;
}
