#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool sbom: by the rules of SPDX 2.3 (tests/publish/spdx-check.py), against sha256sum and fsck.erofs.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/erofs-pack >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool FILES=$BATS_FILE_TMPDIR
	mkdir -p "$FILES/tree/usr/bin" "$FILES/tree/etc"
	head -c 70000 /dev/urandom >"$FILES/tree/usr/bin/program"
	ln "$FILES/tree/usr/bin/program" "$FILES/tree/usr/bin/linked"
	ln -s program "$FILES/tree/usr/bin/link"
	: >"$FILES/tree/etc/empty"
	echo hosts >"$FILES/tree/etc/ho\"s\\t	s"
	echo umlaut >"$FILES/tree/etc/$(printf 'b\303\244d-\377')"
	image "$FILES/image"
}

# image DIR: an EROFS image of the tree.
image() {
	mkdir -p "$1"
	"$ROOT/build/host/bin/erofs-pack" --all-root "$FILES/tree" "$1/rootfs.erofs" >/dev/null
	echo kernel >"$1/vmlinux"
	python3 "$ROOT/tests/publish/describe.py" "$1" rootfs.erofs erofs
}

setup() { cd "$BATS_TEST_TMPDIR"; }

valid() { python3 "$ROOT/tests/publish/spdx-check.py" "$1"; }

# one_line STATUS WORDS: the last run failed so, in one line.
one_line() {
	echo "$output"
	[ "$status" -eq "$1" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == kata-image-tool*$2* ]]
}

@test "the document keeps the rules of SPDX 2.3" {
	"$TOOL" sbom "$FILES/image" >doc
	valid doc
}

@test "the check of these rules finds what breaks them" {
	"$TOOL" sbom "$FILES/image" >doc
	local edit
	for edit in 'del(.documentNamespace)' '.dataLicense = "MIT"' '.packages[0].SPDXID = "SPDXRef-a_b"' '.files[0].SPDXID = .files[1].SPDXID' \
		'.relationships[0].relatedSpdxElement = "SPDXRef-None"' 'del(.files[0].checksums[0])' '.files[0].fileName = "/x"' \
		'(.files[0].checksums[] | select(.algorithm == "SHA1")).checksumValue = "da39a3ee5e6b4b0d3255bfef95601890afd80709"' \
		'.packages[3].licenseDeclared = "GPL"' '.packages[3].licenseDeclared = "MIT AND"' 'del(.packages[0].packageVerificationCode)'; do
		jq "$edit" doc >broken
		run valid broken
		echo "$edit: $output"
		[ "$status" -eq 1 ]
	done
}

@test "every file of the image and of its root is in it, with the digest that sha256sum gives" {
	"$TOOL" sbom "$FILES/image" >doc
	(cd "$FILES/image" && sha256sum vmlinux rootfs.erofs image.json | sort -k2) >want
	jq -r '.files[] | select(.SPDXID | startswith("SPDXRef-File-")) | (.checksums[] | select(.algorithm == "SHA256").checksumValue) + "  " + .fileName[2:]' doc |
		sort -k2 >got
	diff want got
	fsck.erofs --extract=out "$FILES/image/rootfs.erofs" >/dev/null
	# A name that is no UTF-8 has a replacement character in JSON.
	python3 - out >want <<-'PY'
		import hashlib, os, sys
		for d, _, names in os.walk(os.fsencode(sys.argv[1])):
		    for n in names:
		        p = os.path.join(d, n)
		        if not os.path.islink(p):
		            print(hashlib.sha256(open(p, "rb").read()).hexdigest(), ascii("." + p[3:].decode("utf-8", "replace")))
	PY
	python3 - doc >got <<-'PY'
		import json, sys
		for f in json.load(open(sys.argv[1], encoding="utf-8"))["files"]:
		    if f["SPDXID"].startswith("SPDXRef-RootFile-"):
		        print([c["checksumValue"] for c in f["checksums"] if c["algorithm"] == "SHA256"][0], ascii(f["fileName"]))
	PY
	[ "$(wc -l <want)" -eq 5 ]
	diff <(sort want) <(sort got)
}

@test "packages: name, version, licence, digest, package URL, and what was made from them" {
	"$TOOL" sbom "$FILES/image" >doc
	jq -e '.packages | length == 6' doc
	jq -e '.packages[] | select(.name == "musl") | .versionInfo == "1:1.2.3-1+deb" and .licenseDeclared == "MIT" and
		.checksums[0].checksumValue == "2" * 64 and .externalRefs[0].referenceLocator == "pkg:deb/debian/musl@1%3A1.2.3-1%2Bdeb?arch=source"' doc
	jq -e '.packages[] | select(.name == "libgcc") | has("checksums") | not' doc
	jq -e '(.packages[] | select(.name == "linux").SPDXID) as $linux | (.files[] | select(.fileName == "./vmlinux").SPDXID) as $file |
		.relationships | any(.spdxElementId == $file and .relationshipType == "GENERATED_FROM" and .relatedSpdxElement == $linux)' doc
	jq -e '.creationInfo.created == "2023-11-14T22:13:20Z"' doc
}

@test "the same image, the same document; another image, another namespace" {
	cp -r "$FILES/image" copy
	"$TOOL" sbom "$FILES/image" >one
	(umask 077 && TZ=Asia/Tokyo LC_ALL=C SOURCE_DATE_EPOCH=1 "$TOOL" sbom copy -q -o two)
	cmp one two
	[ "$(stat -c %a two)" = 644 ]
	jq -c '.cmdline = "rw"' copy/image.json >x && mv x copy/image.json
	"$TOOL" sbom copy >three
	valid three
	[ "$(jq .documentNamespace one)" != "$(jq .documentNamespace three)" ]
}

