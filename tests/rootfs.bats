#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rootfs: the guest compiler and what it links, the package cache, the list of Debian packages.

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/guest/sysroot.stamp >&2
	export CC=$ROOT/build/guest/tools/guest-cc
}

setup() {
	cd "$BATS_TEST_TMPDIR"
}

# A cache with the sources that were resolved but nothing built.
source_cache() {
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	mkdir -p "$XDG_CACHE_HOME/kihon"
	cp -r "${REAL_CACHE:-$HOME/.cache}/kihon/sources" "$XDG_CACHE_HOME/kihon/"
}

one_line() {
	echo "$output"
	[ "$status" -eq "$1" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *$2* ]]
}

@test "guest-cc links a static-PIE that runs without anything" {
	cat >a.c <<-C
		#include <stdio.h>
		#include <linux/vm_sockets.h>
		#include <curl/curl.h>
		#include <openssl/evp.h>
		__attribute__((constructor)) static void early(void) { puts("constructor"); }
		int main(void)
		{
			unsigned char d[32];
			EVP_Digest("abc", 3, d, 0, EVP_sha256(), 0);
			printf("%02x%02x %d %s\n", d[0], d[31], VMADDR_CID_HOST, curl_version_info(CURLVERSION_NOW)->ssl_version);
		}
	C
	"$CC" -Os -o a a.c -lcurl -lssl -lcrypto
	"$ROOT/rootfs/check-static-pie" a
	run env -i ./a
	[ "${lines[0]}" = constructor ]
	[[ ${lines[1]} == 'ba'??' 2 OpenSSL/3.0.'* ]]
	# sha256("abc") by another program
	[[ ${lines[1]} == "$(printf abc | sha256sum | cut -c1-2)"* ]]
	! readelf -l a | grep -q INTERP
}

@test "it loads at another address each time, and its RELRO is real" {
	printf '#include <stdio.h>\nint main(void) { printf("%%p\\n", (void *)main); }\n' >a.c
	"$CC" -o a a.c
	[ "$(./a)" != "$(./a)" ]
	cat >b.c <<-'C'
		#include <stdio.h>
		#include <string.h>
		int f(void) { return 1; }
		int (*const table[])(void) = {f, f};
		int (*variable)(void) = f;
		int main(void)
		{
			void *volatile p = &variable;
			memset(p, 0, 8);
			puts("before");
			fflush(stdout);
			p = (void *)table;
			memset(p, 0, 8);
			puts("after");
		}
	C
	"$CC" -o b b.c
	run ./b
	[ "$status" -ne 0 ] && [[ $output == before* ]] && [[ $output != *after* ]]
}

@test "check-static-pie tells what is wrong" {
	printf 'int main(void) { return 0; }\n' >a.c
	gcc -o dynamic a.c
	run "$ROOT/rootfs/check-static-pie" dynamic
	one_line 1 'PT_INTERP'
	gcc -static -no-pie -o static a.c
	run "$ROOT/rootfs/check-static-pie" static
	one_line 1 'not position-independent'
	"$CC" -Wl,-z,execstack -o stack a.c
	run "$ROOT/rootfs/check-static-pie" stack
	one_line 1 'executable stack'
	"$CC" -Wl,-z,norelro -o norelro a.c
	run "$ROOT/rootfs/check-static-pie" norelro
	one_line 1 'GNU_RELRO'
	run "$ROOT/rootfs/check-static-pie" a.c
	one_line 1 'no ELF file'
}

@test "glibc's headers are out of the guest's sight, the kernel's are in it" {
	printf '#include <linux/erofs_fs.h>\n' >a.c
	printf '#include <gnu/libc-version.h>\n' >b.c
	printf '#include <linux/virtio_ids.h>\n#include <asm/unistd.h>\nint x = __NR_openat2;\n' >c.c
	! "$CC" -c b.c
	"$CC" -c c.c
}

@test "the sysroot holds archives only, and no path of the machine" {
	[ -z "$(find "$ROOT/build/guest/sysroot" -type f \( -name '*.so*' -o -name '*.la' \))" ]
	! grep -rlaF "${XDG_CACHE_HOME:-$HOME/.cache}/kihon" "$ROOT/build/guest/sysroot/lib"
}

@test "packages.json names source, version, licence and digests of every package" {
	jq -e 'length >= 12 and all(.[]; .name and .version and .source and .licence and ((.files | length) > 0 or .source == "gcc-12"))' \
		"$ROOT/build/guest/packages.json"
	jq -e 'all(.[].files[]; .sha256 | test("^[0-9a-f]{64}$"))' "$ROOT/build/guest/packages.json"
	for p in kihon linux $(jq -r '.[].name' "$ROOT/build/guest/packages.json"); do
		[ -s "$ROOT/build/guest/licences/$p" ]
	done
}

