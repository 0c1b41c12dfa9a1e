# SPDX-License-Identifier: Apache-2.0
# What the suites of kihon-oci share: a root file system of busybox, a bundle and a state folder a test. Commands
# run in a mount namespace with cgroup2 alone on /sys/fs/cgroup, so that hosts with version 1 hierarchies are like
# others (crun refuses a mix, and so a comparison would not be fair).

setup_file() {
	export OCI=$PWD/build/guest/bin/kihon-oci
	export WORK
	WORK=$(mktemp -d)
	chmod 755 "$WORK"
	mkdir -p "$WORK/rootfs"/{bin,proc,dev,sys,tmp,etc,root,data}
	cp /bin/busybox "$WORK/rootfs/bin/"
	for t in sh ls cat id grep echo true false sleep env pwd ps mkdir touch readlink stat mount wc tty stty kill head dd sort; do
		ln -s busybox "$WORK/rootfs/bin/$t"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n' >"$WORK/rootfs/etc/passwd"
	printf 'root:x:0:\nann:x:1000:\n' >"$WORK/rootfs/etc/group"
	cat >"$WORK/private" <<'END'
#!/bin/bash
# A mount namespace with cgroup2 alone.
exec unshare -m bash -c 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' private "$@"
END
	chmod +x "$WORK/private"
}

teardown_file() {
	rm -rf "$WORK"
}

setup() {
	. "$BATS_TEST_DIRNAME/wait.bash"
	[ "$(id -u)" = 0 ] || skip "needs root"
	"$WORK/private" true 2>/dev/null || skip "no cgroup2 here"
	[ -x /bin/busybox ] || skip "needs busybox-static"
	B=$BATS_TEST_TMPDIR/bundle
	ROOT=$BATS_TEST_TMPDIR/state
	mkdir -p "$B"
	ln -s "$WORK/rootfs" "$B/rootfs"
	ID=t-$$-$BATS_TEST_NUMBER
	spec
}

teardown() {
	[ -n "${ID-}" ] || return 0
	for d in "$ROOT"/*; do
		[ -d "$d" ] && oci delete --force "$(basename "$d")" 2>/dev/null
	done
	rm -rf "$BATS_TEST_TMPDIR/state"
}

oci() {
	"$WORK/private" "$OCI" --root "$ROOT" "$@"
}

# spec [JQ FILTER]: config.json of the bundle, without a terminal.
spec() {
	rm -f "$B/config.json"
	"$OCI" spec -b "$B"
	edit '.process.terminal = false | .root.path = "rootfs" | .root.readonly = false
		| .process.args = ["true"] | del(.linux.resources)' "$@"
}

edit() {
	for f in "$@"; do
		jq "$f" "$B/config.json" >"$B/config.new" && mv "$B/config.new" "$B/config.json"
	done
}

script() {
	edit ".process.args = [\"sh\", \"-c\", $(printf %s "$1" | jq -Rs .)]"
}

wait_status() { until_true has_status "$1"; }
has_status() { [ "$(oci state "$ID" | jq -r .status)" = "$1" ]; }
