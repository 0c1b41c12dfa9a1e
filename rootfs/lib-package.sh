# SPDX-License-Identifier: Apache-2.0
# Recipes, their cache keys, building them in order of dependency, and the sysroot made of them.
# Sourced after lib.sh and lib-source.sh.
#
# A recipe sets: source (Debian source package), licence (SPDX), depends (other recipes), may set
# source_pinned (a version), provides (archives that come from elsewhere) and cost (CPU-seconds,
# for the order), and defines build(), which runs in the unpacked source with CC, JOBS,
# SYSROOT (what it depends on) and recipe_dir set, and fills $DESTDIR/include, $DESTDIR/lib and
# $DESTDIR/share (data for the guest). Other files named NAME.* belong to the recipe.
# One that sets installed (a version) and copyright (a file) instead of build() names what is
# linked from the machine as it is: it is only listed.

packages_dir=$cache_dir/packages
declare -A pkg_source pkg_licence pkg_depends pkg_pinned pkg_provides pkg_cost pkg_key
declare -A pkg_installed pkg_copyright
pkg_names=() listed_names=()

check_tools() {
	need gcc gcc
	need musl-gcc musl-tools
	need make make
	need dpkg-source dpkg-dev
	need apt-get apt
	need cmake cmake
	need nasm nasm
	need gperf gperf
	need flock util-linux
}

packages_load() {
	local recipe name source licence depends source_pinned provides cost installed copyright
	for recipe in "$rootfs_dir"/packages/*.recipe; do
		name=${recipe##*/}
		name=${name%.recipe}
		source='' licence='' depends='' source_pinned='' provides='' cost=1 installed='' copyright=''
		. "$recipe"
		[[ -n $source && -n $licence ]] || fail "$recipe does not say source and licence"
		pkg_cost[$name]=$cost
		pkg_source[$name]=$source
		pkg_licence[$name]=$licence
		pkg_pinned[$name]=$source_pinned
		pkg_provides[$name]=$provides
		if [[ -n $installed ]]; then
			listed_names+=("$name")
			pkg_installed[$name]=$installed
			pkg_copyright[$name]=$copyright
		else
			pkg_names+=("$name")
			pkg_depends[$name]=$depends
		fi
	done
	unset -f build
}

# The programs and start files that decide what the compiler makes.
toolchain_identity() {
	dpkg-query -W -f '${Package} ${Version}\n' gcc-12 binutils musl-dev linux-libc-dev nasm gperf cmake 2>/dev/null |
		sort
	gcc -dumpfullversion
	cat "$rootfs_dir/make-guest-cc" "$rootfs_dir/build-one"
}

# With --offline all that has never been resolved is named at once.
packages_check_resolved() {
	local name missing=
	[[ -n ${offline:-} ]] || return 0
	for name in "${pkg_names[@]}"; do
		[[ -s $sources_dir/${pkg_source[$name]}.resolved ]] || missing+=" $name"
	done
	[[ -z $missing ]] || fail "--offline, and the cache ($cache_dir) knows nothing of:$missing; run once without --offline"
}

