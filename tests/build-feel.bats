#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How kata-image-tool feels: what it prints where, what it documents, and that anybody can run it anywhere.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_data "$KIHON_DATA"
	image_kernel "$KERNEL"
}

setup() {
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build --kernel "$KERNEL" "$@"; }

# terminal COMMAND: its output on a terminal, in the file `typescript`.
terminal() {
	command -v script >/dev/null || skip "script (bsdutils) is not installed"
	TERM=xterm script -qec "$1" typescript </dev/null >/dev/null
}

@test "without a terminal: a plain line a step on standard error, what was built on standard output" {
	build -o one >out 2>err
	grep -qx '  ROOT     rootfs.erofs' err
	grep -qx "  KERNEL   $KERNEL" err
	[ "$(wc -l <err)" -eq 2 ]
	! grep -q $'[\r\033]' err out
	grep -q '^one: profile container' out
	build -q -o one >out 2>err
	[ ! -s out ] && [ ! -s err ]
	build --json -o one 2>/dev/null | jq -e '.output == "one"'
	build -q --json -o one >out 2>err
	jq -e . out && [ ! -s err ]
}

@test "on a terminal: a bar while it takes long, whole lines at the end, no colours" {
	mkdir tree
	head -c 300000000 /dev/zero | tr '\0' 'x' >tree/large
	terminal "NO_COLOR=1 '$TOOL' build --kernel '$KERNEL' --extra tree --format ext4 -o one"
	grep -qaE '\[#*-*\] [0-9]+ of 57[0-9] MiB' typescript
	grep -qa $'\r\033\\[K  ROOT     rootfs.ext4\r$' typescript
	! grep -qaE $'\033\\[[0-9;]*m' typescript
	"$TOOL" verify one
	terminal "TERM=dumb '$TOOL' build --kernel '$KERNEL' --extra tree -o one"
	! grep -qa $'\033' typescript
	terminal "'$TOOL' build -q --kernel '$KERNEL' -o one"
	! grep -qa 'ROOT\|KERNEL' typescript
}

@test "interrupted while it writes a large root: nothing is left, the status is the signal's" {
	mkdir tree
	head -c 400000000 /dev/zero | tr '\0' 'x' >tree/large
	local pid sig
	for sig in INT TERM HUP; do
		env --default-signal=INT,HUP "$TOOL" build -q --kernel "$KERNEL" --extra tree --format ext4 -o one 2>err 3>&- &
		pid=$!
		until [ -n "$(ls -d one/.build-*/root.tmp 2>/dev/null)" ]; do sleep 0.02; done
		kill -$sig $pid
		status=0
		wait $pid || status=$?
		[ $status -eq $((128 + $(kill -l $sig))) ]
		[ "$(cat err)" = "kata-image-tool: interrupted; nothing was written" ]
		[ ! -e one ]
	done
}

@test "interrupted in the middle of one large file, in every format: it ends there and then" {
	mkdir tree
	head -c 600000000 /dev/zero | tr '\0' 'x' >tree/large
	local pid f
	for f in erofs "erofs --verity" "erofs --compress lz4hc,12" initrd "kata --verity"; do
		# shellcheck disable=SC2086
		env --default-signal=INT,HUP "$TOOL" build -q --kernel "$KERNEL" --extra tree --format $f -o one 2>err 3>&- &
		pid=$!
		# Some of the root is there: far from all, and none of what comes after it.
		until [ -n "$(find one/.build-* -type f -size +1M 2>/dev/null)" ] || ! kill -0 $pid; do sleep 0.01; done
		kill -INT $pid
		status=0
		wait $pid || status=$?
		echo "$f: $status $(cat err)"
		[ $status -eq 130 ]
		[ "$(cat err)" = "kata-image-tool: interrupted; nothing was written" ]
		[ ! -e one ]
	done
}

