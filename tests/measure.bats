#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool measure: against a second implementation (tests/measure/reference.py), against the PCRs of
# a real boot (QEMU, OVMF, swtpm), and with files that lie. Published vectors are in test-measure.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool FILES=$BATS_FILE_TMPDIR REF=$ROOT/tests/measure/reference.py
	cd "$FILES"
	python3 "$REF" sev-firmware sev.fd 32
	python3 "$REF" tdx-firmware tdx.fd 32
	printf 'an initrd' >rootfs.initrd
	gcc -std=gnu17 -O1 -ffreestanding -fpic -fno-stack-protector -mno-red-zone -fno-asynchronous-unwind-tables \
		-fcf-protection=none -nostdlib -no-pie -Wl,--build-id=none -Wl,-T,"$ROOT/tests/measure/stub.lds" \
		-Wl,--oformat=binary -o stub.bin "$ROOT/tests/measure/stub.c"
	image erofs stub.bin
	image initrd stub.bin
	image nostub nostub
	# Not ours: Debian's firmware, without SEV's digests of the kernel.
	export OVMF=/usr/share/ovmf/OVMF.fd
}

setup() { cd "$FILES"; }

# image NAME STUB: a folder that `measure` takes; its root is an initrd when so named.
image() {
	local format=erofs file=rootfs.erofs
	[ "$1" != initrd ] || { format=initrd; file=rootfs.initrd; }
	mkdir "$1"
	python3 "$REF" kernel "$1/bzImage" "$2"
	echo elf >"$1/vmlinux"
	cp rootfs.initrd "$1/$file"
	describe "$1" "$format" "$file"
}

# describe DIR FORMAT FILE [ROOTFS MEMBERS] [MEMBERS]: image.json of the files as they are.
describe() {
	local f files=
	for f in vmlinux bzImage "$3"; do
		files+="${files:+,}{\"name\":\"$f\",\"size\":$(stat -c %s "$1/$f"),\"sha256\":\"$(sha256sum <"$1/$f" | cut -c1-64)\"}"
	done
	cat >"$1/image.json" <<-JSON
		{"schema":1,"name":"t","version":"0.1.0","profile":"container","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","bzimage":"bzImage","version":"6.12"},
		"rootfs":{"file":"$3","format":"$2"${4-}},${5-}
		"cmdline":"from.image=1","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[$files],"packages":[]}
	JSON
}

words() { "$TOOL" measure --json "$@" | jq -r .cmdline; }

same() { # REFERENCE ARGUMENTS... -- MEASURE ARGUMENTS...
	local ref=()
	while [ "$1" != -- ]; do ref+=("$1"); shift; done
	shift
	diff <(python3 "$REF" "${ref[@]}") <("$TOOL" measure --quiet "$@")
}

refused() { # STATUS TEXT ARGUMENTS...: one line that says so, and nothing else
	local status_wanted=$1 text=$2
	shift 2
	run --separate-stderr "$TOOL" measure "$@"
	echo "$status: $output / $stderr"
	[ "$status" -eq "$status_wanted" ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ] && [[ $stderr == *"$text"* ]]
}

@test "snp: the digests of the second implementation" {
	local w
	w=$(words erofs)
	same snp sev.fd erofs/bzImage - "$w" 1 800f12 1 -- erofs --tee snp --firmware sev.fd
	same snp sev.fd erofs/bzImage - "$w x=1" 3 a00f11 21 -- erofs --tee snp --firmware sev.fd --append x=1 --cpus 3 \
		--vcpu-type EPYC-Milan-v2 --guest-features 0x21
	w=$(words initrd --net none)
	same snp sev.fd initrd/bzImage initrd/rootfs.initrd "$w" 2 b00f00 1 -- initrd --tee snp --firmware sev.fd --net none \
		--cpus 2 --cpu-sig 0xB00F00
}

@test "sev: the digest of the second implementation" {
	same sev sev.fd erofs/bzImage - "$(words erofs --append x)" -- erofs --tee sev --firmware sev.fd --append x
	same sev sev.fd initrd/bzImage initrd/rootfs.initrd "$(words initrd)" -- initrd --tee sev --firmware sev.fd
	refused 3 'no SEV metadata' erofs --tee sev --firmware tdx.fd
	refused 2 'changes nothing with --tee sev' erofs --tee sev --firmware sev.fd --cpus 2
}

@test "snp: the firmware's digest stands for its pages" {
	local whole start
	tail -c 4096 sev.fd >suffix.fd
	whole=$("$TOOL" measure erofs --tee snp --firmware sev.fd --quiet)
	start=$("$TOOL" measure erofs --tee snp --firmware sev.fd --verbose --json | jq -r '.steps[0].value')
	[ "$("$TOOL" measure erofs --tee snp --firmware suffix.fd --firmware-digest "$start" --quiet)" = "$whole" ]
	refused 2 '96 hexadecimal digits' erofs --tee snp --firmware suffix.fd --firmware-digest 00
}