@test "the certificates to trust are those of Debian's own package, but for what is only for mail" {
	[ -d /usr/share/ca-certificates/mozilla ] || skip "the package ca-certificates is not installed"
	[ "$(dpkg-query -W -f '${Version}' ca-certificates)" = \
		"$(jq -r '.[] | select(.name == "ca-certificates").version' "$ROOT/build/guest/packages.json")" ] ||
		skip "another version of ca-certificates is installed"
	prints() { while read -r c; do openssl x509 -noout -fingerprint -sha256 -in "$c"; done | sort; }
	csplit -s -z -f one- "$ROOT/build/guest/share/ca-certificates.crt" '/BEGIN/' '{*}'
	ls one-* | prints >ours
	ls /usr/share/ca-certificates/mozilla/*.crt | prints >theirs
	[ "$(wc -l <ours)" -gt 100 ]
	[ -z "$(comm -23 ours theirs)" ]
	[ "$(comm -13 ours theirs | wc -l)" -le 5 ]
}

@test "with everything in the cache no network is needed, and nothing changes" {
	"$ROOT/rootfs/build-packages" --offline -o out
	run "$ROOT/rootfs/build-packages" --offline -o out
	[ "$status" -eq 0 ] && [ -z "$output" ]
	diff -r out/sysroot "$ROOT/build/guest/sysroot"
}

@test "an empty cache without network says what is missing" {
	XDG_CACHE_HOME=$BATS_TEST_TMPDIR/none run "$ROOT/rootfs/build-packages" --offline -o out
	one_line 4 'openssl'
	source_cache
	rm -rf "$XDG_CACHE_HOME"/kihon/sources/zlib_*
	run "$ROOT/rootfs/build-packages" --offline -o out
	one_line 4 'zlib'
	[ ! -e out/sysroot.stamp ]
}

@test "a damaged source file is not used" {
	source_cache
	printf X >>"$(ls -d "$XDG_CACHE_HOME"/kihon/sources/cjson_*/*.dsc)"
	run "$ROOT/rootfs/build-packages" --offline -o out
	one_line 4 'cjson'
}

# A copy of rootfs/ with only small recipes, and the licence beside it.
small_rootfs() {
	cp -r "$ROOT/rootfs" "$ROOT/LICENSE" .
	find rootfs/packages -type f ! -name cjson.recipe ! -name musl.recipe -delete
}

@test "a package is built once, whoever asks, and the same bytes each time" {
	source_cache
	small_rootfs
	rootfs/build-packages --offline -o one &
	rootfs/build-packages --offline -o two
	wait $!
	diff -r one/sysroot two/sysroot
	cmp one/sysroot/lib/libcjson.a "$ROOT/build/guest/sysroot/lib/libcjson.a"
	[ -z "$(find "$XDG_CACHE_HOME" -name '*.tmp')" ]
	local before
	before=$(ls "$XDG_CACHE_HOME/kihon/packages")
	echo '# changed' >>rootfs/packages/cjson.recipe
	rootfs/build-packages --offline -o one
	[ "$(ls "$XDG_CACHE_HOME/kihon/packages")" != "$before" ]
}

@test "a build that fails names the package, the reason and the log, and leaves nothing" {
	source_cache
	small_rootfs
	sed -i 's/^build() {/&\n\techo "#error broken" >cJSON.c/' rootfs/packages/cjson.recipe
	run rootfs/build-packages --quiet --offline -o out
	one_line 4 'cjson: building failed'
	[[ $output == *cjson.log* ]]
	[ ! -e out/sysroot.stamp ]
	[ -z "$(find "$XDG_CACHE_HOME" -name '*.tmp')" ]
}

@test "an interrupted build leaves no half package and no process" {
	source_cache
	small_rootfs
	sed -i 's/^build() {/&\n\t: >"$SYSROOT\/..\/started"; sleep 1000/' rootfs/packages/cjson.recipe
	env --default-signal=INT rootfs/build-packages --offline -o out 2>err 3>&- &
	local pid=$!
	until compgen -G "$XDG_CACHE_HOME/kihon/packages/cjson-*.tmp/started" >/dev/null; do sleep 0.05; done
	kill -INT $pid
	status=0
	wait $pid || status=$?
	[ "$status" -eq 130 ]
	grep -q interrupted err
	[ -z "$(find "$XDG_CACHE_HOME" -name '*.tmp')" ]
	! grep -l "$BATS_TEST_TMPDIR" /proc/[0-9]*/cmdline 2>/dev/null | grep -v "/$$/" | grep -q sleep
	! pgrep -f "$BATS_TEST_TMPDIR/rootfs/build-one"
}

@test "an output that cannot be written and wrong words are one line" {
	echo x >f
	run "$ROOT/rootfs/build-packages" -o f/x
	[ "$status" -eq 4 ] && [ "${#lines[@]}" -eq 1 ]
	run "$ROOT/rootfs/build-packages" --wat
	one_line 2 wat
	run "$ROOT/rootfs/build-packages" --jobs many
	one_line 2 many
	run "$ROOT/rootfs/sources" --wat
	one_line 2 wat
}

@test "deps.list holds one package a line, and deps.sh says nothing when all are there" {
	! grep -vE '^(#.*|[a-z0-9.+-]+( \| [a-z0-9.+-]+)* +# .+|)$' "$ROOT/rootfs/deps.list"
	[ -z "$("$ROOT/rootfs/deps.sh" --list)" ] || skip "packages are missing here"
	run "$ROOT/rootfs/deps.sh"
	[ "$status" -eq 0 ] && [ -z "$output" ]
	run "$ROOT/rootfs/deps.sh" --wat
	one_line 2 wat
}

@test "make sources gives every package's source, and its sums hold" {
	"$ROOT/rootfs/sources" --offline --quiet -o src
	(cd src && sha256sum --check --quiet SHA256SUMS)
	for p in $(jq -r '.[] | select(.files | length > 0).name' "$ROOT/build/guest/packages.json"); do
		ls src/"$p"/*.dsc src/"$p"/"$p".recipe
	done
}
