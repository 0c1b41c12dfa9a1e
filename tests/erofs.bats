#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# EROFS images of lib/erofs, as the kernel and erofs-utils see them, and theirs as we see them.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || exit 1
	make build/host/bin/erofs-pack build/host/bin/gen-tree >&2
	umask 022
	build/host/bin/gen-tree "$BATS_FILE_TMPDIR/tree" 3000 60 7
	special_tree "$BATS_FILE_TMPDIR/special"
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || exit 1
	PATH="$PWD/build/host/bin:$PATH"
	T=$BATS_TEST_TMPDIR
	tree=$BATS_FILE_TMPDIR/tree
	special=$BATS_FILE_TMPDIR/special
}

# All that a tree can hold as far as this user may make it.
special_tree() {
	mkdir -p "$1/dir/sub" "$1/empty-dir" "$1/sticky"
	chmod 1777 "$1/sticky"
	(
		cd "$1" || exit
		printf 'one' >dir/one
		chmod 4711 dir/one
		ln dir/one dir/sub/linked
		ln dir/one linked-too
		ln -s dir/one symlink
		ln -s /nowhere/at/all dangling
		ln -s "$(printf 't%.0s' {1..4000})" dir/long-target
		ln symlink hard-linked-symlink 2>/dev/null || true
		mkfifo fifo
		python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
		printf 'x' >"$(printf 'not \xff\xfe utf-8')"
		printf 'x' >"$(printf 'line\nfeed')"
		printf 'x' >'!before-the-dots'
		printf 'x' >'.-between'
		printf 'x' >"$(printf 'n%.0s' {1..255})"
		: >empty
		head -c 4096 /dev/urandom >block
		head -c 4097 /dev/urandom >block-and-one
		truncate -s 3M sparse
		printf 'end' >>sparse
		touch -d '1969-12-31 23:59:58.5 UTC' before-1970
		touch -d '2150-01-01 00:00:00.000000001 UTC' far-away
		mkdir large
		(cd large && seq -f 'entry-with-a-name-of-some-length-%g' 3000 | xargs touch)
		deep=deep
		for i in {1..100}; do deep=$deep/d$i; done
		mkdir -p "$deep"
		setfattr -n user.one -v value dir/one
		setfattr -n user.shared -v same block block-and-one empty
		setfattr -n user.large -v "$(head -c 3000 /dev/zero | tr '\0' v)" block
		setfacl -m u:12345:rw block 2>/dev/null || true
		setfacl -d -m u:12345:rx empty-dir 2>/dev/null || true
		[ "$(id -u)" = 0 ] || exit 0
		mknod null c 1 3
		mknod large-numbers b 4095 1048575
		mknod whiteout c 0 0
		chown 70000:65535 block-and-one
		chown 4294967294:1 sticky
		setfattr -n trusted.overlay.opaque -v y dir
		setfattr -n security.test -v label empty symlink
		cp /bin/true capable && setcap cap_net_raw+ep capable
	)
}

# What find(1) and getfattr(1) see of a folder; not: sizes and link counts of directories,
# which are the file system's own affair.
look() {
	(
		cd "$1" || exit
		find . -type d -printf '%P %y %m %U %G 0 %T@ 0 %l\0' -o -printf '%P %y %m %U %G %s %T@ %n %l\0'
		find . \( -type c -o -type b \) -exec stat --printf '%n %t:%T\0' {} +
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
		find . -print0 | LC_ALL=C sort -z | xargs -0 getfattr -hd -m - -e hex 2>/dev/null
	) | LC_ALL=C sort -z
}

can_mount() {
	[ "$(id -u)" = 0 ] || skip "mounting needs root"
	grep -qw erofs /proc/filesystems || skip "this kernel has no EROFS"
	unshare -m mount -t tmpfs none /mnt 2>/dev/null || skip "no permission to mount here"
	losetup -f >/dev/null 2>&1 || skip "no loop device here"
}

# Runs the rest of the arguments (this shell's functions included) with the image at $T/m.
mounted() {
	local image=$1
	shift
	mkdir -p "$T/m"
	export -f look
	unshare -m bash -c 'mount -t erofs -o loop,ro "$1" "$2" && shift 2 && "$@"' - "$image" "$T/m" "$@"
}

same_as_source() {
	look "$1" >"$T/want"
	mounted "$2" bash -c 'look "$1"' - "$T/m" >"$T/got"
	[ -s "$T/want" ]
	cmp "$T/want" "$T/got" || { diff <(tr "\0" "\n" <"$T/want") <(tr "\0" "\n" <"$T/got") | head -20; false; }
}

