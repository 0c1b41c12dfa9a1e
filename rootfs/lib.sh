# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share: messages, the cache, hashes. Sourced by bash.

rootfs_dir=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/kihon
program=${0##*/}

# say TEXT: what is going on; quiet with --quiet.
say() {
	[[ -n ${quiet:-} ]] || printf '  %s\n' "$1" >&2
}

# fail TEXT: one line, and out. Exit status 4: the environment lacks something.
fail() {
	printf '%s: %s\n' "$program" "$1" >&2
	exit "${2:-4}"
}

usage_error() {
	fail "$1; see $program --help" 2
}

# need TOOL PACKAGE: fails with the package's name when a tool is missing.
need() {
	type -P "$1" >/dev/null || fail "the tool $1 is missing (Debian package $2); run make deps"
}

sha256_of() {
	local sum
	sum=$(sha256sum -- "$1")
	printf '%s' "${sum%% *}"
}

# with_lock FILE COMMAND...: two runs at once take turns. What COMMAND leaves running must close
# descriptor 9, or it keeps the lock.
with_lock() {
	local lock=$1
	shift
	mkdir -p "${lock%/*}"
	(
		flock 9
		"$@"
	) 9>"$lock"
}