# Every source resolved (fetched if need be), then each key: dependencies before dependants.
packages_resolve() {
	local name dep toolchain deps_keys progressed left
	packages_check_resolved
	for name in "${pkg_names[@]}"; do
		source_resolve "${pkg_source[$name]}" "${pkg_pinned[$name]}"
	done
	toolchain=$(toolchain_identity | sha256sum)
	left=("${pkg_names[@]}")
	pkg_names=()
	while [[ ${#left[@]} -gt 0 ]]; do
		progressed=
		for name in "${left[@]}"; do
			deps_keys=
			for dep in ${pkg_depends[$name]}; do
				[[ -n ${pkg_key[$dep]:-} ]] || continue 2
				deps_keys+=" ${pkg_key[$dep]}"
			done
			[[ -z ${pkg_key[$name]:-} ]] || continue
			pkg_key[$name]=$({
				printf '%s\n%s\n' "$toolchain" "$deps_keys"
				cat "$rootfs_dir/packages/$name".* "$sources_dir/${pkg_source[$name]}.resolved"
			} | sha256sum | cut -c1-24)
			pkg_names+=("$name")
			progressed=1
		done
		[[ -n $progressed ]] || fail "the recipes depend on each other, or on one that is not there: ${left[*]}"
		[[ ${#pkg_names[@]} -lt ${#pkg_depends[@]} ]] || break
	done
}

package_cached() {
	[[ -e $packages_dir/$1-${pkg_key[$1]}/done ]]
}

# package_ready NAME: all that it depends on is in the cache.
package_ready() {
	local dep
	for dep in ${pkg_depends[$1]}; do
		package_cached "$dep" || return
	done
}

# Builds one package unless another run has done so while this one waited for the lock. A
# background job; told to stop, it waits for build-one, which cleans up.
package_build() {
	local name=$1 entry=$packages_dir/$1-${pkg_key[$1]} files dep args=()
	trap : TERM
	exec 9>"$packages_dir/.lock-$name"
	flock 9
	[[ ! -e $entry/done ]] || return 0
	files=$(source_files "${pkg_source[$name]}")
	for dep in ${pkg_depends[$name]}; do
		args+=("$packages_dir/$dep-${pkg_key[$dep]}")
	done
	"$rootfs_dir/build-one" "$rootfs_dir/packages/$name.recipe" "$files" "$entry" "${args[@]}" 9>&-
}

# Longest first among those that are ready: openssl alone takes half of all the time.
packages_build() {
	local pending=() running=() name pid started=$SECONDS total=0 finished=0 failed= status i
	declare -A name_of
	for name in $(for name in "${pkg_names[@]}"; do echo "${pkg_cost[$name]} $name"; done | sort -rn | cut -d' ' -f2); do
		package_cached "$name" || pending+=("$name")
	done
	total=${#pending[@]}
	[[ $total -gt 0 ]] || return 0
	[[ -z ${offline:-} ]] || packages_check_offline "${pending[@]}"
	say "building $total packages for musl: ${pending[*]}"
	mkdir -p "$packages_dir"
	# Each job is a process group of its own, to be ended as a whole: a shell starts background
	# jobs with SIGINT ignored, so Ctrl-C would not reach them.
	set -m
	trap 'packages_stop "${running[@]}"; exit 130' INT TERM HUP
	while [[ ${#pending[@]} -gt 0 && -z $failed || ${#running[@]} -gt 0 ]]; do
		for i in "${!pending[@]}"; do
			[[ -z $failed && ${#running[@]} -lt $jobs ]] || break
			name=${pending[i]}
			package_ready "$name" || continue
			package_build "$name" &
			running+=("$!")
			name_of[$!]=$name
			unset 'pending[i]'
		done
		pending=("${pending[@]}")
		status=0
		wait -n -p pid "${running[@]}" || status=$?
		for i in "${!running[@]}"; do
			[[ ${running[i]} != "$pid" ]] || unset 'running[i]'
		done
		running=("${running[@]}")
		[[ $status -eq 0 ]] || { failed=${name_of[$pid]}; continue; }
		finished=$((finished + 1))
		say "[$finished/$total] ${name_of[$pid]} $(source_version "${pkg_source[${name_of[$pid]}]}") ($((SECONDS - started)) s)"
	done
	trap - INT TERM HUP
	set +m
	[[ -z $failed ]] || exit 4
}

packages_stop() {
	local pid
	trap '' INT TERM HUP
	for pid in "$@"; do
		kill -TERM -- "-$pid" 2>/dev/null || true
	done
	{ wait; } 2>/dev/null
	printf '%s: interrupted; run it again and it goes on with what is not built yet\n' "$program" >&2
}

packages_check_offline() {
	local name missing=
	for name in "$@"; do
		source_intact "${pkg_source[$name]}" || missing+=" $name"
	done
	[[ -z $missing ]] || fail "--offline, and the cache ($cache_dir) has neither the built package nor the source of:$missing; run once without --offline"
}

# json_list WORD...: as the members of an array of strings.
json_list() {
	local word separator=
	for word in "$@"; do
		printf '%s"%s"' "$separator" "$word"
		separator=,
	done
}

# One JSON object a package; "files" are the source package's, "libraries" what is linked.
package_json() {
	local name=$1 source=${pkg_source[$1]} sha file separator= version=${pkg_installed[$1]:-}
	local entry=$packages_dir/$name-${pkg_key[$name]:-none} record=/dev/null parts=()
	if [[ -z $version ]]; then
		version=$(source_version "$source")
		record=$sources_dir/$source.resolved
		mapfile -t parts < <(find "$entry/lib" "$entry/share" -type f -printf '%f\n' | sort)
	fi
	printf '{"name":"%s","version":"%s","source":"%s","licence":"%s","recipe":"%s","files":[' \
		"$name" "$version" "$source" "${pkg_licence[$name]}" "${pkg_key[$name]:-}"
	while read -r sha file; do
		printf '%s{"name":"%s","sha256":"%s"}' "$separator" "$file" "$sha"
		separator=,
	done < <(sed 1d "$record")
	printf '],"libraries":[%s]}' "$(json_list ${pkg_provides[$name]} "${parts[@]}")"
}

packages_json() {
	local name separator='['
	while read -r name; do
		printf '%s\n' "$separator"
		package_json "$name"
		separator=,
	done < <(printf '%s\n' "${pkg_names[@]}" "${listed_names[@]}" | sort)
	printf '\n]\n'
}

# Texts for /usr/share/licences: Kihon's own, the kernel's (the headers come from its source package,
# too), and those that the packages' only refer to (Debian's common licences), under their names there.
licences_write() {
	local to=$1 headers=/usr/share/doc/linux-libc-dev/copyright common=/usr/share/common-licenses name
	cp "$rootfs_dir/../LICENSE" "$to/kihon"
	[[ -r $headers ]] || fail "$headers is missing: reinstall linux-libc-dev"
	cp "$headers" "$to/linux"
	while read -r name; do
		[[ -r $common/$name ]] || fail "$common/$name, which a licence refers to, is missing: reinstall base-files"
		cp -L "$common/$name" "$to/$name"
	done < <(grep -oh "$common/[A-Za-z0-9.-]*[A-Za-z0-9]" "$to"/* | sort -u | sed 's,.*/,,')
}

# The merged tree, replaced as a whole and only when it is to differ. Lock held.
sysroot_write() {
	local output=$1 name entry want tmp=$1/.sysroot-tmp
	want=$(for name in "${pkg_names[@]}" "${listed_names[@]}"; do
		printf '%s %s\n' "$name" "${pkg_key[$name]:-${pkg_installed[$name]}}"
	done | sort
		sha256sum <"$rootfs_dir/lib-package.sh")
	"$rootfs_dir/make-guest-cc" "$output/tools"
	if [[ -d $output/sysroot/lib && $(cat "$output/sysroot.stamp" 2>/dev/null) == "$want" ]]; then
		touch "$output/sysroot.stamp"
		return 0
	fi
	rm -rf "$tmp"
	mkdir -p "$tmp/sysroot"/{include,lib} "$tmp/licences" "$tmp/share"
	for name in "${pkg_names[@]}"; do
		entry=$packages_dir/$name-${pkg_key[$name]}
		cp -a "$entry/include" "$entry/lib" "$tmp/sysroot/"
		cp -a "$entry/share" "$tmp/"
		cp "$entry/copyright" "$tmp/licences/$name"
	done
	for name in "${listed_names[@]}"; do
		cp "${pkg_copyright[$name]}" "$tmp/licences/$name"
	done
	licences_write "$tmp/licences"
	packages_json >"$tmp/packages.json"
	rm -rf "$output/sysroot.stamp" "$output/sysroot" "$output/licences" "$output/share"
	mv "$tmp/sysroot" "$tmp/licences" "$tmp/share" "$tmp/packages.json" "$output/"
	rmdir "$tmp"
	printf '%s\n' "$want" >"$output/sysroot.stamp.tmp"
	mv "$output/sysroot.stamp.tmp" "$output/sysroot.stamp"
}
