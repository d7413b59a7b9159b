/* SPDX-License-Identifier: MIT */
/*
 * record.h - how a leaf ended, as it travels in the EXIT record: each field a little-endian
 * integer in the order below. No allocation, no errors: the size is fixed.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include <stdint.h>

#define EXIT_RECORD_SIZE 104

struct exit_record {
	int32_t code;	/* si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int32_t status; /* si_status: exit status or signal */
	uint64_t utime_us, stime_us;
	uint64_t maxrss_kib; /* of the leaf, template memory included: the kernel copies it at fork
			      */
	uint64_t minflt, majflt, inblock, oublock, nvcsw, nivcsw;
	uint64_t launched_ns; /* CLOCK_MONOTONIC: LAUNCH read by the leaf */
	uint64_t ended_ns;    /* the parent saw the end */
	uint32_t start_step;  /* where the leaf failed before user code; 0 if it did not */
	uint32_t start_errno;
};

void exit_record_encode(const struct exit_record *r, uint8_t out[EXIT_RECORD_SIZE]);
void exit_record_decode(const uint8_t in[EXIT_RECORD_SIZE], struct exit_record *ret);

#endif
