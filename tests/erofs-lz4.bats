#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Compressed EROFS images: ours as erofs-utils and the kernel read them, theirs as we do; hybrid roots in a guest.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT FILES=$BATS_FILE_TMPDIR
	make -s -C "$ROOT" build/host/bin/erofs-pack build/host/bin/gen-tree build/host/bin/kata-image-tool >&2
	umask 022
	"$ROOT/build/host/bin/gen-tree" "$FILES/tree" 300 8 7
	# Sizes round blocks and clusters, and contents that compress well, badly and by turns.
	python3 - "$FILES/tree/edges" <<-'END'
		import os, random, sys
		rnd = random.Random(5)
		words = [b"layer", b"manifest", b"digest", b"sandbox", b"ring", b"queue", b"\n"]
		def text(n):
		    return b" ".join(rnd.choice(words) for _ in range(n // 4 + 1))[:n]
		def mixed(n):
		    out = b""
		    while len(out) < n:
		        out += rnd.choice([bytes, rnd.randbytes, text])(rnd.randrange(1, 30000))
		    return out[:n]
		for kind, make in {"zeros": bytes, "noise": rnd.randbytes, "text": text, "mixed": mixed}.items():
		    os.makedirs(f"{sys.argv[1]}/{kind}")
		    for n in 0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 16385, 65537, 300003:
		        with open(f"{sys.argv[1]}/{kind}/{n}", "wb") as f:
		            f.write(make(n))
	END
}

setup() {
	PATH="$ROOT/build/host/bin:$PATH"
	T=$BATS_TEST_TMPDIR
	cd "$T"
	tree=$FILES/tree
}

same() { diff -r --no-dereference "$1" "$2"; }

ways=("lz4 1" "lz4 4" "lz4hc 4" "lz4hc,12 16" "lz4hc,1 256")

@test "fsck.erofs extracts what went in, and so do we" {
	local way
	for way in "${ways[@]}"; do
		echo "$way"
		erofs-pack --compress "${way% *}" --blocks "${way#* }" "$tree" image
		fsck.erofs --extract=theirs image
		same "$tree" theirs
		erofs-pack --extract image ours
		diff -r "$tree" ours 2>&1 | grep -v '^Only in .*tree' | grep . && false
		chmod -R u+w theirs ours
		rm -r image theirs ours
	done
}

@test "fsck.erofs finds nothing in what it decompresses, and dump.erofs sees LZ4" {
	erofs-pack --compress lz4hc "$tree" image
	fsck.erofs image
	dump.erofs -S image >said
	grep -Eq 'compressed files: +[1-9]' said
	dump.erofs --path=/edges/text/300003 image | grep -q 'Layout: 1 '
	dump.erofs --path=/edges/noise/300003 image | grep -q 'Layout: 0 '
}

@test "the kernel reads what went in" {
	[ "$(id -u)" = 0 ] || skip "mounting needs root"
	grep -qw erofs /proc/filesystems || skip "this kernel has no EROFS"
	unshare -m mount -t tmpfs none /mnt 2>/dev/null || skip "no permission to mount here"
	losetup -f >/dev/null 2>&1 || skip "no loop device here"
	local way
	mkdir m
	for way in "${ways[@]}"; do
		erofs-pack --compress "${way% *}" --blocks "${way#* }" --hot edges/text/300003 "$tree" image
		unshare -m bash -c 'mount -t erofs -o loop,ro image m 2>why && diff -r --no-dereference "$1" m' - "$tree" || {
			! grep -q 'wrong fs type' why || skip "this kernel's EROFS has no compression"
			cat why
			return 1
		}
		rm image
	done
}

@test "the same bytes on every run" {
	erofs-pack --compress lz4hc --mtime 5 --all-root "$tree" one
	cp -a "$tree" copy
	erofs-pack --compress lz4hc --mtime 5 --all-root copy two
	cmp one two
}

@test "a file is not made larger, and no image larger than mkfs.erofs makes it" {
	local ours theirs
	erofs-pack --compress lz4hc --mtime 5 "$tree/edges" ours
	mkfs.erofs --quiet -zlz4hc -C16384 -T5 -Enoinline_data theirs "$tree/edges"
	ours=$(du -k ours | cut -f1) theirs=$(du -k theirs | cut -f1)
	echo "ours $ours theirs $theirs"
	[ "$ours" -le $((theirs + theirs / 50)) ]
	mkdir noise
	head -c 3000000 /dev/urandom >noise/noise
	erofs-pack --compress lz4hc noise image | grep -q '^0 files packed'
}

@test "holes of gigabytes take next to nothing" {
	mkdir in
	truncate -s 512M in/hole
	echo end >>in/hole
	erofs-pack --compress lz4 in image
	[ "$(du -k image | cut -f1)" -lt 10000 ]
	erofs-pack --list image | grep -q '^hole f 644 .* 536870916 '
}

@test "compressed images of mkfs.erofs are read: full and compact indexes, big clusters, legacy" {
	local options
	for options in -zlz4 "-zlz4hc,9 -C16384" "-zlz4hc,12 -C65536" "-zlz4 -C1048576" "-zlz4 -Elegacy-compress" \
		"-zlz4 -T0 --all-root --max-extent-bytes 65536"; do
		echo "$options"
		# shellcheck disable=SC2086
		mkfs.erofs --quiet $options theirs "$tree"
		erofs-pack --extract theirs out
		diff -r "$tree" out 2>&1 | grep -v '^Only in .*tree' | grep . && false
		rm -r theirs out
	done
}

@test "tails packed into metadata are refused in one line" {
	mkfs.erofs --quiet -zlz4hc -Eztailpacking theirs "$tree"
	run -1 --separate-stderr erofs-pack --list theirs
	# shellcheck disable=SC2154
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[[ $stderr == *ztailpacking*'not supported' ]]
}

# ---------------------------------------------------------------- kata-image-tool

kernel() {
	KERNEL=$ROOT/build/kernel/container
	[ -e "$KERNEL/vmlinux" ] && return
	KERNEL=$FILES/kernel
	mkdir -p "$KERNEL"
	printf 'x Linux version 6.12.0-test (a@b) y' >"$KERNEL/vmlinux"
}

build() { kata-image-tool build -q --kernel "$KERNEL" "$@"; }

# layout IMAGE PATH: of one file of the root: 0 plain, 1 compressed.
layout() { dump.erofs --path="$2" "$1" | sed -n 's/.*Layout: \([0-9]\).*/\1/p'; }

@test "build --compress: smaller, sound, the same twice" {
	kernel
	build -o plain
	for how in lz4 lz4hc lz4hc,12; do
		build --compress $how -o one
		(umask 077 && build --compress $how -o two)
		diff -r one two
		kata-image-tool verify one
		fsck.erofs one/rootfs.erofs
		[ "$(layout one/rootfs.erofs /usr/bin/kihon-agent)" = 1 ]
		[ $(($(stat -c %s one/rootfs.erofs) % 2097152)) = 0 ]
		[ "$(du -k one/rootfs.erofs | cut -f1)" -lt $(($(du -k plain/rootfs.erofs | cut -f1) * 7 / 10)) ]
		[ "$(jq -r .rootfs.compress one/image.json)" = $how ]
		rm -r one two
	done
}

@test "build --hot: the listed files lie plain and on their boundaries, the others are compressed" {
	kernel
	mkdir -p extra/data
	for i in 1 2; do yes "line of file $i" | head -c 5000000 >extra/data/big$i; done
	printf '# start-up\n\n/usr/bin/kihon-agent\ndata/*1\n' >list
	build --extra extra --compress lz4hc --hot list -o image
	kata-image-tool verify image
	fsck.erofs image/rootfs.erofs
	[ "$(layout image/rootfs.erofs /usr/bin/kihon-agent)" = 0 ]
	[ "$(layout image/rootfs.erofs /data/big1)" = 0 ]
	[ "$(layout image/rootfs.erofs /data/big2)" = 1 ]
	[ "$(layout image/rootfs.erofs /usr/bin/kihon-pull)" = 1 ]
	start=$(dump.erofs -e --path=/data/big1 image/rootfs.erofs | sed -n 's/^ *0: *0\.\. *[0-9]* | *[0-9]* : *\([0-9]*\)\.\..*/\1/p')
	[ $((start % 2097152)) = 0 ]
	jq -e '.rootfs.hot == ["/usr/bin/kihon-agent", "data/*1"]' image/image.json
	# A folder stands for what is in it.
	echo /data/ >list
	build --extra extra --compress lz4 --hot list -o image
	[ "$(layout image/rootfs.erofs /data/big2)" = 0 ]
	echo / >list
	build --extra extra --compress lz4 --hot list -o image
	[ "$(layout image/rootfs.erofs /usr/bin/kihon-pull)" = 0 ]
}

@test "build --hot: what is no list, or names nothing, is one line and leaves nothing" {
	kernel
	refused() { # STATUS TEXT OPTION...
		local want=$1 text=$2
		shift 2
		run --separate-stderr build "$@" -o image
		echo "$status: $stderr"
		[ "$status" = "$want" ] && [[ $stderr == *"$text"* ]] && [ "$(wc -l <<<"$stderr")" = 1 ] && [ ! -e image ]
	}
	echo /no/such/file >list
	refused 3 "nothing in the root matches '/no/such/file'" --compress lz4 --hot list
	: >list
	refused 3 "names no file" --compress lz4 --hot list
	printf 'a\0b' >list
	refused 3 "no list of files" --compress lz4 --hot list
	printf 'caf\xe9\n' >list
	refused 3 "not UTF-8" --compress lz4 --hot list
	refused 4 "No such file" --compress lz4 --hot missing
	echo /init >list
	refused 2 "--compress" --hot list
	refused 2 "--hot" --format ext4 --hot list
	refused 2 "lz4" --compress lzma
	refused 2 "level" --compress lz4hc,13
}

@test "build --compress: Ctrl-C ends it soon and leaves nothing" {
	kernel
	mkdir extra
	seq 12000000 >extra/numbers
	. "$ROOT/tests/wait.bash"
	env --default-signal=INT "$ROOT/build/host/bin/kata-image-tool" build -q --kernel "$KERNEL" --extra extra \
		--compress lz4hc,12 -o image 2>err 3>&- &
	until_true eval '[ -n "$(find image/.build-* -type f -size +1M 2>/dev/null)" ]'
	kill -INT $!
	status=0
	wait $! || status=$?
	cat err
	[ "$status" -eq 130 ] && grep -q interrupted err && [ "$(wc -l <err)" = 1 ] && [ ! -e image ]
}

@test "build --hot auto without QEMU says so and leaves nothing" {
	kernel
	command -v qemu-system-x86_64 >/dev/null || skip "the other tests say it already"
	local p bin=$T/bin
	mkdir "$bin"
	for p in bash env cat mkdir; do ln -s "$(command -v $p)" "$bin/"; done
	run --separate-stderr env PATH="$bin" "$ROOT/build/host/bin/kata-image-tool" build -q --kernel "$KERNEL" --compress lz4 \
		--hot auto -o image
	echo "$stderr"
	[ "$status" = 4 ] && [[ $stderr == *'--hot auto'*qemu* ]] && [ "$(wc -l <<<"$stderr")" = 1 ] && [ ! -e image ]
}

# ---------------------------------------------------------------- guests

guest_or_skip() {
	[ -e "$ROOT/build/kernel/container/vmlinux" ] || skip "build/kernel/container is not built"
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	make -s -C "$ROOT" build/host/bin/kihon build/guest/test/dax-probe >&2
	kernel
	XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-lz4.XXXXXX)
	export XDG_RUNTIME_DIR
}

