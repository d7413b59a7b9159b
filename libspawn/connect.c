/* SPDX-License-Identifier: MIT */
#include "connect.h"

#include "base/error.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/spawnd/socket"

/* The user's server's socket, or NULL without a runtime directory; -ENOMEM as *ret_error. */
static char *user_socket(int *ret_error)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	char *path;

	*ret_error = 0;
	if (!dir || dir[0] != '/')
		return NULL;
	if (asprintf(&path, "%s/spawnd/socket", dir) < 0) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	return path;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static int copy_path(const char *path, char **ret)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int connect_absolute(const char *path, char **ret)
{
	_cleanup_free_ char *dir = NULL;
	char *joined;

	if (path[0] == '/')
		return copy_path(path, ret);
	dir = getcwd(NULL, 0);
	if (!dir)
		return -errno;
	if (asprintf(&joined, "%s/%s", dir, path) < 0)
		return -ENOMEM;
	*ret = joined;
	return 0;
}

int connect_path(const char *given, char **ret)
{
	_cleanup_free_ char *user = NULL;
	int r;

	if (!given) {
		given = secure_getenv("SPAWND_SOCKET");
		if (given && !*given)
			given = NULL;
	}
	if (given)
		return connect_absolute(given, ret);
	user = user_socket(&r);
	if (r < 0)
		return r;
	if (!user || (!exists(user) && exists(SYSTEM_SOCKET)))
		return copy_path(SYSTEM_SOCKET, ret);
	*ret = take_pointer(&user);
	return 0;
}

static int no_server(const char *path, int code, struct spawn_error *err)
{
	_cleanup_free_ char *user = NULL;
	int r;

	if (!err)
		return code;
	user = user_socket(&r);
	if (user && strcmp(path, user) == 0)
		return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "no server at %s (start one: spawnd --user)", path);
	if (strcmp(path, SYSTEM_SOCKET) == 0)
		return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "no server at %s (start one: systemctl start spawnd, or spawnd "
				 "--system)",
				 path);
	return error_set(err, code, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
			 "no server at %s (start one: spawnd --user --socket=%s)", path, path);
}

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static int check_directory(const char *dir, int fd, struct spawn_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "look at %s",
				   dir);
	if (!is_trusted(st.st_uid))
		return error_set(err, -EACCES, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "%s belongs to uid %u, not to you or root: its server is not "
				 "trusted",
				 dir, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, -EACCES, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "others may write to %s (mode 0%o): its server is not trusted "
				 "(chmod go-w it)",
				 dir, (unsigned)st.st_mode & 07777);
	return 0;
}

static int check_socket(const char *path, int dirfd, const char *name, struct spawn_error *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return no_server(path, -ENOENT, err);
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "look at %s",
				   path);
	}
	/* Who may write to the socket is who may connect: in system mode everyone. */
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -ENOTSOCK, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "%s is no socket", path);
	if (!is_trusted(st.st_uid))
		return error_set(err, -EACCES, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "%s belongs to uid %u, not to you or root: not trusted", path,
				 (unsigned)st.st_uid);
	return 0;
}

static int try_connect(int sock, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int r;

	if (n >= sizeof(address.sun_path))
		return -ENAMETOOLONG; /* never cut: that would name another socket */
	memcpy(address.sun_path, path, n + 1);
	do
		r = connect(sock, (const struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/*
 * Through the directory that was checked, so that a change of it meanwhile has no effect, and so
 * that only the last part of a path has to fit into an address.
 */
static int connect_in(int sock, int dirfd, const char *name, const char *path)
{
	_cleanup_free_ char *via = NULL;
	int r;

	if (asprintf(&via, "/proc/self/fd/%d/%s", dirfd, name) < 0)
		return -ENOMEM;
	r = try_connect(sock, via);
	if (r == -ENOENT && access("/proc/self/fd", F_OK) < 0)
		r = try_connect(sock, path); /* no /proc: SO_PEERCRED alone says who it is */
	return r;
}

static int check_peer(const char *path, int sock, struct spawn_error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "ask who serves %s", path);
	if (!is_trusted(cred.uid))
		return error_set(err, -EACCES, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "%s is served by uid %u, not by you or root: not trusted", path,
				 (unsigned)cred.uid);
	return 0;
}

static int open_directory(const char *path, const char *name, int *ret_fd, struct spawn_error *err)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	dir = strndup(path, name - 1 == path ? 1 : (size_t)(name - 1 - path));
	if (!dir)
		return error_errno(err, -ENOMEM, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "connect");
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return no_server(path, -ENOENT, err);
	if (fd < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot reach %s", dir);
	r = check_directory(dir, fd, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int connect_server(const char *path, int timeout_ms, int *ret_fd, struct spawn_error *err)
{
	struct timeval patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	_cleanup_close_ int dirfd = -1, sock = -1;
	const char *name = strrchr(path, '/') + 1; /* the path is absolute */
	int r = open_directory(path, name, &dirfd, err);

	if (r < 0)
		return r;
	r = check_socket(path, dirfd, name, err);
	if (r < 0)
		return r;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "make a socket");
	sock = fd_for_long(sock);
	if (sock < 0)
		return error_errno(err, sock, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "make a socket");
	/* What connect() waits for when the queue is full. Sends never wait, by MSG_DONTWAIT. */
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, -errno, SPAWN_ORIGIN_CLIENT, STEP_CONNECT, "make a socket");
	r = connect_in(sock, dirfd, name, path);
	if (r == -ECONNREFUSED || r == -ENOENT)
		return no_server(path, r, err);
	if (r == -EAGAIN)
		return error_set(err, -ETIMEDOUT, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "the server at %s accepts no connection", path);
	if (r == -ENAMETOOLONG)
		return error_set(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				 "the name %s is too long for a socket", name);
	if (r < 0)
		return error_errno(err, r, SPAWN_ORIGIN_CLIENT, STEP_CONNECT,
				   "cannot connect to %s", path);
	r = check_peer(path, sock, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&sock);
	return 0;
}
