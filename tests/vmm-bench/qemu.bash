# SPDX-License-Identifier: Apache-2.0
# qemu_files DIR: QEMU as it is packaged, with its libraries beside it, under a name of its own, for the nested host:
# sets `add`, the options of tests/nested/run that bring it there. Fails, in one line, where QEMU or the host's kernel is
# missing.
qemu_files() {
	local dir=$1 qemu file
	qemu=$(command -v qemu-system-x86_64) || { echo "qemu-system-x86_64 is missing: run make deps" >&2; return 1; }
	cp "$qemu" "$dir/qemu.elf"
	cat >"$dir/qemu-system-x86_64" <<-'SH'
		#!/bin/sh
		[ -z "$QEMU_TRACE" ] || set -- "$@" -trace kvm_run_exit -D "$QEMU_TRACE"
		exec /bin/ld-linux-x86-64.so.2 --argv0 qemu-system-x86_64 --library-path /bin /bin/qemu.elf -L /bin "$@"
	SH
	chmod +x "$dir/qemu-system-x86_64"
	add=(--add "$dir/qemu.elf" --add "$dir/qemu-system-x86_64")
	for file in $(ldd "$qemu" | grep -o '/[^ ]*') /usr/share/qemu/bios-microvm.bin /usr/share/qemu/{qboot.rom,pvh.bin,linuxboot_dma.bin}; do
		cp -L "$file" "$dir/${file##*/}"
		add+=(--add "$dir/${file##*/}")
	done
}
