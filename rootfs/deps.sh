#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of deps.list that are missing.
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/lib.sh"

case ${1:-} in
'') ;;
--list) list_only=1 ;;
--help | -h) echo "usage: deps.sh [--list]   installs (or lists) the missing packages of rootfs/deps.list"; exit 0 ;;
*) usage_error "unknown argument $1" ;;
esac

type -P dpkg-query >/dev/null && type -P apt-get >/dev/null ||
	fail "this is not Debian (no dpkg-query, apt-get): install what rootfs/deps.list names by hand"

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
missing=()
while IFS= read -r line; do
	line=${line%%#*}
	IFS='|' read -ra choices <<<"${line//[[:space:]]/}"
	[[ ${#choices[@]} -gt 0 ]] || continue
	for choice in "${choices[@]}"; do
		[[ $'\n'$installed$'\n' != *$'\n'$choice$'\n'* ]] || continue 2
	done
	missing+=("$(IFS='|'; echo "${choices[*]}")")
done <"$rootfs_dir/deps.list"

if [[ -n ${list_only:-} ]]; then
	[[ ${#missing[@]} -eq 0 ]] || printf '%s\n' "${missing[@]}"
	exit 0
fi
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
	type -P sudo >/dev/null || fail "installing needs root and there is no sudo: as root, run apt-get install ${missing[*]%%|*}"
	as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive

# The first choice that the index offers; nothing when there is none.
available() {
	local choice
	for choice in ${1//|/ }; do
		[[ -z $(apt-cache policy "$choice" 2>/dev/null | grep 'Candidate: [^(]') ]] || { echo "$choice"; return; }
	done
}

choose() {
	chosen=() unknown=()
	local entry name
	for entry in "${missing[@]}"; do
		name=$(available "$entry")
		[[ -n $name ]] && chosen+=("$name") || unknown+=("$entry")
	done
}

update() {
	say "updating the package index"
	"${as_root[@]}" apt-get -q update >/dev/null || fail "apt-get update failed; check the network and /etc/apt"
}

choose
if [[ ${#unknown[@]} -gt 0 ]]; then
	update
	choose
	[[ ${#unknown[@]} -eq 0 ]] || fail "Debian's index has no package ${unknown[*]}: Kihon builds on Debian 12 (bookworm) with its security suite"
fi
say "installing ${chosen[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${chosen[@]}")
if ! "${install[@]}" >/dev/null; then
	# An index that is older than the archive names files that are gone.
	update
	"${install[@]}" >/dev/null || fail "apt-get could not install ${chosen[*]}; what it said is above"
fi
