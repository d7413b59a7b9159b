/* SPDX-License-Identifier: MIT */
/*
 * nofork-filter.c - writes the no-fork filters as a C header while spawnd is built:
 *
 *	nofork-filter OUTPUT
 *
 * libseccomp knows the numbers of each ABI; a leaf, which may not allocate, gets finished programs.
 * They are put together here, since what libseccomp exports takes a quarter longer to put on.
 * The output depends on the architecture and on libseccomp alone.
 *
 * What each level refuses is at the tables below. An ABI that a filter does not name would let its
 * fork through, so all that the kernel may run beside the native one are named, and what is left
 * (ABIs that libseccomp does not know) answers ENOSYS to everything.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Where a test leads to; from FREE on they are handed out. */
enum label { NEXT, ALLOW, REFUSE_EPERM, REFUSE_ENOSYS, CLONE, FREE };

#define LABELS_MAX 32

struct program {
	struct sock_filter insn[BPF_MAXINSNS];
	enum label jt[BPF_MAXINSNS], jf[BPF_MAXINSNS];
	size_t n;
	size_t at[LABELS_MAX]; /* where a label is */
	enum label next_label;
};

struct number {
	unsigned nr;
	const struct refusal *refusal;
};

static void emit(struct program *p, uint16_t code, uint32_t k, enum label jt, enum label jf)
{
	p->insn[p->n] = (struct sock_filter){.code = code, .k = k};
	p->jt[p->n] = jt;
	p->jf[p->n++] = jf;
}

static enum label new_label(struct program *p)
{
	if (p->next_label == LABELS_MAX) {
		fprintf(stderr, "nofork-filter: more than %d labels: raise LABELS_MAX\n",
			LABELS_MAX);
		exit(1);
	}
	return p->next_label++;
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, NEXT, NEXT);
}

static void emit_return(struct program *p, enum label label, uint32_t action)
{
	p->at[label] = p->n;
	emit(p, BPF_RET | BPF_K, action, NEXT, NEXT);
}

/* The word of an argument that clone's flags are in. */
static size_t low_word(unsigned argument)
{
	size_t offset = offsetof(struct seccomp_data, args) + 8 * argument;

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? offset + 4 : offset;
}

static int by_number(const void *a, const void *b)
{
	unsigned x = ((const struct number *)a)->nr, y = ((const struct number *)b)->nr;

	return x < y ? -1 : x > y;
}

/* The refused calls of an ABI. A negative number is a call that it does not have. */
static int resolve(uint32_t abi, const struct refusal *refusals, size_t n_refusals,
		   struct number *numbers, size_t *n)
{
	for (size_t i = 0; i < n_refusals; i++) {
		int nr = seccomp_syscall_resolve_name_arch(abi, refusals[i].syscall);

		if (nr == __NR_SCMP_ERROR) {
			fprintf(stderr,
				"nofork-filter: this libseccomp does not know %s: 2.5 does\n",
				refusals[i].syscall);
			return -ENOSYS;
		}
		if (nr >= 0)
			numbers[(*n)++] = (struct number){(unsigned)nr, &refusals[i]};
	}
	qsort(numbers, *n, sizeof(*numbers), by_number);
	return 0;
}

/*
 * A filter is run for each number there is when it is put on (Linux 5.11: the kernel notes which
 * are allowed whatever their arguments), once for each leaf: few steps to "allowed" count for more
 * than anything else here. So the numbers are halved rather than tried one after the other.
 */
static void emit_tests(struct program *p, const struct number *numbers, size_t n)
{
	if (n > 2) {
		enum label upper = new_label(p);

		emit(p, BPF_JMP | BPF_JGT | BPF_K, numbers[(n - 1) / 2].nr, upper, NEXT);
		emit_tests(p, numbers, (n - 1) / 2 + 1);
		p->at[upper] = p->n;
		emit_tests(p, numbers + (n - 1) / 2 + 1, n - (n - 1) / 2 - 1);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct refusal *r = numbers[i].refusal;
		enum label to = r->unless	     ? CLONE
				: r->error == ENOSYS ? REFUSE_ENOSYS
						     : REFUSE_EPERM;

		emit(p, BPF_JMP | BPF_JEQ | BPF_K, numbers[i].nr, to, i + 1 < n ? NEXT : ALLOW);
	}
}

