#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool publish and fetch, and kihon boot from a registry: against docker-registry (with TLS and a password),
# what skopeo says of what is in it, and a registry that misbehaves (tests/publish/registry.py).

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/erofs-pack build/host/bin/kihon build/guest/bin/kihon-init >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool KIHON=$ROOT/build/host/bin/kihon FILES=$BATS_FILE_TMPDIR
	export TMPDIR=$BATS_FILE_TMPDIR no_proxy=127.0.0.1,localhost
	mkdir -p "$FILES/tree/bin" "$FILES/image"
	head -c 300000 /dev/urandom >"$FILES/tree/bin/program"
	"$ROOT/build/host/bin/erofs-pack" --all-root "$FILES/tree" "$FILES/image/rootfs.erofs" >/dev/null
	printf 'x Linux version 6.12.0-test (a@b) y' >"$FILES/image/vmlinux"
	head -c 200000 /dev/urandom >>"$FILES/image/vmlinux"
	python3 "$ROOT/tests/publish/describe.py" "$FILES/image" rootfs.erofs erofs
	. "$ROOT/tests/registry.bash"
	registry_start "$FILES/registry" --user demo --password secret
	export REGISTRY REGISTRY_PORT REGISTRY_CA REGISTRY_AUTHFILE REGISTRY_DIR REGISTRY_PID
	python3 "$ROOT/tests/publish/registry.py" "$FILES/ports" "$FILES/log" 3>&- &
	export ODD_PID=$! LOG=$FILES/log
	. "$ROOT/tests/wait.bash"
	until_true test -e "$FILES/ports"
	read -r ODD_PORT OTHER_PORT <"$FILES/ports"
	export ODD=127.0.0.1:$ODD_PORT OTHER_PORT
	echo '{"auths":{"'"$ODD"'":{"auth":"dTpw"}}}' >"$FILES/odd-auth.json"
}

teardown_file() {
	kill "$ODD_PID" "$REGISTRY_PID" 2>/dev/null || true
}

setup() {
	. "$ROOT/tests/wait.bash"
	cd "$BATS_TEST_TMPDIR"
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
}

trust() { echo --no-system-ca --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE"; }
publish() { "$TOOL" publish $(trust) --json "$@"; }
fetch() { "$TOOL" fetch $(trust) --quiet "$@"; }
odd() { "$TOOL" "$1" --plain-http "$ODD" --authfile "$FILES/odd-auth.json" "${@:2}"; }
raw() { skopeo inspect --raw --cert-dir "$REGISTRY_DIR/certs.d" --authfile "$REGISTRY_AUTHFILE" "docker://$REGISTRY/$1"; }
certs() { mkdir -p "$REGISTRY_DIR/certs.d" && cp "$REGISTRY_CA" "$REGISTRY_DIR/certs.d/ca.crt"; }

# fails STATUS WORDS COMMAND...: one line on standard error, nothing on standard output.
fails() {
	run --separate-stderr "${@:3}"
	echo "status $status, wanted $1: $stderr $output"
	[ "$status" -eq "$1" ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *$2* ]]
	nothing_left
}
# No folder of the cache that is being filled, nor an entry that is not whole.
nothing_left() { [ -z "$(find "$XDG_CACHE_HOME" . -maxdepth 3 -name '.new-*' -o -maxdepth 3 -name '.build-*' 2>/dev/null)" ]; }

# ---------------------------------------------------------------- publishing

