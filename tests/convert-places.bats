#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool convert: where images may go, what they may be called, what is said before the work begins, and what
# others' tools (skopeo, openssl, gpg, veritysetup) think of it.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool >&2
	export KIT=$ROOT/build/host/bin/kata-image-tool IN=$BATS_FILE_TMPDIR/in TMPDIR=$BATS_FILE_TMPDIR
	PYTHONPATH=$ROOT/tests/pull python3 - "$IN" <<-'END'
		import json, sys
		from images import Layout, OCI, Tar, plain
		layout = Layout(sys.argv[1])
		layer = plain(Tar().dir("d").add("d/f", data=b"x" * 100000))
		layout.image("v1", [layer])
		layout.image("no\nname", [layer])
		layout.image("bad", [layer], diff_ids=["sha256:" + "0" * 64])

		def document(kind, change):
		    m = layout.manifest([layer])
		    path = sys.argv[1] + "/blobs/sha256/"
		    doc = json.load(open(path + m["digest"][7:]))
		    if kind == "config":
		        text = change(open(path + doc["config"]["digest"][7:]).read())
		        doc["config"] = layout.blob(text.encode(), OCI + "config.v1+json")
		        return layout.blob(json.dumps(doc).encode(), m["mediaType"])
		    return layout.blob(change(json.dumps(doc)).encode(), m["mediaType"])

		zeros = '"sha256:' + "0" * 64 + '"'
		layout.tag("twice-rootfs", document("config", lambda t: t[:-1] + ',"RootFS":{"type":"layers","diff_ids":[%s]}}' % zeros))
		layout.tag("twice-ids", document("config", lambda t: t.replace('"diff_ids"', '"diff_ids":[%s],"diff_ids"' % zeros)))
		layout.tag("twice-layers", document("manifest", lambda t: t[:-1] + ',"layers":[]}'))
		layout.tag("twice-digest", document("manifest", lambda t: t.replace('"digest"', '"digest":%s,"digest"' % zeros, 1)))
	END
}

setup() { cd "$BATS_TEST_TMPDIR"; }

teardown() {
	if mountpoint -q "$BATS_TEST_TMPDIR/mounted"; then umount "$BATS_TEST_TMPDIR/mounted"; fi
}

convert() { "$KIT" convert --quiet "$@"; }
key() { openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$1" -out key.pem && openssl pkey -in key.pem -pubout -out key.pub; }

# fails STATUS PATTERN ARGUMENT...: one line on stderr that fits, and no trace of the destination ./out.
fails() {
	run --separate-stderr "$KIT" convert --quiet "${@:3}"
	echo "status $status, want $1: $stderr $output"
	[ "$status" -eq "$1" ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == kata-image-tool*$2* ]]
	[ -z "$(find . -name 'out*' -o -name '.*convert*')" ]
}

@test "an empty folder that is there stays the folder that it is" {
	mkdir -m 700 private there here
	ln -s there link
	convert "$IN:v1" private
	[ "$(stat -c %a private)" = 700 ]
	convert "$IN:v1" link/
	[ -L link ]
	(cd here && convert "$IN:v1" .)
	for d in private there here; do skopeo inspect --raw "oci:$d:v1" >"$d.json"; done
	cmp private.json there.json
	cmp private.json here.json
	[ "$(ls -A here | tr '\n' ' ')" = "blobs index.json oci-layout " ]
	# What a killed conversion left is not in the way.
	mkdir -p again/..convert-abcdef
	touch -d '1 hour ago' again/..convert-abcdef
	convert "$IN:v1" again
	diff -r again here
	ln -s nowhere dangling
	fails 3 "leads nowhere" "$IN:v1" dangling
}

@test "a folder that is a file system of its own, and stays empty when the conversion fails" {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	mkdir mounted
	mount -t tmpfs none mounted || skip "cannot mount tmpfs here"
	fails 3 'more than one "layers"' "$IN:twice-layers" mounted
	[ -z "$(ls -A mounted)" ]
	convert "$IN:v1" mounted
	skopeo inspect --raw oci:mounted:v1 >/dev/null
}

@test "a folder that may be written to, in one that may not" {
	[ "$(id -u)" -eq 0 ] || skip "becoming somebody else needs root"
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	local base
	base=$(mktemp -d /tmp/kihon-places.XXXXXX)
	cp -r "$IN" "$base/in"
	cp "$KIT" "$base/tool"
	mkdir "$base/out"
	chown 65534:65534 "$base/out"
	chmod 755 "$base"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$base/tool" convert --quiet "$base/in:v1" "$base/out"
	echo "$status $output"
	skopeo inspect --raw "oci:$base/out:v1" >/dev/null
	rm -r "$base"
	[ "$status" -eq 0 ]
}

@test "a blob that broke off is replaced" {
	convert "$IN:v1" out:one
	local f
	f=$(find out/blobs -type f -size +64k)
	cp "$f" whole
	truncate -s 4096 "$f"
	convert "$IN:v1" out:two
	cmp "$f" whole
}

