# SPDX-License-Identifier: Apache-2.0
# Small stand-ins for what images are made of, for suites that look at the image tool and boot nothing.
# shellcheck shell=bash

# image_suite [TARGET...]: $ROOT, $TOOL and what make has to build for the suite besides the tool; $KIHON_DATA, $DATA and
# $KERNEL name folders that image_data and image_kernel fill.
image_suite() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT TOOL=$ROOT/build/host/bin/kata-image-tool
	make -s -C "$ROOT" "$TOOL_TARGET" "$@" >&2
	export DATA=$BATS_FILE_TMPDIR/data KERNEL=$BATS_FILE_TMPDIR/kernel
	export KIHON_DATA=$DATA
}

TOOL_TARGET=build/host/bin/kata-image-tool

# image_data DIR: a data folder ($KIHON_DATA) with small programs in place of the guest's.
image_data() {
	local h=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	mkdir -p "$1"/guest/{bin,licences,share}
	cp -r "$ROOT/rootfs" "$1/"
	printf 'agent' >"$1/guest/bin/kihon-agent"
	yes pull | head -c 3000000 >"$1/guest/bin/kihon-pull"
	printf 'pause' >"$1/guest/bin/pause"
	printf 'libc.a\n' | tee "$1/guest/bin/pause.libs" >"$1/guest/bin/kihon-agent.libs"
	printf 'libc.a\nlibz.a\n' >"$1/guest/bin/kihon-pull.libs"
	echo certificates >"$1/guest/share/ca-certificates.crt"
	echo 'You may.' >"$1/guest/licences/musl"
	cat >"$1/guest/packages.json" <<-JSON
		[{"name":"zlib","version":"1","source":"zlib","licence":"Zlib","recipe":"0123","files":[{"name":"z.dsc","sha256":"$h"}],"libraries":["libz.a"]},
		{"name":"unused","version":"1","source":"unused","licence":"MIT","files":[],"libraries":["libunused.a"]},
		{"name":"musl","version":"1.2","source":"musl","licence":"MIT","files":[],"libraries":["libc.a"]},
		{"name":"ca-certificates","version":"2023","source":"ca-certificates","licence":"MPL-2.0","files":[],"libraries":["ca-certificates.crt"]}]
	JSON
}

# image_small_data DIR: the same with programs of some bytes, and no packages.
image_small_data() {
	image_data "$1"
	printf 'pull' >"$1/guest/bin/kihon-pull"
	: >"$1/guest/bin/kihon-agent.libs"
	: >"$1/guest/bin/pause.libs"
	: >"$1/guest/bin/kihon-pull.libs"
	echo '[]' >"$1/guest/packages.json"
}

# image_kernel DIR: a kernel that has a version and nothing else.
image_kernel() {
	mkdir -p "$1"
	printf 'x Linux version 6.12.0-test (a@b) y' >"$1/vmlinux"
	printf 'bz' >"$1/bzImage"
}

# one_line STATUS WORDS: the last run failed so, in one line on stderr.
one_line() {
	echo "$output"
	[ "$status" -eq "$1" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == kata-image-tool:*$2* ]]
}

leaves_nothing() { [ -z "$(find "$1" -name '.build-*' -o -name '*.tmp-*')" ]; }

# newc_entries: the members of a cpio archive (newc) on standard input, one a line: ino mode nlink mtime size
# rdevmajor rdevminor name. Its own few lines, so that neither cpio's nor our reading is taken for granted.
newc_entries() {
	python3 -c '
import sys
d = sys.stdin.buffer.read()
at = 0
while True:
    assert d[at:at + 6] == b"070701", (at, d[at:at + 6])
    f = [int(d[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
    ino, mode, uid, gid, nlink, mtime, size, devmaj, devmin, rmaj, rmin, namesize, check = f
    assert check == 0 and d[at + 110 + namesize - 1] == 0
    name = d[at + 110:at + 110 + namesize - 1].decode()
    at = (at + 110 + namesize + 3 & ~3)
    if name == "TRAILER!!!":
        break
    print(ino, "%o" % mode, nlink, mtime, size, rmaj, rmin, name)
    at = (at + size + 3 & ~3)
'
}
