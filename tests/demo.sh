#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make demo`: from nothing to a container in a virtual machine. Installs what is missing, builds the guest
# and the tools, starts a TLS registry with a password on the loopback, puts a busybox image into it, boots
# the guest, which pulls and runs it, and says what happened in a table. Stops what it started.
set -eu
cd "$(dirname "$0")/.."

now_ms() { echo $(($(date +%s%N) / 1000000)); }
step() { printf '\n== %s\n' "$*"; }

step "packages"
rootfs/deps.sh

step "build (the first time: kernel and libraries, some minutes; then from the cache)"
t0=$(now_ms)
make -s -j"$(nproc)" all
tool=build/host/bin/kata-image-tool
image=build/image/container
$tool build --profile container -o $image
t1=$(now_ms)

step "registry on the loopback, TLS and a password, with an image made from this machine's busybox"
. tests/registry.bash
work=$(mktemp -d)
cleanup() {
	registry_stop || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
registry_start "$work/registry" --user demo --password "$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')"
registry_push_busybox busybox:demo

# The guest reaches this machine's loopback at 10.0.2.2: the reference says so, nothing rewrites it.
reference=10.0.2.2:$REGISTRY_PORT/busybox:demo
command=(sh -c 'echo "hello from $(uname -sr), pid $$"; head -c 1000000 /dev/zero | wc -c; exit 7')
step "kihon run $reference sh -c '...; exit 7'"
status=0
t2=$(now_ms)
build/host/bin/kihon run --image-dir $image --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE" \
	--timeout 120s --json-timings "$work/timings.json" "$reference" "${command[@]}" || status=$?
t3=$(now_ms)

size() { stat -c %s "$1" | numfmt --to=iec-i --suffix=B; }
row() { printf '  %-28s %s\n' "$1" "$2"; }
timing() { jq -r ".$1 // \"-\"" "$work/timings.json"; }
step "what happened"
row "build or cache" "$((t1 - t0)) ms"
row "start to agent" "$(timing boot_ms) ms"
row "pull inside the guest" "$(timing pull_ms) ms"
row "run" "$(timing run_ms) ms"
row "kihon run, all of it" "$((t3 - t2)) ms"
row "exit status (7 is right)" "$status"
row "vmlinux" "$(size $image/vmlinux)"
row "bzImage" "$(size $image/bzImage)"
row "rootfs.erofs" "$(size $image/rootfs.erofs), $(($(stat -c %b $image/rootfs.erofs) / 2)) KiB allocated"
row "kihon-agent" "$(size build/guest/bin/kihon-agent)"
row "kihon-pull" "$(size build/guest/bin/kihon-pull)"
[ "$status" -eq 7 ] || { echo "demo: expected exit status 7, got $status" >&2; exit 1; }
