#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool verify: a flipped bit anywhere is found; damage that image.json agrees with is found by looking at
# the root itself, as fsck's of others find it; signatures, which openssl checks, too.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_small_data "$DATA"
	export IMAGES=$BATS_FILE_TMPDIR
	mkdir -p "$KERNEL" "$IMAGES/extra/d"
	printf 'x Linux version 6.12.0-test (a@b) y' >"$KERNEL/vmlinux"
	head -c 300000 /dev/urandom >"$IMAGES/extra/big"
	echo one >"$IMAGES/extra/file"
	ln -s file "$IMAGES/extra/link"
	ln "$IMAGES/extra/file" "$IMAGES/extra/d/hard"
	export KIHON_DATA=$DATA
	cd "$IMAGES"
	openssl genpkey -algorithm ed25519 -out key.pem
	openssl pkey -in key.pem -pubout -out pub.pem
	build -o erofs --sign key.pem
	build --format ext4 -o ext4
	build --format initrd -o initrd
	build --format kata --verity -o kata
}

setup() {
	export KIHON_DATA=$DATA
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build -q --kernel "$KERNEL" --extra "$IMAGES/extra" "$@"; }

# flip FILE BYTE BIT
flip() { perl -e 'open(F, "+<", $ARGV[0]); binmode F; seek(F, $ARGV[1], 0); read(F, $b, 1); seek(F, $ARGV[1], 0); print F chr(ord($b) ^ 1 << $ARGV[2])' "$@"; }

# rehash DIR FILE: image.json says of the file what it is now.
rehash() {
	local sum size
	sum=$(sha256sum <"$1/$2" | cut -d' ' -f1)
	size=$(stat -c %s "$1/$2")
	jq --arg n "$2" --arg h "$sum" --argjson s "$size" \
		'.files |= map(if .name == $n then .sha256 = $h | .size = $s else . end)' "$1/image.json" >"$1/image.json.new"
	mv "$1/image.json.new" "$1/image.json"
}

# refused DIR WORDS [OPTION...]: one line, status 5.
refused() {
	local dir=$1 words=$2
	shift 2
	run "$TOOL" verify "$@" "$dir"
	echo "$output"
	[ "$status" -eq 5 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == kata-image-tool:*$words* ]]
}

@test "sound images of every format are taken, and JSON says what was checked" {
	local d
	for d in erofs ext4 initrd kata; do
		"$TOOL" verify "$IMAGES/$d" | grep -q 'hold what image.json says'
		"$TOOL" verify --json "$IMAGES/$d" >j
		jq -e '.ok and .rootfs.inodes > 10 and .kernel == "6.12.0-test"' j
		run "$TOOL" verify -q "$IMAGES/$d"
		[ "$status" -eq 0 ] && [ -z "$output" ]
	done
	jq -e '.rootfs.verity == "holds"' j
	"$TOOL" verify --json "$IMAGES/erofs" | jq -e '.signature == "not checked"'
	"$TOOL" verify --json --key "$IMAGES/pub.pem" "$IMAGES/erofs" | jq -e '.signature == "holds"'
}

@test "a flipped bit anywhere in any file of any format is found" {
	local d f n size at
	for d in erofs ext4 initrd kata; do
		cp -r "$IMAGES/$d" one
		while read -r f size; do
			for n in $(seq 4); do
				at=$(((n * size / 4 - 1 - RANDOM % (size / 4)) % size))
				flip "one/$f" $at $((n % 8))
				refused one "$f has SHA-256"
				flip "one/$f" $at $((n % 8))
			done
		done < <(jq -r '.files[] | "\(.name) \(.size)"' one/image.json)
		"$TOOL" verify -q one
		rm -r one
	done
}

@test "with a key a flipped bit anywhere in image.json or its signature is found, too" {
	local size at f
	cp -r "$IMAGES/erofs" one
	for f in image.json image.json.sig; do
		size=$(stat -c %s "one/$f")
		for at in $(seq 0 $((size / 11 + 1)) $((size - 1))); do
			flip "one/$f" "$at" $((at % 8))
			refused one image.json.sig --key "$IMAGES/pub.pem"
			flip "one/$f" "$at" $((at % 8))
		done
	done
	truncate -s -1 one/image.json.sig
	refused one image.json.sig --key "$IMAGES/pub.pem"
	: >one/image.json.sig
	refused one image.json.sig --key "$IMAGES/pub.pem"
	head -c 100000 /dev/zero >one/image.json.sig
	refused one image.json.sig --key "$IMAGES/pub.pem"
	rm one/image.json.sig
	refused one 'not signed' --key "$IMAGES/pub.pem"
	"$TOOL" verify -q one
}

