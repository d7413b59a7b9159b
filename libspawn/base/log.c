/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *log_process = "spawnd";
static int log_to_journal;

static const char *const priority_names[] = {
	[LOG_EMERG] = "emerg",	   [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "error",
	[LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

void log_open(const char *process)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat st;

	log_process = process;
	log_to_journal = stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
			 fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/*
 * A pipe, terminal or socket that nobody reads would hold the whole server in write(): asked first,
 * it loses the line instead. (POLLOUT of a pipe says that a page is free, more than a line is.)
 */
static void write_line(const char *line, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		(void)!write(STDERR_FILENO, line, len); /* one try: see the header */
}

void log_line(int priority, const char *event, const char *format, ...)
{
	char line[1024];
	int saved = errno, n;
	size_t used;
	va_list ap;

	if (log_to_journal)
		n = snprintf(line, sizeof(line), "<%d>%s: %s ", priority, log_process, event);
	else
		n = snprintf(line, sizeof(line), "%s %s: %s ", priority_names[priority & 7], log_process,
			     event);
	used = (size_t)n;
	va_start(ap, format);
	n = vsnprintf(line + used, sizeof(line) - used, format, ap);
	va_end(ap);
	used += n < 0 ? 0 : (size_t)n;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	write_line(line, used);
	errno = saved;
}

const char *log_quote(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	if (size < 8)
		return "";
	buf[n++] = '"';
	for (; *text && n + 6 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			buf[n++] = '\\';
			buf[n++] = (char)c;
		} else if (c == '\n') {
			buf[n++] = '\\';
			buf[n++] = 'n';
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(buf + n, size - n, "\\x%02x", c);
		} else {
			buf[n++] = (char)c;
		}
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
