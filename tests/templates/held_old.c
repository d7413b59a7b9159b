/* SPDX-License-Identifier: MIT */
/* A program as linkers made them before glibc 2.34: it hands its own init over to the older
 * __libc_start_main(). */
#include <stdint.h>
#include <stdio.h>

typedef int main_fn(int, char **, char **);
int old_start_main(main_fn *run, int argc, char **argv, main_fn *init, void (*fini)(void),
		   void (*rtld_fini)(void), void *stack_end);
__asm__(".symver old_start_main, __libc_start_main@GLIBC_2.2.5");

static int init(int argc, char **argv, char **envp)
{
	return printf("init %d %s %s\n", argc, argv[argc - 1], envp[0] ? envp[0] : "none");
}

static void fini(void)
{
}

static int run(int argc, char **argv, char **envp)
{
	printf("main %d %s %s\n", argc, argv[argc - 1], envp[0] ? envp[0] : "none");
	return 3;
}

_Noreturn void start(long *stack);
__attribute__((used)) _Noreturn void start(long *stack)
{
	old_start_main(run, (int)*stack, (char **)(stack + 1), init, fini, NULL, stack);
	__builtin_trap();
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");
