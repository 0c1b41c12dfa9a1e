# SPDX-License-Identifier: Apache-2.0
# Many guests of the built-in monitor at once, for steps; needs kihon and agent-client.
MEMORY=64M
COLD="--vmm builtin --net none --memory $MEMORY /guests/container"
fail() {
	for log in log* err; do
		[ ! -s "$log" ] || tail -n 3 "$log"
	done
	echo "$*"
	exit 1
}
# Where it is, on the console (tests/nested/run --log) of a host that may not come to the end.
at() { echo "at: $(awk '{ print $1 }' /proc/uptime) $*" >/dev/console; }
now() { awk '{ printf "%d", $1 * 100 }' /proc/uptime; }
processes() { ps -o pid,comm | awk -v name="^($1)" '$2 ~ name && $1 != 1 { print $1 }'; }

# begin_guests N OPTION...: starts them, all at once.
begin_guests() {
	at begin "$@"
	n=$1
	shift
	i=0
	while [ $i -lt "$n" ]; do
		kihon boot --timeout 2400s "$@" >"log.$n.$i" 2>&1 &
		i=$((i + 1))
	done
}

# answers N: until the agents of so many guests have answered Check.
answers() {
	at answers "$1"
	try=0
	until [ "$(ls -d /run/kihon/*/vsock 2>/dev/null | wc -l)" -ge "$1" ]; do
		try=$((try + 1))
		[ $try -lt 300 ] || fail "$(ls /run/kihon | wc -l) guests of $1 have begun"
		sleep 0.2
	done
	for socket in /run/kihon/*/vsock; do
		try=0
		until agent-client "hvsock://$socket:1024" grpc.Health Check 5000 >answer 2>err </dev/null; do
			try=$((try + 1))
			[ $try -lt 300 ] || fail "$socket does not answer"
			sleep 0.2
		done
	done
}

# counted KIND N: a line of the table: many KIND N, the root's share of each process summed (PSS) and the most that one
# has of it, what a guest's two processes wrote themselves (anonymous memory, what they share of it once), PSS of
# everything; all KiB. The kernel rounds each share down.
counted() {
	at counted "$@"
	sleep 12 # clones have come to rest
	for pid in $(processes 'kihon'); do
		cat /proc/"$pid"/smaps
		grep ^Pss_Anon: /proc/"$pid"/smaps_rollup
	done | awk -v kind="$1" -v n="$2" '
		/^[0-9a-f]+-[0-9a-f]+ / { root = /rootfs\.erofs/ }
		/^Pss:/ { total += $2; if (root) pss += $2 }
		/^Rss:/ { if (root && $2 > rss) rss = $2 }
		/^Pss_Anon:/ { own += $2 }
		END { printf "many %s %d %d %d %d %d\n", kind, n, pss, rss, own / n, total }'
}

end_guests() {
	kill $(processes 'kihon$|kihon-boot')
	wait
}

# nothing_left: no process, no folder or socket, no mount.
nothing_left() {
	try=0
	while [ -n "$(processes 'kihon')" ]; do
		try=$((try + 1))
		[ $try -lt 50 ] || fail "left: $(ps -o pid,comm | grep kihon)"
		sleep 0.2
	done
	[ -z "$(ls /run/kihon | grep -v :)" ] || fail "left in /run/kihon: $(ls /run/kihon)"
	! grep /run/kihon /proc/net/unix || fail "sockets are left"
	! grep kihon /proc/mounts || fail "mounts are left"
}
