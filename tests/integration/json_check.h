/* SPDX-License-Identifier: MIT */
/* json_check.h - is a text JSON, and nothing but? Says nothing of what is in it. */
#ifndef TEST_JSON_CHECK_H
#define TEST_JSON_CHECK_H

#include <stdbool.h>

bool json_is_right(const char *text);

#endif
