/* SPDX-License-Identifier: MIT */
/*
 * The no-fork filters, run here instead of by a kernel: every number of every ABI, also of those
 * that this machine's kernel does not have, gets the answer that its name should.
 */
#include "nofork-filter.h"
#include "trial.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 2048u
#define X32_BIT 0x40000000u
#define ALLOWED 0

struct level {
	const char *name;
	const struct sock_filter *filter;
	size_t n;
	bool process;
};

static const struct level levels[] = {
	{"copy", nofork_filter_copy, sizeof(nofork_filter_copy) / sizeof(struct sock_filter),
	 false},
	{"process", nofork_filter_process,
	 sizeof(nofork_filter_process) / sizeof(struct sock_filter), true},
};

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
	uint32_t word;

	if (at % 4 || at + 4 > sizeof(*data))
		trial_fail("a load at %u, which the kernel refuses", at);
	memcpy(&word, (const char *)data + at, sizeof(word));
	return word;
}

static uint32_t run(const struct level *l, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < l->n; pc++) {
		const struct sock_filter *i = &l->filter[pc];
		bool taken = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(data, i->k);
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = a > i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = a & i->k;
			break;
		default:
			trial_fail("instruction %zu has code 0x%x", pc, i->code);
		}
		pc += taken ? i->jt : i->jf;
	}
	trial_fail("the program has no end");
}

static bool is_any(const char *name, const char *const *list)
{
	while (*list && strcmp(name, *list) != 0)
		list++;
	return *list;
}

/* The errno that is promised, or ALLOWED. */
static int promised(const struct level *l, const char *name, uint64_t flags)
{
	static const char *const others[] = {
		"vfork",       "ptrace",	 "process_vm_readv", "process_vm_writev",
		"pidfd_getfd", "io_uring_setup", "io_uring_enter",   "io_uring_register",
		NULL,
	};

	if (strcmp(name, "fork") == 0)
		return EPERM;
	if (strcmp(name, "clone3") == 0)
		return ENOSYS;
	if (strcmp(name, "clone") == 0)
		return (uint32_t)flags & (l->process ? CLONE_THREAD : CLONE_VM) ? ALLOWED : EPERM;
	return l->process && is_any(name, others) ? EPERM : ALLOWED;
}

static void expect(const struct level *l, uint32_t arch, uint32_t nr, uint64_t flags, int error)
{
	struct seccomp_data data = {.nr = (int)nr, .arch = arch};
	uint32_t wanted = error ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_ALLOW, got;

#ifdef __s390__
	data.args[1] = flags;
#else
	data.args[0] = flags;
#endif
	got = run(l, &data);
	if (got != wanted)
		trial_fail("%s: number 0x%x of ABI 0x%x with flags 0x%llx: 0x%x, not 0x%x", l->name,
			   nr, arch, (unsigned long long)flags, got, wanted);
}

static const uint64_t flags[] = {
	0,
	SIGCHLD,
	CLONE_FILES | CLONE_FS | SIGCHLD,
	CLONE_VM | CLONE_VFORK | SIGCHLD,
	CLONE_VM | CLONE_SIGHAND | CLONE_THREAD,
	(uint64_t)(CLONE_VM | CLONE_THREAD) << 32 | SIGCHLD,
	UINT64_MAX,
};

/* arch: as the kernel tells it; abi: as libseccomp names its numbers. */
static void expect_abi(const struct level *l, uint32_t arch, uint32_t abi, uint32_t bit)
{
	unsigned refused = 0;

	for (uint32_t nr = 0; nr < NUMBERS; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(abi, (int)(nr | bit));

		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			int error = name ? promised(l, name, flags[i]) : ALLOWED;

			expect(l, arch, nr | bit, flags[i], error);
			refused += error != ALLOWED;
		}
		free(name);
	}
	if (!refused)
		trial_fail("libseccomp knows no call of ABI 0x%x", abi);
}

static void native(const void *arg)
{
	expect_abi(arg, seccomp_arch_native(), seccomp_arch_native(), 0);
}

#ifdef __x86_64__
static void x32(const void *arg)
{
	expect_abi(arg, SCMP_ARCH_X86_64, SCMP_ARCH_X32, X32_BIT);
}
#endif

static void compat(const void *arg)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		expect_abi(arg, SCMP_ARCH_X86, SCMP_ARCH_X86, 0);
		break;
	case SCMP_ARCH_AARCH64:
		expect_abi(arg, SCMP_ARCH_ARM, SCMP_ARCH_ARM, 0);
		break;
	default:
		trial_skip("no ABI beside the native one is known here");
	}
}

static void unknown(const void *arg)
{
	static const uint32_t others[] = {0, UINT32_MAX, SCMP_ARCH_MIPS, SCMP_ARCH_RISCV64};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		for (uint32_t nr = 0; nr < NUMBERS && others[i] != seccomp_arch_native(); nr++)
			expect(arg, others[i], nr, CLONE_VM | CLONE_THREAD, ENOSYS);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		trial("each number of the native ABI", native, &levels[i]);
#ifdef __x86_64__
		trial("each number of x32", x32, &levels[i]);
#endif
		trial("each number of the ABI beside it", compat, &levels[i]);
		trial("an ABI that nobody knows", unknown, &levels[i]);
	}
	return trials_finish();
}
