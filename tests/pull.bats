#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-pull against a real registry (docker-registry with TLS and a password), images that umoci unpacks too, and a
# registry that misbehaves. Images come from tests/pull/images.py.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kihon-pull >&2
	export PULL=$ROOT/build/host/bin/kihon-pull LAYOUT=$BATS_FILE_TMPDIR/layout
	export TMPDIR=$BATS_FILE_TMPDIR
	python3 "$ROOT/tests/pull/images.py" "$LAYOUT"
	. "$ROOT/tests/registry.bash"
	registry_start "$BATS_FILE_TMPDIR/registry" --user demo --password secret
	export REGISTRY REGISTRY_PORT REGISTRY_CA REGISTRY_AUTHFILE REGISTRY_DIR REGISTRY_PID
	local tag
	for tag in rich rich-zstd base-a base-b; do
		registry_copy "oci:$LAYOUT:$tag" "images:$tag" --preserve-digests
	done
	registry_copy "oci:$LAYOUT:rich" images:docker --format v2s2
	registry_copy "oci:$LAYOUT:index" images:index --all --preserve-digests
	registry_push_busybox images:busybox
	python3 "$ROOT/tests/pull/server.py" "$LAYOUT" "$REGISTRY_DIR/server.pem" "$REGISTRY_DIR/server.key" \
		"$BATS_FILE_TMPDIR/ports" "$BATS_FILE_TMPDIR/log" 3>&- &
	export SERVER_PID=$! LOG=$BATS_FILE_TMPDIR/log
	. "$ROOT/tests/wait.bash"
	until_true test -e "$BATS_FILE_TMPDIR/ports"
	read -r SERVER_PORT OTHER_PORT <"$BATS_FILE_TMPDIR/ports"
	export SERVER=127.0.0.1:$SERVER_PORT OTHER_PORT
}

teardown_file() {
	kill "$SERVER_PID" "$REGISTRY_PID" 2>/dev/null || true
}

setup() {
	. "$ROOT/tests/registry.bash"
	. "$ROOT/tests/wait.bash"
	cd "$BATS_TEST_TMPDIR"
	STORE=$BATS_TEST_TMPDIR/store
	export no_proxy=127.0.0.1,localhost
}

