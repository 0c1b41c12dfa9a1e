#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# guest/agent/net against ip(8) and DHCP servers, in network namespaces joined by a veth pair.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	export DRIVER=$ROOT/build/host/bin/net-driver
	make -s -C "$ROOT" build/host/bin/net-driver >&2
}

setup() {
	. "$ROOT/tests/wait.bash"
	[ "$(id -u)" -eq 0 ] || skip "needs root for network namespaces"
	GUEST=kihon-g$$-$BATS_TEST_NUMBER
	HOST=kihon-h$$-$BATS_TEST_NUMBER
	SERVER_PID=
	ip netns add "$GUEST" 2>/dev/null || skip "cannot make network namespaces"
	ip netns add "$HOST"
	ip -n "$HOST" link add vhost type veth peer name vguest address 52:54:00:00:00:11 netns "$GUEST"
	ip -n "$HOST" addr add 10.9.0.1/24 dev vhost
	ip -n "$HOST" link set vhost up
	ip -n "$GUEST" link set lo up
}

teardown() {
	[ -z "$SERVER_PID" ] || { kill "$SERVER_PID" && wait "$SERVER_PID" || true; }
	ip netns del "$GUEST" 2>/dev/null || true
	ip netns del "$HOST" 2>/dev/null || true
}

guest() { ip netns exec "$GUEST" "$@"; }
net() { run ip netns exec "$GUEST" "$DRIVER" "$@"; echo "$output"; }
addresses() { guest ip -j addr show dev "$1" | jq -r '.[].addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"' | sort; }
# The routes that are not the kernel's own.
routes() { guest ip -j route | jq -r '.[] | select(.protocol != "kernel") | "\(.dst) via \(.gateway // "-") dev \(.dev) mtu \(.metrics[0].mtu // "-")"' | sort; }

# Both ends up and carrying: a fresh veth drops what is sent in its first moment.
carry() {
	guest ip link set vguest up
	until_true is_up
}

is_up() { [ "$(ip -n "$HOST" -j link show vhost | jq -r '.[0].operstate')" = UP ]; }

serve() {
	LOG=$BATS_TEST_TMPDIR/server.log
	carry
	ip netns exec "$HOST" python3 "$ROOT/tests/net/dhcp-server.py" vhost 10.9.0.1 10.9.0.77 "$LOG" "$1" &
	SERVER_PID=$!
	wait_for listening
}

has_lines() { [ -e "$LOG" ] && [ "$(grep -c "$1" "$LOG")" -ge "${2:-1}" ]; }

# wait_for TEXT [COUNT]: until the server's log has it so often.
wait_for() {
	until_true has_lines "$@" || { cat "$LOG"; return 1; }
}

