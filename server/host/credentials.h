/* SPDX-License-Identifier: MIT */
/* credentials.h - who a leaf is, where that was asked for: less than its caller, never more. */
#ifndef HOST_CREDENTIALS_H
#define HOST_CREDENTIALS_H

#include "wire/message.h"

struct body_error;
struct settings;

/* Groups, gid, uid, capabilities, in that order; each is read back. */
int credentials_set(const struct message *m, const struct settings *s, struct body_error *failed);

#endif
