#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# build: image.lock, --locked, --from, --update, --offline, and two builds at once.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
}

# Each test has a data folder and a kernel of its own, to change.
setup() {
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
	export KIHON_DATA=$PWD/data KERNEL=$PWD/kernel
	image_data "$KIHON_DATA"
	image_kernel "$KERNEL"
	mkdir -p tree/etc
	echo mine >tree/etc/mine
}

# describe_kernel VERSION CONFIG-LINE: a kernel.json as build-kernel writes it.
describe_kernel() {
	echo "$2" >"$KERNEL/kernel.config"
	printf '{"version":"6.12.0-test","source_package":"linux-source-6.12","source_version":"%s","source_sha256":"%s","config_sha256":"%s","compiler":"gcc 12"}' \
		"$1" "$(echo "$1" | sha256sum | cut -d' ' -f1)" "$(sha256sum <"$KERNEL/kernel.config" | cut -d' ' -f1)" >"$KERNEL/kernel.json"
}

config=$'CONFIG_EROFS_FS=y\nCONFIG_EXT4_FS=y'
build() { "$TOOL" build -q --kernel "$KERNEL" "$@"; }
pins() { jq -r '.pins[] | "\(.kind) \(.name)"' "$1"; }

@test "image.lock pins every input, in the same bytes wherever and whenever it is written" {
	describe_kernel 6.12.1-1 "$config"
	build --extra tree --write-lock copy.lock -o one
	cmp one/image.lock copy.lock
	mkdir -p far/away && cp -r tree far/away/
	(umask 077 && cd far/away && TZ=Asia/Tokyo build --extra tree -o two)
	diff -r one far/away/two
	pins one/image.lock >pins
	cat pins
	local p
	for p in 'kihon kihon' 'profile container.files' 'file guest:bin/kihon-agent' 'file guest:licences/musl' 'extra tree' \
		'kernel-source linux-source-6.12' 'kernel-config container' 'kernel-compiler gcc' 'package musl' 'package zlib' \
		'package-build zlib'; do
		grep -qx "$p" pins
	done
	! grep -q unused pins
	[ "$(jq -r '.pins[] | select(.name == "guest:bin/kihon-agent").sha256' one/image.lock)" = "$(printf agent | sha256sum | cut -d' ' -f1)" ]
	[ "$(jq '[.files[].name] | index("image.lock")' one/image.json)" = null ]
}

@test "--locked builds from the same inputs, wherever they are, and from no others" {
	describe_kernel 6.12.1-1 "$config"
	build --extra tree --write-lock lock -o one
	mkdir elsewhere && cp -r tree elsewhere/
	build --extra elsewhere/tree --locked lock -o two
	diff -r one two
	refused() {
		run build --extra tree --locked lock "${@:2}" -o x
		one_line 5 "$1"
		[ ! -e x ]
	}
	cp -r tree tree2
	echo yours >tree/etc/mine
	refused 'extra tree: sha256'
	rm -r tree && mv tree2 tree
	printf other >agent
	refused 'file guest:bin/kihon-agent: sha256' --agent agent
	echo CONFIG_X=y >f.config
	run "$TOOL" build -q --extra tree --locked lock --kernel-config f.config -o x
	one_line 5 'fragment f.config: is new'
	[ ! -e x ]
	run build --extra tree --locked lock --kernel-config f.config -o x
	one_line 2 '--kernel takes a kernel as it is'
	sed -i 's/"version":"1.2"/"version":"1.3"/' data/guest/packages.json
	refused 'package musl: version 1.2 became 1.3'
	sed -i 's/"version":"1.3"/"version":"1.2"/; s/"recipe":"0123"/"recipe":"4567"/' data/guest/packages.json
	refused 'package-build zlib: version 0123 became 4567'
	sed -i 's/4567/0123/' data/guest/packages.json
	echo '# more' >>data/rootfs/profiles/container.files
	refused 'profile container.files: sha256'
	sed -i '$d' data/rootfs/profiles/container.files
	describe_kernel 6.12.2-1 "$config"
	refused 'kernel-source linux-source-6.12: version 6.12.1-1 became 6.12.2-1'
	describe_kernel 6.12.1-1 "$config"$'\nCONFIG_NET=y'
	refused 'kernel-config container: sha256'
	run build --locked lock -o x
	one_line 5 'extra tree: is not used any more'
	describe_kernel 6.12.1-1 "$config"
	build --extra tree --locked lock -o x
}

