/* SPDX-License-Identifier: MIT */
/* A process with a limit on the size of its files is told, not killed by SIGXFSZ. */
#include "base/fd.h"
#include "wire/sealed.h"
#include "wire/tally.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/resource.h>

static struct rlimit before;

static void limit_files(void)
{
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){4, before.rlim_max});
}

/* Criterion writes to files. */
static void unlimit_files(void)
{
	setrlimit(RLIMIT_FSIZE, &before);
}

Test(file_size, no_memory_file_is_made_that_would_be_too_large)
{
	_cleanup_close_ int tally_fd = -1, sealed_fd = -1, small_fd = -1;
	struct tally *t = NULL;
	int tally, sealed, small;

	limit_files();
	tally = tally_create(&t, &tally_fd);
	sealed = sealed_create("test", "hello", 5, &sealed_fd);
	small = sealed_create("test", "hell", 4, &small_fd);
	unlimit_files();
	cr_expect_eq(tally, -EFBIG);
	cr_expect_null(t);
	cr_expect_eq(sealed, -EFBIG);
	cr_expect_eq(small, 0);
}
