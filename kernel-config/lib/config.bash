# SPDX-License-Identifier: Apache-2.0
# Profiles and fragments: reading them, merging them, and checking that every symbol asked for took.
# shellcheck shell=bash

# Filled by read_profile and read_fragment. A symbol appears once; the last fragment that names it wins.
declare -A WANT=() FROM=() SINCE=() GROUP=()
ORDER=()        # symbols, in the order first seen

list_profiles() {
	local file
	for file in "$HERE"/profiles/*; do
		printf '%-16s %s\n' "${file##*/}" "$(sed -n '2s/^# [^:]*: //p' "$file")"
	done
}

# read_profile NAME: an `include` line takes in another profile, one level deep.
read_profile() {
	local name=$1 depth=${2:-0} word argument rest
	local file=$HERE/profiles/$name
	[[ $name =~ ^[a-z0-9-]+$ && -f $file ]] ||
		die "there is no kernel profile '$name'; the profiles are: $(cd "$HERE/profiles" && echo *)"
	((depth < 2)) || die "profile '$name' is included by an included profile; include it directly"
	while read -r word argument rest; do
		case $word in
		'' | '#'*) ;;
		include) read_profile "$argument" $((depth + 1)) ;;
		*) read_fragment "$HERE/fragments/$word.config" ;;
		esac
	done <"$file"
}

# read_fragment FILE: lines `CONFIG_A=value [| CONFIG_B=value]... [# since V]`, or Kconfig's own
# `# CONFIG_A is not set`.
read_fragment() {
	local file=$1 line number=0 since rest
	[[ -r $file ]] || die_input "cannot read the configuration fragment $file"
	while IFS= read -r line || [[ -n $line ]]; do
		((++number))
		[[ $line =~ ^'# '(CONFIG_[A-Za-z0-9_]+)' is not set'$ ]] && line=${BASH_REMATCH[1]}=n
		[[ $line == '#'* || $line =~ ^[[:space:]]*$ ]] && continue
		since=0
		if [[ $line =~ ^(.*[^[:space:]])[[:space:]]+'#'[[:space:]]*(.*)$ ]]; then
			line=${BASH_REMATCH[1]} rest=${BASH_REMATCH[2]}
			[[ $rest =~ ^'since '([0-9]+)\.([0-9]+)$ ]] ||
				die_input "$file line $number: '# $rest' is neither a comment line nor '# since VERSION'"
			since=$((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2]))
		fi
		take_line "$line" "$since" "${file##*/}" || die_input "$file line $number: '$line' is not CONFIG_NAME=value"
	done <"$file"
}

readonly SYMBOL_LINE='^(CONFIG_[A-Za-z0-9_]+)=(y|n|m|-?[0-9]+|0x[0-9a-fA-F]+|"[^"]*")$'
take_line() {
	local names=() values=() part symbol index
	while IFS= read -r part; do
		[[ $part =~ $SYMBOL_LINE ]] || return 1
		names+=("${BASH_REMATCH[1]}") values+=("${BASH_REMATCH[2]}")
	done <<<"${1// | /$'\n'}"
	for index in "${!names[@]}"; do
		symbol=${names[index]}
		[[ -v WANT[$symbol] ]] || ORDER+=("$symbol")
		WANT[$symbol]=${values[index]} SINCE[$symbol]=$2 FROM[$symbol]=$3 GROUP[$symbol]="${names[*]}"
	done
}

# write_fragment FILE VERSION: what Kconfig reads; VERSION as 1000 * major + minor.
write_fragment() {
	local symbol
	for symbol in "${ORDER[@]}"; do
		((SINCE[$symbol] > $2)) || printf '%s=%s\n' "$symbol" "${WANT[$symbol]}"
	done >"$1"
}

# check_config FILE VERSION: dies naming every symbol that did not take.
check_config() {
	local line symbol said missing=0 first=
	local -A got=()
	while IFS= read -r line; do
		[[ $line == CONFIG_*=* ]] && got[${line%%=*}]=${line#*=}
	done <"$1"
	for symbol in "${ORDER[@]}"; do
		((SINCE[$symbol] > $2)) && continue
		took "${GROUP[$symbol]}" && continue
		[[ ${GROUP[$symbol]%% *} == "$symbol" ]] || continue
		clear_progress
		said="$symbol: wanted ${WANT[$symbol]}, got ${got[$symbol]:-nothing (unknown, or its dependencies are off)} (fragment ${FROM[$symbol]})"
		say "$said"
		: "${first:=$said}"
		((++missing))
	done
	((missing == 0)) ||
		die_input "$missing of the symbols asked for did not take; $first; correct the fragments (Kconfig's \`depends on\` says what they need)"
}

# took "SYMBOL...": true when one of them has its value. Uses check_config's `got`.
took() {
	local symbol
	for symbol in $1; do
		[[ ${got[$symbol]:-n} == "${WANT[$symbol]}" ]] && return 0
	done
	return 1
}