@test "--locked and --from compare the sources before a kernel is built" {
	describe_kernel 6.12.1-1 "$config"
	mkdir -p data/kernel-config
	# Says what it would build from, or "builds" and leaves a trace.
	cat >data/kernel-config/build-kernel <<-END
		#!/bin/bash
		if [[ " \$* " == *" --identify "* ]]; then
			jq -r '.source_package, .source_version, .source_sha256, .compiler' $KERNEL/kernel.json
			exit
		fi
		touch $PWD/built
		while [[ \$1 != -o ]]; do shift; done
		cp -r $KERNEL "\$2"
	END
	chmod +x data/kernel-config/build-kernel
	"$TOOL" build -q -o one
	[ -e built ]
	rm built
	"$TOOL" build -q --locked one/image.lock -o two
	"$TOOL" build -q --from one -o two
	diff -r one two
	rm -r built two
	refused() {
		run "$TOOL" build -q "${@:2}" -o two
		one_line 5 "$1"
		[ ! -e built ] && [ ! -e two ]
	}
	describe_kernel 6.12.2-1 "$config"
	refused 'kernel-source linux-source-6.12: version 6.12.1-1 became 6.12.2-1' --locked one/image.lock
	refused 'kernel-source linux-source-6.12: version 6.12.1-1 became 6.12.2-1' --from one
	describe_kernel 6.12.1-1 "$config"
	sed -i 's/gcc 12/gcc 13/' kernel/kernel.json
	refused 'kernel-compiler gcc: version gcc 12 became gcc 13' --locked one/image.lock
	describe_kernel 6.12.1-1 "$config"
	sed -i 's/"version":"1.2"/"version":"1.3"/' data/guest/packages.json
	refused 'package musl: version 1.2 became 1.3' --locked one/image.lock
	refused 'package musl: version 1.2 became 1.3' --from one
	sed -i 's/"version":"1.3"/"version":"1.2"/; s/"recipe":"0123"/"recipe":"4567"/' data/guest/packages.json
	refused 'package-build zlib: version 0123 became 4567' --locked one/image.lock
	refused 'extra tree: is new' --extra tree --from one
	# An image is replaced all the same where the difference is only to be listed.
	"$TOOL" build -q --update --locked one/image.lock -o two >said
	grep -qx 'changed: package-build zlib: version 0123 became 4567' said
}

@test "a builder that says nothing of its source is an error, not a match" {
	build --write-lock lock -o one
	mkdir -p data/kernel-config
	printf '#!/bin/sh\nexit 0\n' >data/kernel-config/build-kernel
	chmod +x data/kernel-config/build-kernel
	run "$TOOL" build -q --locked lock -o x
	one_line 1 'does not say what it should'
	[ ! -e x ]
}

@test "the pin of a folder: names, modes, links, targets, content; neither times nor owners" {
	pin() { build --extra tree --write-lock l -o p && jq -r '.pins[] | select(.kind == "extra").sha256' l; }
	local was now change
	mkdir tree/d
	echo a >tree/a
	cp tree/a tree/b
	ln -s a tree/s
	was=$(pin)
	touch -d 2001-01-01 tree/a tree
	chmod 700 tree
	chown 12:34 tree/b 2>/dev/null || true
	[ "$(pin)" = "$was" ]
	for change in 'chmod 600 tree/a' 'ln -f tree/a tree/b' 'rm tree/b' 'ln -sfn b tree/s' 'mkfifo tree/p' 'mv tree/a tree/ab' \
		'echo b >tree/ab' 'rmdir tree/d' 'printf "" >tree/d'; do
		eval "$change"
		now=$(pin)
		echo "$change: $now"
		[ "$now" != "$was" ]
		was=$now
	done
}

@test "a kernel that nobody described is pinned as it is" {
	build --write-lock lock -o one
	printf more >>kernel/bzImage
	run build --locked lock -o x
	one_line 5 'kernel-file bzImage 6.12.0-test: sha256'
}

@test "a lock that is none is refused, in one line" {
	build --write-lock good -o one
	local bad i=0
	for bad in '' '{' '[]' '{"schema":2,"pins":[]}' '{"schema":1}' '{"schema":1,"pins":[1]}' '{"schema":1,"pins":[{"kind":"a"}]}' \
		'{"schema":1,"pins":[{"kind":"a","name":"b","sha256":"00"}]}' '{"schema":1,"pins":[{"kind":"a","name":"b\nc"}]}' \
		'{"schema":1,"pins":[{"kind":"a","name":1}]}'; do
		printf '%s' "$bad" >bad
		run build --locked bad -o x
		echo "case $((i++)): $bad"
		one_line 3 ''
	done
	run build --locked nowhere -o x
	one_line 4 nowhere
	run build --write-lock nowhere/lock -o x
	one_line 4 nowhere
	[ ! -e x ]
}

@test "--from builds every format anew, the same bytes, from image.json alone" {
	local options i=0
	for options in '' '--verity' '--format initrd --compress zstd,3' '--format ext4 --size 32M' '--format kata --root-fs ext4 --verity' \
		'--format kata --size 40M'; do
		rm -rf one two alone
		# shellcheck disable=SC2086
		SOURCE_DATE_EPOCH=$((1700000000 + i++)) build $options --extra tree -o one
		build --extra tree --from one/image.json -o two
		diff -r one two
		mkdir alone
		cp one/image.json alone/
		build --extra tree --from alone/image.json -o two
		diff -r one two
		build --extra tree --from one -o two
	done
}