teardown() {
	local m
	for m in "$BATS_TEST_TMPDIR"/mnt/*; do
		if mountpoint -q "$m"; then umount "$m"; fi
	done
	if mountpoint -q "$BATS_TEST_TMPDIR/merged"; then umount "$BATS_TEST_TMPDIR/merged"; fi
}

# pull REFERENCE [OPTION...]: as the tests do it, with the CA.
pull() { "$PULL" pull --no-system-ca --ca "$REGISTRY_CA" --store "$STORE" --json "${@:2}" "$1"; }
pull_real() { pull "$REGISTRY/images:$1" --authfile "$REGISTRY_AUTHFILE" "${@:2}"; }

# fails STATUS PATTERN COMMAND...: one line on stderr that fits, nothing in the store.
fails() {
	local status=$1 pattern=$2
	run --separate-stderr "${@:3}"
	echo "status $status, got $status: $stderr $output"
	[ "$status" -eq "$1" ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == kihon-pull:*$pattern* ]]
	nothing_left
}
nothing_left() { [ ! -e "$STORE" ] || [ -z "$(find "$STORE" -type f)" ]; }

has_part() { [ -n "$(find "$STORE" -name '.part*')" ]; }

files() { jq -r '.layers[].file'; }

# merge FILE...: mounts the layers, lowest first, one over the other, at merged/. A later umount is teardown's.
merge() {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	local i=0 lower='' f
	rm -rf mnt upper work merged
	mkdir -p mnt upper work merged
	for f in "$@"; do
		i=$((i + 1))
		mkdir "mnt/$i"
		mount -t erofs -o loop,ro "$f" "mnt/$i" || skip "cannot mount EROFS here"
		lower="mnt/$i${lower:+:$lower}"
	done
	mount -t tmpfs none upper && mkdir upper/u upper/w
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=upper/u,workdir=upper/w" merged || skip "cannot mount overlayfs here"
	umount -l upper
}

# same_as_umoci TAG FILE...: our layers show what umoci unpacks.
same_as_umoci() {
	merge "${@:2}"
	umoci unpack --image "$LAYOUT:$1" bundle >/dev/null
	python3 "$ROOT/tests/pull/tree-dump.py" merged >ours
	python3 "$ROOT/tests/pull/tree-dump.py" bundle/rootfs >theirs
	[ "$(wc -l <ours)" -gt "${MIN_ENTRIES:-1}" ]
	diff ours theirs
}

# ---------------------------------------------------------------- what it is for

@test "a rich image shows what umoci unpacks, file by file" {
	pull_real rich >out
	mapfile -t f < <(files <out)
	[ "${#f[@]}" -eq 4 ]
	for i in "${f[@]}"; do fsck.erofs "$i" >/dev/null; done
	MIN_ENTRIES=500 same_as_umoci rich "${f[@]}"
	getfattr -n security.capability --only-values merged/bin/ping | od -An -tx1 | grep -q '01 00 00 02 00 20'
	[ "$(stat -c %a merged/tmp)" = 1777 ] # its topmost layer has no entry for it
	[ -e merged/usr/lib/through-the-link ] && [ -L merged/lib ]
}

@test "a sparse file of GNU tar has its holes" {
	pull "$SERVER/plain:sparse-gnu" >out
	merge $(files <out)
	cmp merged/sparse-gnu merged/sparse-pax10
	[ "$(stat -c %s merged/sparse-gnu)" -eq 5000000 ]
	[ "$(head -c 65537 merged/sparse-gnu | tail -c 1)" = b ]
	[ "$(stat -c %b "$(files <out)")" -lt 2000 ] # the image has them too
}

@test "the result says what the image is" {
	pull_real rich >out
	[ "$(jq -r .manifest_digest out)" = "$(skopeo inspect --raw "oci:$LAYOUT:rich" | sha256sum | sed 's/^/sha256:/; s/ .*//')" ]
	[ "$(jq -c .config out)" = '{"entrypoint":["/entry","a b"],"cmd":["c"],"env":["A=b","Q=\"x\""],"working_dir":"/w","user":"1:2"}' ]
	local want got
	want=$(skopeo inspect --config --raw "oci:$LAYOUT:rich" | jq -c .rootfs.diff_ids)
	got=$(jq -c '[.layers[].diff_id]' out)
	[ "$want" = "$got" ]
	for i in 0 1 2 3; do
		[ "$(jq -r ".layers[$i].size" out)" -eq "$(stat -c %s "$(jq -r ".layers[$i].file" out)")" ]
	done
}

@test "zstd, several gzip members and plain layers give the same files" {
	pull_real rich | files | xargs sha256sum | sed 's/ .*//' >gzip
	STORE=$STORE-zstd
	pull_real rich-zstd | files | xargs sha256sum | sed 's/ .*//' >zstd
	diff gzip zstd
}

@test "a docker schema 2 manifest gives the same layers" {
	pull_real rich | jq -c '[.layers[].diff_id]' >oci
	pull_real docker | jq -c '[.layers[].diff_id]' >docker
	diff oci docker
	curl -s --cacert "$REGISTRY_CA" -u demo:secret -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		"https://$REGISTRY/v2/images/manifests/docker" | grep -q vnd.docker
}

