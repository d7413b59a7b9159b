#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The public headers by themselves, as users compile them: in strict C, and in C++ where there is a
# compiler of it; and that the libraries export what they declare, no less and no more. Usage:
# headers.sh INCLUDE-DIR SYMBOL-LIST-DIR C-COMPILER...
set -u
include=$1
symbols=$2
shift 2
status=0

for header in "$include"/*.h; do
	name=$(basename "$header")
	for standard in c99 c11; do
		echo "#include <$name>" | "$@" -std=$standard -pedantic-errors -Wall -Wextra -Werror \
			-fsyntax-only -I"$include" -x c - || status=1
	done
	if command -v c++ >/dev/null; then
		echo "#include <$name>" | c++ -std=c++11 -pedantic-errors -Wall -Wextra -Werror \
			-fsyntax-only -I"$include" -x c++ - || status=1
	fi
done

# $1: the symbol list of a library, then its headers.
declares_what_is_exported()
{
	list=$1
	shift
	declared=$(cat "$@" | grep -Eo '\bspawn_[a-z0-9_]+\(' | tr -d '(' | grep -v '_fn$' | sort -u)
	# What is inline is exported by nobody.
	for name in $(cat "$@" | grep -Eo '^static inline .*\bspawn_[a-z0-9_]+\(' | grep -Eo 'spawn_[a-z0-9_]+'); do
		declared=$(printf '%s\n' "$declared" | grep -vx "$name")
	done
	exported=$(grep -Eo '\bspawn_[a-z0-9_]+;' "$list" | tr -d ';' | sort -u)
	if [ "$declared" != "$exported" ]; then
		echo "declared, and what $(basename "$list") exports:" >&2
		printf '%s\n' "$declared" "$exported" | sort | uniq -u >&2
		status=1
	fi
}

declares_what_is_exported "$symbols/libspawn.sym" "$include/libspawn.h" "$include/libspawn-error.h"
declares_what_is_exported "$symbols/libspawn-template.sym" "$include/libspawn-template.h"
exit $status
