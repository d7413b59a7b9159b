/* SPDX-License-Identifier: MIT */
/* json.h - strings as JSON has them. */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <stdio.h>

/* Writes s with its quotes. Bytes that are no UTF-8 become U+FFFD: a host's stderr may hold any. */
void json_string(FILE *f, const char *s);

#endif