@test "an index leads to the platform that is asked for" {
	pull_real index >out
	merge $(files <out)
	[ "$(cat merged/arch)" = amd64 ]
	[ "$(jq -r .manifest_digest out)" != "$(skopeo inspect --raw "oci:$LAYOUT:index" | sha256sum | sed 's/^/sha256:/; s/ .*//')" ]
	pull_real index --platform linux/arm64 | files >files
	umount merged
	umount mnt/*
	merge $(cat files)
	[ "$(cat merged/arch)" = arm64 ]
	STORE=$STORE-2
	fails 3 "not there for linux/riscv64 (there is: linux/arm64, linux/amd64)" pull_real index --platform linux/riscv64
}

@test "by digest: the manifest's and the index's" {
	local d
	d=$(skopeo inspect --raw "oci:$LAYOUT:rich" | sha256sum | cut -d' ' -f1)
	pull "$REGISTRY/images@sha256:$d" --authfile "$REGISTRY_AUTHFILE" >/dev/null
	d=$(skopeo inspect --raw "oci:$LAYOUT:index" | sha256sum | cut -d' ' -f1)
	pull "$REGISTRY/images:ignored@sha256:$d" --authfile "$REGISTRY_AUTHFILE" >/dev/null
}

@test "layers that are there are not fetched again" {
	pull_real rich >first
	local before
	before=$(stat -c '%i %Y %Z' "$STORE"/layers/*)
	pull_real rich --progress-fd 5 5>progress >second
	cmp first second
	[ "$before" = "$(stat -c '%i %Y %Z' "$STORE"/layers/*)" ]
	[ "$(grep -c '"reused":true,"finished":true' progress)" -eq 4 ]
}

@test "a layer without its parents is kept for the layers below it only" {
	pull_real base-a >a
	pull_real base-b >b
	[ "$(jq -r '.layers[1].diff_id' a)" = "$(jq -r '.layers[1].diff_id' b)" ]
	[ "$(jq -r '.layers[1].file' a)" != "$(jq -r '.layers[1].file' b)" ]
	same_as_umoci base-a $(files <a)
	umount merged
	umount mnt/*
	rm -rf bundle
	same_as_umoci base-b $(files <b)
	pull_real base-a --progress-fd 5 5>progress >again
	cmp a again
	[ "$(grep -c '"reused":true' progress)" -eq 2 ]
}

@test "a layer that occurs twice is given once, and the image is the same" {
	pull "$SERVER/plain:doubles" >out
	[ "$(jq '.layers | length' out)" -eq 2 ]
	same_as_umoci doubles $(files <out)
}

@test "an empty layer, and no layer at all" {
	pull "$SERVER/plain:empty-layer" >out
	same_as_umoci empty-layer $(files <out)
	[ "$(pull "$SERVER/plain:no-layers" | jq -c .layers)" = '[]' ]
}

@test "sixty layers, and sixteen at a time" {
	[ "$(pull "$SERVER/plain:many" | jq '.layers | length')" -eq 60 ]
	mkdir config
	echo 'image.max_concurrent_layer_downloads_per_image = 16' >config/cdh.toml
	STORE=$STORE-2
	[ "$(pull "$SERVER/plain:many" --config config | jq '.layers | length')" -eq 60 ]
}

@test "busybox, and what it says without --json" {
	run "$PULL" pull --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE" --store "$STORE" "$REGISTRY/images:busybox"
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == sha256:* ]]
	[[ "${lines[1]}" == "$STORE/layers/sha256-"*.erofs\ * ]]
}

# ---------------------------------------------------------------- logins, certificates, configuration

@test "wrong password, no password, unknown image" {
	fails 4 "wants a login" pull "$REGISTRY/images:rich"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf 'demo:wrong-pass' | base64)" >auth.json
	fails 4 "does not accept the user and password" pull "$REGISTRY/images:rich" --authfile auth.json
	[[ "$stderr" != *wrong-pass* ]]
	fails 3 'the registry has no image "nothing": manifest unknown' pull_real nothing
	fails 3 'no image "latest"' pull "$REGISTRY/other" --authfile "$REGISTRY_AUTHFILE"
}

@test "bad certificates" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=other -keyout k -out other.pem 2>/dev/null
	local pull=("$PULL" pull --no-system-ca --store "$STORE" --authfile "$REGISTRY_AUTHFILE")
	fails 5 "certificate" "${pull[@]}" --ca other.pem "$REGISTRY/images:rich"
	fails 5 "no certificate authority is trusted" "${pull[@]}" "$REGISTRY/images:rich"
	fails 5 "certificate" "${pull[@]}" --ca "$REGISTRY_CA" "127.0.0.2:$REGISTRY_PORT/images:rich" || \
		fails 4 "connect" "${pull[@]}" --ca "$REGISTRY_CA" "127.0.0.2:$REGISTRY_PORT/images:rich"
	fails 3 "holds no certificate" "${pull[@]}" --ca /etc/passwd "$REGISTRY/images:rich"
	fails 4 "No such file" "${pull[@]}" --ca missing.pem "$REGISTRY/images:rich"
}

@test "plain HTTP only where it is asked for" {
	fails 4 "" pull "$SERVER/plain:index" --plain-http "$SERVER" # TLS there: HTTP gets no answer
	cat >web.py <<-END
		import http.server, sys
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        open("asked", "w").close(); self.send_response(404); self.end_headers()
		s = http.server.HTTPServer(("127.0.0.1", 0), H)
		open("port", "w").write(str(s.server_port)); s.serve_forever()
	END
	python3 web.py 2>/dev/null 3>&- &
	local pid=$!
	until_true test -s port
	run --separate-stderr pull "127.0.0.1:$(cat port)/x"
	[ "$status" -ne 0 ]
	[ ! -e asked ]
	fails 3 "no image" pull "127.0.0.1:$(cat port)/x" --plain-http "127.0.0.1:$(cat port)"
	[ -e asked ]
	kill "$pid"
}

@test "bearer tokens, renewed when they run out" {
	local auth
	auth=$(printf 'demo:secret' | base64)
	printf '{"auths":{"%s/bearer":{"auth":"%s"}}}' "$SERVER" "$auth" >auth.json
	pull "$SERVER/bearer:many" --authfile auth.json >out
	[ "$(jq '.layers | length' out)" -eq 60 ]
	[ "$(grep -c '/token' "$LOG")" -gt 10 ]
	rm -r "$STORE"
	fails 4 "wants a login" pull "$SERVER/bearer:rich"
	fails 3 "of a kind that is not supported" pull "$SERVER/strange:rich"
}

@test "redirections: relative, to another host without the password, never to http" {
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$SERVER" "$(printf 'demo:secret' | base64)" >auth.json
	: >"$LOG"
	pull "$SERVER/redirect:rich" --authfile auth.json >out
	[ "$(jq '.layers | length' out)" -eq 4 ]
	grep -q "^$OTHER_PORT /cdn/.* auth=none" "$LOG"
	! grep -q "^$OTHER_PORT .* auth=Basic" "$LOG"
	rm -r "$STORE"
	fails 5 "a redirection from https to" pull "$SERVER/downgrade:rich"
	fails 3 "more than 5 redirections" pull "$SERVER/circle:rich"
}

@test "configuration: CA, credentials, mirrors, policy from a folder" {
	mkdir config
	{
		printf '[image]\nextra_root_certificates = ["""\n'
		cat "$REGISTRY_CA"
		printf '"""]\nauthenticated_registry_credentials_uri = "file:///auth.json"\n'
		printf '[[image.registry_config.registry]]\nprefix = "example.invalid/lib"\nlocation = "%s/images"\n' "$REGISTRY"
		printf '[[image.registry_config.registry.mirror]]\nlocation = "127.0.0.1:1/nobody"\n'
	} >config/cdh.toml
	cp "$REGISTRY_AUTHFILE" config/auth.json
	"$PULL" pull --no-system-ca --store "$STORE" --config config --json example.invalid/lib:rich >out
	[ "$(jq '.layers | length' out)" -eq 4 ]
	rm -r "$STORE"
	printf '{"default":[{"type":"reject"}]}' >config/policy.json
	fails 5 "the image policy rejects it" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
	printf '{"default":[{"type":"signedBy"}]}' >config/policy.json
	fails 5 "wants a signature" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
	printf '{"default":[{"type":"reject"}],"transports":{"docker":{"%s/images":[{"type":"insecureAcceptAnything"}]}}}' "$REGISTRY" >config/policy.json
	"$PULL" pull --no-system-ca --store "$STORE" --config config --json example.invalid/lib:rich >again
	cmp out again
	echo '{' >config/policy.json
	rm -r "$STORE"
	fails 3 "policy.json" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
	echo 'image = 7' >config/cdh.toml
	fails 3 "cdh.toml" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
	echo 'image.authenticated_registry_credentials_uri = "file:///../../../etc/passwd"' >config/cdh.toml
	fails 3 "there is no" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
	echo 'image.image_security_policy_uri = "kbs:///a/b/c"' >config/cdh.toml
	fails 3 "not supported, only file:///" "$PULL" pull --no-system-ca --store "$STORE" --config config example.invalid/lib:rich
}

@test "init-data: a device becomes the files of a folder" {
	python3 - "$REGISTRY_CA" >device <<-'END'
		import gzip, json, sys
		toml = 'version = "0.1.0"\nalgorithm = "sha384"\n[data]\n"cdh.toml" = %s\n"other.txt" = "x"\n' % json.dumps(
		    "[image]\nextra_root_certificates = ['''\n" + open(sys.argv[1]).read() + "''']\n")
		z = gzip.compress(toml.encode())
		open("toml", "w").write(toml)
		sys.stdout.buffer.write(b"initdata" + len(z).to_bytes(8, "little") + z + bytes(100000))
	END
	"$PULL" init-data --out config <device
	cmp toml config/initdata.toml
	[ "$(cat config/other.txt)" = x ]
	[ "$(stat -c %a config/cdh.toml)" = 400 ]
	[ "$(ls config | wc -l)" -eq 3 ]
	"$PULL" pull --no-system-ca --store "$STORE" --config config --authfile "$REGISTRY_AUTHFILE" "$REGISTRY/images:busybox"
	rm -r "$STORE"
	printf 'no such thing here' >bad
	fails 3 "does not begin with" sh -c '"$0" init-data --out bad.d <bad' "$PULL"
	head -c 60 device >bad
	fails 3 "are said to follow" sh -c '"$0" init-data --out bad.d <bad' "$PULL"
	[ -z "$(ls bad.d)" ]
}

# ---------------------------------------------------------------- transfers that go wrong

@test "a broken transfer goes on where it ended" {
	: >"$LOG"
	pull "$SERVER/break:rich" >out
	grep -q 'range=bytes=[1-9]' "$LOG"
	same_as_umoci rich $(files <out)
}

@test "a broken transfer from a server without ranges begins anew" {
	pull "$SERVER/norange:rich" | files | xargs sha256sum | sed 's/ .*//' >ours
	STORE=$STORE-2
	pull "$SERVER/plain:rich" | files | xargs sha256sum | sed 's/ .*//' >want
	diff ours want
}

