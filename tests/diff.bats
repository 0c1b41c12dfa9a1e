#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool diff: every kind of difference is found and named, none is where there is none, rules of a gate.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_small_data "$DATA"
	export IMAGES=$BATS_FILE_TMPDIR
	mkdir -p "$KERNEL" "$IMAGES/extra/d"
	printf 'libc.a\n' >"$DATA/guest/bin/kihon-agent.libs"
	printf 'libc.a\n' >"$DATA/guest/bin/kihon-pull.libs"
	local h=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	cat >"$DATA/guest/packages.json" <<-JSON
		[{"name":"musl","version":"1.2","source":"musl","licence":"MIT","files":[],"libraries":["libc.a"]},
		{"name":"ca-certificates","version":"2023","source":"ca-certificates","licence":"MPL-2.0",
		"files":[{"name":"c.dsc","sha256":"$h"}],"libraries":["ca-certificates.crt"]}]
	JSON
	printf 'x Linux version 6.12.0-test (a@b) y' >"$KERNEL/vmlinux"
	# What roots of all formats need, and three symbols to differ in.
	export NEEDED=$'CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_EROFS_FS=y\nCONFIG_EXT4_FS=y\nCONFIG_MSDOS_PARTITION=y\n'
	printf '%sCONFIG_A=y\nCONFIG_B=1\n# CONFIG_C is not set\n' "$NEEDED" >"$KERNEL/kernel.config"
	head -c 300000 /dev/urandom >"$IMAGES/extra/big"
	echo one >"$IMAGES/extra/file"
	ln -s file "$IMAGES/extra/link"
	ln "$IMAGES/extra/file" "$IMAGES/extra/d/hard"
	export KIHON_DATA=$DATA
	cd "$IMAGES"
	build --extra extra -o base
}

setup() {
	export KIHON_DATA=$DATA
	cd "$BATS_TEST_TMPDIR"
	cp -a "$IMAGES/extra" extra
}

build() { "$TOOL" build -q --kernel "$KERNEL" "$@"; }

differ() { "$TOOL" diff --json "$IMAGES/base" "$@"; }

@test "two builds of the same inputs have no difference, in text and JSON" {
	build --extra extra -o same
	differ same | jq -e '.same and (.members + .files + .packages + .kernel_config + .contents == [])'
	run "$TOOL" diff "$IMAGES/base" same
	[ "$status" -eq 0 ] && [[ $output == *'differences    0'* ]]
	"$TOOL" diff -q --fail-on any,size "$IMAGES/base" same
}

@test "files: added, removed and changed ones, with their sizes" {
	rm extra/big
	echo more >extra/d/added
	rm extra/file && echo two >extra/file
	ln -sfn elsewhere extra/link
	chmod 600 extra/d/hard
	build --extra extra -o new
	differ new >j
	jq -r '.contents[] | "\(.change) \(.path) \(.what // "") \(.size_a // "-") \(.size_b // "-")"' j | LC_ALL=C sort >got
	cat >want <<-'END'
		added /d/added  - 5
		changed /d/hard mode, links 4 4
		changed /file content, links 4 4
		changed /link content 4 9
		removed /big  300000 -
	END
	diff want got
	jq -e '.same == false and (.files | map(.name)) == ["rootfs.erofs"]' j
}

@test "the same tree in another format has no difference in the root" {
	local format
	for format in ext4 initrd kata; do
		build --extra extra --format $format -o "$format"
		differ "$format" >j
		jq -c .contents j
		jq -e '.contents == [] and (.members | map(.name) | index("rootfs.format"))' j
	done
	"$TOOL" diff ext4/rootfs.ext4 "$IMAGES/base/rootfs.erofs" | grep -q 'differences *0'
	"$TOOL" diff kata/kata-containers.img "$IMAGES/base/rootfs.erofs" | grep -q 'differences *0'
}