static void emit_clone(struct program *p, const struct refusal *refusals, size_t n)
{
	p->at[CLONE] = p->n;
	emit_load(p, low_word(CLONE_FLAGS_ARG));
	for (size_t i = 0; i < n; i++)
		if (refusals[i].unless)
			emit(p, BPF_JMP | BPF_JSET | BPF_K, refusals[i].unless, ALLOW,
			     REFUSE_EPERM);
}

/* ABIs that the kernel may run beside the native one under a value of their own. */
static uint32_t compat_of(uint32_t native)
{
	static const struct {
		uint32_t native, compat;
	} abis[] = {
		{SCMP_ARCH_X86_64, SCMP_ARCH_X86},	{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM},
		{SCMP_ARCH_S390X, SCMP_ARCH_S390},	{SCMP_ARCH_PPC64, SCMP_ARCH_PPC},
		{SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC},
	};

	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
		if (abis[i].native == native)
			return abis[i].compat;
	return 0;
}

static int emit_all(struct program *p, const struct refusal *refusals, size_t n_refusals)
{
	uint32_t native = seccomp_arch_native(), compat = compat_of(native);
	struct number numbers[64];
	enum label other;
	size_t n = 0;
	int r;

	p->next_label = FREE;
	other = new_label(p);
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, native, NEXT, other);
	emit_load(p, offsetof(struct seccomp_data, nr));
	r = resolve(native, refusals, n_refusals, numbers, &n);
	/* To the kernel x32 is the native ABI with a bit in the number. */
	if (r == 0 && native == SCMP_ARCH_X86_64)
		r = resolve(SCMP_ARCH_X32, refusals, n_refusals, numbers, &n);
	if (r < 0)
		return r;
	emit_tests(p, numbers, n);
	p->at[other] = p->n;
	if (compat) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, compat, NEXT, REFUSE_ENOSYS);
		/*
		 * Nothing comes of this load but that the kernel gives up noting what is allowed of
		 * this ABI: half of the price, for a program that a leaf will hardly ever start.
		 */
		emit_load(p, low_word(0));
		emit_load(p, offsetof(struct seccomp_data, nr));
		n = 0;
		r = resolve(compat, refusals, n_refusals, numbers, &n);
		if (r < 0)
			return r;
		emit_tests(p, numbers, n);
	} else {
		emit(p, BPF_JMP | BPF_JA, 0, REFUSE_ENOSYS, NEXT);
	}
	emit_clone(p, refusals, n_refusals);
	emit_return(p, ALLOW, SECCOMP_RET_ALLOW);
	emit_return(p, REFUSE_EPERM, SECCOMP_RET_ERRNO | EPERM);
	emit_return(p, REFUSE_ENOSYS, SECCOMP_RET_ERRNO | ENOSYS);
	return 0;
}

/* Labels become distances: all of them forward, as BPF has it. */
static int link_labels(struct program *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct sock_filter *insn = &p->insn[i];
		size_t jt = p->jt[i] == NEXT ? 0 : p->at[p->jt[i]] - i - 1,
		       jf = p->jf[i] == NEXT ? 0 : p->at[p->jf[i]] - i - 1;

		if (jt > UINT8_MAX || jf > UINT8_MAX)
			return -ERANGE;
		if (BPF_OP(insn->code) == BPF_JA && BPF_CLASS(insn->code) == BPF_JMP)
			insn->k = (uint32_t)jt;
		else
			insn->jt = (uint8_t)jt, insn->jf = (uint8_t)jf;
	}
	return 0;
}

static int write_program(FILE *out, const char *name, const struct refusal *refusals, size_t n)
{
	static struct program p;
	int r;

	p = (struct program){0};
	r = emit_all(&p, refusals, n);
	if (r == 0)
		r = link_labels(&p);
	if (r < 0)
		return r;
	fprintf(out, "\nstatic const struct sock_filter nofork_filter_%s[%zu] = {\n", name, p.n);
	for (size_t i = 0; i < p.n; i++)
		fprintf(out, "\t{0x%04x, %u, %u, 0x%08x},\n", p.insn[i].code, p.insn[i].jt,
			p.insn[i].jf, p.insn[i].k);
	fprintf(out, "};\n");
	return 0;
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