@test "a server that is busy is asked again" {
	[ "$(pull "$SERVER/busy:rich" | jq '.layers | length')" -eq 4 ]
}

@test "transfers that never work end" {
	fails 4 "" pull "$SERVER/always:rich"
	fails 3 "a range that was not asked for" pull "$SERVER/wrongrange:rich"
	fails 4 "connect" pull 127.0.0.1:1/x
}

@test "blobs and manifests that are not what they should be" {
	fails 5 "the layer's blob ends after" pull "$SERVER/short:rich"
	fails 5 "is larger than" pull "$SERVER/long:bad-gzip" || fails 5 "of" pull "$SERVER/long:bad-gzip"
	fails 5 "does not have its digest" pull "$SERVER/flip:rich-zstd" || fails 3 "damaged" pull "$SERVER/flip:rich-zstd"
	local d
	d=$(skopeo inspect --raw "oci:$LAYOUT:rich" | sha256sum | cut -d' ' -f1)
	fails 5 "the manifest does not have its digest" pull "$SERVER/flipmanifest@sha256:$d"
	fails 3 "" pull "$SERVER/plain@sha256:${d//[0-9]/a}"
	fails 3 "is not JSON" pull "$SERVER/nonsense:rich"
	fails 3 "schema version 1" pull "$SERVER/schema1:rich"
	fails 3 "more than" pull "$SERVER/endless:rich"
}

