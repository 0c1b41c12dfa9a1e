# SPDX-License-Identifier: Apache-2.0
# Messages and cleaning up, shared by the pieces of build-kernel. shellcheck shell=bash

readonly EXIT_FAILURE=1 EXIT_USAGE=2 EXIT_INPUT=3

# Lines for people go to standard error, also from a step whose own is redirected; standard output carries only
# the result.
exec {PEOPLE}>&2
say() { printf 'build-kernel: %s\n' "$*" >&"$PEOPLE"; }

die() {
	clear_progress
	say "$*"
	exit "$EXIT_FAILURE"
}

# What the caller gave cannot be built.
die_input() {
	clear_progress
	say "$*"
	exit "$EXIT_INPUT"
}

usage_error() {
	say "$*; see build-kernel --help"
	exit "$EXIT_USAGE"
}

# progress TEXT: one line rewritten on a terminal; elsewhere nothing (callers print milestones).
PROGRESS_SHOWN=
progress() {
	[[ -t 2 ]] || return 0
	printf '\r\033[K%s' "$*" >&2
	PROGRESS_SHOWN=1
}

clear_progress() {
	[[ -z $PROGRESS_SHOWN ]] || printf '\r\033[K' >&2
	PROGRESS_SHOWN=
}

# What must not be left behind, whatever ends the script.
SCRATCH=()
CHILD_GROUP=
cleanup() {
	((${#SCRATCH[@]} == 0)) || rm -rf -- "${SCRATCH[@]}"
}

# A signal ends the whole group of the running step; its objects stay for the next try.
interrupted() {
	trap '' INT TERM HUP
	[[ -z $CHILD_GROUP ]] || kill -TERM -- "-$CHILD_GROUP" 2>/dev/null
	clear_progress
	say "interrupted: run the same command again to go on from here"
	exit $((128 + $1))
}

# in_group COMMAND...: runs it in a process group of its own, which `interrupted` can end.
in_group() {
	local status
	setsid -- "$@" &
	CHILD_GROUP=$!
	wait "$CHILD_GROUP"
	status=$?
	CHILD_GROUP=
	return "$status"
}

hash_text() {
	local sum
	sum=$(sha256sum)
	printf '%s' "${sum%% *}"
}
