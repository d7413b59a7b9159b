/* SPDX-License-Identifier: MIT */
#include "summons.h"

#include "base/nofork.h"
#include "slot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PID_DIGITS   10

#define FLAG_WEAKER  (1u << 0)
#define FLAG_KERNEL  (1u << 1)
#define FLAG_GATE    (1u << 2)
#define FLAG_COMPACT (1u << 3)
#define FLAGS_KNOWN  (FLAG_WEAKER | FLAG_KERNEL | FLAG_GATE | FLAG_COMPACT)

#define TEXT_(x)     #x
#define TEXT(x)	     TEXT_(x)
#define BEFORE_PID   SUMMONS_VARIABLE "=" TEXT(SUMMONS_VERSION) ","
#define PID_UNKNOWN  "0000000000"

_Static_assert(sizeof(PID_UNKNOWN) == PID_DIGITS + 1, "room for any pid");

void summons_write(const struct summons *s, char buf[SUMMONS_SIZE], char **ret_pid)
{
	snprintf(buf, SUMMONS_SIZE,
		 BEFORE_PID PID_UNKNOWN ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%u,%s", s->id,
		 s->n_slots, s->nofork,
		 (s->nofork_weaker ? FLAG_WEAKER : 0) | (s->enforce_kernel ? FLAG_KERNEL : 0) |
			 (s->gate_refuses ? FLAG_GATE : 0) | (s->compacts ? FLAG_COMPACT : 0),
		 s->name);
	*ret_pid = buf + strlen(BEFORE_PID);
}

void summons_address(char *pid_at, pid_t pid)
{
	for (int i = PID_DIGITS - 1; i >= 0; i--, pid /= 10)
		pid_at[i] = (char)('0' + pid % 10);
}

/* A number up to max and the comma behind it. */
static int take_number(const char **text, uint64_t max, uint64_t *ret)
{
	const char *p = *text;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (v > max / 10 || digit > max - 10 * v)
			return -EBADMSG;
		v = 10 * v + digit;
	}
	if (p == *text || *p != ',')
		return -EBADMSG;
	*text = p + 1;
	*ret = v;
	return 0;
}

int summons_read(const char *value, pid_t self, struct summons *ret)
{
	uint64_t version, pid, id, slots, nofork, flags;
	size_t len;

	/* What cannot be read up to here was not written by a keeper. */
	if (!value || take_number(&value, UINT32_MAX, &version) < 0 ||
	    take_number(&value, INT32_MAX, &pid) < 0 || pid != (uint64_t)self)
		return 0;
	if (version != SUMMONS_VERSION)
		return -EPROTO;
	if (take_number(&value, SERIAL_HOST_MAX, &id) < 0 ||
	    take_number(&value, SLOTS_MAX, &slots) < 0 ||
	    take_number(&value, NOFORK_PROCESS, &nofork) < 0 ||
	    take_number(&value, FLAGS_KNOWN, &flags) < 0)
		return -EBADMSG;
	len = strlen(value);
	if (id == 0 || slots == 0 || len == 0 || len > SUMMONS_NAME_MAX)
		return -EBADMSG;
	*ret = (struct summons){
		.id = id,
		.n_slots = (uint32_t)slots,
		.nofork = (uint32_t)nofork,
		.nofork_weaker = flags & FLAG_WEAKER,
		.enforce_kernel = flags & FLAG_KERNEL,
		.gate_refuses = flags & FLAG_GATE,
		.compacts = flags & FLAG_COMPACT,
	};
	memcpy(ret->name, value, len + 1);
	return 1;
}
