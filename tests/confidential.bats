#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon boot --confidential: QEMU's command line for SEV, SEV-SNP and TDX, that it starts what `kata-image-tool measure`
# measures (by a second implementation, tests/measure/reference.py), and one line where it cannot be.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon vmm-guests >&2
	export KIHON=$ROOT/build/host/bin/kihon TOOL=$ROOT/build/host/bin/kata-image-tool
	export FILES=$BATS_FILE_TMPDIR REF=$ROOT/tests/measure/reference.py XDG_RUNTIME_DIR=$BATS_FILE_TMPDIR
	cd "$FILES"
	python3 "$REF" sev-firmware sev.fd 32
	python3 "$REF" tdx-firmware tdx.fd 32
	printf 'an initrd' >rootfs.initrd
	printf 'a root' >rootfs.erofs
	gcc -std=gnu17 -O1 -ffreestanding -fpic -fno-stack-protector -mno-red-zone -fno-asynchronous-unwind-tables \
		-fcf-protection=none -nostdlib -no-pie -Wl,--build-id=none -Wl,-T,"$ROOT/tests/measure/stub.lds" \
		-Wl,--oformat=binary -o stub.bin "$ROOT/tests/measure/stub.c"
	image erofs erofs container stub.bin
	image initrd initrd container stub.bin
	image nostub erofs container nostub
	image profile erofs confidential stub.bin
}

setup() { cd "$FILES"; }

# image DIR FORMAT PROFILE STUB
image() {
	local f files=
	mkdir "$1"
	python3 "$REF" kernel "$1/bzImage" "$4"
	echo elf >"$1/vmlinux"
	cp "rootfs.$2" "$1/"
	for f in vmlinux bzImage "rootfs.$2"; do
		files+="${files:+,}{\"name\":\"$f\",\"size\":$(stat -c %s "$1/$f"),\"sha256\":\"$(sha256sum <"$1/$f" | cut -c1-64)\"}"
	done
	cat >"$1/image.json" <<-JSON
		{"schema":1,"name":"t","version":"0.1.0","profile":"$3","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","bzimage":"bzImage","version":"6.12"},
		"rootfs":{"file":"rootfs.$2","format":"$2","words_blk":"root=/dev/dm-0 dm-mod.create=\\"a,,,ro\\""},
		"cmdline":"from.image=1","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[$files],"packages":[]}
	JSON
}

# line OPTION...: the words of QEMU's command line, in the array args.
line() {
	local text
	text=$("$KIHON" boot --dry-run "$@")
	eval "args=($text)"
	echo "$text"
}