@test "golden images: fsck.erofs finds nothing" {
	for name in empty types xattrs folders huge; do
		for kind in "" -layer; do
			erofs-pack --golden $name$kind "$T/image"
			fsck.erofs "$T/image"
			rm "$T/image"
		done
	done
}

@test "golden images: the kernel sees every type of file" {
	can_mount
	for kind in "" -layer; do
		erofs-pack --golden types$kind "$T/image"
		mounted "$T/image" bash -c 'cd "$1" && LC_ALL=C ls -Aln --time-style=+%s bin dev names . | tr -s " "' - "$T/m" >"$T/got"
		rm "$T/image"
		grep -qx -- '-rwxr-xr-x 3 0 0 5000 1700000000 false' "$T/got"
		grep -qx -- '-rwsr-xr-x 1 0 0 4096 1700000000 su' "$T/got"
		grep -qx -- '-rwxr-xr-x 3 0 0 5000 1700000000 hard' "$T/got"
		grep -qx -- 'crw-rw-rw- 2 0 0 1, 3 1700000000 null' "$T/got"
		grep -qx -- 'brw-rw---- 1 0 0 4095, 1048575 1700000000 large' "$T/got"
		grep -qx -- 'c--------- 1 0 0 0, 0 1700000000 whiteout' "$T/got"
		grep -qx -- 'prw------- 1 0 0 0 1700000000 fifo' "$T/got"
		grep -qx -- 'srwx------ 1 0 0 0 1700000000 socket' "$T/got"
		grep -qx -- '-rw------- 1 65536 4294967294 7 1700000000 owned' "$T/got"
		grep -qx -- '-rw-r--r-- 1 0 0 1 -1 old' "$T/got"
		grep -qx -- '-rw-r--r-- 1 0 0 1 5000000000 far' "$T/got"
		grep -qx -- 'drwxrwxrwt 2 0 0 [0-9]* 1700000000 tmp' "$T/got"
		grep -qx -- 'lrwxrwxrwx 1 0 0 3 1700000000 sbin -> bin' "$T/got"
		grep -qx -- '-rw-r--r-- 1 0 0 8 1700000000 n\{255\}' "$T/got"
		[ "$(grep -ac '^[-dlcbps][-rwxsStT]\{9\} ' "$T/got")" = 28 ]
	done
}