@test "signatures are what openssl makes and checks, of all three kinds of keys" {
	openssl pkeyutl -verify -pubin -inkey "$IMAGES/pub.pem" -rawin -in "$IMAGES/erofs/image.json" \
		-sigfile "$IMAGES/erofs/image.json.sig"
	local curve hash
	for curve in P-256:sha256 P-384:sha384; do
		hash=${curve#*:}
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:"${curve%:*}" -out ec.pem
		openssl pkey -in ec.pem -pubout -out ec.pub
		build --sign ec.pem -o one
		openssl dgst "-$hash" -verify ec.pub -signature one/image.json.sig one/image.json
		"$TOOL" verify -q --key ec.pub one
		refused one image.json.sig --key "$IMAGES/pub.pem"
		openssl dgst "-$hash" -sign ec.pem -out one/image.json.sig one/image.json
		"$TOOL" verify -q --key ec.pub one
	done
	# The same image and key give the same bytes; an unsigned build takes an old signature away.
	build --sign "$IMAGES/key.pem" -o again
	cmp again/image.json.sig "$IMAGES/erofs/image.json.sig"
	build -o again
	[ ! -e again/image.json.sig ]
}

@test "keys that are none end in one line, before anything is built, and are never printed" {
	bad() {
		run build --sign "$1" -o x
		echo "$output"
		[ "$status" -eq "$2" ] && [ "${#lines[@]}" -eq 1 ] && [ ! -e x ]
		run "$TOOL" verify --key "$1" "$IMAGES/erofs"
		echo "$output"
		[ "$status" -eq "$2" ] && [ "${#lines[@]}" -eq 1 ]
	}
	bad missing 4
	echo 'SECRET no key' >text
	bad text 3
	[[ $output != *SECRET* ]]
	: >empty
	bad empty 3
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
	run build --sign rsa.pem -o x
	[ "$status" -eq 3 ] && [[ $output == *'Ed25519'* ]] && [ ! -e x ]
	openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out locked.pem
	run build --sign locked.pem -o x </dev/null
	[ "$status" -eq 3 ] && [[ $output == *passphrase* ]] && [ ! -e x ]
	run build --sign "$IMAGES/pub.pem" -o x
	[ "$status" -eq 3 ] && [[ $output == *'private key'* ]]
}

@test "ext4: what e2fsck finds wrong is found, where image.json agrees with the damage" {
	cp -r "$IMAGES/ext4" one
	local f=one/rootfs.ext4 n at found=0
	# Superblock, descriptors, bitmaps and inode tables are in the first blocks, folders behind them.
	for n in $(seq 24); do
		case $((n % 4)) in
		0) at=$((1024 + RANDOM % 1024)) ;;
		1) at=$((4096 + RANDOM % 64)) ;;
		*) at=$((RANDOM * 32768 + RANDOM)) && at=$((at % 65536)) ;;
		esac
		flip $f $at $((n % 8))
		rehash one rootfs.ext4
		if ! e2fsck -fn $f >/dev/null 2>&1; then
			run "$TOOL" verify one
			echo "$at bit $((n % 8)): $output"
			[ "$status" -eq 5 ] || [ "$status" -eq 3 ]
			[ "${#lines[@]}" -eq 1 ]
			found=$((found + 1))
		fi
		flip $f $at $((n % 8))
	done
	echo "$found damages that e2fsck finds"
	[ "$found" -gt 3 ]
	rehash one rootfs.ext4
	"$TOOL" verify -q one
}

@test "ext4 as mke2fs makes it, with and without its features, is sound" {
	local options
	mkdir -p t/many
	(cd t/many && seq -f 'a-name-that-takes-some-room-%05g' 1200 | xargs touch)
	head -c 3000000 /dev/urandom >t/large
	truncate -s 30M t/sparse && echo x >>t/sparse
	ln t/large t/hard
	cp -r "$IMAGES/ext4" one
	for options in "-t ext4" "-t ext4 -b 1024" "-t ext2 -b 1024" "-t ext3" "-t ext4 -O inline_data" \
		"-t ext4 -O ^flex_bg,^resize_inode,meta_bg" "-t ext4 -O ^64bit,^metadata_csum,uninit_bg" "-t ext4 -O sparse_super2"; do
		rm one/rootfs.ext4
		# shellcheck disable=SC2086
		mke2fs -q $options -d t one/rootfs.ext4 64M 2>/dev/null
		rehash one rootfs.ext4
		echo "$options"
		"$TOOL" verify -q one
	done
}

@test "ext4: links, counts and blocks that debugfs put wrong" {
	damage() { # COMMANDS WORDS
		cp -r "$IMAGES/ext4" one
		printf "$1" | debugfs -w -f - one/rootfs.ext4 >/dev/null 2>&1
		rehash one rootfs.ext4
		refused one "$2"
		rm -r one
	}
	damage 'sif /file links_count 5\n' 'names and 5 links'
	damage 'ssv free_blocks_count 1\n' 'blocks are free'
	damage 'ssv free_inodes_count 0\n' 'inodes are used'
	damage 'freei /file\n' 'marked free'
	damage 'sif /big block[1] 0\nunlink /d/hard\n' ''
	damage 'ln /d /d2\n' ''
}

