// SPDX-License-Identifier: GPL-2.0-only
/* leaf PROGRAM [ARGUMENT...]: executes it with the promise never to fork, which exec inherits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("Usage: leaf PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	/* As for seccomp's filters: by no_new_privs or CAP_SYS_ADMIN; who has the latter keeps setuid. */
	if (prctl(0x4e464b01 /* PR_SET_NOFORK */, 4 /* EXEC */, 0, 0, 0) < 0 &&
	    (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	     prctl(0x4e464b01, 4, 0, 0, 0) < 0)) {
		fprintf(stderr, "leaf: this kernel takes no such promise: %s\n", strerror(errno));
		return 125;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "leaf: %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
