/* SPDX-License-Identifier: MIT */
/*
 * describe-protocol: prints what messages.def says, for docs/protocol.md (`table`) and for fuzzers
 * (`dictionary`, in the form that libFuzzer and AFL++ read).
 */
#include "wire/message.h"

#include <stdio.h>
#include <string.h>

struct named {
	const char *name;
	unsigned number;
};

struct described {
	const char *name;
	unsigned number;
	const char *sender, *receiver, *states;
	unsigned min_fds, max_fds;
	const char *required, *optional, *repeated;
};

static const struct {
	const char *name, *kind;
	unsigned number, min, max;
} records[] = {
#define RECORD(name, number, kind, min, max) {#name, #kind, number, min, max},
#include "wire/messages.def"
};

static const struct described messages[] = {
#define MESSAGE(name, number, sender, receiver, states, min_fds, max_fds, required, optional, \
		repeated)                                                                     \
	{#name,	  number,  #sender,   #receiver, #states,                                     \
	 min_fds, max_fds, #required, #optional, #repeated},
#include "wire/messages.def"
};

static const struct named steps[] = {
#define STEP(name, number, text) {text, number},
#include "base/steps.def"
#undef STEP
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* "R(A) | R(B)" as "A, B"; "0" as "". */
static void print_set(const char *set, const char *mark)
{
	const char *p = set;

	while ((p = strstr(p, "R("))) {
		size_t n = strcspn(p + 2, ")");

		printf(" %.*s%s", (int)n, p + 2, mark);
		p += 2 + n;
	}
}

static void print_table(void)
{
	printf("| message | nr | from | to | state of the receiver | fds | records |\n");
	printf("|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < N(messages); i++) {
		const struct described *m = &messages[i];

		printf("| %s | %u | %s | %s | %.*s | ", m->name, m->number, m->sender, m->receiver,
		       (int)strcspn(m->states + 2, ")"), m->states + 2);
		if (m->min_fds == m->max_fds)
			printf("%u |", m->min_fds);
		else
			printf("%u-%u |", m->min_fds, m->max_fds);
		print_set(m->required, "");
		print_set(m->optional, "?");
		print_set(m->repeated, "*");
		printf(" |\n");
	}
	printf("\n| record | nr | kind | bytes |\n|---|---|---|---|\n");
	for (size_t i = 0; i < N(records); i++) {
		printf("| %s | %u | %s | ", records[i].name, records[i].number, records[i].kind);
		if (records[i].min == records[i].max)
			printf("%u |\n", records[i].min);
		else
			printf("%u-%u |\n", records[i].min, records[i].max);
	}
	printf("\n| step | nr |\n|---|---|\n");
	for (size_t i = 0; i < N(steps); i++)
		printf("| %s | %u |\n", steps[i].name, steps[i].number);
}

static void print_dictionary(void)
{
	for (size_t i = 0; i < N(messages); i++)
		printf("message_%s=\"\\x%02x\\x00\\x00\\x00\"\n", messages[i].name,
		       messages[i].number);
	for (size_t i = 0; i < N(records); i++) {
		unsigned n = records[i].min;

		printf("record_%s=\"\\x%02x\\x00\\x00\\x00\\x%02x\\x%02x\\x00\\x00\"\n",
		       records[i].name, records[i].number, n & 0xff, n >> 8 & 0xff);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "table") == 0)
		print_table();
	else if (argc == 2 && strcmp(argv[1], "dictionary") == 0)
		print_dictionary();
	else
		return 2;
	return fflush(stdout) == 0 ? 0 : 1;
}
