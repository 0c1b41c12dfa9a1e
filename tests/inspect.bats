#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool inspect: the same of images as dump.erofs, dumpe2fs, debugfs, sfdisk, cpio, veritysetup and
# skopeo say, in text and JSON; damaged and lying files end in one line.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_small_data "$DATA"
	export EXTRA=$BATS_FILE_TMPDIR/extra
	mkdir -p "$KERNEL" "$EXTRA/d"
	printf 'x Linux version 6.12.0-test (a@b) y' >"$KERNEL/vmlinux"
	head -c 5000000 /dev/urandom >"$EXTRA/big"
	head -c 3000 /dev/urandom >"$EXTRA/small"
	ln "$EXTRA/small" "$EXTRA/d/hard"
	ln -s ../small "$EXTRA/d/soft"
	mkfifo "$EXTRA/pipe"
	export KIHON_DATA=$DATA
	cd "$BATS_FILE_TMPDIR"
	build -o erofs
	build --format ext4 -o ext4
	build --format initrd -o initrd
	build --format kata --verity -o kata
}

setup() {
	export KIHON_DATA=$DATA IMAGES=$BATS_FILE_TMPDIR
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build -q --kernel "$KERNEL" --extra "$EXTRA" "$@"; }

json() { "$TOOL" inspect --json "$@"; }

# entry FILE PATH MEMBER: of one file in it.
entry() { json --files "$1" | jq -r --arg p "$2" '[.. | .contents? // empty] | add | map(select(.path == $p))[0].'"$3"; }

# one_line STATUS WORDS: the last run failed so, in one line.
one_line() {
	echo "$output"
	[ "$status" -eq "$1" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == kata-image-tool:*$2* ]]
}

@test "erofs: superblock and offsets are those of dump.erofs" {
	local f=$IMAGES/erofs/rootfs.erofs j at
	j=$(json "$f")
	dump=$(dump.erofs -s "$f")
	[ "$(jq -r .type <<<"$j")" = erofs ]
	[ "$(jq .blocks <<<"$j")" = "$(sed -n 's/^Filesystem blocks: *//p' <<<"$dump")" ]
	[ "$(jq .inodes <<<"$j")" = "$(sed -n 's/^Filesystem inode count: *//p' <<<"$dump")" ]
	[ "$(jq -r .features <<<"$j")" = "$(sed -n 's/^Filesystem features: *//p' <<<"$dump" | sed 's/ *$//')" ]
	[ "$(jq -r .uuid <<<"$j")" = "$(sed -n 's/^Filesystem UUID: *//p' <<<"$dump")" ]
	at=$(dump.erofs -e --path=/big "$f" | awk -F'[|:]' '/^ *0:/ { split($4, a, "[.][.]"); print a[1] + 0 }')
	[ "$(entry "$f" /big offset)" = "$at" ]
	[ "$(entry "$f" /big dax)" = true ]
	tail -c +$((at + 1)) "$f" | head -c 5000000 | cmp - "$EXTRA/big"
}

@test "every offset in an image is where the content is, whatever the format" {
	local f path at size
	for f in erofs/rootfs.erofs ext4/rootfs.ext4 kata/kata-containers.img; do
		for path in /big /small /d/hard; do
			read -r at size < <(json --files "$IMAGES/$f" |
				jq -r --arg p "$path" '[.. | .contents? // empty] | add | map(select(.path == $p))[0] | "\(.offset) \(.size)"')
			echo "$f $path $at $size"
			tail -c +$((at + 1)) "$IMAGES/$f" | head -c "$size" | cmp - "$EXTRA/${path/d\/hard/small}"
		done
	done
}

@test "modes, owners, links, targets, devices and sizes are those that cpio lists" {
	local f=$IMAGES/initrd/rootfs.cpio.gz
	json --files "$f" | jq -r '.contents[] | select(.path != "/") |
		"\(.mode) \(.links) \(.uid) \(.gid) \(.device // .size) \(.path)\(if .target then " -> " + .target else "" end)"' |
		LC_ALL=C sort >ours
	zcat "$f" | cpio -itvn --quiet | awk '{ size = $5; rest = 9
		if ($5 ~ /,$/) { size = $5 $6; rest = 10 }
		out = $1 " " $2 " " $3 " " $4 " " size " /" $rest
		for (i = rest + 1; i <= NF; i++) out = out " " $i
		print out }' | LC_ALL=C sort >theirs
	# Of hard links cpio shows all but one without their content; of folders it counts links that an archive lacks.
	diff <(awk '$1 !~ /^[-d]/ || $2 == 1' ours) <(awk '$1 !~ /^[-d]/ || $2 == 1' theirs)
	[ "$(wc -l <ours)" = "$(wc -l <theirs)" ]
	[ "$(entry "$f" /small size)" = 3000 ]
	[ "$(entry "$f" /d/hard size)" = 3000 ]
}

