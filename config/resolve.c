/* SPDX-License-Identifier: MIT */
#include "config/resolve.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A group with very many members takes a large record. */
#define RECORD_MAX (16u << 20)

int resolve_user(const char *name, uint32_t *ret_uid, uint32_t *ret_gid)
{
	struct passwd entry, *found = NULL;
	char *buf = NULL;
	int r = ERANGE;

	for (size_t size = 4096; r == ERANGE && size <= RECORD_MAX; size *= 4) {
		free(buf);
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		r = getpwnam_r(name, &entry, buf, size, &found);
	}
	if (r == 0 && found) {
		*ret_uid = entry.pw_uid;
		if (ret_gid)
			*ret_gid = entry.pw_gid;
	}
	free(buf);
	return r != 0 ? -r : found ? 0 : -ENOENT;
}

int resolve_group(const char *name, uint32_t *ret_gid)
{
	struct group entry, *found = NULL;
	char *buf = NULL;
	int r = ERANGE;

	for (size_t size = 4096; r == ERANGE && size <= RECORD_MAX; size *= 4) {
		free(buf);
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		r = getgrnam_r(name, &entry, buf, size, &found);
	}
	if (r == 0 && found)
		*ret_gid = entry.gr_gid;
	free(buf);
	return r != 0 ? -r : found ? 0 : -ENOENT;
}

int resolve_object(const char *template_dir, const char *object, char **ret)
{
	char *path;

	if (object[0] == '/')
		path = strdup(object);
	else if (object[0] == '\0' || strchr(object, '/') || strcmp(object, ".") == 0 ||
		 strcmp(object, "..") == 0)
		return -EINVAL;
	else if (asprintf(&path, "%s/%s", template_dir, object) < 0)
		return -ENOMEM;
	if (!path)
		return -ENOMEM;
	if (strlen(path) >= PATH_MAX) {
		free(path);
		return -ENAMETOOLONG;
	}
	*ret = path;
	return 0;
}
