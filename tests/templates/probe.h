/* SPDX-License-Identifier: MIT */
/* probe.h - the commands of probe.so that make processes and wait for signals. */
#ifndef PROBE_H
#define PROBE_H

/* A command's result from here on is RETURN_BASE + what entry() shall return; less is ignored. */
#define RETURN_BASE (1 << 30)

/* A decimal number and nothing else; the leaf ends with 95 at anything else. */
int atoi_strict(const char *text);

int probe_signal(char **argv);
int probe_sigmask(char **argv);
int probe_dispositions(char **argv);
int probe_wait_term(char **argv);
int probe_ignore_term(char **argv);
int probe_tell(char **argv);
int probe_block(char **argv);

int probe_fork_libc(char **argv);
int probe_fork_raw(char **argv);
int probe_clone(char **argv);
int probe_clone_vm(char **argv);
int probe_clone3(char **argv);
int probe_vfork(char **argv);
int probe_fork_int80(char **argv);
int probe_fork_x32(char **argv);
int probe_posix_spawn(char **argv);
int probe_posix_spawn_shell(char **argv);
int probe_threads(char **argv);
int probe_ptrace(char **argv);
int probe_vm_read(char **argv);

#endif
