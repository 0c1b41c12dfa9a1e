#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container sees of its image, pulled inside the guest, is what umoci unpacks on the host: line by line, of
# every name its type, mode, owner, time, content, links, numbers and attributes (tests/tree/tree-list.c). One boot.

setup_file() {
	[ "$(id -u)" -eq 0 ] || return 0 # umoci makes owners and devices
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/host/bin/kihon build/host/bin/kata-image-tool build/guest/bin/kihon-agent \
		build/guest/bin/kihon-pull build/guest/bin/pause build/guest/test/tree-list >&2
	export LIST=$ROOT/build/guest/test/tree-list
	cd "$BATS_FILE_TMPDIR"
	python3 "$ROOT/tests/tree/image.py" layout "$LIST"
	umoci unpack --image layout:tree bundle >/dev/null
	"$LIST" "${OMITTED[@]}" bundle/rootfs >umoci.list
	"$ROOT/build/host/bin/kata-image-tool" build -q --kernel "$ROOT/build/kernel/container" -o image
	. "$ROOT/tests/registry.bash"
	registry_start "$PWD/registry"
	export REGISTRY_PID
	registry_copy oci:layout:tree tree:1 --preserve-digests
	run_in_guest
}

# The entrypoint is tree-list. Twice at most: an emulated boot on a loaded machine may lose a timer interrupt
# (docs/kernel.md). What became of it is for the tests to say.
run_in_guest() {
	local try
	# The sockets' paths must be short.
	XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-tree.XXXXXX)
	export XDG_RUNTIME_DIR
	for try in 1 2; do
		"$ROOT/build/host/bin/kihon" run --image-dir image --ca "$REGISTRY_CA" --accel tcg --timeout 400s \
			"10.0.2.2:$REGISTRY_PORT/tree:1" "${OMITTED[@]}" / >guest.list 2>guest.stderr </dev/null
		echo $? >guest.status
		[ "$(cat guest.status)" -ne 0 ] || break
	done
	ls "$XDG_RUNTIME_DIR/kihon" >guest.left 2>/dev/null
	rm -rf "$XDG_RUNTIME_DIR"
}

# The engine's mounts hide these.
OMITTED=(-x proc -x sys -x dev -x etc/resolv.conf)

teardown_file() {
	[ -z "${REGISTRY_PID-}" ] || kill "$REGISTRY_PID" 2>/dev/null || true
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "unpacking owners and devices needs root"
	cd "$BATS_FILE_TMPDIR"
}

# Times that no layer says: of folders without an entry in the layer that changed them last, where umoci's is when it
# unpacked, and of the root, which is the container's own writable folder.
comparable() { sed -E '/^(\.|tmp|tmp\/implicit) d /s/ [0-9]+\.[0-9]+/ -/' "$1"; }

# seen LINE: a whole line of the container's listing, as a pattern.
seen() { grep -qxE -- "$1" guest.list || { echo "no line: $1"; return 1; }; }

unseen() { ! grep -E "^$1 " guest.list; }

@test "the container ran and the list is whole" {
	cat guest.stderr
	[ "$(cat guest.status)" -eq 0 ]
	[ ! -s guest.left ]
	[ "$(wc -l <guest.list)" -gt 550 ]
}

@test "line by line the container sees what umoci unpacks" {
	diff <(comparable umoci.list) <(comparable guest.list) | cut -c1-300
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

@test "the list omits nothing: find, stat, sha256sum and getfattr agree on the host" {
	local hidden=0 name
	for name in proc sys dev etc/resolv.conf; do hidden=$((hidden + $(find "bundle/rootfs/$name" | wc -l))); done
	[ "$(wc -l <umoci.list)" -eq $(($(find bundle/rootfs -printf x | wc -c) - hidden)) ]
	grep -qx "t/cap f 0750 0:5 $(stat -c %.9Y bundle/rootfs/t/cap) 1 $(sha256sum <bundle/rootfs/t/cap | cut -d' ' -f1) .*" umoci.list
	grep -qx "t/cap .* {security.capability=$(getfattr -n security.capability --only-values bundle/rootfs/t/cap | od -An -v -tx1 | tr -d ' \n')} .*" umoci.list
	[ "$(grep -c ' same=t/huge' umoci.list)" -eq "$(find bundle/rootfs -samefile bundle/rootfs/t/huge | wc -l)" ]
}

# What the layers say, for both could be wrong together.

@test "whiteouts and opaque folders hide, what comes after them is seen" {
	local gone
	for gone in gone-file gone/a gone/b opaque/old opaque/olddir t/w/gone t/w/gone-file t/opq/b/c t/opq/b/d t/two \
		t/dir-to-link/a replaced-by-file/x etc/file-001; do
		unseen "$gone"
	done
	! grep -F .wh. guest.list || return 1
	seen 'gone/back f .*'
	seen 'opaque d 0700 .*'
	seen 'opaque/new f .*'
	seen 't/opq/a f .*'
	seen 't/opq/b/e f .*'
	seen 't/w/stays f .*'
}

@test "what one layer made another kind of thing in the next" {
	seen 't/dir-to-link l 0777 .* ->/t/w'
	seen 't/link-to-dir d 0700 .*'
	seen 't/link-to-dir/new f .*'
	seen 't/file-to-link l .* ->w/stays'
	seen 't/link-to-file f 0644 0:0 1600000000.000000000 10 .*'
	seen 't/file-to-fifo p .*'
	seen 'replaced-by-file f .*'
	seen 'replaced-by-dir d .*'
	seen "t/changed f 0600 0:0 1600000000.000000000 14 $(printf 'new and longer' | sha256sum | cut -d' ' -f1)"
	seen 't/marked d 0500 0:0 1600000000.000000000 \{user.dir=32\}'
	seen 't d 0751 0:0 1500000001.250000000'
}

@test "modes, owners, devices, attributes, names and links" {
	seen 'bin/setuid f 4755 0:0 .*'
	seen 't/all-bits f 7777 9:0 .*'
	seen 't/secret f 0000 .*'
	seen 't/closed d 0000 .*'
	seen 'odd-owner f 0644 1000000:2000000000 .*'
	seen 'bin/ping f 0755 7:8 .* \{security.capability=0100000200200000000000000000000000000000\}'
	seen 't/cap f 0750 0:5 .* \{security.capability=0000000200040000000000000000000000000000\} \{user.x=79\}'
	seen 't/tty c 0620 0:0 1600000000.000000000 5:0'
	seen 't/loop b 0644 0:0 1600000000.000000000 7:1048575'
	seen 'old f 0644 0:0 -86401.500000000 0 .*'
	seen 't/\\x80\\xff f .*'
	seen 't/odd-target l .* ->\\xfe/x'
	seen 't/x{255} f .*'
	seen 't/far l .* ->u{1000}'
	seen 't/huge f 0644 0:0 1600000000.000000000 5242880 [0-9a-f]{64} same=t/huge'
	seen 't/huge-too f 0644 0:0 1600000000.000000000 5242880 [0-9a-f]{64} same=t/huge'
	seen 't/one f .* same=t/one'
	seen 't/three f .* same=t/one'
}
