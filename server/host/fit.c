/* SPDX-License-Identifier: MIT */
#include "host/fit.h"

#include "base/fd.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ == 8
#define CLASS_HERE ELFCLASS64
#else
#define CLASS_HERE ELFCLASS32
#endif

/* A file in memory; each part of it is looked up by image_at(), which checks that it is there. */
struct image {
	const uint8_t *data;
	size_t size;
	const ElfW(Ehdr) * header;
	const ElfW(Phdr) * segments;
};

struct dynamic {
	ElfW(Addr) strings;
	size_t strings_size;
	bool preinit;
};

static const void *image_at(const struct image *i, uint64_t offset, uint64_t len)
{
	return offset <= i->size && len <= i->size - offset ? i->data + offset : NULL;
}

static int image_open(struct image *i, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	i->size = (size_t)st.st_size;
	i->data = i->size ? mmap(NULL, i->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	return i->data == MAP_FAILED ? -ENOEXEC : 0;
}

static void image_close(struct image *i)
{
	if (i->data != MAP_FAILED)
		munmap((void *)(uintptr_t)i->data, i->size);
}

static const char *image_parse(struct image *i, unsigned machine)
{
	const ElfW(Ehdr) *h = image_at(i, 0, sizeof(*h));

	if (i->size >= 2 && memcmp(i->data, "#!", 2) == 0)
		return "is a script: name its interpreter as the program";
	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return "is no ELF executable";
	if (h->e_ident[EI_CLASS] != CLASS_HERE || (machine && h->e_machine != machine))
		return "is for another kind of machine";
	i->header = h;
	i->segments = h->e_phentsize == sizeof(ElfW(Phdr))
			      ? image_at(i, h->e_phoff, (uint64_t)h->e_phnum * h->e_phentsize)
			      : NULL;
	return i->segments ? NULL : "has no program headers";
}

static const ElfW(Phdr) * image_segment(const struct image *i, unsigned type)
{
	for (unsigned n = 0; n < i->header->e_phnum; n++)
		if (i->segments[n].p_type == type)
			return &i->segments[n];
	return NULL;
}

/* The path of its dynamic linker, or NULL. */
static const char *image_linker(const struct image *i)
{
	const ElfW(Phdr) *p = image_segment(i, PT_INTERP);
	const char *path = p ? image_at(i, p->p_offset, p->p_filesz) : NULL;

	return path && p->p_filesz > 0 && path[p->p_filesz - 1] == '\0' ? path : NULL;
}

static const void *image_loaded_at(const struct image *i, uint64_t address, uint64_t len)
{
	for (unsigned n = 0; n < i->header->e_phnum; n++) {
		const ElfW(Phdr) *p = &i->segments[n];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    address - p->p_vaddr < p->p_filesz)
			return image_at(i, p->p_offset + (address - p->p_vaddr), len);
	}
	return NULL;
}

static bool read_dynamic(const struct image *i, struct dynamic *ret)
{
	const ElfW(Phdr) *p = image_segment(i, PT_DYNAMIC);
	const ElfW(Dyn) *d = p ? image_at(i, p->p_offset, p->p_filesz) : NULL;

	*ret = (struct dynamic){0};
	if (!d)
		return false;
	for (size_t n = p->p_filesz / sizeof(*d); n > 0 && d->d_tag != DT_NULL; n--, d++) {
		if (d->d_tag == DT_STRTAB)
			ret->strings = d->d_un.d_ptr;
		else if (d->d_tag == DT_STRSZ)
			ret->strings_size = d->d_un.d_val;
		else if (d->d_tag == DT_PREINIT_ARRAYSZ && d->d_un.d_val > 0)
			ret->preinit = true;
	}
	return ret->strings_size > 0;
}

/* What would not go through the function that is stood in front of would run while it warms. */
static const char *judge_start(const struct image *i)
{
	static const char wanted[] = "__libc_start_main";
	const char *strings;
	struct dynamic d;

	if (!read_dynamic(i, &d))
		return "is statically linked";
	if (d.preinit)
		return "has constructors that run before those of its libraries (.preinit_array)";
	strings = image_loaded_at(i, d.strings, d.strings_size);
	if (!strings || !memmem(strings, d.strings_size, wanted, sizeof(wanted)))
		return "does not start by libc's __libc_start_main";
	return NULL;
}

static bool same_file(const char *a, const char *b)
{
	struct stat one, other;

	return a && b && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static const char *judge(struct image *program, struct image *ours)
{
	const char *why = image_parse(ours, 0);

	if (why)
		return "cannot be compared with spawnd's own executables";
	why = image_parse(program, ours->header->e_machine);
	if (why)
		return why;
	if (!image_linker(program))
		return "is statically linked";
	if (!same_file(image_linker(program), image_linker(ours)))
		return "has another libc's dynamic linker";
	return judge_start(program);
}

/* A dynamic linker that gives privileges takes no library from a path. */
static const char *judge_privileges(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "is no regular file";
	if (st.st_mode & S_ISUID)
		return "is setuid";
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return "is setgid";
	if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

int fit_inspect(const char *program, const char *like, char *why, size_t size)
{
	_cleanup_close_ int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_close_ int own = open(like, O_RDONLY | O_CLOEXEC);
	struct image image = {.data = MAP_FAILED}, ours = {.data = MAP_FAILED};
	const char *reason = NULL;

	if (own < 0)
		return -errno;
	if (fd < 0 && errno != EACCES)
		return -errno;
	if (fd < 0)
		reason = "cannot be read by this user";
	if (!reason)
		reason = judge_privileges(fd);
	if (!reason && (image_open(&image, fd) < 0 || image_open(&ours, own) < 0))
		reason = "cannot be read";
	if (!reason)
		reason = judge(&image, &ours);
	if (reason)
		snprintf(why, size, "%s", reason);
	image_close(&image);
	image_close(&ours);
	return !reason;
}
