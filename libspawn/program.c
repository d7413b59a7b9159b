/* SPDX-License-Identifier: MIT */
#include "program.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SHOWN 160
#define PATH_SHOWN 240
/* As much as the kernel looks at (BINPRM_BUF_SIZE). */
#define BEGIN_SIZE 256

#define SAY(...)   error_set(err, code, SPAWN_ORIGIN_LEAF, STEP_EXEC, __VA_ARGS__)

/* A file that exec met, and what it begins with. */
struct file {
	char path[PATH_MAX], quoted[NAME_SHOWN];
	struct stat st;
	char begin[BEGIN_SIZE];
	size_t len;
};

/* Relative to the working directory that the child has. */
static bool look_at(struct file *f, int dir)
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (fstatat(dir, f->path, &f->st, 0) < 0)
		return false;
	log_quote(f->quoted, sizeof(f->quoted), f->path);
	if (!S_ISREG(f->st.st_mode))
		return true;
	fd = openat(dir, f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	n = fd < 0 ? -1 : read(fd, f->begin, sizeof(f->begin) - 1);
	f->len = n > 0 ? (size_t)n : 0;
	f->begin[f->len] = '\0';
	return true;
}

static bool find(struct file *f, const char *name, const char *search, int dir)
{
	for (const char *entry = search;; entry++) {
		size_t len = strcspn(entry, ":"), name_len = strlen(name), at = len;

		if (len + 1 + name_len < sizeof(f->path)) {
			memcpy(f->path, entry, len);
			if (len > 0)
				f->path[at++] = '/';
			memcpy(f->path + at, name, name_len + 1);
			if (look_at(f, dir))
				return true;
		}
		entry += len;
		if (!*entry)
			return false;
	}
}

/* What a script names behind "#!", or NULL. */
static const char *interpreter(struct file *f)
{
	char *name = f->begin + 2;

	if (strncmp(f->begin, "#!", 2) != 0)
		return NULL;
	name += strspn(name, " \t");
	name[strcspn(name, " \t\n")] = '\0';
	return *name ? name : NULL;
}

static int say_missing(struct file *f, int dir, int code, struct spawn_error *err)
{
	const char *name = interpreter(f);
	char quoted[NAME_SHOWN];

	if (name && faccessat(dir, name, F_OK, 0) < 0)
		return SAY("%s: its interpreter %s does not exist", f->quoted,
			   log_quote(quoted, sizeof(quoted), name));
	if (name)
		return SAY("%s: what its interpreter %s needs does not exist", f->quoted,
			   log_quote(quoted, sizeof(quoted), name));
	return SAY(
		"%s: the dynamic loader that it names does not exist (built for another system?)",
		f->quoted);
}

static int say_denied(struct file *f, int dir, int code, struct spawn_error *err)
{
	char quoted[NAME_SHOWN];
	const char *name;

	if (S_ISDIR(f->st.st_mode))
		return SAY("%s: is a directory", f->quoted);
	if (!S_ISREG(f->st.st_mode))
		return SAY("%s: is no regular file", f->quoted);
	if (!(f->st.st_mode & 0111))
		return SAY("%s: not executable (chmod +x, or run it with its interpreter)",
			   f->quoted);
	name = interpreter(f);
	if (name && faccessat(dir, name, X_OK, AT_EACCESS) < 0)
		return SAY("%s: its interpreter %s is not executable", f->quoted,
			   log_quote(quoted, sizeof(quoted), name));
	return SAY(
		"%s: permission denied (not executable for this user, or on a filesystem that is "
		"mounted noexec)",
		f->quoted);
}

static int say_no_format(const struct file *f, int code, struct spawn_error *err)
{
	if (f->len >= 4 && memcmp(f->begin, "\177ELF", 4) == 0)
		return SAY("%s: built for another architecture than this machine's", f->quoted);
	return SAY(
		"%s: no \"#!\" line and no known format: if it is a shell script, run it with sh",
		f->quoted);
}

/* Found in the request's eyes, or not at all. */
static int say_of_file(struct file *f, bool found, const struct spawn_request *r, int dir, int code,
		       struct spawn_error *err)
{
	char quoted[NAME_SHOWN];

	if (!found)
		log_quote(f->quoted, sizeof(f->quoted), r->program);
	switch (code) {
	case -ENOENT:
		return found ? say_missing(f, dir, code, err)
			     : SAY("%s: no such file or directory", f->quoted);
	case -ENOTDIR:
		return SAY("%s: a part of the path is no directory", f->quoted);
	case -EACCES:
		return found ? say_denied(f, dir, code, err)
			     : SAY("%s: permission denied on a directory that leads to it",
				   f->quoted);
	case -ENOEXEC:
		return say_no_format(f, code, err);
	case -E2BIG:
		return SAY(
			"%s: its arguments and environment are too large together, or one of them "
			"alone (see execve(2))",
			f->quoted);
	case -ETXTBSY:
		return SAY("%s: a process has it open for writing", f->quoted);
	default:
		log_quote(quoted, sizeof(quoted), r->program);
		return error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_EXEC,
				   "%s: cannot be executed", found ? f->quoted : quoted);
	}
}

static int say_not_found(const struct spawn_request *r, const char *search, int code,
			 struct spawn_error *err)
{
	char name[NAME_SHOWN], path[PATH_SHOWN];

	log_quote(name, sizeof(name), r->program);
	log_quote(path, sizeof(path), search);
	path[strlen(path) - 1] = '\0'; /* its quotes */
	return SAY("%s: not found in PATH (%s)%s", name, path + 1,
		   code == -EACCES ? ", where a directory may not be searched" : "");
}

static int program_path_error(const struct spawn_request *r, int code, struct spawn_error *err)
{
	struct file f = {.len = 0};
	struct strings env = {0};
	_cleanup_close_ int dir = -1;
	const char *search = NULL;
	int at = AT_FDCWD;
	bool found = false;

	if (r->chdir) {
		dir = open(r->chdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		at = dir;
	}
	if (request_environment(r, &env) == 0)
		search = request_search(r, &env);
	if (search) {
		found = find(&f, r->program, search, at);
	} else {
		strncat(f.path, r->program, sizeof(f.path) - 1);
		found = look_at(&f, at);
	}
	if (search && !found && (code == -ENOENT || code == -EACCES))
		code = say_not_found(r, search, code, err);
	else
		code = say_of_file(&f, found, r, at, code, err);
	strings_free(&env);
	return code;
}

int program_error(const struct spawn_request *r, int code, struct spawn_error *err)
{
	if (!err)
		return code;
	if (!r || !request_has_program(r))
		return error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_EXEC,
				   "the program could not be executed");
	if (r->program)
		return program_path_error(r, code, err);
	if (code == -ENOENT)
		return SAY(
			"descriptor %d: a script, which its interpreter could not open, or what it "
			"needs does not exist (name it by its path)",
			r->program_fd);
	return error_errno(err, code, SPAWN_ORIGIN_LEAF, STEP_EXEC,
			   "descriptor %d cannot be executed", r->program_fd);
}
