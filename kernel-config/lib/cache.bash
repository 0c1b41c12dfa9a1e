# SPDX-License-Identifier: Apache-2.0
# Finished kernels in the cache: found by key, put there whole, thrown away when unused.
# shellcheck shell=bash
#
#   $CACHE/KEY/                a finished kernel (RESULTS below)
#   $CACHE/objects/PROFILE-SOURCE/  objects of a build that is running or was interrupted
#   $CACHE/source/, download/  see source.bash

readonly RESULTS=(vmlinux bzImage kernel.config kernel.json)
# Kernels that nobody asked for in this many days go; the newest few stay in any case.
readonly KEEP_DAYS=30 KEEP_NEWEST=8

# cache_key: of everything that decides the bytes: source, tools, symbols, and the steps themselves (as the shell
# prints them: comments and layout do not count).
cache_key() {
	local symbol
	{
		printf '%s\n' "$SOURCE_SHA256" "$COMPILER"
		for symbol in "${ORDER[@]}"; do
			printf '%s=%s since %s\n' "$symbol" "${WANT[$symbol]}" "${SINCE[$symbol]}"
		done
		declare -f kbuild configure compile collect write_fragment
	} | hash_text
}

in_cache() { [[ -s $CACHE/$1/kernel.json ]]; }

# publish FROM KEY: the directory appears under its key in one step.
publish() {
	mv -T -- "$1" "$CACHE/$2" 2>/dev/null || in_cache "$2" || die "cannot write to $CACHE/$2"
}

prune_cache() {
	local entry index=0
	while IFS= read -r entry; do
		((++index > KEEP_NEWEST)) || continue
		[[ -z $(find "$entry" -maxdepth 0 -mtime "+$KEEP_DAYS") ]] || rm -rf -- "$entry"
	done < <(find "$CACHE" -mindepth 1 -maxdepth 1 -type d -regextype egrep -regex '.*/[0-9a-f]{64}' -printf '%T@ %p\n' |
		sort -rn | cut -d' ' -f2-)
	find "$CACHE" -mindepth 1 -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf -- {} +
	prune_work
}

# Interrupted builds that nobody took up again within a week; a running one holds its lock.
prune_work() {
	local work lock
	for work in "$CACHE"/objects/*/; do
		[[ -d $work && -n $(find "$work" -maxdepth 0 -mtime +7) ]] || continue
		exec {lock}>>"${work%/}.lock"
		flock -n "$lock" && rm -rf -- "$work" "${work%/}.lock"
		exec {lock}>&-
	done
}

# deliver KEY DIR: copies what differs; each file is replaced in one step, kernel.json last.
deliver() {
	local file
	mkdir -p -- "$2" 2>/dev/null || die "cannot make the output directory $2"
	for file in "${RESULTS[@]}"; do
		cmp -s -- "$CACHE/$1/$file" "$2/$file" && continue
		cp --sparse=always -- "$CACHE/$1/$file" "$2/.$file.$$" 2>/dev/null && mv -- "$2/.$file.$$" "$2/$file" || {
			rm -f -- "$2/.$file.$$"
			die "cannot write $2/$file; is the disk full or the directory read-only?"
		}
	done
}
