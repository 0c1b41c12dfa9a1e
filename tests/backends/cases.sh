#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a guest's user can rely on whatever runs it: the same cases against each back end. tests/backends.bats runs them
# with QEMU on this machine, tests/nested/steps/long-backends-* with the built-in monitor where there is a KVM.
#
#	cases.sh BACK-END FILES [NAME|GROUP...]
#
# FILES is a folder of tests/nested/make-backends. Prints TAP. $BARE: guests that only wait are a bare-metal kernel, for a
# KVM that is too slow for Linux. $KIHON: the program; $OPTIONS: more options of `kihon boot`
# and `run`; $REGISTRY, $CA: of a registry with busybox:1, as guests see it, for the cases of `run`.
: "${KIHON:=kihon}"
vmm=$1 files=$2
shift 2

group_program="status killed out_of_memory output words no_program verbose cpus memory wrong_cpus wrong_memory net_none net_user"
group_ends="off reset panic timeout interrupt monitor_killed kihon_killed"
group_files="multiboot kernel_absent kernel_folder kernel_empty kernel_text kernel_cut bzimage_cut initrd_absent image_absent image_cut"
group_only="stats machine cpu_model"
group_run="run_streams run_no_program run_no_image run_out_of_memory"

fail() {
	echo "$*"
	echo "status $got; standard error:"
	cat err
	echo "the end of standard output:"
	tail -n 5 out
	exit 1
}

# kihon says that it emulates: no message of the guest's.
quietly() { grep -v 'kihon: emulating' err >said || true; }

# boot STATUS OPTION...: ends with the status.
boot() {
	want=$1
	shift
	# shellcheck disable=SC2086
	timeout 150 "$KIHON" boot --vmm "$vmm" $OPTIONS --timeout 120s "$@" >out 2>err </dev/null
	got=$?
	quietly
	[ $got -eq "$want" ] || fail "not $want"
}
# guest STATUS DO OPTION...: of the guest that does so.
guest() { want=$1 do=$2; shift 2; boot "$want" --net none --memory 96M --append "do=$do" "$@" "$files/image"; }
# one_line WORDS [OUTPUT]: on standard error, and it has these; nothing was printed, unless there is a second argument.
one_line() {
	[ "$(wc -l <said)" -eq 1 ] && grep -q "^kihon[a-z ]*: .*$1" said || fail "not one line that has: $1"
	[ ! -s out ] || [ -n "$2" ] || fail "something on standard output"
}
silent() { [ ! -s said ] || fail "something on standard error"; }

