#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon template, and --template: what is refused before a machine is made. Templates that are made and cloned need a
# KVM that runs Linux: tests/nested/steps/template.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kihon >&2
	export KIHON=$ROOT/build/host/bin/kihon
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-template.XXXXXX) # the sockets' paths must be short
	export XDG_RUNTIME_DIR
	IMAGE=$BATS_TEST_TMPDIR/image
	mkdir -p "$IMAGE"
	image_json container aa
	echo kernel >"$IMAGE/vmlinux"
	truncate -s 2M "$IMAGE/rootfs.erofs"
	make_template
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ]
}

# image_json PROFILE XX: an image whose digests begin with XX.
image_json() {
	local rest
	rest=$(printf '0%.0s' {1..62})
	cat >"$IMAGE/image.json" <<-JSON
		{"schema":1,"name":"t","version":"0","profile":"$1","arch":"x86_64","timestamp":0,
		 "kernel":{"vmlinux":"vmlinux","version":"6"},"rootfs":{"file":"rootfs.erofs","format":"erofs"},"cmdline":"",
		 "agent":{"version":"0","min_version":"0","protocol":"0"},
		 "files":[{"name":"vmlinux","size":7,"sha256":"$2$rest"},{"name":"rootfs.erofs","size":2097152,"sha256":"$2$rest"}],
		 "packages":[]}
	JSON
}

# make_template: a folder whose files are of the right size, and mean nothing.
make_template() {
	local digest
	digest=aa$(printf '0%.0s' {1..62})
	mkdir -p t
	chmod 700 t
	printf state >t/state
	printf memory >t/memory
	cat >t/template.json <<-JSON
		{"schema":1,"version":"0.1.0","arch":"$(uname -m)","image":"$IMAGE","kernel_sha256":"$digest","root_sha256":"$digest",
		 "cpu":"host","net":"none","cpus":2,"memory":134217728,"uid":$(id -u),"state_size":5,"memory_size":6,"memory_id":"0"}
	JSON
	chmod 600 t/*
}

one_line() { [ "${#lines[@]}" -eq 1 ] && [[ "$output" == kihon*": "* ]]; }

# refused STATUS WORDS OPTION...: kihon boot --template t OPTION...
refused() {
	run timeout 100 "$KIHON" boot --template t "${@:3}"
	echo "$status: $output"
	[ "$status" -eq "$1" ] && [[ "$output" == *"$2"* ]] && one_line
}

@test "wrong command lines" {
	local o
	for o in 'make' 'create' 'create -o' 'create -o x a b' 'create --nonsense -o x'; do
		run "$KIHON" template $o
		echo "$o: $status $output"
		[ "$status" -eq 2 ]
		one_line
	done
	run "$KIHON" template --help
	[ "$status" -eq 0 ]
	[[ "$output" == *"Usage: kihon template"*"xit status"* ]]
}

@test "a template that cannot be made leaves nothing" {
	local before
	before=$(ls -A)
	run "$KIHON" template create "$IMAGE" -o t
	[ "$status" -eq 125 ] && [[ "$output" == *"t exists"* ]] && one_line
	run "$KIHON" template create nowhere -o new
	[ "$status" -eq 125 ] && [[ "$output" == *nowhere* ]] && one_line
	run "$KIHON" template create "$IMAGE" -o no/where/new
	[ "$status" -eq 125 ] && one_line
	run timeout 100 "$KIHON" template create "$IMAGE" -o new --accel tcg
	[ "$status" -eq 125 ] && [[ "$output" == *"needs a KVM"* ]] && one_line
	run timeout 100 "$KIHON" template create "$IMAGE" -o new --vmm qemu --net none --accel tcg
	[ "$status" -eq 2 ] && [[ "$output" == *"has no templates"* ]] && one_line
	run "$KIHON" template create "$IMAGE" -o new --net user
	[ "$status" -eq 2 ] && [[ "$output" == *"has no network"* ]] && one_line
	image_json confidential-snp aa
	run "$KIHON" template create "$IMAGE" -o new
	[ "$status" -eq 125 ] && [[ "$output" == *confidential* ]] && one_line
	[ "$(ls -A)" = "$before" ]
}

@test "options that contradict the template" {
	refused 2 '--cpus 3' --cpus 3
	refused 2 '128 MiB' --memory 1G
	refused 2 '--append' --append quiet
	refused 2 '--kernel' --kernel image/vmlinux
	refused 125 'no room for a network' --net user
	refused 2 '--cpu x86-64-v2' --cpu x86-64-v2
	refused 2 'built-in monitor' --vmm qemu
	refused 2 '--memory-max' --memory-max 256M
	refused 2 '--balloon' --balloon
	refused 2 '--share' --share /tmp:tag
	refused 2 '--slots' --slots 4
	refused 2 '--console' --console hvc0
}

@test "kihon run: what a clone cannot be" {
	run timeout 100 "$KIHON" run --template t --append quiet registry.example/x
	[ "$status" -eq 2 ] && [[ "$output" == *--append*template* ]] && one_line
	run timeout 100 "$KIHON" run --template t registry.example/x
	[ "$status" -eq 125 ] && [[ "$output" == *"template t"*"no room for a network"*"again"* ]] && one_line
	run timeout 100 "$KIHON" run --template nowhere registry.example/x
	[ "$status" -eq 125 ] && [[ "$output" == *"template nowhere"* ]] && one_line
	run "$KIHON" run --help
	[[ "$output" == *--template* ]]
}

@test "templates that are none, or of something else" {
	image_json container bb
	refused 125 'another image'
	image_json confidential-snp aa
	refused 125 'confidential'
	image_json container aa
	sed -i 's/"schema":1/"schema":2/' t/template.json
	refused 125 'newer'
	make_template
	sed -i 's/"arch":"[^"]*"/"arch":"riscv64"/' t/template.json
	refused 125 'riscv64'
	make_template
	printf longer >>t/memory
	refused 125 'cut short or of another'
	make_template
	rm t/state
	refused 125 'state'
	make_template
	echo '{' >t/template.json
	refused 125 'template.json'
	rm -r t
	refused 125 'template t'
}

@test "another user's template" {
	sed -i "s/\"uid\":[0-9]*/\"uid\":12345/" t/template.json
	refused 125 'made by user 12345'
	make_template
	chmod g+w t/memory
	refused 125 'written to by others'
	make_template
	[ "$(id -u)" -eq 0 ] || skip "giving files away needs root"
	chown 12345 t/memory
	refused 125 'belongs to user 12345'
}
