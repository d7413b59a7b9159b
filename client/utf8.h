/* SPDX-License-Identifier: MIT */
/* utf8.h - which bytes of a foreign text are characters. */
#ifndef CLIENT_UTF8_H
#define CLIENT_UTF8_H

#include <stddef.h>

/* The length of the valid UTF-8 sequence at s (which ends with NUL), or 0: RFC 3629, so neither
 * surrogates nor overlong forms. */
size_t utf8_length(const char *s);

#endif
