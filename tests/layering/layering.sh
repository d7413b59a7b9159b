#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Dependencies point one way: base <- wire <- libspawn <- client, base <- config, and the server
# uses those below it. cJSON is linked by spawnd-config alone, libuv by the broker, libseccomp by
# the broker and the filters' generator, libsystemd by the keeper; a host needs libc alone, so that
# nothing of ours is in the way of a template. Usage: layering.sh SOURCE-DIR BUILD-DIR
set -u
source=$1
build=$2
failures=0

fail()
{
	echo "layering: $*" >&2
	failures=$((failures + 1))
}

# The libraries that a binary names, one a line, without the C library's own parts and those of a
# sanitizer.
needed()
{
	LC_ALL=C readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Ev '^(libc|libm|libpthread|libdl|librt|ld-linux[-a-z0-9_]*|libgcc_s|libasan|libubsan|libtsan)\.so'
}

# $1 may need only what matches the extended expression $2.
may_need()
{
	if [ ! -f "$build/$1" ]; then
		fail "$1 is not built"
		return
	fi
	for library in $(needed "$build/$1"); do
		echo "$library" | grep -Eq "^($2)\.so" || fail "$1 needs $library"
	done
}

may_need server/spawnd 'libsystemd'
may_need server/spawnd-broker 'libuv|libseccomp'
may_need server/spawn-host 'none'
may_need server/spawn-host-exec 'none'
may_need server/spawn-host-main 'none'
may_need server/libspawn-main.so 'none'
may_need server/spawn-private 'none'
may_need server/spawnd-config 'libcjson'
may_need client/spawn 'libspawn'
may_need client/spawn-census 'none'
may_need libspawn/libspawn.so 'none'
may_need server/libspawn-template.so 'none'

# They say what they need, too: a test of nothing would pass as well.
for pair in server/spawnd:libsystemd server/spawnd-broker:libuv server/spawnd-broker:libseccomp \
	server/spawnd-config:libcjson client/spawn:libspawn; do
	needed "$build/${pair%%:*}" | grep -q "^${pair##*:}\.so" ||
		fail "${pair%%:*} does not need ${pair##*:}"
done

# A program that it is linked into has other names for itself.
defined=$(nm -g --defined-only "$build/server/libspawn-template.a" | sed -n 's/^[0-9a-f]* [A-Z] //p')
[ "$defined" = spawn_template_serve ] || fail "libspawn-template.a defines: $defined"

# $1: an extended expression of header names; $2: of the files, from the source directory, that may
# include them. A header is named in < > or in quotes.
only_in()
{
	cd "$source" || exit 1
	grep -rlE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($1)[>\"]" \
		libspawn config server client |
		grep -Ev "^($2)$" | while read -r file; do
		echo "layering: $file includes $1" >&2
		echo "$file"
	done | grep . >/dev/null && failures=$((failures + 1))
}

only_in '(cjson/)?cJSON\.h' 'config/.*'
only_in 'uv\.h' '(server/broker/.*|libspawn/examples/uv\.c)'
only_in 'seccomp\.h' 'server/(broker/.*|confine\.[ch]|nofork-filter\.c)'
only_in 'systemd/.*' 'server/keeper/.*'
only_in 'config/.*' '(config|server/(keeper|broker))/.*'
only_in 'wire/.*' '(libspawn/(wire/.*|[^/]*)|server/.*)'
only_in 'base/.*' '(libspawn|config|server)/.*'
only_in 'libspawn-template\.h' '(server/(host|templates)/.*|libspawn/examples/template\.c)'

# What base and the client may not name.
not_in()
{
	cd "$source" || exit 1
	if grep -rnE --include='*.[ch]' \
		"^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($1)" $2 >&2; then
		fail "$2 includes $1"
	fi
}

not_in 'wire/|config/|libspawn\.h|broker/|keeper/|host/' libspawn/base
not_in 'config/|libspawn\.h|broker/|keeper/|host/' libspawn/wire
not_in 'base/|wire/|config/|server/|libspawn-template\.h' client
not_in 'libspawn|launch\.h|status\.h|timing\.h' client/census
not_in 'wire/|libspawn\.h|keeper/|broker/|host/' config
not_in 'keeper/|config/|uv\.h' server/host
not_in 'keeper/|broker/|config/|uv\.h|libspawn\.h' server/private

if [ "$failures" -gt 0 ]; then
	exit 1
fi
echo "layering: as designed"