@test "interrupted: nothing is left, by SIGTERM, by SIGKILL at the next start" {
	: >"$LOG"
	"$PULL" pull --no-system-ca --ca "$REGISTRY_CA" --store "$STORE" "$SERVER/hang:rich" 2>err 3>&- &
	local pid=$!
	until_true grep -q hanging "$LOG"
	until_true has_part
	kill -TERM "$pid"
	local status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	grep -q interrupted err
	[ -z "$(find "$STORE" -name '.part*')" ]
	: >"$LOG"
	"$PULL" pull --no-system-ca --ca "$REGISTRY_CA" --store "$STORE" "$SERVER/hang:rich" 2>/dev/null 3>&- &
	pid=$!
	until_true grep -q hanging "$LOG"
	until_true has_part
	kill -KILL "$pid"
	wait "$pid" || true
	[ -n "$(find "$STORE" -name '.part*')" ]
	pull "$SERVER/plain:rich" >/dev/null
	[ -z "$(find "$STORE" -name '.part*')" ]
}

@test "--timeout ends what hangs" {
	fails 4 "not done after 1 s" pull "$SERVER/hang:many-hang" --timeout 1s || fails 4 "not done after 1 s" pull "$SERVER/hang:rich" --timeout 1s
}

@test "several at once share a store" {
	local i
	for i in 1 2 3 4; do
		pull "$SERVER/plain:rich" >"out$i" 3>&- &
	done
	wait
	for i in 1 2 3 4; do cmp out1 "out$i"; done
	[ -z "$(find "$STORE" -name '.part*')" ]
	same_as_umoci rich $(files <out1)
}