@test "what is published: an artifact of the files as they are, which skopeo copies unchanged" {
	certs
	publish "$FILES/image" "$REGISTRY/guest/plain:1" >out
	raw guest/plain:1 >manifest
	[ "$(jq -r .digest out)" = "sha256:$(sha256sum <manifest | cut -c1-64)" ]
	[ "$(jq -r .reference out)" = "$REGISTRY/guest/plain:1@$(jq -r .digest out)" ]
	jq -e '.schemaVersion == 2 and .mediaType == "application/vnd.oci.image.manifest.v1+json" and
		.artifactType == "application/vnd.kihon.guest-image.v1+json" and .config.mediaType == "application/vnd.oci.empty.v1+json"' manifest
	for f in vmlinux rootfs.erofs image.json; do
		jq -e --arg f "$f" --arg d "sha256:$(sha256sum <"$FILES/image/$f" | cut -c1-64)" --argjson s "$(stat -c %s "$FILES/image/$f")" \
			'.layers | any(.annotations["org.opencontainers.image.title"] == $f and .digest == $d and .size == $s)' manifest
	done
	skopeo --insecure-policy copy -q --src-cert-dir "$REGISTRY_DIR/certs.d" --src-authfile "$REGISTRY_AUTHFILE" \
		"docker://$REGISTRY/guest/plain:1" "dir:$PWD/copy"
	cmp manifest copy/manifest.json
	cmp "$FILES/image/rootfs.erofs" "copy/$(sha256sum <"$FILES/image/rootfs.erofs" | cut -c1-64)"
	skopeo --insecure-policy copy -q --src-cert-dir "$REGISTRY_DIR/certs.d" --src-authfile "$REGISTRY_AUTHFILE" \
		"docker://$REGISTRY/guest/plain:1" "oci:$PWD/layout:1"
	[ "$(jq -r '.manifests[0].digest' layout/index.json)" = "$(jq -r .digest out)" ]
}

