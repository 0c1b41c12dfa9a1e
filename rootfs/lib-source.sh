# SPDX-License-Identifier: Apache-2.0
# Debian source packages by way of an apt of our own: its lists and archives live in the cache and
# the system's stay as they are. apt checks the index by signature and each file by hash.
#
# What was fetched is recorded in sources/NAME.resolved (the version, then "sha256 file" lines), so
# that a later run needs neither index nor network. Sourced after lib.sh.

sources_dir=$cache_dir/sources
apt_dir=$cache_dir/apt

# The system's Debian sources as deb-src, in a folder of our own.
apt_write_sources() {
	local file found=
	rm -rf "$apt_dir/sources.list.d"
	mkdir -p "$apt_dir"/{sources.list.d,lists/partial,cache/archives/partial}
	shopt -s nullglob
	for file in /etc/apt/sources.list.d/*.sources; do
		grep -q '^URIs:.*/debian' "$file" || continue
		sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$apt_dir/sources.list.d/${file##*/}"
		found=1
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ -r $file ]] && grep -qE '^deb(-src)? .*/debian' "$file" || continue
		sed -nE '/^deb(-src)? .*\/debian/s/^deb(-src)? /deb-src /p' "$file" | sort -u \
			>"$apt_dir/sources.list.d/${file##*/}"
		found=1
	done
	shopt -u nullglob
	[[ -n $found ]] || fail "no Debian package source in /etc/apt: the guest's libraries are built from Debian source packages"
}

# status=/dev/null: else apt picks the source of the *installed* binary package.
apt_private() {
	local command=$1
	shift
	"$command" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt_dir/sources.list.d" \
		-o Dir::State::lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache" \
		-o Dir::State::status=/dev/null -o APT::Get::List-Cleanup=0 -o Acquire::Languages=none \
		-o Acquire::Retries=2 -o APT::Sandbox::User=root "$@"
}

# The index, fetched when there is none or it is more than a day old. Called with the lock held.
apt_update_index() {
	local stamp=$apt_dir/updated
	[[ -z $(find "$stamp" -mtime -1 2>/dev/null) || -n ${update_now:-} ]] || return 0
	apt_write_sources
	say "fetching the index of Debian's source packages"
	if ! apt_private apt-get update >"$apt_dir/update.log" 2>&1 || grep -q '^[EW]: .*Failed' "$apt_dir/update.log"; then
		if [[ -e $stamp ]]; then
			say "the index could not be fetched again, going on with the one of $(date -r "$stamp" +%F)"
			return 0
		fi
		fail "fetching the index of Debian's source packages failed: $(grep -m1 '^[EW]:' "$apt_dir/update.log"); check the network and run this again (log: $apt_dir/update.log)"
	fi
	touch "$stamp"
	update_now=
}

# source_versions NAME: newest first, each once.
source_versions() {
	apt_private apt-cache showsrc "$1" 2>/dev/null | awk -v name="$1" '
		/^Package:/ { p = $2 } /^Version:/ && p == name { print $2 }' | sort -urV
}

# A record of what is in DIR: "sha256 file" lines below the version.
source_record() {
	local dir=$1 version=$2
	printf '%s\n' "$version"
	(cd "$dir" && sha256sum -- *) | awk '{ print $1, $2 }'
}

# source_try NAME VERSION: into sources/NAME_VERSION, and the record of it.
source_try() {
	local name=$1 version=$2 tmp=$sources_dir/.tmp-$1
	rm -rf "$tmp"
	mkdir -p "$tmp"
	(cd "$tmp" && apt_private apt-get --download-only source "$name=$version") || return
	source_record "$tmp" "$version" >"$tmp.resolved"
	rm -rf "${sources_dir:?}/${name}_$version"
	mv "$tmp" "$sources_dir/${name}_$version"
	mv "$tmp.resolved" "$sources_dir/$name.resolved"
}

# source_download NAME [VERSION]: the newest version that can be had (a mirror may lack files of
# the security suite: then an older one), else once more with a fresh index. Lock held.
source_download() {
	local name=$1 wanted=${2:-} attempt version log=$sources_dir/$1.log why
	local -a versions
	: >"$log"
	for attempt in first second; do
		apt_update_index
		mapfile -t versions < <(source_versions "$name")
		[[ -z $wanted ]] || versions=("$wanted")
		for version in "${versions[@]}"; do
			source_try "$name" "$version" >>"$log" 2>&1 9>&- && return 0
		done
		[[ $attempt == second || -z $(find "$apt_dir/updated" -mmin +10) ]] && break
		update_now=1
	done
	rm -rf "$sources_dir/.tmp-$name"
	[[ ${#versions[@]} -gt 0 ]] || fail "$name: there is no such source package in Debian's index; check the package sources in /etc/apt"
	why=$(grep -m1 '^E:' "$log") || why="apt-get source failed"
	fail "$name: fetching its source package failed (${why#E: }); check the network and run this again (log: $log)"
}

# source_resolve NAME [VERSION]: makes sure that there is a record (of that version).
source_resolve() {
	local name=$1 wanted=${2:-} have=
	mkdir -p "$sources_dir"
	if [[ -s $sources_dir/$name.resolved && -z ${refresh:-} ]]; then
		read -r have <"$sources_dir/$name.resolved"
		[[ -n $wanted && $have != "$wanted" ]] || return 0
	fi
	[[ -z ${offline:-} ]] || fail "$name: its source package${wanted:+ $wanted} is not in the cache ($sources_dir); run once without --offline"
	with_lock "$apt_dir/lock" source_download "$name" "$wanted"
}

source_version() {
	local version
	read -r version <"$sources_dir/$1.resolved"
	printf '%s' "$version"
}

# source_intact NAME: every recorded file is there and has its hash.
source_intact() {
	local name=$1 dir
	dir=$sources_dir/${name}_$(source_version "$name")
	[[ -d $dir ]] && (cd "$dir" && sed -e 1d -e 's/ /  /' "../$name.resolved" | sha256sum --check --status) 2>/dev/null
}

# source_files NAME: the folder with its files, fetched again when they are gone or damaged.
source_files() {
	local name=$1 version
	version=$(source_version "$name")
	if ! source_intact "$name"; then
		[[ -z ${offline:-} ]] || fail "$name: the files of source package $name $version are not in the cache ($sources_dir); run once without --offline"
		with_lock "$apt_dir/lock" source_download "$name" "$version" || return
	fi
	printf '%s' "$sources_dir/${name}_$version"
}