@test "--from names the first difference and its cause, and writes nothing" {
	describe_kernel 6.12.1-1 "$config"
	build --extra tree -o one
	mkdir alone && cp one/image.json alone/
	differs() {
		run build --from one "${@:2}" -o x
		one_line 5 "$1"
		[ ! -e x ]
	}
	printf other >agent
	differs 'file guest:bin/kihon-agent: sha256' --extra tree --agent agent
	differs 'extra tree: is not used any more'
	differs 'format: erofs became ext4' --extra tree --format ext4
	sed -i 's/"version":"1.2"/"version":"1.3"/' data/guest/packages.json
	differs 'package musl: version 1.2 became 1.3' --extra tree
	run build --extra tree --from alone/image.json -o x
	one_line 5 'package musl: version 1.2 became 1.3'
	sed -i 's/"version":"1.3"/"version":"1.2"/' data/guest/packages.json
	describe_kernel 6.12.1-1 "$config"$'\nCONFIG_NET=y'
	differs 'kernel-config container: sha256' --extra tree
	run build --extra tree --from alone -o x
	one_line 5 'kernel configuration sha256: '
	describe_kernel 6.12.1-1 "$config"
	# Without a lock the file itself is the first thing that is known to differ.
	run build --extra tree --agent agent --from alone -o x
	one_line 5 'file rootfs.erofs: '
	[[ $output == *'only the former image.lock could say'* ]]
	run build --extra tree --from alone --profile debug -o x
	one_line 5 'profile: container became debug'
	run build --from nowhere -o x
	one_line 4 nowhere
	echo '{}' >alone/image.json
	run build --from alone/image.json -o x
	one_line 3 schema
}

@test "--update lists what changed since the image that is there, and replaces it" {
	describe_kernel 6.12.1-1 "$config"
	run build --update -o one
	one_line 4 'no image in one yet'
	[ ! -e one ]
	build -o one
	[ "$("$TOOL" build --kernel "$KERNEL" --update -o one 2>/dev/null | tail -1)" = "nothing changed" ]
	describe_kernel 6.12.2-1 "$config"
	sed -i 's/"version":"1.2"/"version":"1.3"/' data/guest/packages.json
	cp -r one before
	run --separate-stderr build --update -o one
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'changed: kernel-source linux-source-6.12: version 6.12.1-1 became 6.12.2-1'* ]]
	[[ $output == *'changed: package musl: version 1.2 became 1.3'* ]]
	run ! cmp -s before/image.json one/image.json
	build --json --update --from before -o one >out.json
	[ "$(jq '.changes | length >= 2' out.json)" = true ]
	build --json --update --locked one/image.lock -o one >out.json
	[ "$(jq -c .changes out.json)" = '[]' ]
}

@test "--offline names all that is missing at once" {
	rm data/guest/bin/kihon-agent data/guest/packages.json data/guest/share/ca-certificates.crt
	run build --offline -o x
	one_line 4 'guest/bin/kihon-agent'
	[[ $output == *guest/packages.json* && $output == *ca-certificates.crt* && $output == *'make guest'* ]]
	[ ! -e x ]
}

@test "--offline without a kernel's source and a cache says so with the rest" {
	local without=()
	if [ -e /usr/src/linux-source-6.12.tar.xz ] || [ -e /usr/src/linux-source-6.1.tar.xz ]; then
		without=(unshare -m sh -c 'mount -t tmpfs none /usr/src && exec "$@"' sh)
		"${without[@]}" true 2>/dev/null || skip "a kernel's source is installed, and cannot be hidden here"
	fi
	cp -r "$ROOT/kernel-config" data/
	rm data/guest/bin/kihon-agent
	XDG_CACHE_HOME=$PWD/cache run "${without[@]}" "$TOOL" build -q --offline -o x
	one_line 4 'guest/bin/kihon-agent'
	[[ $output == *"the kernel's source"* ]]
}

@test "two builds at once from the real cache are the same, and each whole" {
	unset KIHON_DATA
	local f
	for f in guest/bin/kihon-agent guest/bin/kihon-pull guest/bin/pause kernel/container/vmlinux; do
		[ -e "$ROOT/build/$f" ] || skip "build/$f is not built"
	done
	"$TOOL" build -q --offline -o one 3>&- &
	local first=$!
	"$TOOL" build -q --offline -o two 3>&- &
	local second=$!
	"$TOOL" build -q --offline -o three
	wait $first
	wait $second
	diff -r one two
	diff -r one three
	"$TOOL" verify two
	leaves_nothing .
	# One output: one of them has it, the others say so.
	"$TOOL" build -q --offline -o four 2>said 3>&- &
	first=$!
	run "$TOOL" build -q --offline -o four
	wait $first || true
	[ "$status" -eq 0 ] || [[ $output == *'another build is writing to four'* ]]
	"$TOOL" verify four
	diff -r one four
}