@test "the JSON of a small image, to the byte" {
	mkdir -p t/d
	head -c 6000 /dev/zero >t/a
	printf hi >t/d/b
	ln -s a t/l
	chmod 755 t t/d
	chmod 644 t/a t/d/b
	mkfs.erofs -T1000 -U 11111111-2222-3333-4444-555555555555 -Enoinline_data --all-root t.erofs t >/dev/null 2>&1
	json --files t.erofs >got
	diff got - <<-'END'
		{
		 "size":16384,
		 "type":"erofs",
		 "block_size":4096,
		 "blocks":4,
		 "inodes":5,
		 "uuid":"11111111-2222-3333-4444-555555555555",
		 "built":1000,
		 "features":"sb_csum mtime",
		 "checksum":"holds",
		 "entries":5,
		 "files":2,
		 "file_bytes":6002,
		 "dax_4k_bytes":6002,
		 "dax_2m_bytes":0,
		 "contents":[
		  {"path":"/", "mode":"drwxr-xr-x", "uid":0, "gid":0, "links":3, "mtime":1000, "size":0},
		  {"path":"/a", "mode":"-rw-r--r--", "uid":0, "gid":0, "links":1, "mtime":1000, "size":6000, "offset":4096, "layout":"plain", "dax":true},
		  {"path":"/d", "mode":"drwxr-xr-x", "uid":0, "gid":0, "links":2, "mtime":1000, "size":0},
		  {"path":"/d/b", "mode":"-rw-r--r--", "uid":0, "gid":0, "links":1, "mtime":1000, "size":2, "offset":12288, "layout":"plain", "dax":true},
		  {"path":"/l", "mode":"lrwxrwxrwx", "uid":0, "gid":0, "links":1, "mtime":1000, "size":1, "offset":1472, "layout":"inline", "target":"a"}]
		}
	END
}

@test "ext4: superblock, features and blocks are those of dumpe2fs and debugfs" {
	local f=$IMAGES/ext4/rootfs.ext4 j dump first
	j=$(json "$f")
	dump=$(dumpe2fs -h "$f" 2>/dev/null)
	[ "$(jq -r .type <<<"$j")" = ext4 ]
	[ "$(jq .blocks <<<"$j")" = "$(sed -n 's/^Block count: *//p' <<<"$dump")" ]
	[ "$(jq .free_blocks <<<"$j")" = "$(sed -n 's/^Free blocks: *//p' <<<"$dump")" ]
	[ "$(jq .inodes <<<"$j")" = "$(sed -n 's/^Inode count: *//p' <<<"$dump")" ]
	[ "$(jq -r .uuid <<<"$j")" = "$(sed -n 's/^Filesystem UUID: *//p' <<<"$dump")" ]
	[ "$(jq -r .features <<<"$j" | tr ' ' '\n' | sort)" = \
		"$(sed -n 's/^Filesystem features: *//p' <<<"$dump" | tr ' ' '\n' | sed '/^$/d' | sort)" ]
	first=$(debugfs -R 'bmap /big 0' "$f" 2>/dev/null)
	[ "$(entry "$f" /big offset)" = $((first * 4096)) ]
}

@test "ext4 of mke2fs: journal, several groups, folders with an index, sparse and large files" {
	mkdir -p t/many
	(cd t/many && seq -f 'a-name-that-takes-some-room-%05g' 1500 | xargs touch)
	truncate -s 40M t/sparse
	printf end >>t/sparse
	head -c 20000000 /dev/urandom >t/large
	mke2fs -q -t ext4 -d t disk.ext4 200M
	json --files disk.ext4 >j
	[ "$(jq '.contents | map(select(.path | startswith("/many/"))) | length' j)" = 1500 ]
	[ "$(jq '.contents[] | select(.path == "/sparse").size' j)" = $((40 * 1048576 + 3)) ]
	[ "$(jq .journal j)" = true ]
	mke2fs -q -t ext4 -O bigalloc -d t clusters.ext4 200M 2>/dev/null
	run "$TOOL" inspect clusters.ext4
	one_line 3 bigalloc
	mke2fs -q -t ext2 -b 1024 -d t disk.ext2 200M
	json disk.ext2 | jq -e '.block_size == 1024 and .dax_4k_bytes == 0'
	mke2fs -q -t ext3 -d t disk.ext3 200M
	json disk.ext3 | jq -e '.journal'
}

