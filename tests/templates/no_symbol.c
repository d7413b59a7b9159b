/* SPDX-License-Identifier: MIT */
/* A shared object that is no template. */
int no_symbol_here(void);

int no_symbol_here(void)
{
	return 0;
}