# ---------------------------------------------------------------- images that are wrong or want out

@test "images that are wrong" {
	fails 5 "the unpacked layer does not have its digest" pull "$SERVER/plain:bad-diffid"
	fails 3 "1 layers, but the config has 0 diff_ids" pull "$SERVER/plain:bad-count"
	fails 3 "the gzip stream" pull "$SERVER/plain:bad-gzip"
	fails 3 "the gzip stream ends in the middle" pull "$SERVER/plain:cut-gzip"
	fails 3 "the gzip stream" pull "$SERVER/plain:gzip-rubbish"
	fails 3 "no gzip header" pull "$SERVER/plain:not-gzip"
	fails 3 "unknown type" pull "$SERVER/plain:unknown-type"
	fails 3 "encrypted" pull "$SERVER/plain:encrypted"
	fails 3 "made for windows" pull "$SERVER/plain:windows"
	fails 3 "for linux/arm64, not for linux/amd64" pull "$SERVER/plain:other-arch"
	fails 3 "not there for linux/amd64 (there is: linux/arm64)" pull "$SERVER/plain:index-without"
	fails 3 "another index" pull "$SERVER/plain:index-of-index"
	fails 3 "not a tar archive" pull "$SERVER/plain:not-tar"
	fails 3 "the tar archive ends in the middle" pull "$SERVER/plain:cut-tar"
}

@test "archives that want too much" {
	fails 3 "a tar header of 4294967296 bytes" pull "$SERVER/plain:hostile-header"
	fails 3 "unpacks to more than 68719476736 bytes" pull "$SERVER/plain:hostile-size"
	fails 3 "more than 2000 files" pull "$SERVER/plain:hostile-many" --max-files 2000
	fails 3 "(limit)" pull "$SERVER/plain:zip-bomb" --max-unpacked 1M --max-files 100
	fails 3 "longer than the 4095 bytes" pull "$SERVER/plain:hostile-deep"
	fails 3 "unknown tar type" pull "$SERVER/plain:hostile-type"
	fails 3 "too many symbolic links" pull "$SERVER/plain:hostile-loop"
	fails 3 "which neither the layer nor those below it hold" pull "$SERVER/plain:hostile-hardlink"
	fails 3 "no whiteout that means anything" pull "$SERVER/plain:hostile-whiteout"
}