@test "tdx: MRTD and RTMRs of the second implementation" {
	same tdx tdx.fd erofs/bzImage - "$(words erofs)" -- erofs --tee tdx --firmware tdx.fd
	same tdx tdx.fd initrd/bzImage initrd/rootfs.initrd "a b" -- initrd --tee tdx --firmware tdx.fd --cmdline "a b"
}

@test "tpm: PCRs of the second implementation, in each bank, with and without an initrd" {
	local bank
	for bank in sha256 sha384 sha512; do
		same tpm $bank 512 erofs/bzImage - "$(words erofs)" -- erofs --tee tpm --bank $bank
		same tpm $bank 3000 initrd/bzImage initrd/rootfs.initrd "$(words initrd)" -- initrd --tee tpm --bank $bank --memory 3000M
	done
}

@test "Debian's OVMF: its TDX list is measured; for SNP it has no place for the kernel's digests" {
	[ -e "$OVMF" ] || skip "$OVMF (package ovmf) is not installed"
	same tdx "$OVMF" erofs/bzImage - "$(words erofs)" -- erofs --tee tdx --firmware "$OVMF"
	refused 3 'no place for digests of the kernel' erofs --tee snp --firmware "$OVMF"
}

@test "the words are those that kihon boot passes" {
	local passed dir
	mkdir -p bin
	# shellcheck disable=SC2016
	printf '#!/bin/bash\nwhile [ "$1" != -append ]; do shift; done\necho "$2" >%s/passed\nexit 1\n' "$FILES" >bin/qemu-system-x86_64
	chmod +x bin/qemu-system-x86_64
	cp -r erofs padded # persistent memory comes in 2 MiB
	truncate -s 2M padded/rootfs.erofs
	describe padded erofs rootfs.erofs
	for dir in padded initrd; do
		PATH=$FILES/bin:$PATH XDG_RUNTIME_DIR=$FILES "$ROOT/build/host/bin/kihon" boot "$dir" --machine q35 --accel tcg --append last=1 || true
		# An emulated guest is told the speed of its counter.
		passed=$(sed 's/ tsc_early_khz=[0-9]* tsc=reliable no_timer_check//' passed)
		[ "$passed" = "$(words $dir --root pmem --append last=1)" ]
	done
}

