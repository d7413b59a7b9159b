/* SPDX-License-Identifier: MIT */
/* resolve.h - names of the configuration to numbers and paths. */
#ifndef CONFIG_RESOLVE_H
#define CONFIG_RESOLVE_H

#include <stdint.h>

/* 0, -ENOENT (no such user), or the negative errno of the lookup. ret_gid may be NULL. */
int resolve_user(const char *name, uint32_t *ret_uid, uint32_t *ret_gid);
int resolve_group(const char *name, uint32_t *ret_gid);
/*
 * A bare name lies in the template directory (an absolute path); a path must be absolute. 0,
 * -EINVAL, -ENAMETOOLONG or -ENOMEM. The object itself is not looked at: that is for the host,
 * which has the user's rights. Free *ret.
 */
int resolve_object(const char *template_dir, const char *object, char **ret);

#endif
