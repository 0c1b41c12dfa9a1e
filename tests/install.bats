#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# make install and make dist: what is installed works without the build tree.

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	export DEST=$BATS_FILE_TMPDIR/dest
	make -s -C "$ROOT" install DESTDIR="$DEST" PREFIX=/usr >&2
}

@test "programs, manual pages, completions and a guest image are installed" {
	local p
	for p in kihon kata-image-tool; do
		[ "$("$DEST/usr/bin/$p" --version)" = "$p $(cat "$ROOT/VERSION")" ]
		zcat "$DEST/usr/share/man/man1/$p.1.gz" | grep -q '^\.SH NAME'
		bash -c "source '$DEST/usr/share/bash-completion/completions/$p' && complete -p $p"
	done
	"$DEST/usr/bin/kata-image-tool" verify "$DEST/usr/lib/kihon/image/container"
}

@test "nothing installed names the build tree, and no debug file is there" {
	! grep -rlF "$ROOT/" "$DEST"
	[ -z "$(find "$DEST" -name '*.debug' -o -name 'module.mk')" ]
}

@test "the installed tool builds the same image as the build tree's" {
	cd "$BATS_TEST_TMPDIR"
	env -u KIHON_DATA "$DEST/usr/bin/kata-image-tool" build -q --offline -o image
	diff -r image "$DEST/usr/lib/kihon/image/container"
}

@test "a prefix that cannot be written is one line" {
	echo x >"$BATS_TEST_TMPDIR/f"
	run make -s -C "$ROOT" install DESTDIR="$BATS_TEST_TMPDIR/f"
	[ "$status" -ne 0 ]
	[[ $output == *'cannot be written to'* ]]
}

@test "make dist: static programs that run in an empty environment, the same bytes each time" {
	[ -n "$KIHON_FULL" ] || skip "only in check-full: it builds the host programs once more"
	make -s -C "$ROOT" static >&2
	cd "$ROOT"
	for out in one two; do
		SOURCE_DATE_EPOCH=1700000000 rootfs/dist --version 1.2.3 --guest build/guest --image build/image/container -o "$BATS_TEST_TMPDIR/$out" \
			--programs "build/static/bin/kihon build/static/bin/kata-image-tool"
	done
	diff -r "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
	tar -tf "$BATS_TEST_TMPDIR/one/kihon-1.2.3.tar.gz" | grep -q '^kihon-1.2.3/Makefile$'
	tar -C "$BATS_TEST_TMPDIR" -xf "$BATS_TEST_TMPDIR/one/kihon-1.2.3-x86_64.tar.zst"
	cd "$BATS_TEST_TMPDIR"/kihon-*-x86_64
	"$ROOT/rootfs/check-static-pie" bin/*
	env -i bin/kata-image-tool verify lib/kihon/image/container
}