@test "types, devices, owners, times and xattrs: each is named" {
	[ "$(id -u)" -eq 0 ] || skip "makes devices and other owners: needs root"
	mkdir a b
	for t in a b; do
		echo x >$t/owner
		echo x >$t/time
		echo x >$t/xattr
		echo x >$t/type
	done
	mknod a/dev c 1 3 2>/dev/null || skip "no devices can be made here"
	mknod b/dev c 1 5
	chown 5:6 b/owner
	rm b/type && mkdir -m 644 b/type
	touch -d @1000 a/* b/*
	touch -d @2000 b/time
	setfattr -n user.k -v 1 a/xattr
	setfattr -n user.k -v 2 b/xattr
	mkfs.erofs a.erofs a >/dev/null 2>&1
	mkfs.erofs b.erofs b >/dev/null 2>&1
	"$TOOL" diff --json a.erofs b.erofs | jq -r '.contents[] | select(.path != "/") | "\(.path) \(.what)"' >got
	diff - got <<-'END'
		/dev device
		/owner owner
		/time time
		/type type
		/xattr xattrs
	END
	mke2fs -q -t ext4 -d a a.ext4 8M
	"$TOOL" diff --json a.erofs a.ext4 | jq -r '.contents[] | select(.path != "/") | "\(.change) \(.path)"' >got
	[ "$(cat got)" = 'added /lost+found' ]
}

@test "packages: versions, additions and removals" {
	sed -i 's/"1.2"/"1.3"/; s/"ca-certificates","version"/"ca-new","version"/' "$DATA/guest/packages.json"
	build --extra extra -o new
	sed -i 's/"1.3"/"1.2"/; s/"ca-new","version"/"ca-certificates","version"/' "$DATA/guest/packages.json"
	differ new | jq -c '[.packages[] | [.name, .version_a, .version_b]] | sort' >got
	[ "$(cat got)" = '[["ca-certificates","2023",null],["ca-new",null,"2023"],["musl","1.2","1.3"]]' ]
	run "$TOOL" diff -q --fail-on kernel,packages "$IMAGES/base" new
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output == *'packages (3 differences)'* && $output != *'kernel ('* ]]
}

@test "kernels: symbols by name, version, and the words of the command line" {
	mkdir k
	printf 'x Linux version 6.13.0-test (a@b) y' >k/vmlinux
	printf '%sCONFIG_A=y\nCONFIG_B=2\nCONFIG_C=y\n' "$NEEDED" >k/kernel.config
	"$TOOL" build -q --kernel k --extra extra -o new
	differ new >j
	[ "$(jq -c '[.kernel_config[] | [.symbol, .a, .b]]' j)" = '[["CONFIG_B","1","2"],["CONFIG_C","n","y"]]' ]
	jq -e '.members | map(select(.name == "kernel.version"))[0] == {"name": "kernel.version", "a": "6.12.0-test", "b": "6.13.0-test"}' j
	run "$TOOL" diff --fail-on kernel -q "$IMAGES/base" new
	[ "$status" -eq 1 ]
	jq '.cmdline += " debug"' "$IMAGES/base/image.json" >i && mkdir words && cp "$IMAGES"/base/* words/ && cp i words/image.json
	run "$TOOL" diff --fail-on cmdline -q "$IMAGES/base" words
	[ "$status" -eq 1 ]
	run "$TOOL" diff --fail-on kernel,files,packages,members,size -q "$IMAGES/base" words
	[ "$status" -eq 0 ]
}

@test "size rules: percent, bytes and any growth, none when it shrinks" {
	head -c 8388608 /dev/urandom >extra/more
	build --extra extra -o new
	local rule
	for rule in size size+5% size+1M size+10%,size+100%; do
		run "$TOOL" diff -q --fail-on "$rule" "$IMAGES/base" new
		echo "$rule: $output"
		[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
		[[ $output == *"${rule%%,*}"*'bytes became'* ]]
	done
	for rule in size+1000% size+100M packages; do
		"$TOOL" diff -q --fail-on "$rule" "$IMAGES/base" new
	done
	"$TOOL" diff -q --fail-on size new "$IMAGES/base"
	"$TOOL" diff --json --fail-on size,packages "$IMAGES/base" new >j || [ $? -eq 1 ]
	[ "$(jq -c '[.rules[] | [.rule, .hit]]' j)" = '[["size",true],["packages",false]]' ]
}

@test "rules that are none, and things that cannot be compared" {
	local rule
	for rule in nonsense size+ size+x size+5%% size-5 '' , size+99999999999%; do
		run "$TOOL" diff --fail-on "$rule" "$IMAGES/base" "$IMAGES/base"
		echo "$rule: $output"
		[ "$status" -eq 2 ] && [ "${#lines[@]}" -eq 1 ]
	done
	run "$TOOL" diff "$IMAGES/base" "$IMAGES/base/rootfs.erofs"
	[ "$status" -eq 2 ] && [[ $output == *'two'* ]]
	run "$TOOL" diff "$IMAGES/base" missing
	[ "$status" -eq 4 ] && [[ $output == *missing* ]]
	run "$TOOL" diff "$IMAGES/base" .
	[ "$status" -eq 4 ] && [[ $output == *'no guest image'* ]]
	run "$TOOL" diff "$IMAGES/base/vmlinux" "$IMAGES/base/vmlinux"
	[ "$status" -eq 3 ] && [[ $output == *'nothing in it to compare'* ]]
	run "$TOOL" diff "$IMAGES/base"
	[ "$status" -eq 2 ]
}

@test "a damaged root or description ends in one line" {
	cp -r "$IMAGES/base" cut
	truncate -s 9000 cut/rootfs.erofs
	run "$TOOL" diff "$IMAGES/base" cut
	echo "$output"
	[ "$status" -eq 3 ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == *cut/rootfs.erofs* ]]
	head -c 100 "$IMAGES/base/image.json" >cut/image.json
	run "$TOOL" diff cut "$IMAGES/base"
	[ "$status" -eq 3 ] && [ "${#lines[@]}" -eq 1 ]
}