@test "the same image from elsewhere has the same digests, and nothing is sent again" {
	publish "$FILES/image" "$REGISTRY/guest/same:1" >one
	cp -r "$FILES/image" copy
	touch copy/*
	(umask 077 && TZ=Asia/Tokyo publish copy "$REGISTRY/guest/same:1" >two)
	jq -e '.blobs_sent == 0 and .manifests_sent == 0 and .bytes_sent == 0' two
	[ "$(jq -c '[.digest, .sbom, .provenance]' one)" = "$(jq -c '[.digest, .sbom, .provenance]' two)" ]
	publish copy "$REGISTRY/guest/same:2" >three
	jq -e '.blobs_sent == 0 and .manifests_sent == 1' three
	publish copy "$REGISTRY/guest/same@$(jq -r .digest one)" | jq -e '.manifests_sent == 0'
}

@test "SBOM and provenance refer to it, by the tag scheme where the registry has no API" {
	certs
	publish "$FILES/image" "$REGISTRY/guest/docs:1" --builder-id https://ci.example/7 >out
	digest=$(jq -r .digest out)
	raw "guest/docs:${digest/:/-}" >index
	jq -e '.mediaType == "application/vnd.oci.image.index.v1+json"' index
	[ "$(jq -r '[.manifests[].artifactType] | sort | join(" ")' index)" = "application/spdx+json application/vnd.in-toto+json" ]
	for kind in sbom provenance; do
		raw "guest/docs@$(jq -r ".$kind" out)" >"$kind"
		jq -e --arg d "$(jq -r ".$kind" out)" --argjson s "$(stat -c %s "$kind")" '.manifests | any(.digest == $d and .size == $s)' index
		jq -e --arg d "$digest" '.subject.digest == $d' "$kind"
		blob "guest/docs" "$(jq -r '.layers[0].digest' "$kind")" >"$kind.doc"
	done
	"$TOOL" sbom "$FILES/image" | cmp - sbom.doc
	jq -e '.manifests[] | select(.artifactType == "application/vnd.in-toto+json").annotations["in-toto.io/predicate-type"] == "https://slsa.dev/provenance/v1"' index
	jq -e --arg d "${digest#sha256:}" --arg k "$(sha256sum <"$FILES/image/vmlinux" | cut -c1-64)" '._type == "https://in-toto.io/Statement/v1" and
		.predicateType == "https://slsa.dev/provenance/v1" and (.subject | any(.digest.sha256 == $d) and any(.name == "vmlinux" and .digest.sha256 == $k)) and
		.predicate.runDetails.builder.id == "https://ci.example/7" and (.predicate.buildDefinition.buildType | length > 0) and
		.predicate.buildDefinition.externalParameters.profile == "container" and
		(.predicate.buildDefinition.resolvedDependencies | length == 3 and any(.name == "musl" and .digest.sha256 == "2" * 64 and (.uri | startswith("pkg:deb/debian/musl@"))))' \
		provenance.doc
}
blob() { curl -s --cacert "$REGISTRY_CA" -u demo:secret "https://$REGISTRY/v2/$1/blobs/$2"; }

@test "an index of referrers that others write to keeps their entries" {
	publish "$FILES/image" "$REGISTRY/guest/index:1" >out
	tag=$(jq -r .digest out | tr : -)
	get() { curl -s --cacert "$REGISTRY_CA" -u demo:secret -H "Accept: application/vnd.oci.image.index.v1+json" "https://$REGISTRY/v2/guest/index/manifests/$tag"; }
	get | jq -c '.manifests |= .[:1] | .annotations.mine = "kept"' >edited
	curl -sf --cacert "$REGISTRY_CA" -u demo:secret -X PUT -H "Content-Type: application/vnd.oci.image.index.v1+json" \
		--data-binary @edited "https://$REGISTRY/v2/guest/index/manifests/$tag"
	publish "$FILES/image" "$REGISTRY/guest/index:1" >again
	jq -e '.blobs_sent == 0 and .manifests_sent == 1' again
	get | jq -e '(.manifests | length == 2) and .annotations.mine == "kept"'
}

@test "a registry with the referrers API gets no such tag" {
	odd publish "$FILES/image" "$ODD/referrers/guest:1" --json >out
	digest=$(jq -r .digest out)
	curl -s -u u:p "http://$ODD/v2/referrers/guest/referrers/$digest" | jq -e '.manifests | length == 2'
	! grep -q "PUT /v2/referrers/guest/manifests/sha256-" "$LOG"
	odd publish "$FILES/image" "$ODD/referrers/guest:1" --json | jq -e '.blobs_sent == 0 and .manifests_sent == 0'
}

@test "large files go in pieces; a broken upload goes on where it ended" {
	cp -r "$FILES/image" large
	head -c 150M /dev/zero >large/rootfs.erofs
	python3 "$ROOT/tests/publish/describe.py" large rootfs.erofs initrd
	odd publish large "$ODD/breaks/guest:1" --json --quiet >out
	sum=$(sha256sum <large/rootfs.erofs | cut -c1-64)
	[ "$(curl -s -u u:p "http://$ODD/v2/breaks/guest/blobs/sha256:$sum" | sha256sum | cut -c1-64)" = "$sum" ]
	# Four PATCHes of 64 MiB at most: the broken one and three more; one PUT was broken, too.
	[ "$(grep -c "PATCH /v2/breaks/" "$LOG")" -eq 4 ]
	[ "$(grep "PATCH /v2/breaks/" "$LOG" | awk '{print $5}' | sort -n | tail -1)" -eq $((64 << 20)) ]
	publish large "$REGISTRY/guest/large:1" >out
	fetch "$REGISTRY/guest/large:1" -o back
	diff -r large back
}

@test "a registry that is busy is waited for" {
	odd publish "$FILES/image" "$ODD/busy/guest:1" --quiet
	odd fetch "$ODD/busy/guest:1" -o back --quiet
	diff -r "$FILES/image" back
}

@test "the password is not sent to the host that an upload is diverted to" {
	odd publish "$FILES/image" "$ODD/elsewhere/guest:1" --quiet
	grep -q "^$OTHER_PORT PUT /v2/elsewhere/guest/blobs/uploads/[0-9]* - " "$LOG"
	! grep -q "^$OTHER_PORT .* Basic" "$LOG"
}

@test "publishing what cannot be: one line, and its status" {
	fails 2 '' "$TOOL" publish "$FILES/image"
	fails 4 'no guest image' publish "$FILES/tree" "$REGISTRY/guest/x:1"
	fails 3 'names no registry' publish "$FILES/image" guest:1
	fails 3 'reference' publish "$FILES/image" "$REGISTRY/Guest:1"
	fails 5 'publish it under a tag' publish "$FILES/image" "$REGISTRY/guest/x@sha256:$(printf '0%.0s' {1..64})"
	fails 4 'credentials' "$TOOL" publish --no-system-ca --ca "$REGISTRY_CA" "$FILES/image" "$REGISTRY/guest/x:1"
	fails 5 'certificate' "$TOOL" publish --no-system-ca "$FILES/image" "$REGISTRY/guest/x:1"
	fails 4 'Failed to connect' publish "$FILES/image" 127.0.0.1:1/guest:1
	fails 4 'forbids writing the blob: not?yours' odd publish "$FILES/image" "$ODD/readonly/guest:1" --json
	fails 5 'instead of' odd publish "$FILES/image" "$ODD/liar/guest:1" --json
	fails 2 'is no URI' publish "$FILES/image" "$REGISTRY/guest/x:1" --builder-id me
	fails 2 'is no URI' publish "$FILES/image" "$REGISTRY/guest/x:1" --builder-id ''
	cp -r "$FILES/image" copy
	echo x >>copy/vmlinux
	fails 5 vmlinux publish copy "$REGISTRY/guest/x:1"
	fails 3 'the registry has no' fetch "$REGISTRY/guest/x:1"
	cp -r "$FILES/image" names
	echo >names/manifest.json
	python3 "$ROOT/tests/publish/describe.py" names rootfs.erofs erofs
	fails 3 'cannot be called manifest.json' publish names "$REGISTRY/guest/x:1"
}

@test "signature and lock file go with the image; the lock's digest is in the provenance" {
	cp -r "$FILES/image" whole
	echo signature >whole/image.json.sig
	echo '{"schema": 1, "pins": []}' >whole/image.lock
	echo other >whole/notes
	publish whole "$REGISTRY/guest/whole:1" >out
	rm whole/notes
	fetch "$REGISTRY/guest/whole:1" -o back
	diff -r whole back
	certs
	raw "guest/whole@$(jq -r .provenance out)" >provenance
	blob guest/whole "$(jq -r '.layers[0].digest' provenance)" |
		jq -e --arg d "$(sha256sum <whole/image.lock | cut -c1-64)" '.predicate.buildDefinition.resolvedDependencies | any(.name == "image.lock" and .digest.sha256 == $d)'
}

@test "Ctrl-C ends an upload; the tag is not there" {
	odd publish "$FILES/image" "$ODD/slow/guest:1" --quiet 2>said 3>&- &
	pid=$!
	until_true grep -q "PUT /v2/slow/" "$LOG"
	kill -INT "$(pgrep -P "$pid" -x kata-image-tool || echo "$pid")"
	status=0
	wait "$pid" || status=$?
	echo "status $status: $(cat said)"
	[ "$status" -eq 130 ]
	[ "$(wc -l <said)" -eq 1 ]
	! grep -q "PUT /v2/slow/guest/manifests" "$LOG"
}

# ---------------------------------------------------------------- fetching

@test "fetched back it is the same folder; by digest the cache needs no registry" {
	publish "$FILES/image" "$REGISTRY/guest/back:1" >out
	digest=$(jq -r .digest out)
	fetch "$REGISTRY/guest/back:1" -o back
	diff -r "$FILES/image" back
	path=$(fetch "$REGISTRY/guest/back:1")
	[ "$path" = "$XDG_CACHE_HOME/kihon/images/${digest/:/-}" ]
	diff -r -x manifest.json "$FILES/image" "$path"
	[ "$(sha256sum <"$path/manifest.json" | cut -c1-64)" = "${digest#sha256:}" ]
	"$TOOL" fetch "$REGISTRY/guest/back:1" $(trust) --json | jq -e --arg p "$path" '.path == $p and .bytes_received == 0'
	# Nobody listens on port 1, and nobody is trusted.
	[ "$("$TOOL" fetch --no-system-ca -q "127.0.0.1:1/guest@$digest")" = "$path" ]
	fails 4 'is not empty' fetch "$REGISTRY/guest/back:1" -o back
	"$TOOL" verify "$path"
	publish back "$REGISTRY/guest/back:1" | jq -e --arg d "$digest" '.digest == $d and .manifests_sent == 0'
}

@test "fetched into an empty folder, that stays the folder that it is" {
	publish "$FILES/image" "$REGISTRY/guest/place:1" >out
	mkdir -m 700 private here there
	ln -s there link
	mkdir private/.build-killed
	fetch "$REGISTRY/guest/place:1" -o private
	[ "$(stat -c %a private)" = 700 ]
	fetch "$REGISTRY/guest/place:1" -o link
	(cd here && fetch "$REGISTRY/guest/place:1" -o .)
	for d in private here there; do diff -r "$FILES/image" "$d"; done
	# One that cannot be had leaves an empty one as it was, and makes none.
	mkdir empty
	fails 3 'the registry has no' fetch "$REGISTRY/guest/place:none" -o empty
	fails 3 'the registry has no' fetch "$REGISTRY/guest/place:none" -o new
	[ -z "$(ls -A empty)" ]
	[ ! -e new ]
}

@test "an entry of the cache that was spoilt is fetched again" {
	publish "$FILES/image" "$REGISTRY/guest/spoilt:1" >out
	path=$(fetch "$REGISTRY/guest/spoilt:1")
	for spoil in 'rm $path/vmlinux' 'echo x >>$path/rootfs.erofs' 'sed -i s/kihon-test/kihon-best/ $path/image.json' 'rm $path/manifest.json' \
		'rm -r $path; mkdir $path' 'rm -r $path; echo >$path'; do
		eval "$spoil"
		[ "$(fetch "$REGISTRY/guest/spoilt@$(jq -r .digest out)")" = "$path" ]
		diff -r -x manifest.json "$FILES/image" "$path"
	done
	nothing_left
}

@test "many fetches at a time make one entry, and take away what a killed one left" {
	publish "$FILES/image" "$REGISTRY/guest/many:1" >out
	mkdir -p "$XDG_CACHE_HOME/kihon/images/.new-killed"
	for i in 1 2 3 4 5 6; do
		fetch "$REGISTRY/guest/many:1" >"path-$i" 2>&1 3>&- &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	[ "$(cat path-* | sort -u | wc -l)" -eq 1 ]
	[ "$(ls -A "$XDG_CACHE_HOME/kihon/images" | wc -l)" -eq 1 ]
	diff -r -x manifest.json "$FILES/image" "$(cat path-1)"
}

# in_registry DIGEST: the file in which docker-registry keeps the blob.
in_registry() { echo "$REGISTRY_DIR/data/docker/registry/v2/blobs/sha256/${1:0:2}/$1/data"; }

@test "a registry that serves other bytes: one line, status 5, nothing in the cache" {
	cp -r "$FILES/image" mine
	head -c 100000 /dev/urandom >>mine/vmlinux
	python3 "$ROOT/tests/publish/describe.py" mine rootfs.erofs erofs
	publish mine "$REGISTRY/guest/evil:1" >out
	f=$(in_registry "$(sha256sum <mine/vmlinux | cut -c1-64)")
	cp "$f" saved
	printf x | dd of="$f" bs=1 seek=5000 conv=notrunc status=none
	fails 5 vmlinux fetch "$REGISTRY/guest/evil:1"
	[ -z "$(ls -A "$XDG_CACHE_HOME/kihon/images")" ]
	fails 5 vmlinux fetch "$REGISTRY/guest/evil:1" -o there
	[ ! -e there ]
	cp saved "$f"
	f=$(in_registry "$(jq -r .digest out | cut -c8-)")
	sed -i 's/kihon-test/kihon-best/' "$f"
	fails 5 manifest fetch "$REGISTRY/guest/evil@$(jq -r .digest out)"
}

# put_manifest TAG: the manifest on standard input, into guest/bad.
put_manifest() {
	curl -sf --cacert "$REGISTRY_CA" -u demo:secret -X PUT -H "Content-Type: application/vnd.oci.image.manifest.v1+json" \
		--data-binary @- "https://$REGISTRY/v2/guest/bad/manifests/$1"
}

@test "artifacts that are no guest images, or no whole ones: one line" {
	certs
	publish "$FILES/image" "$REGISTRY/guest/bad:1" >out
	raw guest/bad:1 >m
	jq -c '.artifactType = "application/x"' m | put_manifest type
	fails 3 'no guest image, but "application/x"' fetch "$REGISTRY/guest/bad:type"
	jq -c 'del(.layers[0])' m | put_manifest lacks
	fails 3 lacks fetch "$REGISTRY/guest/bad:lacks"
	jq -c '.layers[2:] = []' m | put_manifest json
	fails 3 'no image.json' fetch "$REGISTRY/guest/bad:json"
	jq -c '.layers[0].annotations["org.opencontainers.image.title"] = "../../x"' m | put_manifest up
	fails 3 'not the name of a file' fetch "$REGISTRY/guest/bad:up"
	jq -c '.layers[0].digest = .layers[1].digest | .layers[0].size = .layers[1].size' m | put_manifest other
	fails 5 'not the file that image.json names' fetch "$REGISTRY/guest/bad:other"
	jq -c '.layers[0].size += 1' m | put_manifest size
	fails 5 '' fetch "$REGISTRY/guest/bad:size"
	jq -c '.layers += [.layers[0] | .annotations["org.opencontainers.image.title"] = "more"]' m | put_manifest more
	fails 3 'does not name' fetch "$REGISTRY/guest/bad:more"
	. "$ROOT/tests/registry.bash"
	registry_push_busybox guest/busybox:1
	fails 3 'a container image, perhaps' fetch "$REGISTRY/guest/busybox:1"
	fails 3 'the registry has no' fetch "$REGISTRY/guest/bad:none"
	[ -z "$(ls -A "$XDG_CACHE_HOME/kihon/images")" ]
}

@test "without a place for the cache: one line" {
	fails 4 XDG_CACHE_HOME env -u XDG_CACHE_HOME -u HOME "$TOOL" fetch $(trust) -q "$REGISTRY/guest/x:1"
	fails 4 XDG_CACHE_HOME env XDG_CACHE_HOME=/proc/none "$TOOL" fetch $(trust) -q "$REGISTRY/guest/x:1"
	fails 4 /proc/none fetch "$REGISTRY/guest/plain:1" -o /proc/none/x
	fails 2 'name a folder' fetch "$REGISTRY/guest/plain:1" -o ''
}

# ---------------------------------------------------------------- booting

@test "kihon boot: what is no image in a registry, in one line" {
	fails 125 'the registry has no' "$KIHON" boot $(trust) "$REGISTRY/guest/none:1"
	fails 125 'Failed to connect' "$KIHON" boot 127.0.0.1:1/guest:1
	fails 125 'no image folder ./127.0.0.1:1/guest' "$KIHON" boot ./127.0.0.1:1/guest
	mkdir -p 127.0.0.1:1/guest
	fails 125 'no guest image' "$KIHON" boot 127.0.0.1:1/guest
}

@test "kihon boot REGISTRY/REF boots what was published, by tag and by digest" {
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-publish.XXXXXX)
	mkdir -p app/{bin,etc/kihon,dev,proc,sys,run,tmp} real
	cp "$(command -v busybox)" app/bin/busybox
	cp "$ROOT/build/guest/bin/kihon-init" app/init
	(cd app && find . | cpio -o -H newc --quiet) >real/root
	cp "$ROOT/build/kernel/container/vmlinux" real/
	python3 "$ROOT/tests/publish/describe.py" real root initrd \
		'kihon.exec=/bin/busybox kihon.arg=sh kihon.arg=-c kihon.arg="echo it came from afar; exit 7"'
	publish real "$REGISTRY/guest/boot:1" >out
	rm -r real
	run "$KIHON" boot --timeout 200s --verbose --net none $(trust) "$REGISTRY/guest/boot:1"
	echo "$output"
	[ "$status" -eq 7 ]
	grep -q "it came from afar" <<<"$output"
	# No registry is there, nor trusted, nor asked.
	run "$KIHON" boot --timeout 200s --net none --no-system-ca "127.0.0.1:1/guest@$(jq -r .digest out)"
	echo "$output"
	[ "$status" -eq 7 ]
	rm -rf "$XDG_RUNTIME_DIR"
}