@test "erofs: what fsck.erofs refuses is refused, and lies about links are found" {
	cp -r "$IMAGES/erofs" one
	local f=one/rootfs.erofs at n=0
	for at in 1024 1028 1030 1038 1056 1060 1072; do
		flip $f $at 1
		rehash one rootfs.erofs
		refused one ''
		flip $f $at 1
		n=$((n + 1))
	done
	[ $n -eq 7 ]
	# Cut off behind its blocks' half.
	truncate -s 8192 $f
	rehash one rootfs.erofs
	refused one rootfs.erofs
}

@test "initrd: members without a folder, and archives behind good packing that are damaged" {
	cp -r "$IMAGES/initrd" one
	local f=one/rootfs.cpio.gz
	zcat $f >plain
	mkdir t && mkdir t/d && echo x >t/d/f
	(cd t && echo d/f | cpio -o -H newc --quiet) | gzip -n >$f
	rehash one rootfs.cpio.gz
	refused one 'no folder for it'
	head -c -3000 plain | gzip -n >$f
	rehash one rootfs.cpio.gz
	refused one 'trailer'
	{ printf 0 && tail -c +2 plain; } | tr '\0' 'Z' | gzip -n >$f
	rehash one rootfs.cpio.gz
	refused one 'cpio archive'
	gzip -nc plain | head -c 20000 >$f
	rehash one rootfs.cpio.gz
	refused one ''
	zstd -qc plain >$f
	rehash one rootfs.cpio.gz
	"$TOOL" verify -q one
	lz4 -lqc plain >$f
	rehash one rootfs.cpio.gz
	"$TOOL" verify -q one
}

@test "kata: tables that do not agree, a damaged DAX block, no disk at all" {
	local f=one/kata-containers.img
	cp -r "$IMAGES/kata" one
	flip $f 4500 2
	rehash one kata-containers.img
	refused one 'DAX information block'
	flip $f 4500 2
	flip $f 458 4
	rehash one kata-containers.img
	refused one ''
	flip $f 458 4
	flip $f 4096 0
	rehash one kata-containers.img
	refused one 'no DAX information block'
}

@test "verity: one bit of the data or the tree, a tree over less, other words, another root_hash.txt" {
	local f=one/kata-containers.img at
	cp -r "$IMAGES/kata" one
	for at in $((3145728 + 200000)) $(($(jq .verity.hash_offset one/image.json) + 50)); do
		flip $f $at 3
		rehash one kata-containers.img
		refused one ''
		flip $f $at 3
	done
	rehash one kata-containers.img
	"$TOOL" verify -q one
	cp one/image.json good
	jq '.verity.data_blocks = 10' good >one/image.json
	refused one 'cover'
	jq '.rootfs.words_blk |= sub("sha256 [0-9a-f]"; "sha256 0")' good >one/image.json
	jq -e '.rootfs.words_blk' one/image.json
	cmp -s good one/image.json || true
	jq '.rootfs.words_pmem = "root=/dev/pmem0p1"' good >one/image.json
	refused one "kernel's words"
	cp good one/image.json
	sed -i 's/root_hash=./root_hash=x/' one/root_hash.txt
	rehash one root_hash.txt
	refused one 'root_hash.txt'
}

@test "the kernel's version and configuration are those that image.json names" {
	cp -r "$IMAGES/erofs" one
	jq '.kernel.version = "6.12.1"' "$IMAGES/erofs/image.json" >one/image.json
	refused one 'vmlinux is Linux 6.12.0-test'
	echo nothing >one/vmlinux
	rehash one vmlinux
	refused one 'no Linux kernel'
}

@test "missing files and folders, and files nobody knows" {
	cp -r "$IMAGES/erofs" one
	touch one/stray
	"$TOOL" verify --json one | jq -e '.unlisted | map(.name) | index("stray")'
	rm one/vmlinux
	run "$TOOL" verify one
	[ "$status" -ne 0 ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == *vmlinux* ]]
	run "$TOOL" verify missing
	[ "$status" -eq 4 ] && [ "${#lines[@]}" -eq 1 ]
	run "$TOOL" verify .
	[ "$status" -eq 4 ] && [[ $output == *'no guest image'* ]]
	run "$TOOL" verify --json one
	[ "$status" -ne 0 ] && [[ $output == *'"ok": false'* || $output == *'"ok":false'* ]]
	ln -s /etc/passwd one/vmlinux
	run "$TOOL" verify one
	[ "$status" -ne 0 ]
	rm one/vmlinux && mkfifo one/vmlinux
	run timeout 100 "$TOOL" verify one
	[ "$status" -eq 3 ] && [[ $output == *'no regular file'* ]]
}
