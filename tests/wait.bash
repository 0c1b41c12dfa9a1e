# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Waiting for what comes a moment later. A machine whose processors are others' may stand still for many seconds: tries are
# counted, not seconds, and there are enough for a minute; what is there at once is waited for by nobody.

# until_true COMMAND...: again and again, until it succeeds.
until_true() {
	local i
	for ((i = 0; i < 600; i++)); do
		! "$@" || return 0
		sleep 0.1
	done
	echo "never: $*"
	return 1
}

# never COMMAND...: fails, whatever `set -e` thinks of "!"; for until_true.
never() { ! "$@" >/dev/null 2>&1; }

# until_gone PID...: these processes have ended; nobody may have taken their status yet.
until_gone() {
	local p
	for p; do
		until_true is_gone "$p" || return 1
	done
}

is_gone() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) || return 0
	[[ -z $state || $state == [ZX]* ]]
}
