/* SPDX-License-Identifier: GPL-2.0-only */
/* sysfs.h - the files of /proc and /sys by which a kernel is told something. */
#ifndef NOFORK_SYSFS_H
#define NOFORK_SYSFS_H

#include <stdbool.h>

/* False where it is not there, or not taken. */
bool write_text(const char *path, const char *text);

#endif