@test "an interface is found by its address, renamed, addressed and brought up" {
	net interface eth0 52:54:00:00:00:11 1400 0 192.0.2.5/24 2001:db8::5/64
	[ "$status" -eq 0 ]
	[ "$(addresses eth0)" = "192.0.2.5/24
2001:db8::5/64" ]
	run guest ip -j link show dev eth0
	[ "$(jq -r '.[0].mtu' <<<"$output")" = 1400 ]
	[ "$(jq -r '.[0].flags | index("UP") != null' <<<"$output")" = true ]
	# An IPv6 address is usable at once, not after a second of duplicate detection.
	! guest ip addr show dev eth0 | grep 'scope global.*tentative'
}

@test "an interface found by name gets the address asked for" {
	net interface vguest 52:54:00:00:00:99 0 0
	[ "$status" -eq 0 ]
	[ "$(guest ip -j link show dev vguest | jq -r '.[0].address')" = 52:54:00:00:00:99 ]
}

@test "a name that is taken changes hands" {
	guest ip link add eth0 address 52:54:00:00:00:33 type veth peer name other
	guest ip link set eth0 up
	net interface eth0 52:54:00:00:00:11 0 128
	[ "$status" -eq 0 ]
	[ "$(guest ip -j link show dev eth0 | jq -r '.[0].address')" = 52:54:00:00:00:11 ]
	[ "$(guest ip -j link show dev vguest | jq -r '.[0].address')" = 52:54:00:00:00:33 ]
	[ "$(guest ip -j link show dev eth0 | jq -r '.[0].flags | index("NOARP") != null')" = true ]
}

@test "wrong interfaces are refused in one line" {
	net interface nope0 - 0 0
	[ "$status" -eq 1 ]
	[[ $output == *"nope0"*"No such device"* ]]
	net interface "a/b" - 0 0
	[ "$status" -eq 1 ]
	net interface vguest 52:54:00:zz 0 0
	[ "$status" -eq 1 ]
	[[ $output == *"no hardware address"* ]]
	net interface vguest - 0 0 1.2.3.4/33
	[ "$status" -eq 1 ]
	[[ $output == *"no prefix length"* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "routes go in, again too, and come back in the list" {
	net interface vguest - 0 0 192.0.2.5/24
	for again in 1 2; do
		net route - 192.0.2.1 vguest - 0 0 1300 10.3.0.0/16 - vguest 192.0.2.5 253 0 0
		[ "$status" -eq 0 ]
	done
	[ "$(routes)" = "10.3.0.0/16 via - dev vguest mtu -
default via 192.0.2.1 dev vguest mtu 1300" ]
	net routes
	[ "${lines[0]}" = "default via 192.0.2.1 dev vguest src  scope 0" ]
	[ "${lines[1]}" = "10.3.0.0/16 via  dev vguest src 192.0.2.5 scope 253" ]
	net route 10.4.0.0/16 10.77.0.1 vguest - 0 0 0
	[ "$status" -eq 1 ]
	[[ $output == *"10.4.0.0/16"*"nreachable"* ]]
}

@test "a neighbour is permanent unless said otherwise" {
	net interface vguest - 0 0 192.0.2.5/24
	net neighbor 192.0.2.77 vguest 52:54:00:00:00:01 0
	[ "$status" -eq 0 ]
	[ "$(guest ip neigh show 192.0.2.77)" = "192.0.2.77 dev vguest lladdr 52:54:00:00:00:01 PERMANENT " ]
}

@test "the list of interfaces is what ip(8) lists" {
	net interface vguest - 1300 0 192.0.2.5/24
	net interfaces
	[ "$status" -eq 0 ]
	[[ ${lines[1]} == "vguest 52:54:00:00:00:11 1300 veth 192.0.2.5/24"* ]]
	[ "${#lines[@]}" -eq "$(guest ip -o link | wc -l)" ]
}

@test "many addresses: a list of several datagrams is whole" {
	guest ip link set vguest up
	for i in $(seq 600); do echo "addr add 10.$((i / 250 + 1)).$((i % 250)).1/32 dev vguest"; done >"$BATS_TEST_TMPDIR/batch"
	guest ip -batch "$BATS_TEST_TMPDIR/batch"
	run ip netns exec "$GUEST" "$DRIVER" interfaces
	[ "$(grep '^vguest' <<<"$output" | grep -o '10\.[0-9.]*/32' | wc -l)" -eq 600 ]
}

@test "ip= with addresses: address, gateway, host name, name server" {
	net start "ip=10.9.0.2::10.9.0.1:255.255.255.0:guest1:vguest:off:10.9.0.1" 60000 0
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = ready ]
	[[ $output == *"hostname guest1"*"nameserver 10.9.0.1"* ]]
	[ "$(addresses vguest)" = 10.9.0.2/24 ]
	[ "$(routes)" = "default via 10.9.0.1 dev vguest mtu -" ]
}

@test "ip=: a gateway outside the subnet is on the link" {
	net start "ip=10.9.0.2::10.99.0.1:32::vguest:off" 60000 0
	[ "$status" -eq 0 ]
	[ "$(routes)" = "default via 10.99.0.1 dev vguest mtu -" ]
}

@test "a wrong word, a missing link and a silent server each end in one line" {
	net start "ip=10.9.0.2::bogus" 1000 0
	[ "$status" -eq 1 ]
	[[ ${lines[0]} == *'ip=: "bogus" is no gateway'* ]]
	net start "ip=:::::eth7:dhcp" 100 0
	[ "$status" -eq 1 ]
	[[ ${lines[0]} == *"there is no link eth7"* ]]
	net start "ip=:::::vguest:dhcp" 100 0
	[ "$status" -eq 1 ]
	[[ $output == *"no DHCP server has answered"* ]]
}

@test "a link that appears later is configured then" {
	guest "$DRIVER" start "ip=10.8.0.2::::late:eth7:off" 60000 0 >"$BATS_TEST_TMPDIR/out" &
	local pid=$!
	sleep 0.3
	guest ip link add eth7 type veth peer name other
	wait "$pid"
	grep -qx ready "$BATS_TEST_TMPDIR/out"
	[ "$(addresses eth7)" = 10.8.0.2/8 ]
}

@test "without a word the network is ready and untouched" {
	net start "console=ttyS0" 1000 0
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = ready ]
	net start "ip=off" 1000 0
	[ "$status" -eq 0 ]
	[ "$(guest ip -j link show dev vguest | jq -r '.[0].flags | index("UP") == null')" = true ]
}

@test "DHCP: offer, request, lease applied as ip(8) sees it" {
	serve plain
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[[ $output == *"search example.test"*"nameserver 10.9.0.1"* ]]
	[ "$(addresses vguest)" = 10.9.0.77/24 ]
	[ "$(routes)" = "default via 10.9.0.1 dev vguest mtu -" ]
	[ "$(guest ip -j link show dev vguest | jq -r '.[0].mtu')" = 1400 ]
	# The kernel takes the address away when the lease ends, whatever becomes of the client.
	[ "$(guest ip -j addr show dev vguest | jq -r '.[0].addr_info[] | select(.local == "10.9.0.77").valid_life_time')" -le 3600 ]
	[ "$(grep -c request "$LOG")" -ge 1 ] # more, when the server was slow
}

@test "DHCP: rapid commit takes two messages" {
	serve rapid
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	grep -q "discover rapid from 0.0.0.0" "$LOG"
	! grep -q request "$LOG"
	[ "$(addresses vguest)" = 10.9.0.77/24 ]
}

@test "DHCP: classless routes replace the router" {
	serve routes
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[ "$(routes)" = "169.254.9.9 via - dev vguest mtu -
172.30.0.0/16 via 10.9.0.1 dev vguest mtu -
default via 169.254.9.9 dev vguest mtu -" ]
}

@test "DHCP: asked again until the server answers, and after a refusal" {
	serve silent
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[ "$(grep -c discover "$LOG")" -ge 3 ]
}

@test "DHCP: a refused request starts over" {
	serve nak
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[ "$(grep -c discover "$LOG")" -ge 2 ]
	[ "$(addresses vguest)" = 10.9.0.77/24 ]
}

@test "DHCP: garbage and other people's answers are passed over" {
	serve noise
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[ "$(addresses vguest)" = 10.9.0.77/24 ]
}

@test "DHCP: a lease is renewed by unicast" {
	[ -n "${KIHON_FULL:-}" ] || skip "takes 15 s: make check-full"
	serve short
	guest "$DRIVER" start "ip=:::::vguest:dhcp" 60000 100000 >/dev/null &
	local pid=$!
	wait_for "request renewing from 10.9.0.77"
	kill "$pid" || true
	[ "$(addresses vguest)" = 10.9.0.77/24 ]
}

@test "DHCP: an address that the server takes back is given up" {
	serve lost
	guest "$DRIVER" start "ip=:::::vguest:dhcp" 60000 100000 >/dev/null &
	local pid=$!
	wait_for "request renewing from 10.9.0.77"
	until_true eval '[ -z "$(addresses vguest)" ]'
	wait_for discover 2
	kill "$pid" || true
}

@test "DHCP: busybox's server" {
	busybox udhcpd --help 2>&1 | grep -q 'Usage: udhcpd' || skip "busybox has no udhcpd"
	LOG=$BATS_TEST_TMPDIR/udhcpd.log
	cat >"$BATS_TEST_TMPDIR/udhcpd.conf" <<-END
		start 10.9.0.100
		end 10.9.0.110
		interface vhost
		pidfile $BATS_TEST_TMPDIR/udhcpd.pid
		lease_file $BATS_TEST_TMPDIR/leases
		opt dns 10.9.0.1
		opt subnet 255.255.255.0
		opt router 10.9.0.1
		opt lease 600
	END
	touch "$BATS_TEST_TMPDIR/leases"
	carry
	ip netns exec "$HOST" busybox udhcpd -f "$BATS_TEST_TMPDIR/udhcpd.conf" 2>"$LOG" >&2 &
	SERVER_PID=$!
	net start "ip=:::::vguest:dhcp" 60000 0
	[ "$status" -eq 0 ]
	[[ "$(addresses vguest)" == 10.9.0.1[01]?/24 ]]
	[ "$(routes)" = "default via 10.9.0.1 dev vguest mtu -" ]
}
