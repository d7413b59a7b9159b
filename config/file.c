/* SPDX-License-Identifier: MIT */
#include "config/file.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFUSE(code, ...) reject_set(reject, code, (struct place){0}, __VA_ARGS__)

static int check_file(int fd, struct reject *reject)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return REFUSE(-errno, "cannot be examined: %s", strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return REFUSE(-EINVAL, "is not a regular file (expected one)");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return REFUSE(-EPERM,
			      "belongs to user %u (expected root or user %u, who runs "
			      "spawnd)",
			      (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return REFUSE(-EPERM,
			      "can be written by its group or by others, mode %04o (expected "
			      "chmod go-w)",
			      st.st_mode & 07777);
	if (st.st_size > CONFIG_FILE_MAX)
		return REFUSE(-EFBIG, "is %lld bytes (expected at most %u)", (long long)st.st_size,
			      CONFIG_FILE_MAX);
	return 0;
}

/* Up to the end of the file, which may have grown since it was examined. */
static int read_all(int fd, char *text, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int config_file_read(const char *path, char **ret_text, size_t *ret_len, struct reject *reject)
{
	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	if (fd < 0 && errno == ELOOP)
		return REFUSE(-ELOOP, "is a symbolic link (expected the file itself)");
	if (fd < 0)
		return REFUSE(-errno, "cannot be opened: %s", strerrordesc_np(errno));
	r = check_file(fd, reject);
	if (r < 0)
		return r;
	text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		return REFUSE(-ENOMEM, "out of memory");
	r = read_all(fd, text, CONFIG_FILE_MAX + 1, &len);
	if (r < 0)
		return REFUSE(r, "cannot be read: %s", strerrordesc_np(-r));
	if (len > CONFIG_FILE_MAX)
		return REFUSE(-EFBIG, "is longer than %u bytes (expected at most that)",
			      CONFIG_FILE_MAX);
	*ret_text = take_pointer(&text);
	*ret_len = len;
	return 0;
}
