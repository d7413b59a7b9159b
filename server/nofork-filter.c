/* SPDX-License-Identifier: MIT */
/*
 * nofork-filter.c - writes the no-fork filters as a C header while spawnd is built:
 *
 *	nofork-filter OUTPUT
 *
 * libseccomp knows the numbers of each ABI and gets the jumps right; a leaf, which may not
 * allocate, gets finished programs. The output depends on the architecture and on libseccomp alone.
 *
 * What each level refuses is at the tables below. An ABI that a filter does not name would let its
 * fork through, so all that the kernel may run beside the native one are named, and what is left
 * (ABIs that libseccomp does not know) answers ENOSYS to everything.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where clone(2) has its flags: CONFIG_CLONE_BACKWARDS2 swaps them with the stack. */
#if defined(__s390__)
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

struct refusal {
	const char *syscall;
	int error;
	unsigned unless; /* of clone's flags: refused only without this one; 0: always */
};

/* Flags of clone3 are behind a pointer, which a filter cannot follow: libc falls back to clone. */
static const struct refusal copy[] = {
	{"fork", EPERM, 0},
	{"clone", EPERM, CLONE_VM},
	{"clone3", ENOSYS, 0},
};

/*
 * Beside the calls that make a process, those that make another process make one: ptrace and
 * process_vm_writev write code into a sibling, pidfd_getfd takes its sockets, and io_uring connects
 * where no filter looks (all three of its calls: the ring may be somebody else's, passed in).
 * What a filter cannot see is a sibling's /proc/PID/mem: ptrace's rules alone guard that.
 */
static const struct refusal process[] = {
	{"fork", EPERM, 0},
	{"vfork", EPERM, 0},
	{"clone", EPERM, CLONE_THREAD},
	{"clone3", ENOSYS, 0},
	{"ptrace", EPERM, 0},
	{"process_vm_readv", EPERM, 0},
	{"process_vm_writev", EPERM, 0},
	{"pidfd_getfd", EPERM, 0},
	{"io_uring_setup", EPERM, 0},
	{"io_uring_enter", EPERM, 0},
	{"io_uring_register", EPERM, 0},
};

static int add_compat_abis(scmp_filter_ctx filter)
{
	static const struct {
		uint32_t native, compat;
	} abis[] = {
		{SCMP_ARCH_X86_64, SCMP_ARCH_X86},	{SCMP_ARCH_X86_64, SCMP_ARCH_X32},
		{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM},	{SCMP_ARCH_S390X, SCMP_ARCH_S390},
		{SCMP_ARCH_PPC64, SCMP_ARCH_PPC},	{SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC},
		{SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS},	{SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64N32},
		{SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL}, {SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64N32},
	};

	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
		int r = 0;

		if (abis[i].native == seccomp_arch_native())
			r = seccomp_arch_add(filter, abis[i].compat);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int add_refusal(scmp_filter_ctx filter, const struct refusal *refusal)
{
	/* A name that an ABI lacks has a pseudo number; those of the other ABIs are found by it. */
	int number = seccomp_syscall_resolve_name(refusal->syscall);
	const struct scmp_arg_cmp without = {CLONE_FLAGS_ARG, SCMP_CMP_MASKED_EQ, refusal->unless,
					     0};

	if (number == __NR_SCMP_ERROR) {
		fprintf(stderr, "nofork-filter: this libseccomp does not know %s: 2.5 does\n",
			refusal->syscall);
		return -ENOSYS;
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint16_t)refusal->error), number,
				      refusal->unless ? 1 : 0, &without);
}

/* The program as bytes in a memfd. */
static int compile(const struct refusal *refusals, size_t n, int *ret_fd)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r, fd = -1;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = add_compat_abis(filter);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_refusal(filter, &refusals[i]);
	if (r == 0) {
		fd = memfd_create("nofork-filter", MFD_CLOEXEC);
		r = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
	}
	seccomp_release(filter);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int write_program(FILE *out, const char *name, const struct refusal *refusals, size_t n)
{
	struct sock_filter insn;
	struct stat st;
	int fd, r;

	r = compile(refusals, n, &fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_size == 0 || st.st_size % (off_t)sizeof(insn) != 0 ||
		 st.st_size / (off_t)sizeof(insn) > BPF_MAXINSNS)
		r = -EBADMSG;
	if (r == 0) {
		long len = (long)(st.st_size / (off_t)sizeof(insn));

		fprintf(out, "\nstatic const struct sock_filter nofork_filter_%s[%ld] = {\n", name,
			len);
		for (long i = 0; r == 0 && i < len; i++) {
			if (pread(fd, &insn, sizeof(insn), i * (off_t)sizeof(insn)) !=
			    (ssize_t)sizeof(insn))
				r = -EIO;
			else
				fprintf(out, "\t{0x%04x, %u, %u, 0x%08x},\n", insn.code, insn.jt,
					insn.jf, insn.k);
		}
		fprintf(out, "};\n");
	}
	close(fd);
	return r;
}

static int write_header(FILE *out)
{
	int r;

	fprintf(out, "/* SPDX-License-Identifier: MIT */\n"
		     "/* Generated by nofork-filter when spawnd is built: change "
		     "server/nofork-filter.c. */\n"
		     "#ifndef NOFORK_FILTER_H\n"
		     "#define NOFORK_FILTER_H\n\n"
		     "#include <linux/filter.h>\n");
	r = write_program(out, "copy", copy, sizeof(copy) / sizeof(copy[0]));
	if (r == 0)
		r = write_program(out, "process", process, sizeof(process) / sizeof(process[0]));
	fprintf(out, "\n#endif\n");
	return r;
}

int main(int argc, char **argv)
{
	FILE *out;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: nofork-filter OUTPUT\n");
		return 2;
	}
	out = fopen(argv[1], "we");
	if (!out) {
		fprintf(stderr, "nofork-filter: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	r = write_header(out);
	if (ferror(out) && r == 0)
		r = -EIO;
	if (fclose(out) != 0 && r == 0)
		r = -errno;
	if (r < 0) {
		/* Half a header must not be taken for a filter by the next build. */
		unlink(argv[1]);
		fprintf(stderr, "nofork-filter: cannot make %s: %s\n", argv[1], strerror(-r));
		return 1;
	}
	return 0;
}