@test "golden images: the kernel sees inline, shared and large xattrs" {
	can_mount
	for kind in "" -layer; do
		erofs-pack --golden xattrs$kind "$T/image"
		mounted "$T/image" bash -c 'cd "$1" && getfattr -Rhd -m - . 2>/dev/null' - "$T/m" >"$T/got"
		[ "$(grep -c '^security.capability=' "$T/got")" = 300 ]
		[ "$(grep -c '^trusted.overlay.opaque="y"$' "$T/got")" = 241 ]
		[ "$(grep -c '^user.shared="the same on many files"$' "$T/got")" = 241 ]
		[ "$(grep -c '^system.posix_acl_access=' "$T/got")" = 240 ]
		[ "$(grep -c '^user.path="many/' "$T/got")" = 43 ]
		grep -qx 'user.only-here="x"' "$T/got"
		grep -qx 'user.empty=""' "$T/got"
		[ "$(mounted "$T/image" bash -c 'getfattr --only-values -n user.large "$1/one" | wc -c' - "$T/m")" = 65535 ]
		rm "$T/image"
	done
}

@test "a generated tree: fsck.erofs extracts what went in" {
	for kind in "" --layer; do
		erofs-pack $kind "$tree" "$T/image"
		fsck.erofs --extract="$T/out" "$T/image"
		diff -r --no-dereference "$tree" "$T/out"
		rm -r "$T/image" "$T/out"
	done
}

@test "a generated tree: the kernel shows the same as the source" {
	can_mount
	for kind in "" --layer; do
		erofs-pack $kind "$tree" "$T/image"
		same_as_source "$tree" "$T/image"
	done
}

@test "all kinds of files: the kernel shows the same as the source" {
	can_mount
	for kind in "" --layer; do
		erofs-pack $kind "$special" "$T/image"
		fsck.erofs "$T/image"
		same_as_source "$special" "$T/image"
	done
	grep -zq '^capable ' "$T/got"
	grep -zaq 'security.capability' "$T/got"
}

@test "a file of more than 4 GiB" {
	can_mount
	mkdir "$T/in"
	truncate -s 5G "$T/in/large"
	printf 'end' >>"$T/in/large"
	printf 'middle' | dd of="$T/in/large" bs=1 seek=4400000000 conv=notrunc status=none
	erofs-pack "$T/in" "$T/image"
	# Holes stay holes.
	[ "$(du -k "$T/image" | cut -f1)" -lt 4096 ]
	fsck.erofs "$T/image"
	[ "$(mounted "$T/image" stat -c %s "$T/m/large")" = 5368709123 ]
	[ "$(mounted "$T/image" tail -c 3 "$T/m/large")" = end ]
	[ "$(mounted "$T/image" dd if="$T/m/large" bs=1 skip=4400000000 count=6 status=none)" = middle ]
}

@test "large files begin on 2 MiB boundaries, and nothing is inline" {
	erofs-pack "$tree" "$T/image"
	[ $(($(stat -c %s "$T/image") % 2097152)) = 0 ]
	n=0
	while read -r path; do
		run -0 dump.erofs -e --path="/${path#"$tree"/}" "$T/image"
		start=$(sed -n 's/^ *0: *0\.\. *[0-9]* | *[0-9]* : *\([0-9]*\)\.\..*/\1/p' <<<"$output")
		[ -n "$start" ]
		[ $((start % 2097152)) = 0 ]
		n=$((n + 1))
	done < <(find "$tree" -type f -size +2047k -links 1)
	[ $n -gt 2 ]
	dump.erofs -S "$T/image" | grep -q 'Filesystem uncompressed files:'
	for path in $(find "$tree" -type f -links 1 -printf '%P\n' | head -20); do
		run -0 dump.erofs --path="/$path" "$T/image"
		grep -q 'Layout: 0 ' <<<"$output"
	done
}

@test "the same bytes on every run, whatever the order of the folder" {
	erofs-pack --all-root --mtime 1600000000 "$tree" "$T/one"
	mkdir "$T/copy"
	# Another order of creation; hard links stay.
	(cd "$tree" && find . -depth -print0 | LC_ALL=C sort -rz | cpio -0pdm --quiet "$T/copy")
	(cd "$tree" && getfattr -Rhd -m user . 2>/dev/null) | (cd "$T/copy" && setfattr --restore=-)
	chmod --reference="$tree" "$T/copy"
	erofs-pack --all-root --mtime 1600000000 "$T/copy" "$T/two"
	cmp "$T/one" "$T/two"
}

@test "images of mkfs.erofs are read" {
	for options in -Enoinline_data -x1 -T0 "-T1600000000 --all-root"; do
		# shellcheck disable=SC2086
		mkfs.erofs --quiet $options "$T/theirs" "$tree" >&2
		erofs-pack --list "$T/theirs" >"$T/got"
		(cd "$tree" && find . -type d -printf '%P %y %m %U %G 0 %T@ 0\n' -o -printf '%P %y %m %U %G %s %T@ %n\n') >"$T/want"
		case $options in
		-T*) sed -Ei 's/ (0|[0-9]+) [0-9]+\.[0-9]{10} / \1 - /' "$T/want" "$T/got" ;;
		esac
		sed 's/ [0-9]*$//' "$T/got" | LC_ALL=C sort | cmp - <(LC_ALL=C sort "$T/want")
		rm "$T/theirs"
	done
	# Content: sums of bytes of all of it.
	mkfs.erofs --quiet "$T/theirs" "$tree" >&2
	[ "$(erofs-pack --list "$T/theirs" | awk '$2 == "f" && !seen[$9 " " $6]++ { s += $9 } END { printf "%d", s }')" = \
		"$(erofs-pack "$tree" "$T/ours" >&2 && erofs-pack --list "$T/ours" | awk '$2 == "f" && !seen[$9 " " $6]++ { s += $9 } END { printf "%d", s }')" ]
}

@test "works without privileges" {
	[ "$(id -u)" = 0 ] || skip "this whole run is without"
	install -d -o 65534 -g 65534 "$T/nobody"
	mkdir -m 755 "$T/in"
	echo hello >"$T/in/file"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$T"
	cp build/host/bin/erofs-pack "$T/erofs-pack"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$T/erofs-pack" "$T/in" "$T/nobody/image" ||
		skip "an unprivileged user cannot reach $T"
	fsck.erofs "$T/nobody/image"
}

@test "what cannot be read or written ends in one line" {
	run -1 --separate-stderr erofs-pack "$T/nothing" "$T/image"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	grep -q 'nothing: No such file' <<<"$stderr"
	run -1 --separate-stderr erofs-pack "$tree" /dev/full
	[ "$(wc -l <<<"$stderr")" = 1 ]
	run -1 --separate-stderr bash -c "ulimit -f 1000; trap '' XFSZ; exec erofs-pack '$tree' '$T/image'"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	grep -q 'cannot write the EROFS image: File too large' <<<"$stderr"
	head -c 100000 /dev/urandom >"$T/noise"
	run -1 --separate-stderr erofs-pack --list "$T/noise"
	grep -q 'no EROFS image' <<<"$stderr"
}
