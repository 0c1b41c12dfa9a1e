# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A guest with the agent for bats suites: an image with tools to look around, `kihon boot`, QMP, and calls over the
# vsock device (calls.sh). The first of a suite's tests boot it; what a test needs to know is in $GUEST, a folder.
. "$ROOT/tests/wait.bash"
. "$ROOT/tests/agent/calls.sh"
SOCKET=hvsock://$GUEST/vsock:1024
TREE=/test/rootfs
TAG=test

# guest_build: what the suites need of the project.
guest_build() {
	make -s kernel PROFILE=container >&2
	make -s build/host/bin/kihon build/host/bin/kata-image-tool build/host/bin/agent-client build/host/bin/agent-soak \
		build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause build/guest/test/guest-look >&2
}

# guest_image [FOLDER]: $GUEST/image: the container profile with busybox, a root for containers, and what FOLDER has.
guest_image() {
	local tree=$GUEST/tree a
	mkdir -p "$tree"/test/{bin,rootfs/{bin,etc,proc,sys,dev,run,tmp,guest,vol,share}} "$tree/bin"
	[ -z "${1-}" ] || cp -a "$1/." "$tree/"
	cp "$(command -v busybox)" "$tree/test/bin/busybox"
	cp "$tree/test/bin/busybox" "$tree/test/rootfs/bin/busybox"
	for a in $("$tree/test/bin/busybox" --list); do
		[ "$a" = busybox ] || ln -s busybox "$tree/test/rootfs/bin/$a"
		[ "$a" = busybox ] || ln -s busybox "$tree/test/bin/$a"
	done
	ln -s /test/bin/busybox "$tree/bin/sh"
	cp build/guest/test/guest-look "$tree/test/bin/"
	cp build/guest/test/guest-look "$tree/test/rootfs/bin/"
	build/host/bin/kata-image-tool build -q --kernel build/kernel/container --extra "$tree" -o "$GUEST/image" >&2
}

# guest_qemu WORD...: from now on QEMU is given these as well, and a QMP socket. The value of -machine is appended to
# kihon's own, that of -m to its size of the memory.
guest_qemu() {
	mkdir -p "$GUEST/bin"
	{
		printf '#!/bin/bash\nmore=(%s)\n' "$(printf '%q ' "$@")"
		cat <<-'SH'
			args=()
			declare -A add
			while [ "${#more[@]}" -gt 0 ]; do
				case ${more[0]} in
				-machine | -m) add[${more[0]}]=${more[1]} more=("${more[@]:2}") ;;
				*) args+=("${more[0]}") more=("${more[@]:1}") ;;
				esac
			done
			own=()
			while [ $# -gt 0 ]; do
				own+=("$1")
				if [ -n "${add[$1]-}" ]; then
					case $1 in
					-machine) own+=("$2,${add[$1]}") ;;
					*) own+=("${2%%,*},${add[$1]}") ;;
					esac
					shift
				fi
				shift
			done
		SH
		printf 'exec %q "${own[@]}" "${args[@]}" -qmp unix:%q,server=on,wait=off\n' "$(command -v qemu-system-x86_64)" "$GUEST/qmp"
	} >"$GUEST/bin/qemu-system-x86_64"
	chmod 755 "$GUEST/bin/qemu-system-x86_64"
}

# guest_boot OPTION...: kihon boot with these, until the agent answers. Twice at most: an emulated boot on a loaded
# machine may lose a timer interrupt (docs/kernel.md).
guest_boot() {
	local try i socket
	for try in 1 2; do
		mkdir -p "$GUEST/run"
		: >"$GUEST/console"
		PATH=$GUEST/bin:$PATH XDG_RUNTIME_DIR=$GUEST/run build/host/bin/kihon boot --accel tcg --verbose \
			--timeout 20m "$@" "$GUEST/image" >"$GUEST/console" 2>&1 </dev/null 3>&- &
		echo $! >"$GUEST/pid"
		for ((i = 0; i < 300; i++)); do
			sleep 0.5
			kill -0 "$(<"$GUEST/pid")" 2>/dev/null || break
			socket=$(echo "$GUEST"/run/kihon/*/vsock)
			[ -S "$socket" ] && ln -sfn "$socket" "$GUEST/vsock" &&
				timeout 10 build/host/bin/agent-client "$SOCKET" grpc.Health Check </dev/null >/dev/null 2>&1 &&
				return
		done
		guest_end
	done
	tail -n 30 "$GUEST/console" >&2
	return 1
}

# guest_end: ends what guest_boot began, if it still runs.
guest_end() {
	local pid
	pid=$(cat "$GUEST/pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null
	until_gone "$pid" || kill -KILL "$pid"
	rm -f "$GUEST/pid"
}

# qmp COMMAND [ARGUMENTS]: one command to QEMU, the arguments as JSON; prints what it returns.
qmp() {
	local none='{}'
	python3 tests/device/plug.py "$GUEST/qmp" /dev/null "" "$(jq -nc --arg c "$1" --argjson a "${2-$none}" '{execute: $c, arguments: $a}')"
}

ALL_CAPS=$(python3 -c '
import re
print(*re.findall(r"#define (CAP_\w+)\s+\d+\s", open("/usr/include/linux/capability.h").read()))')

# caps LIST...: as the capabilities of a process, in all sets but the ambient one.
caps() {
	local set c
	printf 'Capabilities {'
	for set in Bounding Effective Permitted; do
		for c; do printf ' %s: "%s"' "$set" "$c"; done
	done
	printf ' }'
}

# look_begin: a container from which `look` sees the guest itself.
look_begin() {
	# shellcheck disable=SC2086
	container look -p "$(caps $ALL_CAPS)" -s 'Mounts { destination: "/guest" source: "/proc" type: "bind" options: "rbind" }' \
		sleep 100000 && start look
}

# look SCRIPT: runs it in the guest's own mount and ipc namespaces, with busybox; prints its output, returns its status.
look() {
	local id=look.$BASHPID.$RANDOM status
	exec_in look "$id" nsenter --mount=/guest/1/ns/mnt --ipc=/guest/1/ns/ipc /test/bin/busybox env PATH=/test/bin /test/bin/sh -c "$1" || return
	output look "" "$id" || return
	status=$(wait_exit look "$id") || return
	return "$status"
}

# in_container ID SCRIPT: runs it in a container that is there; output and status are its own.
in_container() {
	local id=e.$BASHPID.$RANDOM status
	exec_in "$1" "$id" sh -c "$2" || return
	output "$1" "" "$id" || return
	status=$(wait_exit "$1" "$id") || return
	return "$status"
}

# until_output ID TEXT: reads what the container writes, until that is among it; all of it is in $GUEST/out.
until_output() {
	[ "${OUT_OF-}" = "$1" ] || : >"$GUEST/out"
	OUT_OF=$1
	until grep -q -- "$2" "$GUEST/out"; do
		call ReadStdout "container_id: \"$1\" len: 1000" 200000 >>"$GUEST/out" || return
	done
}
