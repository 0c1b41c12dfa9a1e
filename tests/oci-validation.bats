#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-oci against the clauses of the OCI runtime specification: tests/oci/validation, whose cases are those of
# opencontainers/runtime-tools' validation programs and more. With KIHON_FULL the runtimes of the machine are
# measured too, and no case may pass with crun alone. The programs themselves are in no Debian package
# (golang-github-opencontainers-runtime-tools-dev has the libraries only): to run them as well, build a checkout
# (golang-go; make runtimetest validation-executables) and name it in KIHON_RUNTIME_TOOLS.

bats_require_minimum_version 1.5.0

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." build/guest/bin/kihon-oci >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -x /bin/busybox ] || skip "needs busybox-static"
	unshare -m sh -c 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup' 2>/dev/null || skip "no cgroup2 here"
}

@test "every clause holds" {
	env -u KIHON_RUNTIME_TOOLS tests/oci/validation build/guest/bin/kihon-oci >"$BATS_TEST_TMPDIR/tap" 2>/dev/null ||
		{ grep -A 3 '^not ok' "$BATS_TEST_TMPDIR/tap"; false; }
	[ "$(grep -c '^ok' "$BATS_TEST_TMPDIR/tap")" -ge 70 ]
}

@test "no case passes with crun and fails here" {
	[ -n "${KIHON_FULL-}" ] || skip "set KIHON_FULL for the comparison"
	command -v crun >/dev/null || skip "no crun"
	env -u KIHON_RUNTIME_TOOLS tests/oci/validation crun build/guest/bin/kihon-oci >/dev/null 2>"$BATS_TEST_TMPDIR/table" || true
	run grep -E '^[^ ]+ +pass +FAIL' "$BATS_TEST_TMPDIR/table"
	[ -z "$output" ]
	[ "$(grep -cE '^[^ ]+ +(pass|FAIL|skip) +pass' "$BATS_TEST_TMPDIR/table")" -ge 70 ]
}

@test "the harness sees a runtime that does nothing" {
	printf '#!/bin/sh\nexit 0\n' >"$BATS_TEST_TMPDIR/nothing"
	chmod +x "$BATS_TEST_TMPDIR/nothing"
	for name in create hooks_stdin process_user mounts linux_masked_paths linux_ns_fail; do
		run tests/oci/validation --only "$name" "$BATS_TEST_TMPDIR/nothing"
		[ "$status" -eq 1 ]
		[[ "$output" == *"not ok 1 $name"* ]]
	done
}

# Each line: a case, and what a runtime overlooks of config.json that has to make it fail.
overlooked() {
	cat <<-'END'
	default .process.noNewPrivileges = false
	default .process.capabilities.bounding += ["CAP_CHOWN"]
	default .mounts |= reverse
	process .process.cwd = "/"
	process_user .process.user.additionalGids = []
	process_user .process.user.umask = null
	process_user .process.user.gid = 0
	process_rlimits .process.rlimits = []
	process_rlimits_fail .process.rlimits = []
	process_capabilities .process.capabilities = {}
	process_oom_score_adj del(.process.oomScoreAdj)
	process_io_priority del(.process.ioPriority)
	process_scheduler del(.process.scheduler)
	process_environment .process.env = []
	root_readonly_true .root.readonly = false
	hostname del(.hostname)
	domainname del(.domainname)
	mounts .mounts |= map(del(.options))
	mounts_recursive .mounts |= map(del(.options))
	mounts_idmap .mounts |= map(del(.uidMappings))
	mounts_tmpcopyup .mounts |= map(del(.options))
	linux_devices .linux.devices |= .[1:]
	linux_devices .linux.devices |= map(del(.fileMode))
	linux_devices .linux.devices |= map(del(.uid))
	linux_masked_paths .linux.maskedPaths |= map(select(. != "/masked-file"))
	linux_masked_paths .linux.maskedPaths |= map(select(. != "/masked-dir"))
	linux_masked_paths_special .linux.maskedPaths = []
	linux_readonly_paths .linux.readonlyPaths |= .[1:]
	linux_seccomp del(.linux.seccomp)
	linux_sysctl del(.linux.sysctl)
	linux_sysctl_fail del(.linux.sysctl)
	linux_id_mappings .linux.uidMappings[0].hostID += 1
	linux_ns_nopath .linux.namespaces |= .[1:]
	linux_ns_itype .linux.namespaces = [{"type": "ipc"}]
	linux_time_offsets del(.linux.timeOffsets)
	linux_personality del(.linux.personality)
	linux_cgroups_devices .linux.resources.devices = [{"allow": true, "access": "rwm"}]
	hooks del(.hooks.poststop)
	hooks_stdin del(.hooks)
	hooks_in_the_container del(.hooks)
	prestart_fail del(.hooks)
	hook_timeout .hooks |= map_values(map(del(.timeout)))
	poststart del(.hooks)
	poststop del(.hooks)
	END
}

@test "each clause can fail: a runtime that overlooks it is seen" {
	local name filter
	cat >"$BATS_TEST_TMPDIR/overlooks" <<-'END'
	#!/bin/bash
	args=()
	while (($#)); do
		args+=("$1")
		if [[ $1 == --bundle ]]; then
			jq "$OVERLOOKS" "$2/config.json" >"$2/other.json" || exit 9
			args+=("$2" --config "$2/other.json")
			shift
		fi
		shift
	done
	exec "$OCI" "${args[@]}"
	END
	chmod +x "$BATS_TEST_TMPDIR/overlooks"
	while read -r name filter; do
		run env OCI="$PWD/build/guest/bin/kihon-oci" OVERLOOKS="$filter" tests/oci/validation --only "$name" "$BATS_TEST_TMPDIR/overlooks"
		[[ $output != *"ok 1 $name # skip"* ]] || continue
		[ "$status" -eq 1 ] && [[ $output == *"not ok 1 $name"* ]] || { echo "not seen by $name: $filter"; echo "$output"; false; }
	done < <(overlooked)
}

@test "the programs of runtime-tools" {
	[ -n "${KIHON_RUNTIME_TOOLS-}" ] || skip "KIHON_RUNTIME_TOOLS names no built checkout (they are in no Debian package)"
	tests/oci/validation build/guest/bin/kihon-oci crun 2>&1 >/dev/null | grep '^runtime-tools' >"$BATS_TEST_TMPDIR/table"
	cat "$BATS_TEST_TMPDIR/table"
	run grep -E 'FAIL +pass' "$BATS_TEST_TMPDIR/table"
	[ -z "$output" ]
}
