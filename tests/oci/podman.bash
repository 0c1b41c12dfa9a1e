# SPDX-License-Identifier: Apache-2.0
# podman, buildah and an ordinary user's podman with kihon-oci as their runtime, for the suites that load oci/setup.
# An image test/busybox is imported from its root, and test/infra, which waits.

podman_() {
	"$WORK/private" env CONTAINERS_CONF="$WORK/containers.conf" podman --root "$WORK/podman" --runroot "$WORK/podman-run" \
		--storage-driver vfs --cgroup-manager cgroupfs --events-backend none --runtime "${RUNTIME:-kihon-oci}" "$@"
}

# containers_conf OCI: the configuration in which OCI is the runtime kihon-oci. The limits that podman would set may be
# above what this machine lets root raise.
containers_conf() {
	cat <<-END
	[containers]
	default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
	pids_limit = 0
	[engine]
	infra_image = "localhost/test/infra"
	runtime_supports_json = ["kihon-oci", "crun", "runc"]
	runtime_supports_nocgroups = ["kihon-oci", "crun"]
	runtime_supports_nocgroup = ["kihon-oci", "crun"]
	[engine.runtimes]
	kihon-oci = ["$1"]
	END
}

podman_setup() {
	command -v podman >/dev/null || skip "no podman"
	[ -e "$WORK/podman-ready" ] || {
		containers_conf "$OCI" >"$WORK/containers.conf"
		tar -C "$WORK/rootfs" -cf "$WORK/image.tar" .
		podman_ import "$WORK/image.tar" test/busybox >/dev/null 2>&1 || skip "podman does not work here"
		podman_ import --change 'CMD ["sleep", "1000"]' "$WORK/image.tar" test/infra >/dev/null 2>&1
		touch "$WORK/podman-ready"
	}
	LIMITS=(--network none)
	# shellcheck disable=SC2034 # the suites use it
	P=(run --rm "${LIMITS[@]}" --security-opt seccomp=unconfined)
}

podman_end() {
	# What holds the namespaces of the ordinary user.
	[ ! -s "$WORK/user/run/libpod/tmp/pause.pid" ] || kill "$(<"$WORK/user/run/libpod/tmp/pause.pid")" 2>/dev/null || true
	[ ! -e "$WORK/podman-ready" ] || podman_ pod rm -fat0 >/dev/null 2>&1 || true
	[ ! -e "$WORK/podman-ready" ] || podman_ rm -fat0 >/dev/null 2>&1 || true
}

buildah_() {
	"$WORK/private" env CONTAINERS_CONF="$WORK/containers.conf" buildah --root "$WORK/podman" --runroot "$WORK/podman-run" \
		--storage-driver vfs "$@"
}

# ---- an ordinary user, made up in a mount namespace, who has 65536 further ids

rootless_setup() {
	local f
	command -v podman >/dev/null || skip "no podman"
	command -v newuidmap >/dev/null || skip "no newuidmap (package uidmap)"
	[ -d "$WORK/user" ] && return
	mkdir -p "$WORK/user"/{home,run}
	tar -C "$WORK/rootfs" -cf "$WORK/user/image.tar" .
	cp "$OCI" "$WORK/user/kihon-oci"
	containers_conf "$WORK/user/kihon-oci" >"$WORK/user/containers.conf"
	for f in passwd group; do cp /etc/$f "$WORK/$f"; done
	echo "pod:x:61234:61234::$WORK/user/home:/bin/sh" >>"$WORK/passwd"
	echo 'pod:x:61234:' >>"$WORK/group"
	echo 'pod:200000:65536' >"$WORK/subids"
	chown -R 61234:61234 "$WORK/user"
	chmod 700 "$WORK/user/run"
	rootless import image.tar test/busybox >/dev/null 2>"$WORK/user.log" || {
		cat "$WORK/user.log"
		skip "podman does not work here for who is not root"
	}
}

# rootless WORD...: podman of that user.
rootless() {
	unshare -m bash -c '
		work=$1 runtime=$2
		shift 2
		for f in passwd group; do mount --bind "$work/$f" /etc/$f || exit; done
		for f in subuid subgid; do
			[ -e /etc/$f ] || : >/etc/$f
			mount --bind "$work/subids" /etc/$f || exit
		done
		umount -R /sys/fs/cgroup 2>/dev/null
		mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
		cd "$work/user" || exit
		exec setpriv --reuid 61234 --regid 61234 --clear-groups --inh-caps=-all env -i PATH="$PATH" HOME="$work/user/home" USER=pod \
			XDG_RUNTIME_DIR="$work/user/run" CONTAINERS_CONF="$work/user/containers.conf" podman --storage-driver vfs \
			--cgroup-manager cgroupfs --events-backend none --runtime "$runtime" "$@"' rootless "$WORK" "${RUNTIME:-kihon-oci}" "$@"
}
