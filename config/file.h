/* SPDX-License-Identifier: MIT */
/* file.h - the bytes of a configuration file that only root or this user can have written. */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/json.h"

#define CONFIG_FILE_MAX (1u << 20)

/*
 * Reads the file: regular, no symbolic link, owned by root or the effective uid, not writable by
 * group or others, at most 1 MiB. 0, or a negative errno with reject filled. Free *ret_text.
 */
int config_file_read(const char *path, char **ret_text, size_t *ret_len, struct reject *reject);

#endif