@test "every verb has help, a manual section and completion; exit statuses are documented" {
	local v o
	"$TOOL" --man >man
	"$TOOL" --completion-bash >completion
	bash -n completion
	for v in $("$TOOL" --help | awk '/^Verbs:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'); do
		"$TOOL" "$v" --help >help
		grep -q '^Usage: kata-image-tool '"$v" help
		grep -q "^.SS kata.*image.*tool $v" man
		grep -qw "$v" completion
		grep -q -- '--quiet\|--json' help || [ "$v" = fetch ]
		for o in $(grep -oE '^  (-., )?--[a-z-]+' help | grep -oE -- '--[a-z-]+'); do
			grep -q -- "$o" completion
			grep -q -- "$(sed 's/-/\\\\-/g' <<<"$o")" man
		done
	done
	# completes WORD...: what a shell offers for the last of them.
	completes() {
		COMP_WORDS=("$TOOL" "$@") COMP_CWORD=$# COMPREPLY=()
		_kata_image_tool
		[ "${#COMPREPLY[@]}" -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
	}
	. ./completion
	[ "$(completes ver)" = verify ]
	[ "$(completes build --locke)" = --locked ]
	[ "$(completes build --format e | paste -sd ' ')" = 'erofs ext4' ]
	[ "$(completes pack --format '' | paste -sd ' ')" = 'initrd erofs' ]
	[ "$(completes inspect comp)" = completion ]
	"$TOOL" --help >help
	grep -q 'Exit status: 0 done; 1 failed' help
	for v in '2 wrong usage' '3 an input is wrong' '4 something' '5 a digest'; do
		tr '\n' ' ' <help | grep -q "$v"
	done
}

@test "anybody builds every format: no root, no privileges, and the same bytes as root's" {
	[ "$(id -u)" -eq 0 ] || skip "only root can become somebody else"
	chmod 755 "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" 2>/dev/null || true
	local f dir
	dir=$(mktemp -d /tmp/kihon-feel.XXXXXX)
	cp -r "$KIHON_DATA" "$KERNEL" "$TOOL" "$dir/"
	chmod -R a+rX "$dir"
	mkdir -m 777 "$dir/out"
	for f in erofs initrd ext4 kata "kata --root-fs ext4 --verity"; do
		rm -rf root "$dir/out/nobody"
		# shellcheck disable=SC2086
		build -q --format $f -o root
		# shellcheck disable=SC2086
		(cd "$dir/out" && umask 077 && env -i PATH=/usr/bin:/bin KIHON_DATA="$dir/data" HOME=/nonexistent LC_ALL=C \
			setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
			"$dir/kata-image-tool" build -q --kernel "$dir/kernel" --format $f -o nobody)
		diff -r root "$dir/out/nobody"
	done
	rm -rf "$dir"
}

@test "memory stays bounded: 40,000 files take at most 10 MiB and 256 bytes each above a small build" {
	command -v /usr/bin/time >/dev/null || skip "time is not installed"
	mkdir -p tree/d
	(cd tree/d && seq -f 'file-with-a-name-%.0f' 40000 | xargs touch)
	local f small large
	for f in erofs ext4 initrd; do
		small=$(/usr/bin/time -f %M "$TOOL" build -q --kernel "$KERNEL" --format $f -o one 2>&1)
		large=$(/usr/bin/time -f %M "$TOOL" build -q --kernel "$KERNEL" --format $f --extra tree -o one 2>&1)
		echo "$f: $small KiB, with 40,000 files $large KiB"
		[ $((large - small)) -le $((10240 + 40000 / 4)) ]
	done
}

@test "a cache or an output that cannot be written, and a disk without room" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mkdir small
	mount -t tmpfs -o size=1m none small 2>/dev/null || skip "this machine cannot mount a tmpfs"
	local f left
	for f in erofs initrd ext4 kata; do
		run build -q --format $f -o small/image
		left=$(ls -A small)
		echo "$f: $output"
		[ "$status" -eq 4 ] && [ "${#lines[@]}" -eq 1 ] && [ -z "$left" ] || { umount small; return 1; }
	done
	mount -o remount,ro small
	run build -q -o small/image
	umount small
	one_line 4 small
}

@test "a cache that cannot be written: enough when it has the kernel, else one line that names it" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	unset KIHON_DATA
	local f
	for f in guest/bin/kihon-agent guest/bin/kihon-pull guest/bin/pause kernel/container/vmlinux; do
		[ -e "$ROOT/build/$f" ] || skip "build/$f is not built"
	done
	mkdir cache
	mount -t tmpfs -o ro none cache 2>/dev/null || skip "this machine cannot mount a tmpfs"
	XDG_CACHE_HOME=$PWD/cache run "$TOOL" build -q --offline -o x
	umount cache
	one_line 4 'the kernel of profile container was not built'
	[ ! -e x ]
	mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}"
	mount --bind "${XDG_CACHE_HOME:-$HOME/.cache}" cache
	mount -o remount,ro,bind cache
	XDG_CACHE_HOME=$PWD/cache run "$TOOL" build -q --offline -o x
	umount cache
	echo "$output"
	[ "$status" -eq 0 ]
	"$TOOL" verify --quiet x
}
