/* SPDX-License-Identifier: MIT */
/* nofork-kernel.h - PR_SET_NOFORK on this kernel, and on others that a supervisor plays. */
#ifndef NOFORK_KERNEL_H
#define NOFORK_KERNEL_H

void nofork_kernel_trials(void);

#endif
