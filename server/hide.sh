#!/bin/sh
# SPDX-License-Identifier: MIT
#
# An archive of one object that defines what the symbol list exports and nothing else: in a program
# that is linked with it no other name is taken. Usage: hide.sh AR OBJCOPY SYMBOL-LIST IN.a OUT.a
# C-COMPILER...
set -eu
ar=$1
objcopy=$2
symbols=$3
in=$4
out=$5
shift 5
object=${out%.a}.o
keep=${out%.a}.keep

"$@" -r -nostdlib -o "$object" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
sed -n '/^global:/,/^local:/s/^[[:space:]]*\([a-z0-9_]*\);$/\1/p' "$symbols" >"$keep"
"$objcopy" --keep-global-symbols="$keep" "$object"
rm -f "$out"
"$ar" rcsD "$out" "$object"
rm "$object" "$keep"
