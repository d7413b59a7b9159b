// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "stress.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As mkswap(8) writes it: version 1, the last page, the signature at the end of the first. */
static bool make_swap(const char *device, uint32_t pages)
{
	static char page[PAGE];
	uint32_t head[3] = {1, pages - 1, 0};
	int fd = open(device, O_WRONLY | O_CLOEXEC);
	bool done;

	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	done = fd >= 0 && write(fd, page, PAGE) == (ssize_t)PAGE && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return done;
}

void pressure_begin(void)
{
	if (write_text("/sys/block/zram0/disksize", "512M") &&
	    make_swap("/dev/zram0", (512u << 20) / PAGE))
		swapon("/dev/zram0", 0);
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	write_text("/sys/kernel/mm/ksm/run", "1");
	write_text("/proc/sys/vm/nr_hugepages", "16");
	write_text("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	write_text("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "50");
}

void pressure_turn(struct dice *d)
{
	static const char *const cohorts[] = {"32", "1", "4", "0", "1000"};
	unsigned long nodes[2] = {1, 2};

	switch (dice_roll(d, 6)) {
	case 0:
		write_text("/proc/sys/vm/compact_memory", "1");
		break;
	case 1:
		write_text("/sys/kernel/debug/split_huge_pages", "1");
		break;
	case 2:
		write_text("/proc/sys/vm/nofork_cohort", cohorts[dice_roll(d, 5)]);
		break;
	case 3: /* unmerges what was merged, and begins anew */
		write_text("/sys/kernel/mm/ksm/run", "2");
		write_text("/sys/kernel/mm/ksm/run", "1");
		break;
	case 4:
		write_text("/proc/sys/vm/drop_caches", "2");
		break;
	case 5: { /* all of this process group's from one node to the other */
		unsigned node = dice_roll(d, 2);

		syscall(SYS_migrate_pages, 0, 8, &nodes[node], &nodes[!node]);
		break;
	}
	}
}