@test "kata: both tables as sfdisk reads them, the DAX block, the root inside" {
	local f=$IMAGES/kata/kata-containers.img j
	j=$(json "$f")
	[ "$(jq -c '[.partitions[] | .offset / 512]' <<<"$j")" = "$(sfdisk -J "$f" | jq -c '[.partitiontable.partitions[].start]')" ]
	[ "$(jq -c '[.partitions[] | .size / 512]' <<<"$j")" = "$(sfdisk -J "$f" | jq -c '[.partitiontable.partitions[].size]')" ]
	tail -c +2097153 "$f" >pmem
	[ "$(jq -c '[.pmem_partitions[] | .offset / 512 - 4096]' <<<"$j")" = "$(sfdisk -J pmem | jq -c '[.partitiontable.partitions[].start]')" ]
	jq -e '.dax_block == {"data_offset": 2097152, "align": 2097152} and .partitions[0].content == "erofs"
		and .partition1.type == "erofs" and .partition1.inodes > 10' <<<"$j"
	"$TOOL" inspect "$f" | grep -q 'type           kata'
}

@test "a plain disk that sfdisk made, with ext4 in its second partition" {
	truncate -s 40M disk
	printf 'label: dos\nstart=2048,size=8192,type=83\nstart=10240,size=65536,type=83,bootable\n' | sfdisk -q disk
	mke2fs -q -t ext4 part 32M
	dd if=part of=disk bs=512 seek=10240 conv=notrunc status=none
	json disk >j
	jq -e '.type == "disk" and (.partitions | length == 2) and .partitions[1].active
		and .partitions[0].content == "unknown" and .partition2.type == "ext4"' j
	[ "$(jq -r .partition2.uuid j)" = "$(dumpe2fs -h part 2>/dev/null | sed -n 's/^Filesystem UUID: *//p')" ]
}

@test "the share that a guest maps: none of an initrd, all of a plain EROFS, less with tails inline" {
	json "$IMAGES/erofs/rootfs.erofs" | jq -e '.dax_4k_bytes == .file_bytes and .dax_2m_bytes == 4194304'
	json "$IMAGES/initrd/rootfs.cpio.gz" | jq -e '.dax_4k_bytes == 0 and .file_bytes > 5000000'
	mkdir t && head -c 6000 /dev/urandom >t/a && head -c 8192 /dev/urandom >t/b
	mkfs.erofs tails.erofs t >/dev/null 2>&1
	json tails.erofs | jq -e '.dax_4k_bytes == 8192 and .file_bytes == 14192'
}

@test "a hash tree with a superblock is read as veritysetup dump reads it" {
	head -c 1048576 /dev/urandom >data
	veritysetup format --salt=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff \
		--uuid=11111111-2222-3333-4444-555555555555 data tree >/dev/null
	json tree | jq -e '.type == "verity" and .data_blocks == 256 and .uuid == "11111111-2222-3333-4444-555555555555"
		and .salt == "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"'
}

@test "kernels say their version, vmlinux its PVH entry" {
	local k=$ROOT/build/kernel/container
	[ -e "$k/vmlinux" ] || skip "build/kernel/container is not built"
	[ "$(json "$k/vmlinux" | jq -r .version)" = "$(jq -r .version "$k/kernel.json")" ]
	[ "$(json "$k/bzImage" | jq -r .version)" = "$(jq -r .version "$k/kernel.json")" ]
	json "$k/vmlinux" | jq -e '.pvh_entry | startswith("0x")'
}

@test "a folder: text says all of image.json; --json is image.json itself, with --files the root beside it" {
	json "$IMAGES/erofs" | cmp - "$IMAGES/erofs/image.json"
	json --files "$IMAGES/erofs" >j
	diff <(jq -S .image j) <(jq -S . "$IMAGES/erofs/image.json")
	jq -e '.rootfs.contents | length > 10' j
	run "$TOOL" inspect "$IMAGES/erofs"
	[[ $output == *'Linux 6.12.0-test'*'rootfs.erofs'*'4 KiB pages'* ]]
	"$TOOL" inspect --files "$IMAGES/ext4" | grep -q ' /d/soft -> ../small$'
}

@test "names with newlines and terminal controls are quoted in text and JSON" {
	mkdir t
	printf x >t/$'a\nb\e[31m'
	printf x >t/$'bad\xff'
	mkfs.erofs t.erofs t >/dev/null 2>&1
	"$TOOL" inspect --files t.erofs >text
	grep -qF '/a\x0ab\x1b[31m' text
	grep -qF '/bad\xff' text
	! grep -q $'\e' text
	json --files t.erofs | jq -e '.contents | map(.path) | index("/a\nb\u001b[31m")'
}