# after OPTION: its value.
after() {
	local i
	for ((i = 0; i < ${#args[@]}; i++)); do
		[ "${args[i]}" != "$1" ] || { echo "${args[i + 1]}"; return; }
	done
	[ "$1" = -initrd ] && echo -
}

refused() { # STATUS TEXT ARGUMENTS...: one line that says so, and no QEMU
	local status_wanted=$1 text=$2
	shift 2
	run --separate-stderr "$KIHON" "$@"
	echo "$status: $output / $stderr"
	[ "$status" -eq "$status_wanted" ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ] && [[ $stderr == *"$text"* ]]
}

# What the command starts, measured by the second implementation from the files and words that it names; and what
# `measure` says of the image.
@test "sev-snp: what the command starts is what measure predicts" {
	local dir cpu sig
	for dir in erofs initrd; do
		for cpu in EPYC-v4:800f12 EPYC-Milan-v2:a00f11; do
			sig=${cpu#*:} cpu=${cpu%:*}
			line "$dir" --confidential "sev-snp,firmware=sev.fd,cpu=$cpu" --cpus 3 --append "last=1"
			[ "$(after -cpu)" = "$cpu" ]
			python3 "$REF" snp "$(after -bios)" "$(after -kernel)" "$(after -initrd)" "$(after -append)" "$(after -smp)" "$sig" 1 >started
			"$TOOL" measure "$dir" --tee snp --firmware sev.fd --cpus 3 --vcpu-type "$cpu" --append "last=1" --quiet >predicted
			diff started predicted
		done
	done
	# The default is the same one, too, and the network and words of the image count.
	line erofs --confidential sev-snp,firmware=sev.fd --net none
	python3 "$REF" snp "$(after -bios)" "$(after -kernel)" - "$(after -append)" "$(after -smp)" 800f12 1 >started
	diff started <("$TOOL" measure erofs --tee snp --firmware sev.fd --net none --quiet)
	! diff started <("$TOOL" measure erofs --tee snp --firmware sev.fd --quiet)
}

@test "sev: what the command starts is what measure predicts" {
	local dir
	for dir in erofs initrd; do
		line "$dir" --confidential sev,firmware=sev.fd --append "last=1"
		python3 "$REF" sev "$(after -bios)" "$(after -kernel)" "$(after -initrd)" "$(after -append)" >started
		diff started <("$TOOL" measure "$dir" --tee sev --firmware sev.fd --append "last=1" --quiet)
	done
}

@test "tdx: what the command starts is what measure predicts" {
	local dir
	for dir in erofs initrd; do
		line "$dir" --confidential tdx,firmware=tdx.fd --memory 1G
		python3 "$REF" tdx "$(after -bios)" "$(after -kernel)" "$(after -initrd)" "$(after -append)" >started
		diff started <("$TOOL" measure "$dir" --tee tdx --firmware tdx.fd --quiet)
	done
}

@test "the words for QEMU: object, machine, memory, firmware, no emulation" {
	local data
	data=$(printf '%064x' 7)
	line erofs --confidential "sev-snp,firmware=sev.fd,host-data=$data,policy=0x30000,cbitpos=51" -m 256M
	[ "$(after -accel)" = kvm ]
	[[ $(after -machine) == q35,*,smm=off,memory-backend=ram,confidential-guest-support=cgs ]]
	[[ " ${args[*]} " == *" memory-backend-memfd,id=ram,size=256M,share=on "* ]]
	[[ " ${args[*]} " == *" sev-snp-guest,id=cgs,cbitpos=51,reduced-phys-bits=1,policy=0x30000,kernel-hashes=on,host-data=$(python3 -c "import base64; print(base64.b64encode(bytes.fromhex('$data')).decode())") "* ]]
	[[ " ${args[*]} " == *" virtio-blk-pci,drive=root "* && "${args[*]}" != *pmem* ]]
	line erofs --confidential tdx,firmware=tdx.fd,quote-socket=vsock:2:4050
	[[ $(after -machine) == *,kernel-irqchip=split,confidential-guest-support=cgs ]]
	# Without --confidential the line is an ordinary guest's.
	line erofs --vmm qemu --accel tcg --kernel "$ROOT/build/host/test/vmm/hello"
	[[ $(after -machine) == microvm,* && "${args[*]}" != *cgs* ]]
}

# QEMU 7.2 of Debian 12 knows sev-guest; it reads its words and then misses the device.
@test "QEMU takes the words, as far as this one has such guests" {
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	local kind i
	for kind in sev,firmware=sev.fd sev-snp,firmware=sev.fd tdx,firmware=tdx.fd,quote-socket=vsock:2:4050; do
		line erofs --net none --confidential "$kind,cpu=EPYC" >/dev/null
		if ! qemu-system-x86_64 -object help | grep -qx " *${kind%%,*}-guest"; then
			echo "# this QEMU has no ${kind%%,*}-guest" >&3
			continue
		fi
		for ((i = 0; i < ${#args[@]}; i++)); do
			[ "${args[i]}" != -object ] || [[ ${args[i + 1]} != *-guest,* ]] || break
		done
		run timeout 100 qemu-system-x86_64 -nodefaults -display none -machine none -object "${args[i + 1]}" -S -monitor stdio <<<quit
		echo "$output"
		[ "$status" -eq 0 ]
	done
}

@test "refused: the built-in monitor, templates, emulation, another machine, an image for confidential guests" {
	refused 2 'use --vmm qemu' boot erofs --vmm builtin --accel kvm --confidential sev-snp,firmware=sev.fd
	refused 2 'use --vmm qemu' boot profile --vmm builtin --net none
	refused 2 'no templates' template create erofs -o "$BATS_TEST_TMPDIR/t" --confidential sev-snp,firmware=sev.fd
	[ ! -e "$BATS_TEST_TMPDIR/t" ]
	refused 2 'cannot be emulated' boot erofs --accel tcg --confidential sev-snp,firmware=sev.fd
	refused 2 'q35 has' boot erofs --dry-run --machine microvm --confidential sev-snp,firmware=sev.fd
	refused 2 'there are sev' boot erofs --confidential sgx
	refused 2 'firmware=FILE' boot erofs --confidential tdx
	refused 2 'there is no "polcy"' run --image-dir erofs --confidential sev,firmware=sev.fd,polcy=0x1 10.0.2.2:5000/x
	refused 2 'there is no command' boot erofs --dry-run --vmm builtin --accel kvm --net none --kernel "$ROOT/build/host/test/vmm/hello"
}

@test "refused: files that such a guest could not be started with" {
	refused 125 'no place for digests' boot nostub --dry-run --confidential sev-snp,firmware=/usr/share/ovmf/OVMF.fd
	refused 125 'no SEV metadata' boot erofs --dry-run --confidential sev-snp,firmware=tdx.fd
	refused 125 'no TDX metadata' boot erofs --dry-run --confidential tdx,firmware=sev.fd
	refused 125 'absent.fd' boot erofs --dry-run --confidential tdx,firmware=absent.fd
	refused 125 'is not a file' boot erofs --dry-run --confidential tdx,firmware=/dev/null
	refused 125 'no EFI stub' boot nostub --dry-run --confidential tdx,firmware=tdx.fd
	refused 125 'bzImage' boot erofs --dry-run --confidential tdx,firmware=tdx.fd --kernel absent/bzImage
	head -c 4096 /dev/urandom >auth
	head -c 95 /dev/urandom >block
	refused 125 'neither 96 bytes' boot erofs --dry-run --confidential sev-snp,firmware=sev.fd,id-block=block,id-auth=auth
}

# This machine has none of it; a machine that has would start a guest of nothing.
@test "a host without such hardware: one line before QEMU is looked for" {
	[ ! -e /dev/sev ] && ! grep -qs Y /sys/module/kvm_intel/parameters/tdx || skip "this host has confidential guests"
	local verb
	for verb in "boot erofs" "run --image-dir erofs"; do
		for kind in sev sev-snp tdx; do
			# shellcheck disable=SC2086
			PATH=/usr/bin:/bin refused 125 "this host runs no $kind guests (/sys/module/kvm_" $verb --confidential "$kind,firmware=sev.fd" \
				${verb:+$([[ $verb == run* ]] && echo 10.0.2.2:5000/x)}
		done
	done
}
