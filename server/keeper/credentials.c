/* SPDX-License-Identifier: MIT */
#include "keeper/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_gids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted, so that two sets compare as bytes. */
int credentials_copy(struct credentials *ret, uid_t uid, gid_t gid, const uint32_t *groups,
		     size_t n)
{
	uint32_t *copy = calloc(n ? n : 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, groups, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), compare_gids);
	*ret = (struct credentials){uid, gid, copy, n};
	return 0;
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->n_groups == b->n_groups &&
	       memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0;
}

void credentials_finish(struct credentials *c)
{
	free(c->groups);
	c->groups = NULL;
	c->n_groups = 0;
}

int credentials_own(struct credentials *ret)
{
	int n = getgroups(0, NULL), r;
	gid_t *groups;

	_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "Linux has 32-bit gids");
	if (n < 0)
		return -errno;
	groups = calloc((size_t)n + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	n = getgroups(n, groups);
	r = n < 0 ? -errno : credentials_copy(ret, geteuid(), getegid(), groups, (size_t)n);
	free(groups);
	return r;
}