# start: a guest that waits, in the background, until it is ready: $pid.
start() {
	set --
	[ -z "$BARE" ] || set -- --verbose --kernel "$files/spin"
	# shellcheck disable=SC2086
	"$KIHON" boot --vmm "$vmm" $OPTIONS --timeout 120s --net none --memory 96M --append "do=wait" "$@" "$files/image" >out 2>err </dev/null &
	pid=$!
	tries=0
	until grep -q '^ready\|^spin' out; do
		tries=$((tries + 1))
		[ $tries -lt 480 ] && kill -0 $pid 2>/dev/null || { kill -KILL $pid 2>/dev/null; got=none; fail "it did not come up"; }
		sleep 0.25
	done
}
ends() { # STATUS
	wait $pid
	got=$?
	quietly
	[ $got -eq "$1" ] || fail "not $1"
}
# The process that the guest is in: kihon's child.
monitor() {
	for stat in /proc/[0-9]*/stat; do
		read -r line <"$stat" 2>/dev/null || continue
		set -- "${line%% *}" "${line#*(}"
		name=${2%)*}
		rest=${2##*) }
		rest=${rest#* }
		[ "${rest%% *}" = $pid ] || continue
		case $name in kihon-vmm | qemu-system*) echo "$1" && return ;; esac
	done
}
# Nothing is left of it, after a while.
nobody() {
	tries=0
	while [ $tries -lt 240 ]; do
		tries=$((tries + 1))
		left=$(for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$f" 2>/dev/null | grep -- "$files/image" | grep -v cases.sh; done)
		[ -n "$left" ] || return 0
		sleep 0.25
	done
	fail "left: $left"
}

# ---- a program's end and output

case_status() { guest 7 status && silent; }
case_killed() { guest 137 killed && silent; }
# The init's own line, on the console that is the program's.
case_out_of_memory() { guest 137 hungry && grep -q 'was killed: out of memory' out || fail "not told"; }
case_output() { guest 0 output && silent && seq 1 6000 | cmp - out || fail "not what it printed"; }
# A kernel without ACPI is told of its devices by further words.
case_words() { guest 0 "words  two  blanks" && grep -q "^words  two  blanks\( virtio_mmio.*\)\?$" out || fail "other words"; }
case_no_program() { guest 127 x --append kihon.exec=/nowhere; }

# ---- a machine's size

case_cpus() { guest 0 machine --cpus 2 && grep -q '^cpus 2$' out || fail "not two"; }
case_memory() {
	guest 0 machine --memory 200M
	kib=$(sed -n 's/^memory //p' out)
	[ "$kib" -gt 150000 ] && [ "$kib" -lt 204800 ] || fail "$kib KiB"
}
case_wrong_cpus() { for n in 0 33; do guest 2 status --cpus $n && one_line '1 to 32'; done; }
case_wrong_memory() {
	for size in 1M 0; do guest 2 status --memory $size && one_line 'at least'; done
	guest 2 status --memory 64.5M && one_line 'memory'
}

# ---- network

case_net_none() { guest 0 net && grep -q '^links lo $' out || fail "other links"; }
case_net_user() {
	boot 0 --net user --memory 96M --append do=net "$files/image"
	grep -q '^links eth0 lo $' out && grep -q '^address inet 10.0.2.15/24' out || fail "another network"
}

# ---- ends

# The image's own kernel has no ACPI: only a reset ends it.
case_off() { guest 125 off --kernel "$files/acpi" && one_line 'without the exit status' last-words; }
case_reset() { guest 125 reset && one_line 'without the exit status' last-words; }
case_panic() { guest 125 x --append init=/nowhere && one_line 'kernel panicked: '; }
case_timeout() {
	guest 125 wait --timeout 6s ${BARE:+--kernel "$files/spin"} && one_line 'did not end in time' ready
}
case_interrupt() { for s in INT:130 TERM:143; do start && kill -"${s%:*}" $pid && ends "${s#*:}" && silent && nobody; done; }
case_monitor_killed() {
	start
	kill -KILL "$(monitor)" || fail "there is no monitor"
	ends 125 && one_line 'killed by signal 9' ready && nobody
}
case_kihon_killed() { start && kill -KILL $pid && ends 137 && nobody; }
case_verbose() { guest 7 status --verbose && grep -q 'Linux version' out || fail "no kernel on the console"; }

# ---- kernels that are not Linux, and files that are wrong

# In the style of kvm-unit-tests: 32 bits, a module, the serial port, an end by port 0xf4.
case_multiboot() {
	for status in 0 7; do
		boot $status --net none --verbose --kernel "$files/stranger" --initrd "$files/text" --append "two words status=$status" "$files/image"
		silent
		grep -q "two words status=$status" out && grep -q '^modules 1' out && grep -q '^this is a text' out || fail "not told what it must be"
	done
}

case_kernel_absent() { boot 125 --kernel "$files/absent" "$files/image" && one_line "absent"; }
case_kernel_folder() { boot 125 --kernel "$files" "$files/image" && one_line "is not a file"; }
case_kernel_empty() { boot 125 --net none --kernel "$files/empty" "$files/image" && one_line "empty"; }
case_kernel_text() { boot 125 --net none --kernel "$files/text" "$files/image" && one_line "text"; }
case_kernel_cut() { boot 125 --net none --kernel "$files/cut" "$files/image" && one_line "is cut short"; }
case_bzimage_cut() { boot 125 --net none --kernel "$files/cut.bzImage" "$files/image" && one_line "is cut short"; }
case_initrd_absent() { boot 125 --initrd "$files/absent" "$files/image" && one_line "absent"; }
case_image_absent() { boot 125 "$files/absent" && one_line "absent"; }
case_image_cut() { boot 125 --net none "$files/short" && one_line "build the image again"; }

# ---- containers

run() { # STATUS OPTION... IMAGE...
	want=$1
	shift
	# shellcheck disable=SC2086
	timeout 350 "$KIHON" run --vmm "$vmm" $OPTIONS --timeout 300s --memory 256M --image-dir "$CONTAINER" --ca "$CA" "$@" >out 2>err
	got=$?
	quietly
	[ $got -eq "$want" ] || fail "not $want"
}
case_run_streams() {
	printf 'one\ntwo\n' | run 7 -i "$REGISTRY/busybox:1" sh -c 'cat; echo to stderr >&2; exit 7'
	[ "$(cat out)" = "$(printf 'one\ntwo')" ] && [ "$(cat said)" = "to stderr" ] || fail "other output"
}
# The line is kihon's own, whether the process that was killed is the container's first or not.
case_run_out_of_memory() {
	run 137 --memory 128M "$REGISTRY/busybox:1" tail /dev/zero </dev/null && one_line 'out of memory (the guest has 128 MiB'
	run 3 --memory 128M "$REGISTRY/busybox:1" sh -c 'tail /dev/zero; exit 3' </dev/null && grep -q 'out of memory' said || fail "not told"
}
case_run_no_program() { run 127 "$REGISTRY/busybox:1" /nowhere </dev/null && one_line nowhere; }
case_run_no_image() { run 125 "$REGISTRY/absent:1" </dev/null && one_line absent; }

# ---- what one has and the other has not is said in one line, before anything starts

case_stats() {
	case $vmm in
	builtin) guest 7 status --stats stats.json && silent && grep -q '"exits"' stats.json || fail "no numbers" ;;
	*) guest 2 status --stats stats.json && one_line 'use --vmm builtin' && [ ! -e stats.json ] || fail "a file" ;;
	esac
}
case_machine() {
	case $vmm in
	builtin) guest 2 status --machine q35 && one_line 'for QEMU' ;;
	*) guest 7 status --machine microvm && silent ;;
	esac
}
case_cpu_model() {
	case $vmm in
	builtin) guest 7 status --cpu x86-64-v2 && silent ;;
	*) guest 2 status --cpu x86-64-v2 && one_line 'use --vmm builtin' ;;
	esac
}

names=
for name in ${*:-program ends files only run}; do
	eval "names=\"\$names \${group_$name:-$name}\""
done
n=0 failed=0
for case in $names; do
	n=$((n + 1))
	case $case in run_*) [ -n "$REGISTRY" ] || { echo "ok $n $case # skip there is no registry"; continue; } ;; esac
	rm -rf work && mkdir work && : >work/out
	if (cd work && : >err && "case_$case") >report 2>&1; then
		echo "ok $n $case"
	else
		echo "not ok $n $case"
		tr -d '\r' <report | sed 's/^/# /'
		failed=1
	fi
done
echo "1..$n"
exit $failed
