# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A real registry (Debian's docker-registry) with TLS on the loopback, for tests and the demo. Source it.
#
#	registry_start DIR [--user U --password P]
#		sets REGISTRY_PORT, REGISTRY (127.0.0.1:PORT), REGISTRY_CA (PEM file), REGISTRY_AUTHFILE
#		(auth.json that holds the password for both names), REGISTRY_DIR. The certificate names
#		127.0.0.1 and 10.0.2.2, which is this machine's loopback seen by a guest.
#	registry_copy SOURCE NAME:TAG [SKOPEO OPTION...]	copies an image into it with skopeo
#	registry_push_busybox NAME:TAG	makes an image from this machine's static busybox and pushes it
#	registry_stop

registry_free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

registry_take_port() {
	REGISTRY_PORT=$(registry_free_port)
	REGISTRY=127.0.0.1:$REGISTRY_PORT
}

# registry_answers: within a minute at least; it fails at once when the registry has ended.
registry_answers() {
	local i
	for ((i = 0; i < 600; i++)); do
		kill -0 "$REGISTRY_PID" 2>/dev/null || return 1
		curl -s -o /dev/null --cacert "$REGISTRY_CA" "https://$REGISTRY/v2/" && return 0
		sleep 0.1
	done
	return 1
}

# A CA and a server certificate below REGISTRY_DIR. A CA may not be used as a server's certificate.
registry_certificates() {
	local d=$REGISTRY_DIR
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj "/CN=Kihon test CA" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
		-keyout "$d/ca.key" -out "$d/ca.pem" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=registry" \
		-keyout "$d/server.key" -out "$d/server.csr" 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1,IP:10.0.2.2,DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' >"$d/server.ext"
	openssl x509 -req -in "$d/server.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 2 \
		-extfile "$d/server.ext" -out "$d/server.pem" 2>/dev/null
}

registry_write_config() { # HTPASSWD FILE or ""
	cat >"$REGISTRY_DIR/config.yml" <<-END
		version: 0.1
		log: {level: warn}
		storage: {filesystem: {rootdirectory: $REGISTRY_DIR/data}, delete: {enabled: true}}
		http:
		  addr: 127.0.0.1:$REGISTRY_PORT
		  tls: {certificate: $REGISTRY_DIR/server.pem, key: $REGISTRY_DIR/server.key}
	END
	[ -z "$1" ] || printf 'auth: {htpasswd: {realm: kihon, path: %s}}\n' "$1" >>"$REGISTRY_DIR/config.yml"
}

registry_start() {
	REGISTRY_DIR=$1
	shift
	local user='' password='' htpasswd='' auth old
	while [ $# -gt 0 ]; do
		case $1 in
		--user) user=$2 ;;
		--password) password=$2 ;;
		*) echo "registry_start: unknown option $1" >&2; return 2 ;;
		esac
		shift 2
	done
	mkdir -p "$REGISTRY_DIR/data"
	registry_certificates || { echo "registry_start: cannot make certificates" >&2; return 1; }
	REGISTRY_CA=$REGISTRY_DIR/ca.pem
	REGISTRY_AUTHFILE=$REGISTRY_DIR/auth.json
	registry_take_port
	(umask 077; echo '{"auths":{}}' >"$REGISTRY_AUTHFILE")
	if [ -n "$user" ]; then
		htpasswd=$REGISTRY_DIR/htpasswd
		printf '%s\n' "$password" | htpasswd -inB "$user" 2>/dev/null >"$htpasswd"
		auth=$(printf '%s:%s' "$user" "$password" | base64 -w0)
		printf '{"auths":{"%s":{"auth":"%s"},"10.0.2.2:%s":{"auth":"%s"}}}\n' \
			"$REGISTRY" "$auth" "$REGISTRY_PORT" "$auth" >"$REGISTRY_AUTHFILE"
	fi
	# A port that was free may be somebody else's by the time that the registry wants it.
	for _ in 1 2 3 4 5; do
		registry_write_config "$htpasswd"
		docker-registry serve "$REGISTRY_DIR/config.yml" >"$REGISTRY_DIR/log" 2>&1 3>&- &
		REGISTRY_PID=$!
		registry_answers && return 0
		grep -q 'address already in use' "$REGISTRY_DIR/log" || break
		old=$REGISTRY_PORT
		registry_take_port
		sed -i "s/:$old\"/:$REGISTRY_PORT\"/g" "$REGISTRY_AUTHFILE"
	done
	echo "registry_start: docker-registry does not answer: $(tail -1 "$REGISTRY_DIR/log")" >&2
	registry_stop
	return 1
}

registry_copy() {
	local source=$1 target=$2 certs=$REGISTRY_DIR/certs.d
	shift 2
	mkdir -p "$certs"
	cp "$REGISTRY_CA" "$certs/ca.crt"
	skopeo --insecure-policy copy -q "$@" --dest-cert-dir "$certs" --dest-authfile "$REGISTRY_AUTHFILE" \
		"$source" "docker://$REGISTRY/$target"
}

# registry_make_busybox OCI-LAYOUT-DIR TAG: an image of one layer: busybox, its links, /etc.
registry_make_busybox() {
	local layout=$1 tag=$2 bundle applet
	bundle=$(mktemp -d "$REGISTRY_DIR/bundle-XXXXXX")
	umoci init --layout "$layout" 2>/dev/null || [ -d "$layout" ] || return 1
	umoci new --image "$layout:$tag"
	umoci unpack --rootless --image "$layout:$tag" "$bundle/b" >/dev/null 2>&1 || return 1
	local root=$bundle/b/rootfs
	mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root" "$root/proc" "$root/sys" "$root/dev"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	chmod 1777 "$root/tmp"
	umoci repack --image "$layout:$tag" "$bundle/b" >/dev/null || return 1
	umoci config --image "$layout:$tag" --config.cmd /bin/sh --config.env PATH=/bin --config.workingdir /
	rm -rf "$bundle"
}

registry_push_busybox() {
	local layout=$REGISTRY_DIR/busybox-layout
	[ -d "$layout" ] || registry_make_busybox "$layout" latest || return 1
	registry_copy "oci:$layout:latest" "$1"
}

registry_stop() {
	[ -n "${REGISTRY_PID-}" ] || return 0
	kill "$REGISTRY_PID" 2>/dev/null || true
	wait "$REGISTRY_PID" 2>/dev/null || true
	REGISTRY_PID=
}
