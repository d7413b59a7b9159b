/* SPDX-License-Identifier: MIT */
/*
 * sanitized.h - whether this is built with AddressSanitizer, under which a child takes some 20 ms,
 * and with two processors' worth of tests beside it several times that.
 */
#ifndef TEST_SANITIZED_H
#define TEST_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#endif