@test "verity: the root hash in the words is shown; without it there is a warning" {
	local h=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
	mkdir -p verity
	cp erofs/* verity
	describe verity erofs rootfs.erofs ",\"words_blk\":\"dm-mod.create=$h root=/dev/dm-0\"" \
		"\"verity\":{\"root_hash\":\"$h\",\"salt\":\"$h\",\"data_blocks\":1,\"data_offset\":0,\"hash_offset\":4096},"
	run --separate-stderr "$TOOL" measure verity
	[[ $output == *"root hash, $h"* && -z $stderr ]]
	[ "$("$TOOL" measure verity --json | jq -r .root_hash)" = $h ]
	run --separate-stderr "$TOOL" measure verity --cmdline "console=ttyS0"
	[[ $output == *'not measured'* && $stderr == *'--verity'* ]]
	[ "$("$TOOL" measure erofs --json | jq '.warnings | length')" -eq 1 ]
}

@test "verbose and JSON: each step, ending in the value" {
	local last
	last=$("$TOOL" measure initrd --tee tpm --json | jq -r '.measurements["PCR[9]"]')
	[ "$("$TOOL" measure initrd --tee tpm --json -v | jq -r '[.steps[] | select(.register == "PCR[9]")][-1].value')" = "$last" ]
	"$TOOL" measure initrd --tee tpm -v | grep -q "now  $last"
	"$TOOL" measure erofs --tee tdx --firmware tdx.fd --json | jq -e '.not_predicted["RTMR[0]"]'
	[ "$("$TOOL" measure erofs --tee snp --firmware sev.fd --cpu-sig 800f12 --json | jq -c .processors)" = \
		'{"count":1,"signature":"0x00800f12","features":"0x1","model":null}' ]
	"$TOOL" measure erofs --tee snp --firmware sev.fd -v | grep -q 'firmware: 32 pages at 0xfffe0000'
}

@test "wrong use" {
	mkdir -p big
	cp initrd/vmlinux initrd/bzImage big
	truncate -s 3M big/rootfs.initrd
	describe big initrd rootfs.initrd
	refused 2 'wants --firmware' erofs --tee snp
	refused 2 'changes nothing with --tee tdx' erofs --tee tdx --firmware tdx.fd --cpus 2
	refused 2 'changes nothing without --tee' erofs --firmware tdx.fd
	refused 2 'no processor model "i486"' erofs --tee snp --firmware sev.fd --vcpu-type i486
	refused 2 'no hexadecimal number' erofs --tee snp --firmware sev.fd --cpu-sig 0x1g
	refused 2 'no hexadecimal number' erofs --tee snp --firmware sev.fd --cpu-sig 100000000
	refused 2 '--cmdline is the whole' erofs --cmdline a --append b
	refused 2 'control character' erofs --append $'a\nb'
	refused 2 '--quiet goes with' erofs --quiet --json
	refused 2 '--cpus takes 1 to 512' erofs --tee snp --firmware sev.fd --cpus 513
	refused 2 '--cpus takes 1 to 512' erofs --tee snp --firmware sev.fd --cpus 0
	refused 2 '--memory takes 1M and more' erofs --tee tpm --memory 0
	refused 3 'does not fit into' big --tee tpm --memory 2M
}

@test "files that lie, or are not there" {
	refused 3 'no SEV metadata' erofs --tee snp --firmware tdx.fd
	refused 3 'no TDX metadata' erofs --tee tdx --firmware sev.fd
	head -c 5000 /dev/urandom >noise.fd
	refused 3 'whole pages' erofs --tee snp --firmware noise.fd
	refused 3 'no TDX metadata' erofs --tee tdx --firmware noise.fd
	: >empty.fd
	refused 3 'empty.fd' erofs --tee snp --firmware empty.fd
	refused 3 'empty.fd' erofs --tee tdx --firmware empty.fd
	refused 4 'absent.fd' erofs --tee snp --firmware absent.fd
	refused 3 'no regular file' erofs --tee tdx --firmware /
	mkfifo pipe.fd
	refused 3 'no regular file' erofs --tee tdx --firmware pipe.fd
	truncate -s 65M big.fd
	refused 3 'big.fd' erofs --tee tdx --firmware big.fd
	refused 3 'no EFI stub' nostub --tee tpm
	refused 3 'no EFI stub' nostub --tee tdx --firmware tdx.fd
	run --separate-stderr "$TOOL" measure nostub --tee snp --firmware sev.fd
	[[ $status -eq 0 && $stderr == *'no EFI stub'* ]]
	refused 3 '2047 bytes' erofs --tee tpm --cmdline "$(printf 'x%.0s' {1..2048})"
	cp -r erofs changed
	printf y | dd of=changed/bzImage conv=notrunc status=none
	refused 5 'bzImage has SHA-256' changed --tee tpm
	rm changed/bzImage
	refused 4 'bzImage' changed
	refused 4 'absent' absent
}

# boot_and_compare DIR MARKER MEMORY ARGUMENTS...: PCRs of a real boot, and those that are predicted.
boot_and_compare() {
	local dir=$1 marker=$2 memory=$3 initrd=-
	shift 3
	[ ! -e "$dir/rootfs.initrd" ] || initrd=$dir/rootfs.initrd
	python3 "$ROOT/tests/measure/tpm_boot.py" "$OVMF" "$dir/bzImage" "$initrd" "$(words "$dir" "$@")" "$memory" sha256 "$marker" >real
	"$TOOL" measure "$dir" --tee tpm --memory "${memory}M" "$@" --quiet >predicted
	cat real predicted
	[ "$(wc -l <predicted)" -eq 9 ]
	[ -z "$(grep -vxFf real predicted)" ]
}

need_tpm() {
	local p
	for p in qemu-system-x86_64 swtpm; do
		command -v $p >/dev/null || skip "$p is not installed"
	done
	[ -e "$OVMF" ] || skip "$OVMF (package ovmf) is not installed"
}

@test "tpm: the PCRs of a real boot through OVMF" {
	need_tpm
	boot_and_compare erofs "stub: measured" 256
}

@test "tpm: the PCRs of a real boot through OVMF, with an initrd" {
	need_tpm
	boot_and_compare initrd "stub: measured" 300
}

# A kernel with an EFI stub, from KIHON_EFI_KERNEL or this machine's own.
@test "tpm: the PCRs of a real boot of Linux" {
	need_tpm
	local kernel=${KIHON_EFI_KERNEL-}
	for kernel in "$kernel" /boot/vmlinuz-*; do
		[ ! -r "$kernel" ] || [ ! -f "$kernel" ] || break
	done
	[ -f "$kernel" ] || skip "no kernel with an EFI stub: set KIHON_EFI_KERNEL"
	cp -r initrd linux
	cp "$kernel" linux/bzImage
	describe linux initrd rootfs.initrd
	boot_and_compare linux "Linux version" 512 --cmdline "console=ttyS0 earlyprintk=serial,ttyS0"
}
