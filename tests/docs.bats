#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pages for users do what they say: every ```sh block of a page runs, in order, in a folder of the page's own, with
# the programs of this build in PATH. Blocks of other kinds (```console, ```toml, ```text) are read, not run.

bats_require_minimum_version 1.5.0
load registry

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon build/host/bin/kihon-pull >&2
	export PATH=$ROOT/build/host/bin:$PATH
}

setup() { cd "$BATS_TEST_TMPDIR"; }

teardown() { registry_stop; }

# blocks PAGE: a script of its ```sh blocks; each says where it stands.
blocks() {
	awk '
		/^```sh$/ { inside = 1; printf "echo \"# block at line %d\" >&2\n", NR; next }
		/^```/ { inside = 0 }
		inside { print }
	' "$1"
}

# page NAME: runs it, or skips when there is none.
page() {
	local file=$ROOT/docs/$1.md
	[ -e "$file" ] || skip "there is no docs/$1.md"
	for f in build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause build/kernel/container/vmlinux; do
		[ -e "$ROOT/$f" ] || skip "$f is not built"
	done
	blocks "$file" >script
	grep -q . script
	run timeout -k 10 900 bash -euo pipefail script
	echo "$output" | tail -30
	[ "$status" -eq 0 ]
}

@test "the runner: a block that fails fails its page, other blocks are not run" {
	printf 'a\n```sh\nx=1\n```\n```console\nfalse\n```\n```sh\n[ $x = 1 ] # the next page continues\n```\n' >p.md
	blocks p.md >script
	bash -euo pipefail script
	printf '```sh\nfalse\n```\n' >>p.md
	blocks p.md >script
	run ! bash -euo pipefail script
}

@test "docs/kata.md" {
	page kata
}

@test "docs/ci.md" {
	command -v docker-registry >/dev/null || skip "docker-registry is not installed"
	registry_start "$BATS_TEST_TMPDIR/registry"
	export REGISTRY REGISTRY_CA
	page ci
}

@test "docs/confidential.md" {
	page confidential
}

@test "docs/wasm.md" {
	# Modules run on the smallest kernel, which takes minutes to build the first time.
	[ ! -e "$ROOT/docs/wasm.md" ] || make -s -C "$ROOT" kernel PROFILE=unikernel >&2
	page wasm
}
