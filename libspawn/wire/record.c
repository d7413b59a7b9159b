/* SPDX-License-Identifier: MIT */
#include "wire/record.h"

#include "wire/message.h"

void exit_record_encode(const struct exit_record *r, uint8_t out[EXIT_RECORD_SIZE])
{
	const uint64_t wide[] = {r->utime_us, r->stime_us,    r->maxrss_kib, r->minflt,
				 r->majflt,   r->inblock,     r->oublock,    r->nvcsw,
				 r->nivcsw,   r->launched_ns, r->ended_ns};

	_Static_assert(sizeof(wide) == EXIT_RECORD_SIZE - 16, "the size says how many fields");
	put_u32(out, (uint32_t)r->code);
	put_u32(out + 4, (uint32_t)r->status);
	for (unsigned i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		put_u64(out + 8 + 8 * i, wide[i]);
	put_u32(out + EXIT_RECORD_SIZE - 8, r->start_step);
	put_u32(out + EXIT_RECORD_SIZE - 4, r->start_errno);
}

void exit_record_decode(const uint8_t in[EXIT_RECORD_SIZE], struct exit_record *ret)
{
	*ret = (struct exit_record){
		.code = (int32_t)get_u32(in),
		.status = (int32_t)get_u32(in + 4),
		.utime_us = get_u64(in + 8),
		.stime_us = get_u64(in + 16),
		.maxrss_kib = get_u64(in + 24),
		.minflt = get_u64(in + 32),
		.majflt = get_u64(in + 40),
		.inblock = get_u64(in + 48),
		.oublock = get_u64(in + 56),
		.nvcsw = get_u64(in + 64),
		.nivcsw = get_u64(in + 72),
		.launched_ns = get_u64(in + 80),
		.ended_ns = get_u64(in + 88),
		.start_step = get_u32(in + 96),
		.start_errno = get_u32(in + 100),
	};
}
