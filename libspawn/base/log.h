/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line an event, to stderr, for the server's processes only (the library never logs).
 *
 *	log_line(LOG_WARNING, "host-down", "template=%s pid=%d", name, pid);
 *
 * prints `warning host-down template=words pid=712`, or with a journal on stderr
 * ($JOURNAL_STREAM), `<4>host-down template=words pid=712`. A value that came from elsewhere goes
 * through log_quote(), so that it cannot forge a second line.
 * One write(2) a line, and only where it does not wait: a full disk, a closed pipe or one that
 * nobody reads loses the line, never the server.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <syslog.h>

/* Names the process in each line ("keeper", "broker"); static string. Reads $JOURNAL_STREAM. */
void log_open(const char *process);
void log_line(int priority, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Quotes text for a log value: "...", with control bytes, quotes and backslashes escaped. Returns buf. */
const char *log_quote(char *buf, size_t size, const char *text);

#endif
