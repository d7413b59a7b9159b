#!/bin/sh
# SPDX-License-Identifier: MIT
# protocol.sh DESCRIBE-PROTOCOL DOCUMENT - the tables in the document are those of the code.
set -eu
made=$(mktemp)
trap 'rm -f "$made"' EXIT
"$1" table >"$made"
sed '1,/^<!-- made by: describe-protocol table -->$/d' "$2" | diff -u - "$made" || {
	echo "docs/protocol.md is behind messages.def: replace what follows the mark by the output of: describe-protocol table" >&2
	exit 1
}
