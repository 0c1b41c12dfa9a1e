#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Guests of `kihon boot --net tap=...` in QEMU, each with a tap interface in a network namespace of its own; what is
# refused. The built-in monitor's, and `kihon network`: tests/nested/steps/network, long-network.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s guest build/host/bin/kihon build/nested/network/image.json build/image/container/image.json >&2
	make -s build/host/test/vmm/spin >&2
	export IMAGE=$PWD/build/nested/network SPIN=$PWD/build/host/test/vmm/spin CONTAINER=$PWD/build/image/container KIHON=$PWD/build/host/bin/kihon
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
}

# In a network of our own, with what the test has in the file `inside`, and these words.
isolated() {
	unshare -n --pid --fork --mount-proc --kill-child true 2>/dev/null || skip "no network namespaces here"
	{ : 3<>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
	cat - inside >script <<-'SH'
		set -e
		tap() { ip tuntap add dev "$@"; }
		address() { ip addr add "$2" dev "$1"; ip link set "$1" up; }
		boot() { timeout 150 $AS "$KIHON" boot --vmm qemu --accel tcg --timeout 120s "$@"; }
		# What the guest of $IMAGE asks 10.0.2.2 for.
		serve() {
			head -c 500000 /dev/urandom >file
			busybox httpd -f -p 10.0.2.2:7000 >/dev/null 2>&1 3>&- &
			busybox nc -l -p 7001 -e sh -c 'cat >back' >/dev/null 2>&1 3>&- &
			receiver=$!
		}
		# What the guest sent may still be on its way when the guest has ended.
		received() { [ "$1" -ne 42 ] || wait $receiver; }
		trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
		ip link set lo up
	SH
	# With its processes, whatever the script has left.
	run unshare -n --pid --fork --mount-proc --kill-child bash script "$@"
	echo "$output"
}

@test "a tap with an address: both ways, the tap's MTU, the guest's status" {
	cat >inside <<-'SH'
		tap kt0 mode tap
		ip link set kt0 mtu 1400
		address kt0 10.0.2.2/24
		serve
		status=0
		boot --net tap=kt0 --ip 10.0.2.15/24 --gateway 10.0.2.2 --mac 02:00:00:00:00:07 "$IMAGE" >out || status=$?
		received $status
		exit $status
	SH
	isolated
	[ "$status" -eq 42 ]
	grep -qx 'inet 10.0.2.15/24' out
	grep -q '^default via 10.0.2.2 dev eth0' out
	grep -qx 'mtu 1400' out
	grep -q "^$(md5sum <file)" out
	cmp file back
	grep -qx 'link/ether 02:00:00:00:00:07' out
}

@test "a user who is not root, with a tap of his own" {
	local room=$BATS_FILE_TMPDIR/room
	mkdir -p "$room/run"
	cp "$KIHON" "$room/kihon"
	cp -r "$IMAGE" "$room/image"
	chmod -R a+rX "$room"
	setpriv --reuid 65534 --clear-groups ls "$room/image" >/dev/null 2>&1 || {
		room=$(mktemp -d /var/tmp/kihon-tap-XXXXXX)
		cp -r "$BATS_FILE_TMPDIR/room/." "$room"
		chmod 755 "$room"
	}
	chmod 1777 "$room/run"
	cat >inside <<-'SH'
		# The device file is everybody's on most systems, not on all.
		mknod tun c 10 200
		chmod 666 tun
		mount --bind tun /dev/net/tun
		tap kt0 mode tap user 65534
		tap kt1 mode tap user 1
		address kt0 10.0.2.2/24
		serve
		KIHON=$1/kihon AS="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"
		export XDG_RUNTIME_DIR=$1/run HOME=$1
		status=0
		boot --net tap=kt1 --ip none "$1/image" >other 2>&1 || status=$?
		[ $status -eq 125 ]
		status=0
		boot --net tap=kt0 --ip 10.0.2.15/24 "$1/image" >out || status=$?
		received $status
		exit $status
	SH
	isolated "$room"
	[[ $room == "$BATS_FILE_TMPDIR"/* ]] || rm -rf "$room"
	[ "$status" -eq 42 ]
	cmp file back
	[ "$(wc -l <other)" -eq 1 ]
	grep -q "kt1.*not this user's" other
}

@test "a tap with a DHCP server: the program's kernel and the agent's init ask it" {
	cat >inside <<-'SH'
		tap kt0 mode tap
		address kt0 10.0.2.2/24
		serve
		printf '%s\n' 'start 10.0.2.40' 'end 10.0.2.49' 'interface kt0' 'opt subnet 255.255.255.0' 'opt router 10.0.2.2' \
			"lease_file $PWD/leases" "pidfile $PWD/pid" 'static_lease 02:00:00:00:00:08 10.0.2.77' >dhcp.conf
		: >leases
		busybox udhcpd -f -S dhcp.conf >/dev/null 2>&1 3>&- &
		status=0
		boot --net tap=kt0 "$IMAGE" >out || status=$?
		received $status
		[ $status -eq 42 ]
		boot --net tap=kt0 --mac 02:00:00:00:00:08 "$CONTAINER" >other 2>&1 3>&- &
		guest=$!
		for ((try = 0; try < 100; try++)); do
			! busybox ping -c 1 -W 1 10.0.2.77 >/dev/null 2>&1 || exit 0
			kill -0 $guest || exit 1
			sleep 0.3
		done
		exit 1
	SH
	isolated
	cat out other || true
	[ "$status" -eq 0 ]
	grep -q '^inet 10.0.2.4[0-9]/24' out
	grep -q '^default via 10.0.2.2 dev eth0' out
	cmp file back
}

@test "interfaces that are not there, not taps, or somebody else's: 125 and one line" {
	cat >inside <<-'SH'
		tap kt0 mode tap
		tap tun0 mode tun
		no() { # NAME
			status=0
			boot --net "tap=$1" --ip none "$IMAGE" >>said 2>&1 || status=$?
			[ $status -eq 125 ]
		}
		no none0
		! ip link show none0 2>/dev/null
		no lo
		no tun0
		boot --net tap=kt0 --ip none "$IMAGE" >/dev/null 2>&1 3>&- &
		until [ "$(cat /sys/class/net/kt0/carrier 2>/dev/null || busybox cat /proc/self/net/dev | grep -c kt0)" = 1 ] && ip link show kt0 | grep -q LOWER_UP; do
			ip link set kt0 up
			sleep 0.2
		done
		no kt0
	SH
	isolated
	[ "$status" -eq 0 ]
	grep -v emulating said >lines
	cat lines
	[ "$(wc -l <lines)" -eq 4 ]
	sed -n 1p lines | grep -q 'no interface none0: make it'
	sed -n 2p lines | grep -q 'lo.*no tap interface'
	sed -n 3p lines | grep -q 'tun0.*no tap interface'
	sed -n 4p lines | grep -q 'kt0.*another program has it'
}

@test "words that do not fit: status 2 and one line" {
	local words
	for words in '--net other' '--net tap=' '--net tap=a/b' '--net user --ip 192.0.2.5/24' '--net none --mac 02:00:00:00:00:01' \
		'--net tap=t --ip 192.0.2.5' '--net tap=t --ip 192.0.2.5/33' '--net tap=t --gateway 192.0.2.1' \
		'--net tap=t --ip 192.0.2.5/24 --gateway x' '--net tap=t --mac 03:00:00:00:00:01'; do
		# shellcheck disable=SC2086
		run "$KIHON" boot --accel tcg $words "$IMAGE"
		echo "$words: $status $output"
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	for words in 'attach' 'nonsense nobody' 'detach nobody' 'ls nobody more' 'attach nobody more'; do
		# shellcheck disable=SC2086
		run "$KIHON" network $words
		echo "$words: $status $output"
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	run "$KIHON" network attach nobody
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *nobody* ]]
}

# Any KVM does for a guest that does nothing, PVM included; no agent is there to be told.
@test "builtin: networks come to a guest that runs, and go" {
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	command -v passt >/dev/null || skip "passt is not installed"
	cat >inside <<-'SH'
		tap kt0 mode tap
		address kt0 192.0.2.1/24
		"$KIHON" boot --vmm builtin --accel kvm --net none --slots 2 --memory 96M --timeout 250s --verbose --kernel "$SPIN" "$IMAGE" >spin 2>err 3>&- &
		guest=$!
		until grep -q '^spin' spin; do
			kill -0 $guest || { cat err; exit 1; }
			sleep 0.2
		done
		id=$(ls kihon)
		says() { # STATUS PATTERN ARGUMENT...
			want=$1 pattern=$2 status=0
			shift 2
			"$KIHON" network "$@" >said 2>&1 || status=$?
			text=$(tr '\n' ';' <said)
			echo "$*: $status $text"
			[ $status -eq "$want" ] && [[ $text =~ $pattern ]]
		}
		says 0 '^$' ls "$id"
		says 2 'say --ip' attach "$id" --net tap=kt0
		says 2 'nothing to attach' attach "$id" --net none
		says 125 'no interface kt7' attach "$id" --net tap=kt7 --ip none
		says 0 'no agent answers.*;kt0;' attach "$id" --net tap=kt0 --ip 192.0.2.2/24
		says 125 'another program has it' attach "$id" --net tap=kt0 --ip 192.0.2.2/24
		says 0 ';user;' attach "$id"
		says 2 'user already' attach "$id" --id user
		says 2 'user network already' attach "$id" --id other
		says 0 '^kt0 tap [0-9]*;user user [0-9]*;$' ls "$id"
		[ -z "$("$KIHON" volume ls "$id")" ]
		! "$KIHON" volume detach "$id" kt0
		says 2 "no network 'kt1'" detach "$id" kt1
		says 0 '^$' detach "$id" user
		says 0 '^kt0 tap [0-9]*;$' ls "$id"
		says 0 ';again;' attach "$id" --net user --id again
		says 0 '^$' detach "$id" kt0
		says 0 ';back;' attach "$id" --net tap=kt0 --ip none --id back
		kill $guest
		status=0
		wait $guest || status=$?
		[ $status -eq 143 ]
		[ -z "$(ls kihon)" ]
		# Nobody has the tap any more.
		ip link del kt0
	SH
	isolated
	[ "$status" -eq 0 ]
}

@test "a guest in QEMU is given no network while it runs" {
	"$KIHON" boot --vmm qemu --accel tcg --net none --timeout 250s "$CONTAINER" >/dev/null 2>&1 3>&- &
	local id
	. "$BATS_TEST_DIRNAME/wait.bash"
	until_true eval '[ -n "$(ls kihon 2>/dev/null)" ]'
	id=$(ls kihon)
	run "$KIHON" network attach "$id" --net user
	kill $!
	wait $! || true
	echo "$output"
	[ "$status" -eq 125 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"only the built-in monitor's can"* ]]
}