@test "names that others' tools would not take are refused, those that they take are not" {
	local name
	for name in "bad tag" $'a\nb' "-x" "a..b" "é"; do fails 2 "is no name of an image" "$IN:v1" "out:$name"; done
	fails 2 "names no image" "" out
	fails 2 "names no image" oci: out
	fails 3 "is no name for an image" "$IN:"$'no\nname' out
	convert "$IN:"$'no\nname' out:good
	for name in a--b a_b.c:1@x+y registry.example/team/app:v1; do
		convert "$IN:v1" "out:$name"
		skopeo inspect --raw "oci:out:$name" >/dev/null
	done
}

@test "one digest means one image: no member twice, in whatever case" {
	fails 3 'more than one "rootfs"' "$IN:twice-rootfs" out
	fails 3 'more than one "diff_ids"' "$IN:twice-ids" out
	fails 3 'more than one "layers"' "$IN:twice-layers" out
	fails 3 'more than one "digest"' "$IN:twice-digest" out
}

@test "signatures with a key on P-384 are what cosign and skopeo look for: with SHA-256" {
	key P-384
	convert "$IN:v1" out --sign key.pem
	local tag payload
	tag=$(jq -r '.manifests[] | select(.annotations[] | startswith("sha256-")) | .annotations[]' out/index.json)
	skopeo inspect --raw "oci:out:$tag" >m
	payload=out/blobs/sha256/$(jq -r '.layers[0].digest' m | cut -d: -f2)
	jq -r '.layers[0].annotations["dev.cosignproject.cosign/signature"]' m | base64 -d >sig
	openssl dgst -sha256 -verify key.pub -signature sig "$payload"
}

@test "what is wrong with a key is said before the work, and leaves nothing" {
	key P-256
	mkfifo pipe
	cat key.pem >pipe &
	fails 3 "no regular file" "$IN:v1" out --sign pipe
	kill $! 2>/dev/null || true
	fails 2 "a key is missing" "$IN:v1" out --sign ""
	head -c 32 /dev/urandom >kek
	for name in kbs:///a/b kbs:///a/b/c/d kbs:///a//c kbs:///a/b/ kbs:///; do
		fails 2 "names no key" "$IN:v1" out --encrypt "$name=kek"
	done
	mkdir with=sign
	mv kek with=sign/
	convert "$IN:v1" encrypted --encrypt kbs:///a/b/c=with=sign/kek
	skopeo inspect --raw oci:encrypted:v1 | jq -r '.layers[0].annotations[]' | while read -r a; do base64 -d <<<"$a"; done | grep -q '"kid":"kbs:///a/b/c"'
}

@test "an image without its GPG signature is not written" {
	export GNUPGHOME=$BATS_TEST_TMPDIR/gnupg
	(umask 077; mkdir "$GNUPGHOME")
	gpg --batch --quiet --passphrase '' --quick-gen-key 'Test <test@example.org>' rsa2048 sign never 2>/dev/null
	fails 5 "does not have its digest" "$IN:bad" out --sign test@example.org
	fails 4 'the key "nobody@example.org"' "$IN:bad" out --sign nobody@example.org
	fails 2 "signature-store" "$IN:v1" out.tar --sign test@example.org
	fails 4 "" "$IN:v1" out --sign test@example.org --signature-store /proc/none
	# Nor is there a signature of what is not written.
	mkdir full store
	touch full/x
	fails 3 "neither empty" "$IN:v1" full --sign test@example.org --signature-store store
	[ -z "$(find store -type f)" ]
	convert "$IN:v1" out --sign test@example.org
	gpg --batch --quiet --decrypt "$(find out/signatures -name signature-1)" >/dev/null
	gpgconf --kill all
}

# claim KEY VALUE: another annotation of the hash tree of the image in ./tree.
claim() {
	rm -rf odd
	cp -r tree odd
	python3 - "$@" <<-'END'
		import hashlib, json, sys
		index = json.load(open("odd/index.json"))
		entry = index["manifests"][0]
		doc = json.load(open("odd/blobs/sha256/" + entry["digest"][7:]))
		doc["layers"][0]["annotations"]["org.erofs.dmverity." + sys.argv[1]] = sys.argv[2]
		text = json.dumps(doc).encode()
		entry["digest"], entry["size"] = "sha256:" + hashlib.sha256(text).hexdigest(), len(text)
		open("odd/blobs/sha256/" + entry["digest"][7:], "wb").write(text)
		json.dump(index, open("odd/index.json", "w"))
	END
}

@test "a hash tree that a layer comes with is checked against its annotations" {
	convert "$IN:v1" tree --verity
	convert tree again
	cmp <(skopeo inspect --raw oci:tree:v1) <(skopeo inspect --raw oci:again:v1)
	claim root_digest "sha256:$(printf '1%.0s' {1..64})"
	fails 5 "layer 1 of 1" odd out
	for value in 1 8192 -1 99999999999 x; do
		claim hash_offset "$value"
		fails 3 "layer 1 of 1" odd out
	done
	claim root_digest md5:1
	fails 3 "no SHA-256 digest" odd out
	claim block_size 512
	fails 3 "blocks of 4096" odd out
}
