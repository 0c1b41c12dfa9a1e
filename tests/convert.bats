#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool convert: what it makes is compared with what umoci unpacks, fsck.erofs and the kernel read, skopeo
# decrypts and openssl and gpg verify. Images come from tests/convert/images.py.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon-pull build/host/bin/erofs-pack >&2
	export KIT=$ROOT/build/host/bin/kata-image-tool LAYOUT=$BATS_FILE_TMPDIR/layout
	export TMPDIR=$BATS_FILE_TMPDIR
	python3 "$ROOT/tests/convert/images.py" "$LAYOUT"
	. "$ROOT/tests/registry.bash"
	registry_start "$BATS_FILE_TMPDIR/registry" --user demo --password secret
	export REGISTRY REGISTRY_PORT REGISTRY_CA REGISTRY_AUTHFILE REGISTRY_DIR REGISTRY_PID
}

teardown_file() {
	kill "$REGISTRY_PID" 2>/dev/null || true
}

setup() {
	. "$ROOT/tests/registry.bash"
	cd "$BATS_TEST_TMPDIR"
	export no_proxy=127.0.0.1,localhost
}

teardown() {
	local m
	for m in "$BATS_TEST_TMPDIR"/merged "$BATS_TEST_TMPDIR"/mnt/*; do
		if mountpoint -q "$m"; then umount "$m"; fi
	done
}

convert() { "$KIT" convert --quiet "$@"; }
login() { echo --no-system-ca --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE"; }

# blobs DIR:TAG: paths of the layers, lowest first.
blobs() { skopeo inspect --raw "oci:$1" | jq -r '.layers[].digest' | sed "s,sha256:,${1%%:*}/blobs/sha256/,"; }

# fails STATUS PATTERN ARGUMENT...: one line on stderr that fits, and no trace of the destination ./out.
fails() {
	local status=$1 pattern=$2
	run --separate-stderr "$KIT" convert --quiet "${@:3}"
	echo "status $status, want $1: $stderr $output"
	[ "$status" -eq "$1" ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == kata-image-tool*$pattern* ]]
	[ -z "$(find . -name 'out*' -o -name '.*convert*')" ]
}

# merge FILE...: mounts the layers, lowest first, one over the other, at merged/.
merge() {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	local i=0 lower='' f
	mkdir -p mnt merged mnt/0
	: >merged.files
	mount -t tmpfs none mnt/0 # overlayfs wants two at least
	for f in "$@"; do
		i=$((i + 1))
		mkdir -p "mnt/$i"
		if grep -qxF "$f" merged.files; then cp "$f" "copy-$i" && f=copy-$i; fi # overlayfs takes none twice
		echo "$f" >>merged.files
		mount -t erofs -o loop,ro "$f" "mnt/$i" || skip "cannot mount EROFS here"
		lower="mnt/$i${lower:+:$lower}"
	done
	if [ $i -eq 1 ]; then chmod --reference=mnt/1 mnt/0; lower="$lower:mnt/0"; fi
	mount -t overlay overlay -o "ro,lowerdir=$lower" merged || skip "cannot mount overlayfs here"
}

# same_as_umoci TAG DIR:TAG
same_as_umoci() {
	umoci unpack --image "$LAYOUT:$1" bundle >/dev/null
	python3 "$ROOT/tests/pull/tree-dump.py" merged >ours
	python3 "$ROOT/tests/pull/tree-dump.py" bundle/rootfs >theirs
	[ "$(wc -l <ours)" -ge "${MIN_ENTRIES:-1}" ]
	diff ours theirs
	[ "$(stat -c '%a %u:%g' merged)" = "$(stat -c '%a %u:%g' bundle/rootfs)" ]
}

# ---------------------------------------------------------------- what it is for

@test "a rich image mounts to what umoci unpacks, file by file" {
	convert "$LAYOUT:rich" out --verity --dedupe
	for f in $(blobs out:rich); do fsck.erofs "$f" >/dev/null; done
	merge $(blobs out:rich)
	MIN_ENTRIES=500 same_as_umoci rich
	getfattr -n security.capability --only-values merged/bin/ping | od -An -tx1 | grep -q '01 00 00 02 00 20'
	[ "$(stat -c %a merged/tmp)" = 1777 ] # its topmost layer has no entry for it
}

@test "odd images mount to what umoci unpacks" {
	local tag
	for tag in aligned chunks repeated newline doubles base-a base-b contained-dotdot contained-absolute contained-hardlink; do
		convert "$LAYOUT:$tag" "out-$tag:x" --dedupe
		merge $(blobs "out-$tag:x")
		same_as_umoci "$tag"
		teardown
		rm -rf bundle mnt
	done
}

@test "whiteouts have overlayfs's form, and the lowest layer has none" {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	convert "$LAYOUT:rich" out
	mapfile -t f < <(blobs out:rich)
	mkdir -p mnt/1
	mount -t erofs -o loop,ro "${f[1]}" mnt/1 || skip "cannot mount EROFS here"
	[ "$(stat -c '%F %t:%T' mnt/1/gone)" = "character special file 0:0" ]
	[ "$(getfattr --only-values -n trusted.overlay.opaque mnt/1/opaque)" = y ]
	[ -z "$(find mnt/1 -name '.wh.*')" ]
	umount mnt/1
	convert "$LAYOUT:nothing-to-hide" out
	mount -t erofs -o loop,ro "$(blobs out:nothing-to-hide)" mnt/1
	[ -z "$(find mnt/1 -type c)" ]
	! getfattr -n trusted.overlay.opaque mnt/1/d 2>/dev/null
}

@test "files begin on blocks, large ones on 2 MiB, and the gaps are used" {
	convert "$LAYOUT:aligned" out
	mapfile -t f < <(blobs out:aligned)
	local path at
	for path in d/huge0 d/huge1 d/huge2 d/again0 d/f05; do
		dump.erofs --path="/$path" -e "${f[0]}" >dump
		at=$(awk -F'[ .:|]+' '/^ *0:/ { print $6; exit }' dump)
		echo "$path: $at"
		[ $((at % 4096)) -eq 0 ]
		if [ "$path" != d/f05 ]; then [ $((at % (2 << 20))) -eq 0 ]; fi
	done
	# Six huge files of 18.6 MiB in all: on 2 MiB boundaries, with the small ones in between.
	[ "$(stat -c %s "${f[0]}")" -lt $((26 << 20)) ]
}

@test "--dedupe stores equal files once, and changes nothing that can be seen" {
	convert "$LAYOUT:aligned" one
	convert "$LAYOUT:aligned" two --dedupe
	mapfile -t a < <(blobs one:aligned)
	mapfile -t b < <(blobs two:aligned)
	[ "$(stat -c %s "${b[0]}")" -lt $(($(stat -c %s "${a[0]}") - (8 << 20))) ]
	fsck.erofs "${b[0]}"
	dump.erofs --path=/d/huge0 -e "${b[0]}" | grep '^ *0:' >x
	dump.erofs --path=/d/again0 -e "${b[0]}" | grep '^ *0:' >y
	cmp x y
	merge "${b[@]}"
	same_as_umoci aligned
}

@test "--dedupe stores equal pieces of different files once" {
	convert "$LAYOUT:chunks" one
	convert "$LAYOUT:chunks" two --dedupe
	mapfile -t a < <(blobs one:chunks)
	mapfile -t b < <(blobs two:chunks)
	# Of 19 MiB are 6 different, and there are gaps.
	[ "$(stat -c %s "${a[0]}")" -gt $((16 << 20)) ]
	[ "$(stat -c %s "${b[0]}")" -lt $((10 << 20)) ]
	fsck.erofs "${b[0]}"
	dump.erofs --path=/d/b "${b[0]}" | grep -q 'Layout: 4'
	dump.erofs --path=/d/same "${b[0]}" | grep -q 'Layout: 0'
	"$ROOT/build/host/bin/erofs-pack" --extract "${b[0]}" extracted
	merge "${b[@]}"
	same_as_umoci chunks
	diff -r --exclude=up extracted/d merged/d
}

@test "chunked files that mkfs.erofs wrote are read" {
	mkdir tree
	head -c 300000 /dev/urandom >tree/a
	cp tree/a tree/b
	head -c 9000 tree/a >tree/c
	(head -c 4096 tree/a; head -c 8192 /dev/zero; tail -c 100 tree/a) >tree/d
	local how
	for how in --chunksize=4096 "--chunksize=16384 -Eforce-chunk-indexes"; do
		rm -rf image extracted
		mkfs.erofs --quiet -T0 $how image tree
		dump.erofs --path=/a image | grep -q 'Layout: 4'
		"$ROOT/build/host/bin/erofs-pack" --extract image extracted
		diff -r tree extracted
	done
}

@test "--verity: veritysetup agrees, and sees a flipped bit" {
	convert "$LAYOUT:rich" out --verity
	skopeo inspect --raw oci:out:rich >m
	local i root at f
	for i in 0 1 2 3; do
		root=$(jq -r ".layers[$i].annotations[\"org.erofs.dmverity.root_digest\"]" m)
		at=$(jq -r ".layers[$i].annotations[\"org.erofs.dmverity.hash_offset\"]" m)
		f=out/blobs/sha256/$(jq -r ".layers[$i].digest" m | cut -d: -f2)
		veritysetup verify "$f" "$f" "${root#sha256:}" --hash-offset="$at"
	done
	printf x | dd of="$f" bs=1 seek=4096 conv=notrunc status=none
	run veritysetup verify "$f" "$f" "${root#sha256:}" --hash-offset="$at"
	[ "$status" -ne 0 ]
}

@test "manifest and config are right, and keep what they can" {
	convert "$LAYOUT:annotated" out:new --json >report
	skopeo inspect --raw oci:out:new >m
	[ "$(jq -r .mediaType m)" = application/vnd.oci.image.manifest.v1+json ]
	[ "$(jq -c '[.layers[].mediaType]' m)" = '["application/vnd.erofs.layer.v1"]' ]
	[ "$(jq -c .annotations m)" = '{"org.opencontainers.image.title":"kept"}' ]
	[ "$(sha256sum <m | cut -d' ' -f1)" = "$(jq -r .manifest report | cut -d: -f2)" ]
	skopeo inspect --raw --config oci:out:new >c
	skopeo inspect --raw --config "oci:$LAYOUT:annotated" >before
	[ "$(sha256sum "$(blobs out:new)" | cut -d' ' -f1)" = "$(jq -r '.rootfs.diff_ids[0]' c | cut -d: -f2)" ]
	diff <(jq -S 'del(.rootfs, ."os.features")' before) <(jq -S 'del(.rootfs, ."os.features")' c)
	grep -q '"Interval":2000000000000000[,}]' c
	[ "$(jq -c '."os.features"' c)" = '["erofs"]' ]
	[ "$(jq -c '.manifests[0].platform["os.features"]' out/index.json)" = '["erofs"]' ]
	for f in out/blobs/sha256/*; do [ "$(sha256sum "$f" | cut -d' ' -f1)" = "$(basename "$f")" ]; done
}

@test "the same image gives the same digests, at any time, in any place, by any way" {
	convert "$LAYOUT:rich" one --json --verity --dedupe | jq 'del(.destination)' >1
	mkdir elsewhere
	(umask 077; cd elsewhere; TZ=Asia/Tokyo convert "oci:$LAYOUT:rich" two --json --verity --dedupe) | jq 'del(.destination)' >2
	tar -C "$LAYOUT" -cf all.tar .
	gzip -k all.tar
	convert "oci-archive:all.tar:rich" three --json --verity --dedupe | jq 'del(.destination)' >3
	convert "all.tar.gz:rich" four.tar --json --verity --dedupe | jq 'del(.destination)' >4
	cmp 1 2; cmp 1 3; cmp 1 4
	diff -r one elsewhere/two
	[ "$(stat -c %a elsewhere/two elsewhere/two/blobs/sha256 elsewhere/two/index.json | tr '\n' ' ')" = "755 755 644 " ]
	skopeo copy -q oci-archive:four.tar:rich dir:five
	mkdir six
	tar -C six -xf four.tar
	diff -r six one
	convert "$LAYOUT:rich" named.tar:docker.io/library/x:1
	skopeo inspect --raw oci-archive:named.tar:docker.io/library/x:1 >/dev/null
}

@test "zstd and plain layers give the same images as gzip" {
	convert "$LAYOUT:rich" a --json | jq -c '[.layers[].digest]' >1
	convert "$LAYOUT:rich-zstd" b --json | jq -c '[.layers[].digest]' >2
	cmp 1 2
}

@test "what docker save writes is read" {
	skopeo copy -q "oci:$LAYOUT:aligned" docker-archive:saved.tar:some/name:v1
	convert saved.tar out --json | jq -c '[.layers[].digest]' >1
	convert docker-archive:saved.tar:some/name:v1 out2:x --json | jq -c '[.layers[].digest]' >2
	convert "$LAYOUT:aligned" out3 --json | jq -c '[.layers[].digest]' >3
	cmp 1 3; cmp 2 3
}

@test "an index leads to the platform that is asked for" {
	convert "$LAYOUT:index" out
	[ "$(jq -r '.manifests[0].platform.architecture' out/index.json)" = amd64 ]
	convert "$LAYOUT:index" out --platform linux/arm64
	[ "$(jq -r '.manifests | length' out/index.json)" = 1 ]
	[ "$(jq -r '.manifests[0].platform.architecture' out/index.json)" = arm64 ]
	rm -rf out
	fails 3 "not there for linux/riscv64" "$LAYOUT:index" out --platform linux/riscv64
	convert "$LAYOUT:other-arch" out # nothing to choose
}

@test "a layout is added to, a tag replaced" {
	convert "$LAYOUT:base-a" out:one
	convert "$LAYOUT:base-b" out:two
	convert "$LAYOUT:rich" out:one
	[ "$(jq -c '[.manifests[].annotations[]] | sort' out/index.json)" = '["one","two"]' ]
	skopeo copy -q oci:out:one dir:x
	skopeo copy -q oci:out:two dir:y
	[ -z "$(find out -name '*convert*')" ]
}

@test "from and to a registry" {
	registry_copy "oci:$LAYOUT:rich" images:rich --preserve-digests
	convert $(login) "$REGISTRY/images:rich" "$REGISTRY/converted:v1" --json | jq -c '[.layers[].digest]' >1
	convert "$LAYOUT:rich" local --json | jq -c '[.layers[].digest]' >2
	cmp 1 2
	skopeo copy -q --src-tls-verify=false --src-creds demo:secret "docker://$REGISTRY/converted:v1" dir:back
	for f in $(blobs local:rich); do cmp "$f" "back/$(basename "$f")"; done
	convert $(login) "docker://$REGISTRY/images:rich" local:again
	fails 3 "has no" $(login) "$REGISTRY/images:none" out
	fails 4 "login" --no-system-ca --ca "$REGISTRY_CA" "$REGISTRY/images:rich" out
	fails 4 "onnect" $(login) 127.0.0.1:1/x:y out
}

@test "kihon-pull takes the layers as they are, unless they are damaged or say too much" {
	convert $(login) "$LAYOUT:rich" "$REGISTRY/ready:v1" --verity --dedupe
	convert "$LAYOUT:rich" local --verity --dedupe
	local pull="$ROOT/build/host/bin/kihon-pull pull --json --store store $(login)" i=0 f name
	$pull "$REGISTRY/ready:v1" | jq -r '.layers[].file' >files
	for f in $(blobs local:rich); do
		i=$((i + 1))
		cmp "$f" "$(sed -n ${i}p files)"
	done
	merge $(cat files)
	MIN_ENTRIES=500 same_as_umoci rich
	rm -rf store
	# Layers that others made: one that redirects, one with a name out of order, one cut short.
	mkdir -p tree/d
	touch tree/a tree/b
	setfattr -n trusted.overlay.redirect -v /elsewhere tree/d
	mkfs.erofs --quiet -T0 redirect tree
	setfattr -x trusted.overlay.redirect tree/d
	mkfs.erofs --quiet -T0 order tree
	python3 -c 'b = open("order", "rb").read(); i = b.index(b"...a"); open("order", "wb").write(b[:i + 3] + b"z" + b[i + 4:])' ||
		python3 -c 'b = open("order", "rb").read(); i = b.index(b"...abd"); open("order", "wb").write(b[:i + 3] + b"z" + b[i + 4:])'
	head -c 2048 order >cut
	for name in redirect order cut; do
		python3 "$ROOT/tests/convert/images.py" --layer "$name" "in-$name"
		registry_copy "oci:in-$name:x" "odd:$name" --preserve-digests
		run --separate-stderr $pull "$REGISTRY/odd:$name"
		echo "$name: $status $stderr"
		[ "$status" -eq 3 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[ -z "$(find store -name '*.erofs')" ]
	done
}

@test "layers that are EROFS images already stay as they are" {
	convert "$LAYOUT:rich" one --verity
	convert one:rich two
	[ "$(skopeo inspect --raw oci:one:rich | sha256sum)" = "$(skopeo inspect --raw oci:two:rich | sha256sum)" ]
	convert "$LAYOUT:rich" plain
	convert plain:rich three --verity
	diff <(skopeo inspect --raw oci:three:rich | jq '[.layers[].annotations["org.erofs.dmverity.hash_offset"]]') \
		<(skopeo inspect --raw oci:one:rich | jq '[.layers[].annotations["org.erofs.dmverity.hash_offset"]]')
	mkdir -p tree/d
	touch tree/a
	mkfs.erofs --quiet -T0 image tree
	printf '\377\377' | dd of=image bs=1 seek=1152 conv=notrunc status=none
	python3 "$ROOT/tests/convert/images.py" --layer image odd
	fails 3 "" odd out
}

# ---------------------------------------------------------------- keys

@test "--encrypt: skopeo decrypts with each of the keys" {
	openssl genrsa -out rsa.pem 2048 2>/dev/null
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out ec5.pem
	for k in rsa ec ec5; do openssl pkey -in $k.pem -pubout -out $k.pub; done
	convert "$LAYOUT:rich" plain --verity
	convert "$LAYOUT:rich" out --verity --encrypt rsa.pub --encrypt jwe:ec.pub --encrypt ec5.pub
	[ "$(skopeo inspect --raw oci:out:rich | jq -r '.layers[0].mediaType')" = application/vnd.erofs.layer.v1+encrypted ]
	[ "$(skopeo inspect --raw oci:out:rich | jq -r '.layers[0].annotations | keys[]' | grep -c enc)" -eq 2 ]
	local k f
	for k in rsa ec ec5; do
		skopeo copy -q --decryption-key $k.pem oci:out:rich "dir:$k"
		for f in $(blobs plain:rich); do cmp "$f" "$k/$(basename "$f")"; done
	done
	openssl genrsa -out other.pem 2048 2>/dev/null
	run skopeo copy -q --decryption-key other.pem oci:out:rich dir:no
	[ "$status" -ne 0 ]
	! grep -rqF -e "$(sed -n 2p rsa.pem)" out
}

@test "--encrypt for a key broker: its key unwraps the layer's" {
	head -c 32 /dev/urandom >kek
	convert "$LAYOUT:base-a" plain
	convert "$LAYOUT:base-a" out --encrypt kbs:///default/key/1=kek
	skopeo inspect --raw oci:out:base-a >m
	python3 - <<-'END' || skip "python3-cryptography is not installed"
		import cryptography
	END
	python3 - <<-'END'
		import base64, hashlib, hmac, json
		from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
		from cryptography.hazmat.primitives.ciphers.aead import AESGCM
		kek = open("kek", "rb").read()
		plain = json.load(open("plain/blobs/sha256/" + json.load(open("plain/index.json"))["manifests"][0]["digest"][7:]))
		for layer, want in zip(json.load(open("m"))["layers"], plain["layers"]):
		    a = layer["annotations"]
		    packet = json.loads(base64.b64decode(a["org.opencontainers.image.enc.keys.provider.attestation-agent"]))
		    assert packet["kid"] == "kbs:///default/key/1" and packet["wrap_type"] == "A256GCM"
		    secret = json.loads(AESGCM(kek).decrypt(base64.b64decode(packet["iv"]), base64.b64decode(packet["wrapped_data"]), None))
		    public = json.loads(base64.b64decode(a["org.opencontainers.image.enc.pubopts"]))
		    data = open("out/blobs/sha256/" + layer["digest"][7:], "rb").read()
		    key = base64.b64decode(secret["symkey"])
		    assert hmac.new(key, data, hashlib.sha256).digest() == base64.b64decode(public["hmac"])
		    nonce = base64.b64decode(secret["cipheroptions"]["nonce"])
		    text = Cipher(algorithms.AES(key), modes.CTR(nonce)).decryptor().update(data)
		    assert "sha256:" + hashlib.sha256(text).hexdigest() == secret["digest"] == want["digest"]
	END
}

@test "--sign: cosign's layout, which openssl verifies" {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
	openssl pkey -in key.pem -pubout -out key.pub
	convert "$LAYOUT:base-a" out:v1 --sign key.pem --identity registry.example/team/app:v1
	local digest tag payload
	digest=$(jq -r '.manifests[] | select(.annotations[] == "v1") | .digest' out/index.json)
	tag=${digest/:/-}.sig
	skopeo inspect --raw "oci:out:$tag" >m
	payload=out/blobs/sha256/$(jq -r '.layers[0].digest' m | cut -d: -f2)
	[ "$(jq -r '.layers[0].mediaType' m)" = application/vnd.dev.cosign.simplesigning.v1+json ]
	jq -r '.layers[0].annotations["dev.cosignproject.cosign/signature"]' m | base64 -d >sig
	openssl dgst -sha256 -verify key.pub -signature sig "$payload"
	[ "$(jq -r '.critical.image["docker-manifest-digest"]' "$payload")" = "$digest" ]
	[ "$(jq -r '.critical.type' "$payload")" = "cosign container image signature" ]
	[ "$(jq -r '.critical.identity["docker-reference"]' "$payload")" = registry.example/team/app ]
	! grep -rqF -e "$(sed -n 2p key.pem)" out
	# The image is still the only one that can be meant.
	convert out again
	[ "$(jq -r '.manifests[0].digest' again/index.json)" = "$digest" ]
	# In a registry it is beside the image.
	convert $(login) "$LAYOUT:base-a" "$REGISTRY/signed:v1" --sign key.pem
	skopeo inspect --raw --tls-verify=false --creds demo:secret "docker://$REGISTRY/signed:$tag" | jq -e '.layers[0].annotations' >/dev/null
}

@test "--sign with a key of gpg: gpg verifies, skopeo's policy takes it" {
	export GNUPGHOME=$BATS_TEST_TMPDIR/gnupg
	(umask 077; mkdir "$GNUPGHOME")
	gpg --batch --quiet --passphrase '' --quick-gen-key 'Test <test@example.org>' rsa2048 sign never 2>/dev/null
	convert $(login) "$LAYOUT:base-a" "$REGISTRY/team/gpg:v1" --sign test@example.org --signature-store store --json >report
	local digest sig
	digest=$(jq -r .manifest report)
	sig=store/team/gpg@sha256=${digest#sha256:}/signature-1
	gpg --batch --quiet --decrypt "$sig" 2>/dev/null >payload
	[ "$(jq -r '.critical.image["docker-manifest-digest"]' payload)" = "$digest" ]
	[ "$(jq -r '.critical.identity["docker-reference"]' payload)" = "$REGISTRY/team/gpg:v1" ]
	gpg --batch --export test@example.org >pub.gpg
	mkdir registries.d
	printf 'docker:\n  %s:\n    lookaside: file://%s\n    sigstore: file://%s\n' "$REGISTRY" "$PWD/store" "$PWD/store" >registries.d/a.yaml
	printf '{"default":[{"type":"reject"}],"transports":{"docker":{"%s":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"%s"}]}}}\n' \
		"$REGISTRY" "$PWD/pub.gpg" >policy.json
	skopeo --registries.d "$PWD/registries.d" --policy "$PWD/policy.json" copy -q --src-tls-verify=false --src-creds demo:secret \
		"docker://$REGISTRY/team/gpg:v1" dir:back
	mv "$sig" elsewhere
	run skopeo --registries.d "$PWD/registries.d" --policy "$PWD/policy.json" copy -q --src-tls-verify=false --src-creds demo:secret \
		"docker://$REGISTRY/team/gpg:v1" dir:no
	[ "$status" -ne 0 ]
	fails 4 "nobody" "$LAYOUT:base-a" out --sign nobody@example.org
	fails 2 "signature-store" "$LAYOUT:base-a" out.tar --sign test@example.org
	gpgconf --kill all
}

# ---------------------------------------------------------------- what is wrong

@test "damaged and hostile images: one line, nothing half-written" {
	local want
	while IFS='|' read -r tag status want; do
		fails "$status" "$want" "$LAYOUT:$tag" out
	done <<-'END'
		bad-diffid|5|the unpacked layer does not have its digest
		bad-count|3|the manifest has 1 layers, but the config has 0 diff_ids
		bad-gzip|3|the gzip stream is damaged
		cut-gzip|3|ends in the middle
		gzip-rubbish|3|gzip stream
		not-gzip|3|no gzip header
		unknown-type|3|of a type that is not known
		encrypted|3|encrypted: decrypt the image first
		windows|3|windows
		not-tar|3|not a tar archive
		cut-tar|3|ends in the middle
		hostile-hardlink|3|a hard link to "etc/passwd"
		hostile-whiteout|3|no whiteout that means anything
		hostile-deep|3|longer than the 4095 bytes
		hostile-loop|3|too many symbolic links
		hostile-header|3|a tar header of 4294967296 bytes
		hostile-size|3|unpacks to more than
		hostile-type|3|unknown tar type
		bad-newline|3|a hard link to "c d"
		bad-cycle|3|a hard link to "b"
		bad-size|5|its descriptor says
		bad-huge|3|at most 4194304 are read
		bad-layer-size|5|its descriptor says
		bad-negative|3|whole number
		bad-missing|3|lacks the blob
		bad-digest|3|64 lower-case hex digits
		bad-json|3|is not JSON
		bad-flipped|5|does not have its digest
		no-such-tag|3|there is no image "no-such-tag"
	END
}

@test "a damaged layout" {
	fails 3 "there are several images" "$LAYOUT" out
	mkdir in
	fails 3 "no OCI image layout: there is no oci-layout" in out
	echo '{"imageLayoutVersion":"7.0.0"}' >in/oci-layout
	fails 3 'version "7.0.0"' in out
	echo '{"imageLayoutVersion":"1.0.0"}' >in/oci-layout
	fails 3 "no index.json" in out
	echo '{"schemaVersion":2,"manifests":{}}' >in/index.json
	fails 3 '"manifests" is not an array' in out
	echo '{"schemaVersion":2,"manifests":[]}' >in/index.json
	fails 3 "there is no image" in out
	head -c 100000 /dev/urandom >noise.tar
	fails 3 "not a tar archive" noise.tar out
	tar -C "$LAYOUT" -cf cut.tar .
	truncate -s 5000 cut.tar
	fails 3 "cut.tar" cut.tar:rich out
	echo x >text
	fails 3 "text" text out
	mkfifo fifo
	fails 3 "not a regular file" fifo out
	ln -s /etc/passwd in/blob
	fails 3 "there is no such file" ./nothing out
}

@test "wrong words and places" {
	fails 2 "" "$LAYOUT:rich"
	fails 2 "" "$LAYOUT:rich" out --layers tar
	fails 2 "not a platform" "$LAYOUT:rich" out --platform arm64
	fails 4 "cannot write to" "$LAYOUT:rich" ./missing/out
	fails 3 "archives are written without compression" "$LAYOUT:rich" out.tar.gz
	mkdir full
	touch full/x
	fails 3 "neither empty nor an OCI image layout" "$LAYOUT:rich" full
	fails 3 "is a file" "$LAYOUT:rich" full/x
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
	openssl pkey -in key.pem -pubout -out key.pub
	fails 3 "it is the private one" "$LAYOUT:rich" out --encrypt key.pem
	fails 4 "no-such-key" "$LAYOUT:rich" out --encrypt no-such-key
	fails 3 "has 4 bytes" "$LAYOUT:rich" out --encrypt kbs:///a/b/c="$(printf four >k; echo k)"
	fails 2 "the key itself is missing" "$LAYOUT:rich" out --encrypt kbs:///a/b/c
	fails 3 "not a private key" "$LAYOUT:rich" out --sign key.pub
	fails 4 "no key file" "$LAYOUT:rich" out --sign ./none.pem
	[ "$(ls full)" = x ]
}

@test "an interrupted conversion leaves nothing" {
	python3 "$ROOT/tests/pull/images.py" in --large 20
	local n=0
	while [ $n -lt 40 ]; do
		n=$((n + 1))
		"$KIT" convert --quiet in out --verity 2>err &
		sleep 0.0$((n % 4))
		kill -INT $! 2>/dev/null || true
		if wait $!; then
			rm -rf out
			continue
		fi
		break
	done
	[ "$(wc -l <err)" -le 1 ]
	[ -z "$(find . -maxdepth 1 -name 'out*' -o -maxdepth 1 -name '.*convert*')" ]
	# What a killed one left goes with the next.
	mkdir .out.convert-abcdef
	touch -d '1 hour ago' .out.convert-abcdef
	convert in out
	[ ! -e .out.convert-abcdef ]
}

@test "no room: one line, nothing left" {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	mkdir -p mnt/small
	mount -t tmpfs -o size=2m none mnt/small || skip "cannot mount tmpfs here"
	run --separate-stderr "$KIT" convert --quiet "$LAYOUT:aligned" mnt/small/out
	[ "$status" -eq 4 ] || [ "$status" -eq 1 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == *"No space left"* ]]
	[ -z "$(ls -A mnt/small)" ]
}
