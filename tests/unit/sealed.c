/* SPDX-License-Identifier: MIT */
#include "wire/sealed.h"
#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

Test(sealed, holds_the_bytes_and_tells_their_size)
{
	_cleanup_close_ int fd = -1;
	char buf[5];
	size_t size = 0;

	cr_assert_eq(sealed_create("test", "hello", 5, &fd), 0);
	cr_assert_eq(sealed_check(fd, 5, &size), 0);
	cr_assert_eq(size, 5);
	cr_assert_eq(fd_pread_all(fd, buf, 5, 0), 0);
	cr_assert_eq(memcmp(buf, "hello", 5), 0);
}

Test(sealed, closes_on_exec)
{
	_cleanup_close_ int fd = -1;

	cr_assert_eq(sealed_create("test", "", 0, &fd), 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

Test(sealed, can_be_neither_written_nor_resized_nor_mapped_for_writing)
{
	_cleanup_close_ int fd = -1;

	cr_assert_eq(sealed_create("test", "hello", 5, &fd), 0);
	cr_assert_eq(pwrite(fd, "x", 1, 0), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(ftruncate(fd, 4), -1);
	cr_assert_eq(ftruncate(fd, 6), -1);
	cr_assert_eq(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, 0), -1, "nor given other seals");
}

Test(sealed, can_be_filled_until_it_is_sealed)
{
	_cleanup_close_ int fd = -1;
	size_t size = 0;

	cr_assert_eq(sealed_open("test", &fd), 0);
	cr_assert_eq(fd_write_all(fd, "hello", 5), 0);
	cr_assert_eq(sealed_check(fd, 5, &size), -EPERM);
	cr_assert_eq(sealed_seal(fd), 0);
	cr_assert_eq(sealed_check(fd, 5, &size), 0);
	cr_assert_eq(size, 5);
}

Test(sealed, refuses_a_memfd_that_lacks_any_one_seal)
{
	static const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};

	for (size_t missing = 0; missing < 4; missing++) {
		_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		size_t size = 77;

		for (size_t i = 0; i < 4; i++)
			if (i != missing && seals[i] != F_SEAL_SEAL)
				cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		if (missing != 0)
			cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
		cr_assert_eq(sealed_check(fd, 100, &size), -EPERM);
		cr_assert_eq(size, 77, "untouched on failure");
	}
}

Test(sealed, refuses_what_is_no_memfd)
{
	_cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	size_t size;

	cr_assert_eq(sealed_check(file, SIZE_MAX, &size), -EPERM);
	cr_assert_eq(sealed_check(socket_fd, SIZE_MAX, &size), -EPERM);
	cr_assert_eq(sealed_check(-1, SIZE_MAX, &size), -EPERM);
}

Test(sealed, refuses_more_than_the_reader_wants)
{
	_cleanup_close_ int fd = -1;
	size_t size;

	cr_assert_eq(sealed_create("test", "hello", 5, &fd), 0);
	cr_assert_eq(sealed_check(fd, 4, &size), -EMSGSIZE);
}

Test(sealed, a_read_beyond_the_end_is_an_error)
{
	_cleanup_close_ int fd = -1;
	char buf[6];

	cr_assert_eq(sealed_create("test", "hello", 5, &fd), 0);
	cr_assert_eq(fd_pread_all(fd, buf, 6, 0), -ENODATA);
	cr_assert_eq(fd_pread_all(fd, buf, 1, 5), -ENODATA);
}
