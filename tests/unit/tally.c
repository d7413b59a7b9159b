/* SPDX-License-Identifier: MIT */
#include "wire/tally.h"
#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A client's side and a broker's. */
static struct tally *client, *broker;
static uint32_t written, done;

static void start(void)
{
	_cleanup_close_ int fd = -1;

	cr_assert_eq(tally_create(&client, &fd), 0);
	cr_assert_eq(tally_map(fd, &broker), 0);
	written = done = 0;
}

static void stop(void)
{
	tally_unmap(&client);
	tally_unmap(&broker);
}

TestSuite(tally, .init = start, .fini = stop);

Test(tally, holds_nothing_while_nobody_looks)
{
	uint64_t serial;

	cr_assert_eq(tally_put(client, &written, 7), TALLY_FULL);
	cr_assert_eq(tally_get(broker, &done, &serial), 0);
}

Test(tally, gives_what_was_put_in_order_over_many_rounds)
{
	tally_set_watched(broker, true);
	for (uint64_t i = 1; i <= 10 * TALLY_SERIALS; i++) {
		uint64_t serial = 0;

		cr_assert_eq(tally_put(client, &written, i << 20), TALLY_WRITTEN);
		cr_assert_eq(tally_get(broker, &done, &serial), 1);
		cr_assert_eq(serial, i << 20);
		cr_assert_eq(tally_get(broker, &done, &serial), 0);
		tally_set_done(broker, done);
	}
	cr_assert_eq(tally_done(client), 10 * TALLY_SERIALS);
}

Test(tally, is_full_until_what_was_read_is_done)
{
	uint64_t serial;

	tally_set_watched(broker, true);
	for (uint64_t i = 0; i < TALLY_SERIALS; i++)
		cr_assert_eq(tally_put(client, &written, i), TALLY_WRITTEN);
	cr_assert_eq(tally_put(client, &written, 1), TALLY_FULL);
	cr_assert_eq(tally_get(broker, &done, &serial), 1);
	cr_assert_eq(tally_put(client, &written, 1), TALLY_FULL);
	tally_set_done(broker, done);
	cr_assert_eq(tally_put(client, &written, 1), TALLY_WRITTEN);
}

Test(tally, counts_past_their_last_number)
{
	uint64_t serial = 0;

	written = done = UINT32_MAX;
	client->written = client->done = UINT32_MAX;
	tally_set_watched(broker, true);
	cr_assert_eq(tally_put(client, &written, 5), TALLY_WRITTEN);
	cr_assert_eq(tally_get(broker, &done, &serial), 1);
	cr_assert_eq(serial, 5);
	cr_assert_eq(done, 0);
}

Test(tally, count_that_cannot_be_is_refused)
{
	uint64_t serial;

	client->written = TALLY_SERIALS + 1;
	cr_assert_eq(tally_get(broker, &done, &serial), -EPROTO);
}

Test(tally, is_not_there_in_a_child)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(msync(client, TALLY_SIZE, MS_ASYNC) < 0 && errno == ENOMEM ? 0 : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(tally, memory_whose_size_can_change_is_refused)
{
	_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct tally *t = NULL;

	cr_assert_eq(ftruncate(fd, TALLY_SIZE), 0);
	cr_assert_eq(tally_map(fd, &t), -EPERM);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
	cr_assert_eq(tally_map(fd, &t), -EPERM);
	cr_assert_null(t);
}

Test(tally, memory_of_another_size_and_other_files_are_refused)
{
	_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct tally *t = NULL;

	cr_assert_eq(ftruncate(fd, 2L * TALLY_SIZE), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	cr_assert_eq(tally_map(fd, &t), -EINVAL);
	cr_assert_eq(tally_map(null, &t), -EPERM);
	cr_assert_null(t);
}