@test "archives that want out stay inside" {
	local tag
	for tag in dotdot absolute symlink lower-symlink hardlink; do
		rm -rf "$STORE"
		pull "$SERVER/plain:contained-$tag" >out
		[ ! -e /escaped ]
		merge $(files <out)
		[ -f merged/escaped ]
		umount merged
		umount mnt/*
	done
}

# ---------------------------------------------------------------- the process itself

@test "usage errors" {
	run --separate-stderr "$PULL" pull
	[ "$status" -eq 2 ] && [ "${#stderr_lines[@]}" -le 2 ]
	run --separate-stderr "$PULL" pull "$SERVER/x"
	[ "$status" -eq 2 ] && [[ "$stderr" == *"--store DIR is missing"* ]]
	run --separate-stderr "$PULL" pull --store "$STORE" --nonsense x
	[ "$status" -eq 2 ] && [[ "$stderr" == *nonsense* ]]
	fails 3 "not an image reference" "$PULL" pull --store "$STORE" "https://$SERVER/x"
	fails 2 "is not a platform" "$PULL" pull --store "$STORE" --platform linux x
	run "$PULL" --help
	[ "$status" -eq 0 ]
	run "$PULL" --version
	[ "$status" -eq 0 ]
}

@test "a store that cannot be written, and one without room" {
	: >file
	run --separate-stderr "$PULL" pull --store file/store "$SERVER/plain:rich"
	[ "$status" -eq 4 ] && [ "${#stderr_lines[@]}" -eq 1 ]
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	mkdir -p mnt/small
	mount -t tmpfs -o size=1m none mnt/small || skip "cannot mount here"
	STORE=$PWD/mnt/small/store
	fails 4 "No space left" pull "$SERVER/plain:rich"
}

@test "it works as an ordinary user, and is confined" {
	[ "$(id -u)" -eq 0 ] || skip "changing the user needs root"
	mkdir -m 0777 open
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$REGISTRY_DIR" 2>/dev/null || true
	: >"$LOG"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$PULL" pull --no-system-ca --ca "$REGISTRY_CA" \
		--store "$PWD/open/store" "$SERVER/hang:rich" 2>/dev/null 3>&- &
	local pid=$!
	until_true grep -q hanging "$LOG"
	grep -E '^(NoNewPrivs|Seccomp|Cap[A-Z][a-z]+):' "/proc/$pid/status" >status || true
	kill "$pid"
	cat status
	grep -q 'NoNewPrivs:.*1' status
	grep -q 'CapEff:.*0000000000000000' status
	grep -Eq 'Seccomp:.*2' status || grep -q asan "$PULL"
	[ "$(stat -c %u open/store/layers)" -eq 65534 ]
}

@test "memory stays small, however large the image" {
	if nm "$PULL" 2>/dev/null | grep -q __asan_init; then skip "sanitizers use memory of their own"; fi
	python3 "$ROOT/tests/pull/images.py" large --large 200
	registry_copy oci:large:large images:large --preserve-digests
	run /usr/bin/env python3 - "$PULL" --no-system-ca --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE" --store "$STORE" "$REGISTRY/images:large" <<-'END'
		import resource, subprocess, sys
		subprocess.run([sys.argv[1], "pull"] + sys.argv[2:], check=True, stdout=subprocess.DEVNULL)
		print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
	END
	echo "peak resident: $output KiB"
	[ "$status" -eq 0 ] && [ "$output" -lt $((64 * 1024)) ]
	rm -rf large
}