@test "OCI: a layout, an archive and what skopeo says of them" {
	command -v umoci >/dev/null || skip "umoci is not installed"
	local digest
	umoci init --layout lay
	umoci new --image lay:v1
	mkdir -p root/bin && echo hi >root/bin/hi
	umoci config --image lay:v1 --config.entrypoint /bin/hi --config.user 7 --architecture amd64 --os linux
	umoci insert --rootless --image lay:v1 root /
	digest=$(jq -r '.manifests[0].digest' lay/index.json)
	json lay:v1 >j
	[ "$(jq -r .digest j)" = "$digest" ]
	jq -e '.source == "oci" and .layers[0].size > 0 and .config.config.User == "7" and .manifest.schemaVersion == 2' j
	"$TOOL" inspect lay | grep -q 'entrypoint  */bin/hi'
	tar -C lay -cf lay.tar .
	[ "$(json lay.tar | jq -r .digest)" = "$digest" ]
	run "$TOOL" inspect --platform nonsense lay
	[ "$status" -ne 0 ] && [ "${#lines[@]}" -eq 1 ]
	# A blob that is not what its descriptor says.
	cp -r lay bad
	printf X | dd of="bad/blobs/sha256/$(jq -r .manifest.config.digest j | cut -d: -f2)" bs=1 seek=3 conv=notrunc status=none
	run "$TOOL" inspect bad
	[ "$status" -eq 5 ] && [ "${#lines[@]}" -eq 1 ]
}

@test "OCI: an image in a registry is what skopeo says of it" {
	for t in docker-registry skopeo umoci; do command -v $t >/dev/null || skip "$t is not installed"; done
	# shellcheck source=tests/registry.bash
	. "$ROOT/tests/registry.bash"
	umoci init --layout lay
	umoci new --image lay:v1
	registry_start "$BATS_TEST_TMPDIR/registry"
	registry_copy oci:lay:v1 thing:1
	run --separate-stderr "$TOOL" inspect --json --no-system-ca --ca "$REGISTRY_CA" "$REGISTRY/thing:1"
	registry_stop
	echo "$output$stderr"
	[ "$(jq -r .digest <<<"$output")" = "$(jq -r '.manifests[0].digest' lay/index.json)" ]
	[ "$(jq -r .source <<<"$output")" = docker ]
}

@test "what is nothing, not there or no file ends in one line" {
	echo hello >text
	run "$TOOL" inspect text
	one_line 3 'nothing that is known'
	: >empty
	run "$TOOL" inspect empty
	one_line 3 'nothing that is known'
	run "$TOOL" inspect ./missing
	one_line 4 './missing'
	run "$TOOL" inspect /dev/null
	one_line 3 'neither a file nor a folder'
	run "$TOOL" inspect .
	one_line 4 'no guest image'
	run "$TOOL" inspect
	[ "$status" -eq 2 ]
}

@test "cut and lying files end in one line with status 3" {
	local n f
	for f in erofs/rootfs.erofs ext4/rootfs.ext4 initrd/rootfs.cpio.gz kata/kata-containers.img; do
		for n in 1500 5000 70000 3000000 4200000; do
			head -c "$n" "$IMAGES/$f" >cut
			run "$TOOL" inspect --files cut
			echo "$f $n"
			one_line 3 ''
		done
	done
	# Sizes that claim more than there is: inodes, blocks and partitions.
	cp "$IMAGES/ext4/rootfs.ext4" lie
	printf '\377\377\377\177' | dd of=lie bs=1 seek=1024 conv=notrunc status=none
	run "$TOOL" inspect lie
	one_line 3 'inode tables do not fit'
	cp "$IMAGES/ext4/rootfs.ext4" lie
	printf '\377\377\377\177' | dd of=lie bs=1 seek=1028 conv=notrunc status=none
	run "$TOOL" inspect lie
	one_line 3 'cut off'
	cp "$IMAGES/kata/kata-containers.img" lie
	printf '\377\377\377\177' | dd of=lie bs=1 seek=458 conv=notrunc status=none
	run "$TOOL" inspect lie
	one_line 3 ''
}

@test "an image whose root is missing is said to be damaged, with --files it is refused" {
	cp -r "$IMAGES/erofs" one
	head -c 2000 one/rootfs.erofs >cut && mv cut one/rootfs.erofs
	run "$TOOL" inspect one
	[ "$status" -eq 0 ] && [[ $output == *damaged* ]]
	run "$TOOL" inspect --files one
	one_line 3 'one/rootfs.erofs'
}
