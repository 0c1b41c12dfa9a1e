# SPDX-License-Identifier: Apache-2.0
# The kernel's source: a directory that the caller names, or Debian's linux-source package, installed or
# downloaded. shellcheck shell=bash

# Newest first. 6.1 lacks EROFS from a file, evidence through configfs and more: docs/kernel.md.
readonly SOURCE_PACKAGES=(linux-source-6.12 linux-source-6.1)

# Set by find_source: what is built, for kernel.json and the cache key.
SOURCE_TARBALL= SOURCE_DIR= SOURCE_PACKAGE= SOURCE_VERSION= SOURCE_SHA256=

# find_source DIR-OR-EMPTY OFFLINE
find_source() {
	local package
	if [[ -n $1 ]]; then
		use_directory "$1"
		return
	fi
	for package in "${SOURCE_PACKAGES[@]}"; do
		if use_package "$package" "$2"; then
			[[ $package == "${SOURCE_PACKAGES[0]}" ]] ||
				say "${SOURCE_PACKAGES[0]} is not to be had: building the older $package, which cannot mount EROFS images straight from files"
			return
		fi
	done
	die "no kernel source: ${SOURCE_PACKAGES[*]} are neither installed nor downloaded${2:+ and --offline forbids a download};" \
		"install one (apt-get install ${SOURCE_PACKAGES[0]}) or name a tree with --kernel-source"
}

use_directory() {
	[[ -f $1/Makefile && -f $1/Kbuild && -d $1/arch/x86 ]] ||
		die_input "--kernel-source $1 is not a Linux source tree (no Makefile, Kbuild or arch/x86 there)"
	[[ ! -e $1/.config && ! -d $1/include/config ]] ||
		die_input "--kernel-source $1 has been configured in place; run \`make mrproper\` there, it is built outside of the tree"
	SOURCE_DIR=$(cd "$1" && pwd -P)
	SOURCE_PACKAGE=directory
	SOURCE_VERSION=$(make_variable "$SOURCE_DIR/Makefile" VERSION).$(make_variable "$SOURCE_DIR/Makefile" PATCHLEVEL).$(make_variable "$SOURCE_DIR/Makefile" SUBLEVEL)
	# Names, sizes and times stand for the content, as they do for make.
	SOURCE_SHA256=$(cd "$SOURCE_DIR" && find . -name .git -prune -o -type f -printf '%P %s %T@\n' | LC_ALL=C sort | hash_text)
}

make_variable() { sed -n "s/^$2 = *//p" "$1" | head -n 1; }

# use_package NAME OFFLINE: the tarball that the installed package brought, else the one in the cache,
# else a download. Returns 1 when there is none.
use_package() {
	local tarball
	for tarball in "/usr/src/$1.tar.xz" "$CACHE/download/$1.tar.xz"; do
		[[ -s $tarball ]] && break
	done
	if [[ ! -s $tarball ]]; then
		[[ -z $2 ]] && download_package "$1" || return 1
		tarball=$CACHE/download/$1.tar.xz
	fi
	SOURCE_TARBALL=$tarball SOURCE_PACKAGE=$1
	identify_tarball
}

# The sum of 150 MB is kept beside the cache as long as the file's size, times and inode stay the same.
identify_tarball() {
	local stamp now kept
	stamp=$CACHE/source/$SOURCE_PACKAGE.identity
	now=$(stat -c '%n %s %i %Y %Z' -- "$SOURCE_TARBALL")
	if [[ -r $stamp ]] && { read -r kept; read -r SOURCE_SHA256 SOURCE_VERSION; } <"$stamp" && [[ $kept == "$now" ]]; then
		return
	fi
	SOURCE_SHA256=$(hash_text <"$SOURCE_TARBALL")
	if [[ $SOURCE_TARBALL == /usr/src/* ]]; then
		SOURCE_VERSION=$(dpkg-query -W -f '${Version}' "$SOURCE_PACKAGE" 2>/dev/null || echo unknown)
	else
		SOURCE_VERSION=$(<"${SOURCE_TARBALL%.tar.xz}.version")
	fi
	# A cache that cannot be written is said so when something is to be built in it.
	{ mkdir -p "$CACHE/source" && printf '%s\n%s %s\n' "$now" "$SOURCE_SHA256" "$SOURCE_VERSION" >"$stamp.$$" &&
		mv "$stamp.$$" "$stamp"; } 2>/dev/null || true
}

# download_package NAME: the .deb is unpacked without root; only its tarball is kept.
download_package() {
	local scratch deb
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	mkdir -p "$CACHE/download"
	scratch=$(mktemp -d "$CACHE/download/.new.XXXXXX") || return 1
	SCRATCH+=("$scratch")
	say "downloading $1 (150 MB)"
	if ! (cd "$scratch" && apt-get -q download "$1") >"$CACHE/download/$1.log" 2>&1; then
		say "cannot download $1: $(tail -n 1 "$CACHE/download/$1.log")"
		return 1
	fi
	deb=("$scratch"/*.deb)
	dpkg-deb -x "${deb[0]}" "$scratch/root" || return 1
	dpkg-deb -f "${deb[0]}" Version >"$CACHE/download/$1.version"
	mv "$scratch/root/usr/src/$1.tar.xz" "$CACHE/download/$1.tar.xz" && rm -rf "$scratch" "$CACHE/download/$1.log"
}

# unpack_source: sets SOURCE_DIR. The tree is shared by all profiles and unpacked once.
unpack_source() {
	local tree scratch lock
	[[ -z $SOURCE_DIR ]] || return 0
	tree=$CACHE/source/${SOURCE_SHA256:0:16}
	mkdir -p "$CACHE/source"
	exec {lock}>"$CACHE/source/.lock"
	flock "$lock"
	if [[ ! -d $tree ]]; then
		say "unpacking $SOURCE_PACKAGE $SOURCE_VERSION"
		rm -rf "$CACHE"/source/.new.*
		scratch=$(mktemp -d "$CACHE/source/.new.XXXXXX") || die "cannot write to $CACHE/source"
		SCRATCH+=("$scratch")
		in_group tar -C "$scratch" --strip-components=1 -xf "$SOURCE_TARBALL" ||
			die "cannot unpack $SOURCE_TARBALL to $CACHE/source (it takes 1.5 GB); is the disk full?"
		remove_old_trees
		mv -T "$scratch" "$tree"
	fi
	exec {lock}>&-
	SOURCE_DIR=$tree
}

# Trees of sources that no longer exist go when a new one comes; what another build reads stays.
remove_old_trees() {
	local tree
	for tree in "$CACHE"/source/[0-9a-f]*; do
		[[ -d $tree ]] || continue
		grep -qs "^${tree##*/}" <(tail -qn 1 "$CACHE"/source/*.identity) || tree_in_use "$tree" || rm -rf "$tree"
	done
}

tree_in_use() { grep -qsF -- "${1##*/}" "$CACHE"/objects/*/source-tree 2>/dev/null; }
