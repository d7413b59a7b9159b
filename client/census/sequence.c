/* SPDX-License-Identifier: MIT */
#include "sequence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPUS_MAX 65536 /* above what Linux can be configured for */

static int grow(struct sequence *s, size_t n)
{
	void *cpus = reallocarray(s->cpus, n, sizeof(*s->cpus));

	if (!cpus)
		return -ENOMEM;
	s->cpus = cpus;
	memset(s->cpus + s->n_cpus, 0, (n - s->n_cpus) * sizeof(*s->cpus));
	s->n_cpus = n;
	return 0;
}

int64_t sequence_note(struct sequence *s, uint32_t cpu, uint32_t number)
{
	uint32_t lost = 0;

	if (cpu >= CPUS_MAX)
		return 0;
	if (cpu >= s->n_cpus && grow(s, cpu + 1) < 0)
		return -ENOMEM;
	if (s->cpus[cpu].seen)
		lost = number - s->cpus[cpu].next; /* the kernel's count wraps as this does */
	s->cpus[cpu].seen = true;
	s->cpus[cpu].next = number + 1;
	return lost;
}

void sequence_done(struct sequence *s)
{
	free(s->cpus);
	*s = (struct sequence){0};
}