@test "a licence that is no expression is told as a comment" {
	cp -r "$FILES/image" copy
	local l
	for l in "see the file" "MIT AND" "(MIT" "MIT OR WITH x" "mit and isc" ""; do
		jq -c --arg l "$l" '.packages[2].licence = $l' "$FILES/image/image.json" >copy/image.json
		"$TOOL" sbom copy >doc
		valid doc
		jq -e --arg l "$l" '.packages[] | select(.name == "musl") | .licenseDeclared == "NOASSERTION" and .licenseComments == $l' doc
	done
	for l in "MIT" "(MIT OR Apache-2.0) AND GPL-2.0-only WITH Linux-syscall-note" "LGPL-2.1-only+"; do
		jq -c --arg l "$l" '.packages[2].licence = $l' "$FILES/image/image.json" >copy/image.json
		"$TOOL" sbom copy | jq -e --arg l "$l" '.packages[] | select(.name == "musl").licenseDeclared == $l'
	done
}

@test "the files of a root are the same in every format, and on a disk" {
	make -s -C "$ROOT" build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause >&2
	mkdir kernel
	printf 'x Linux version 6.12.0-test (a@b) y' >kernel/vmlinux
	local f
	for f in erofs ext4 initrd kata "kata --root-fs ext4"; do
		# shellcheck disable=SC2086
		"$TOOL" build -q --kernel kernel --format $f --extra "$FILES/tree" -o "img"
		"$TOOL" sbom img >doc
		valid doc
		jq -c '[.files[] | select(.SPDXID | startswith("SPDXRef-RootFile-")) | [.fileName, .checksums]] | sort' doc >"files-$f"
		[ "$(jq length "files-$f")" -gt 20 ]
		cmp files-erofs "files-$f"
		rm -r img
	done
}

@test "a root of a format that is not known: its file alone, and a comment that says so" {
	cp -r "$FILES/image" copy
	head -c 1M /dev/urandom >copy/rootfs.erofs
	python3 "$ROOT/tests/publish/describe.py" copy rootfs.erofs initrd
	"$TOOL" sbom copy >doc
	valid doc
	jq -e '[.files[] | select(.SPDXID | startswith("SPDXRef-RootFile-"))] == []' doc
	jq -e '.packages[] | select(.SPDXID == "SPDXRef-Root").comment | test("not listed")' doc
}

@test "with -o: a summary, as lines, as JSON, or nothing" {
	run "$TOOL" sbom "$FILES/image" -o doc
	[ "$status" -eq 0 ]
	[[ $output == *packages*3*files*8* ]]
	[ "$("$TOOL" sbom "$FILES/image" -o doc --json | jq -c '[.output, .packages, .files]')" = '["doc",3,8]' ]
	[ -z "$("$TOOL" sbom "$FILES/image" -o doc --quiet)" ]
	valid doc
}

@test "bad input: one line, its status, and no document" {
	run "$TOOL" sbom
	one_line 2 ''
	run "$TOOL" sbom /nonexistent
	one_line 4 'no guest image'
	cp -r "$FILES/image" copy
	echo x >>copy/vmlinux
	run "$TOOL" sbom copy -o doc
	one_line 5 vmlinux
	cp "$FILES/image/vmlinux" copy/
	rm copy/rootfs.erofs
	run "$TOOL" sbom copy -o doc
	one_line 4 rootfs.erofs
	head -c 8000 "$FILES/image/rootfs.erofs" >copy/rootfs.erofs
	python3 "$ROOT/tests/publish/describe.py" copy rootfs.erofs erofs
	run "$TOOL" sbom copy -o doc
	one_line 3 rootfs.erofs
	cp "$FILES/image/rootfs.erofs" "$FILES/image/image.json" copy/
	rm copy/vmlinux
	mkfifo copy/vmlinux
	run timeout 100 "$TOOL" sbom copy -o doc
	one_line 3 'no regular file'
	run "$TOOL" sbom "$FILES/image" -o /nonexistent/doc
	one_line 4 /nonexistent
	[ ! -e doc ]
}

@test "the licences of all that is in the container image are in its root, with the texts that they refer to" {
	local p missing
	make -s -C "$ROOT" build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause >&2
	mkdir kernel
	printf 'x Linux version 6.12.0-test (a@b) y' >kernel/vmlinux
	"$TOOL" build -q --kernel kernel -o img
	[ "$(stat -c %s img/rootfs.erofs)" -le $((8 << 20)) ]
	fsck.erofs --extract=out img/rootfs.erofs >/dev/null
	for p in kihon linux $(jq -r '.packages[].name' img/image.json); do
		[ -s "out/usr/share/licences/$p" ] || { echo "no licence of $p"; return 1; }
	done
	missing=$(grep -oh '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' out/usr/share/licences/* | sort -u |
		while read -r p; do [ -s "out$p" ] || echo "$p"; done)
	echo "referred to, but not there: $missing"
	[ -z "$missing" ]
	cmp /usr/share/common-licenses/GPL-2 out/usr/share/common-licenses/GPL-2
	"$TOOL" sbom img >doc
	valid doc
	jq -e '[.files[].fileName] | index("./usr/bin/kihon-agent")' doc
}