teardown() { [ -z "${XDG_RUNTIME_DIR-}" ] || [[ $XDG_RUNTIME_DIR != /tmp/kihon-lz4.* ]] || rm -rf "$XDG_RUNTIME_DIR"; }

# boot MACHINE IMAGE: what dax-probe, as process 1, says of the files below /data; twice at most (docs/kernel.md).
boot() {
	local try
	for try in 1 2; do
		kihon boot --machine "$1" --accel tcg --verbose --timeout 200s --append init=/usr/bin/dax-probe "$2" \
			>console 2>stderr </dev/null || true
		grep -aq 'dax-probe end' console && break
	done
	tr -d '\r' <console | grep -ao 'dax-probe .*' >said || { tail -20 console stderr && return 1; }
	grep -q '^dax-probe end' said
}

@test "a guest reads compressed files by decompressing them, and hot ones by DAX" {
	guest_or_skip
	mkdir -p extra/data extra/usr/bin
	cp "$ROOT/build/guest/test/dax-probe" extra/usr/bin/
	python3 - extra/data >crcs <<-'END'
		import sys, zlib
		for name, size in {"big": 8 << 20, "cold": 5000001, "small": 5000}.items():
		    data = (b"%s %d\n" * 3 % ((name.encode(), size) * 3) + bytes(range(256))) * (size // 100 + 1)
		    with open(sys.argv[1] + "/" + name, "wb") as f:
		        f.write(data[:size])
		    print("%s size %d dax DAX crc32 %08x" % (name, size, zlib.crc32(data[:size])))
	END
	echo /data/big >list
	build --extra extra --compress lz4hc --hot list -o hybrid
	boot q35 hybrid
	grep -qE '^dax-probe root erofs (.*,)?dax=always(,|$)' said
	for name in big cold small; do
		dax=0
		[ $name != big ] || dax=1
		grep -qx "dax-probe file $(sed -n "/^$name /s/DAX/$dax/p" crcs)" said
	done
	# Mapped by huge pages, without a copy: the counters of tests/dax.bats.
	grep -qE 'pass huge .* flags .*\bhg\b' said
	[ "$(awk '$3 == "huge" { print $5 }' said)" -lt 1024 ]
	# The same image on a block device: nothing is DAX, every byte is there.
	boot microvm hybrid
	for name in big cold small; do
		grep -qx "dax-probe file $(sed -n "/^$name /s/DAX/0/p" crcs)" said
	done
}

@test "the agent comes up from a compressed root" {
	guest_or_skip
	build --compress lz4 -o image
	kihon boot --accel tcg --machine microvm --timeout 250s --verbose image >log 2>&1 3>&- &
	for ((i = 0; i < 500; i++)); do
		! grep -q listening log || break
		sleep 0.5
	done
	kill $! || true
	wait $! || true
	grep listening log
}

@test "build --hot auto: a traced boot says what start-up reads" {
	guest_or_skip
	make -s -C "$ROOT" build/guest/bin/kihon-hot >&2
	build --compress lz4hc --hot auto -o image
	jq .rootfs.hot image/image.json
	jq -e '.rootfs.hot | index("/usr/bin/kihon-agent")' image/image.json
	! jq -e '.rootfs.hot | index("/usr/bin/kihon-pull")' image/image.json || return 1
	[ "$(layout image/rootfs.erofs /usr/bin/kihon-agent)" = 0 ]
	[ "$(layout image/rootfs.erofs /usr/bin/kihon-pull)" = 1 ]
	kata-image-tool verify image
	[ -z "$(ls -A image | grep -v -e vmlinux -e bzImage -e rootfs.erofs -e image -e kernel.config)" ]
}
