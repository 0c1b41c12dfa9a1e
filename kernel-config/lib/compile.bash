# SPDX-License-Identifier: Apache-2.0
# From a source tree and a merged fragment to vmlinux and bzImage, the same bytes every time.
# shellcheck shell=bash

# Command, Debian package.
readonly TOOLS=(gcc:gcc ld:binutils make:make flex:flex bison:bison bc:bc perl:perl-base xz:xz-utils zstd:zstd
	readelf:binutils objcopy:binutils flock:util-linux)

check_tools() {
	local entry missing=()
	for entry in "${TOOLS[@]}"; do
		command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
	done
	[[ -e /usr/include/libelf.h ]] || missing+=(libelf-dev)
	((${#missing[@]} == 0)) || die "tools are missing; install them: apt-get install ${missing[*]}"
}

# The compiler and the linker as one line: part of the key and of kernel.json.
compiler_version() {
	local gcc ld
	gcc=$(gcc --version 2>/dev/null) && ld=$(ld --version 2>/dev/null) ||
		die "there is no compiler; install it: apt-get install gcc binutils"
	printf '%s; %s' "${gcc%%$'\n'*}" "${ld%%$'\n'*}"
}

# kbuild WORK TARGET...: make with nothing of the caller's environment, and with a fixed user, host, time and path.
kbuild() {
	local work=$1 map
	shift
	map="-ffile-prefix-map=$SOURCE_DIR=/usr/src/linux -ffile-prefix-map=$work=/usr/src/linux"
	in_group env -i PATH="$PATH" HOME="${HOME:-/}" TMPDIR="${TMPDIR:-/tmp}" LC_ALL=C TZ=UTC \
		make -C "$SOURCE_DIR" O="$work" ARCH=x86 --no-print-directory -j "$JOBS" \
		KBUILD_BUILD_USER=kihon KBUILD_BUILD_HOST=kihon KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KCFLAGS="$map" KAFLAGS="$map" "$@"
}

source_release() {
	local major minor
	major=$(make_variable "$SOURCE_DIR/Makefile" VERSION) minor=$(make_variable "$SOURCE_DIR/Makefile" PATCHLEVEL)
	printf '%s' $((major * 1000 + minor))
}

# configure WORK: writes WORK/.config, every symbol checked.
configure() {
	local release
	release=$(source_release)
	write_fragment "$1/fragment" "$release"
	kbuild "$1" KCONFIG_ALLCONFIG="$1/fragment" allnoconfig >"$1/build.log" 2>&1 || build_failed "$1" configuring
	check_config "$1/.config" "$release"
}

compile() {
	kbuild "$1" vmlinux bzImage > >(show_progress "$1") 2>&1 || build_failed "$1" compiling
	clear_progress
}

# Copies make's output to the log and counts the compiled files: one moving line on a terminal, else a line
# every 500 files. The last build's count says how far it is.
show_progress() {
	local line count=0 total=
	[[ -r $CACHE/objects/$PROFILE.count ]] && total=" of about $(<"$CACHE/objects/$PROFILE.count")"
	while IFS= read -r line; do
		printf '%s\n' "$line"
		[[ $line == '  CC '* || $line == '  AS '* ]] || continue
		((++count))
		progress "kernel $PROFILE: $count$total files compiled"
		[[ -t 2 ]] || ((count % 500)) || say "kernel $PROFILE: $count$total files compiled"
	done >>"$1/build.log"
	((count < 1000)) || printf '%s' "$count" >"$CACHE/objects/$PROFILE.count"
}

# The lines that say why, then the one that says what.
build_failed() {
	local log=$1/build.log
	clear_progress
	grep -E ' error: |fatal error|undefined reference|No space left|\*\*\* ' "$log" | tail -n 5 >&2
	die "$2 the kernel ($SOURCE_PACKAGE $SOURCE_VERSION, profile $PROFILE) failed; the whole log: $log"
}

# collect WORK KEY DIR: what is kept of a build.
collect() {
	local work=$1 dir=$3
	objcopy --strip-all --remove-section=.comment "$work/vmlinux" "$dir/vmlinux.tmp" &&
		cp --sparse=always "$dir/vmlinux.tmp" "$dir/vmlinux" && rm "$dir/vmlinux.tmp" &&
		cp "$work/arch/x86/boot/bzImage" "$dir/bzImage" && cp "$work/.config" "$dir/kernel.config" ||
		die "cannot write the kernel to $dir; is the disk full?"
	chmod 644 "$dir"/*
	# Note 18 of Xen is the PVH entry point: without it no VMM of ours can start vmlinux.
	readelf -n "$dir/vmlinux" 2>/dev/null | grep -qE 'Xen.*0x00000012' ||
		die "the kernel built has no PVH entry (Xen note 18): CONFIG_PVH did not work with this source"
	cat >"$dir/kernel.json" <<-JSON
		{
		  "version": "$(<"$work/include/config/kernel.release")",
		  "profile": "$PROFILE",
		  "source_package": "$SOURCE_PACKAGE",
		  "source_version": "$SOURCE_VERSION",
		  "source_sha256": "$SOURCE_SHA256",
		  "config_sha256": "$(hash_text <"$work/.config")",
		  "key": "$2",
		  "compiler": "$COMPILER"
		}
	JSON
}
