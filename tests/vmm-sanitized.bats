#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The built-in monitor under valgrind, straight on /dev/kvm with guests that break the rules (tests/vmm/hostile.c), without
# its jail, which valgrind would not survive; kihon itself needs pidfds, which Debian's valgrind does not know. KIHON_FULL: more of it, and built with TSan, the device models' unit tests,
# too. ASan: every unit test and fuzzer.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s vmm-guests build/host/bin/kihon >&2
	[[ -z ${KIHON_FULL-} ]] || make -s TSAN=1 build/tsan/bin/{kihon,vm-run} >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.."
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	GUESTS=build/host/test/vmm
	MACHINE=(--memory 64M --disk "$BATS_TEST_TMPDIR/disk" --pmem "$BATS_TEST_TMPDIR/image" --vsock "$BATS_TEST_TMPDIR/vsock")
	truncate -s 4M "$BATS_TEST_TMPDIR/disk" "$BATS_TEST_TMPDIR/image"
}

need_kvm() { { : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"; }
need_valgrind() { command -v valgrind >/dev/null || skip "valgrind is not installed"; }

# survives VM-RUN... -- WAY OPTION...: a hostile guest comes to its end, and the tool has nothing to say.
survives() {
	local command=()
	while [[ $1 != -- ]]; do command+=("$1"); shift; done
	rm -f "$BATS_TEST_TMPDIR/vsock"
	run timeout 300 "${command[@]}" --timeout 280s "${MACHINE[@]}" --cmdline "$2" "${@:3}" "$GUESTS/hostile"
	echo "$2: $status $output"
	[[ $status == 0 && $output == "hostile: alive"*"vm-run: exit 0" && $output != *"=="* ]]
}

MEMCHECK="valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible build/host/bin/vm-run"

@test "valgrind: memory, with hostile guests" {
	need_kvm
	need_valgrind
	local way
	for way in "scribble 20" "wild-vsock 20" "resets 8" ${KIHON_FULL:+"wild 50" "own-rings 50" "packets 50" "entropy 20" "interrupts 20"}; do
		survives $MEMCHECK -- "$way"
	done
}

# It does not know that counters are atomic: vm-run is not asked for them.
@test "valgrind: the order of locks, while processors are paused again and again" {
	need_kvm
	need_valgrind
	survives valgrind --quiet --tool=helgrind --error-exitcode=99 build/host/bin/vm-run -- "config 50" --cpus 2 --pauses 10
}

@test "TSan: every way of the hostile guests" {
	[[ -n ${KIHON_FULL-} ]] || skip "builds the monitor again (make check-full)"
	need_kvm
	export TSAN_OPTIONS="suppressions=$PWD/tests/vmm/tsan.supp"
	local way
	for way in scribble scribble-rng scribble-vsock scribble-pmem wild wild-vsock wild-pmem wild-rng sizes "resets 8" "own-rings 50" \
		config config-vsock packets entropy interrupts; do
		survives build/tsan/bin/vm-run -- "$way" --cpus 2 --stats
	done
	survives build/tsan/bin/vm-run -- "config 200" --cpus 2 --pauses 20
}

@test "TSan: statistics and volumes of a guest that runs" {
	[[ -n ${KIHON_FULL-} ]] || skip "builds the monitor again (make check-full)"
	need_kvm
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	export TSAN_OPTIONS="suppressions=$PWD/tests/vmm/tsan.supp log_path=$BATS_TEST_TMPDIR/report"
	timeout 100 build/tsan/bin/kihon boot --vmm builtin --accel kvm --no-jail --net none -m 64M --cpus 2 --slots 2 --balloon --memory-max 128M \
		--verbose --kernel "$GUESTS/hostile" --append "image-rings 12" build/image/container >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! i name status=0
	for _ in {1..200}; do
		name=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null) && [[ -S $XDG_RUNTIME_DIR/kihon/$name/control ]] && break
		sleep 0.1
	done
	for i in 1 2 3; do
		timeout 20 build/host/bin/kihon volume attach --pmem --id "v$i" "$name" "$BATS_TEST_TMPDIR/image" || break
		timeout 20 build/host/bin/kihon stats "$name" || break
		timeout 20 build/host/bin/kihon volume detach --force "$name" "v$i" || break
	done
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR"/report* 2>/dev/null || true
	echo "$i attached, status $status"
	[[ $i -ge 2 && $status == 0 && ! -e $(echo "$BATS_TEST_TMPDIR"/report*) ]]
}

@test "TSan: device models on plain memory" {
	[[ -n ${KIHON_FULL-} ]] || skip "builds the monitor again (make check-full)"
	local test tests=()
	for test in tests/unit/test-{vmm-*,vsock*,virtqueue,vhost-user}.c; do
		test=${test##*/}
		tests+=("build/tsan/test/${test%.c}")
	done
	make -s TSAN=1 "${tests[@]}" >&2
	for test in "${tests[@]}"; do
		run timeout 200 "$test"
		echo "$test: $status $output"
		[[ $status == 0 && $output != *ThreadSanitizer* ]]
	done
}
