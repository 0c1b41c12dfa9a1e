#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# DAX, proved by the guest's own counters: our image on virtio-pmem is used where it lies, by huge pages. The same
# image on virtio-blk, and the same tree laid out by mkfs.erofs, show that each check can fail.
#
# dax-probe (tests/dax) is the guest's first process; it tells, these tests judge. One boot a machine.

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/host/bin/kihon build/host/bin/kata-image-tool build/host/bin/erofs-pack \
		build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause build/guest/test/dax-probe >&2
	export TREE=$BATS_FILE_TMPDIR/tree IMAGE=$BATS_FILE_TMPDIR/image
	make_tree
	"$ROOT/build/host/bin/kata-image-tool" build -q --kernel "$ROOT/build/kernel/container" --extra "$TREE" -o "$IMAGE"
}

# What dax-probe expects to find, and the lines it should print about files.
make_tree() {
	mkdir -p "$TREE"/{data,fs,usr/bin} "$BATS_FILE_TMPDIR"/{hello,disk}
	python3 - "$TREE/data" >"$BATS_FILE_TMPDIR/crcs" <<-'END'
		import random, sys, zlib
		sizes = {"big": 32 << 20, "more-than-two": (5 << 20) + 1234, "two": 2 << 20, "one": 1 << 20,
		         "odd": 100000, "page": 4096, "less": 4095, "byte": 1, "empty": 0}
		rnd = random.Random(2)
		for name, size in sizes.items():
		    data = rnd.randbytes(size)
		    with open(sys.argv[1] + "/" + name, "wb") as f:
		        f.write(data)
		    print("%s size %d crc32 %08x" % (name, size, zlib.crc32(data)))
	END
	echo hello >"$BATS_FILE_TMPDIR/hello/hello"
	"$ROOT/build/host/bin/erofs-pack" "$BATS_FILE_TMPDIR/hello" "$TREE/fs/hello.erofs" >/dev/null
	cp "$TREE/fs/hello.erofs" "$BATS_FILE_TMPDIR/disk/"
	mke2fs -q -t ext4 -d "$BATS_FILE_TMPDIR/disk" "$TREE/fs/disk.ext4" 16M 2>/dev/null
	cp "$ROOT/build/guest/test/dax-probe" "$TREE/usr/bin/"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	# The sockets' paths must be short.
	XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-dax.XXXXXX)
	export XDG_RUNTIME_DIR
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# booted MACHINE [IMAGE]: what the guest said is in the file $said; the first one who asks boots. Twice at most:
# an emulated boot on a loaded machine may lose a timer interrupt (docs/kernel.md).
booted() {
	local machine=$1 image=${2-$IMAGE} try status
	said=$BATS_FILE_TMPDIR/$machine-${image##*/}
	[ ! -e "$said" ] || return 0
	for try in 1 2; do
		status=0
		"$ROOT/build/host/bin/kihon" boot --machine "$machine" --accel tcg --verbose --timeout 240s \
			--append init=/usr/bin/dax-probe "$image" >console 2>stderr </dev/null || status=$?
		grep -aq 'dax-probe end' console && break
	done
	if [ "$status" -ne 0 ] || ! grep -aq 'dax-probe end' console; then
		echo "kihon boot: status $status"
		tail -n 20 console stderr
		return 1
	fi
	tr -d '\r' <console | grep -ao 'dax-probe .*' >"$said"
	! grep 'dax-probe failed' "$said"
}

# of PASS KEY: a figure of a pass.
of() { awk -v pass="$1" -v key="$2" '$2 == "pass" && $3 == pass { for (i = 4; i < NF; i += 2) if ($i == key) print $(i + 1) }' "$said"; }

# within PASS KEY LEAST MOST: inclusive.
within() {
	local n
	n=$(of "$1" "$2")
	echo "pass $1: $2 is $n, should be $3 to $4"
	[ -n "$n" ] && [ "$n" -ge "$3" ] && [ "$n" -le "$4" ]
}

at_least() { within "$1" "$2" "$3" 999999; }

has_flag() { grep -qE "pass $1 .* flags .*\b$2\b" "$said"; }

# Every file has its bytes, and is DAX or not.
all_files() {
	sed -E "s/^(.*) crc32 (.*)/dax-probe file \1 dax $1 crc32 \2/" "$BATS_FILE_TMPDIR/crcs" | LC_ALL=C sort >"$BATS_TEST_TMPDIR/want"
	grep 'dax-probe file' "$said" | LC_ALL=C sort | diff "$BATS_TEST_TMPDIR/want" -
}

@test "pmem: the root says dax=always, and every file has the attribute and its bytes" {
	booted q35
	grep -qE '^dax-probe root erofs (.*,)?dax=always(,|$)' "$said"
	all_files 1
}

@test "pmem: 32 MiB are touched and read, and neither the cache grows nor free memory shrinks" {
	booted q35
	local pass
	for pass in huge pte read files; do
		within "$pass" cached -1024 1024
		within "$pass" free -4096 4096
	done
	within huge rss 0 1024
	has_flag huge hg
}

@test "pmem: the large file is mapped by huge pages: no page tables, a fault for 2 MiB" {
	booted q35
	within huge vmpte 0 16
	within huge tables -16 16
	within huge faults 16 1000
}

@test "pmem: the same file off its boundary costs page tables and a fault a page" {
	booted q35
	at_least pte vmpte 64
	at_least pte tables 48
	at_least pte faults 8192
}

@test "pmem: laid out by mkfs.erofs the tree is DAX, too, but page by page: the boundaries are our writer's" {
	local other=$BATS_FILE_TMPDIR/others
	mkdir -p "$other"
	cp -r "$TREE" "$BATS_TEST_TMPDIR/root"
	mkdir "$BATS_TEST_TMPDIR/root"/{dev,proc,sys,tmp}
	mkfs.erofs -Enoinline_data -T0 --all-root "$other/rootfs.erofs" "$BATS_TEST_TMPDIR/root" >/dev/null 2>&1
	truncate -s %2M "$other/rootfs.erofs"
	cp "$IMAGE"/{vmlinux,bzImage,kernel.config} "$other/"
	jq --argjson size "$(stat -c %s "$other/rootfs.erofs")" --arg sum "$(sha256sum <"$other/rootfs.erofs" | cut -d' ' -f1)" \
		'(.files[] | select(.name == "rootfs.erofs")) |= (.size = $size | .sha256 = $sum)' "$IMAGE/image.json" >"$other/image.json"
	booted q35 "$other"
	all_files 1
	within huge cached -1024 1024
	at_least huge vmpte 64
	at_least huge faults 8192
}

@test "blk: the same image is no DAX, and its pages are copied into the cache" {
	booted microvm
	grep -q '^dax-probe root erofs ' "$said"
	! grep -q '^dax-probe root .*dax' "$said" || return 1
	all_files 0
	at_least huge cached 31744
	at_least huge free 28672
	at_least huge rss 31744
	! has_flag huge hg
}

@test "EROFS mounts from files of ext4 and EROFS; from tmpfs and overlayfs it takes a loop device" {
	[[ $(jq -r .version "$ROOT/build/kernel/container/kernel.json") != 6.1.* ]] || skip "Linux 6.1 cannot mount files"
	booted q35
	local place
	for place in ext4 erofs; do
		grep -qx "dax-probe erofs-from $place ok" "$said"
	done
	for place in tmpfs overlay-tmpfs overlay-ext4; do
		grep -qx "dax-probe erofs-from $place Block device required" "$said" # ENOTBLK
	done
	for place in ext4 erofs tmpfs overlay-tmpfs overlay-ext4; do
		grep -qx "dax-probe erofs-from loop-$place ok" "$said"
	done
}
