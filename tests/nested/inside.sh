#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# Runs in the nested host (tests/nested/run): every step of /nested/steps that was asked for, as TAP on the console.
# A step is a shell script that ends with status 0, or 77 when something is missing, its last line saying what.
# Its comment "# limit: N" is a time limit in seconds other than 200: for what hangs, not for what is slow.
export PATH=/bin HOME=/tmp XDG_RUNTIME_DIR=/run XDG_CACHE_HOME=/tmp/cache NESTED=/nested GUESTS=/guests
n=0
failed=0
for step in "$@"; do
	file=$NESTED/steps/$step
	n=$((n + 1))
	limit=$(sed -n 's/^# limit: //p' "$file")
	mkdir -p /tmp/step
	(cd /tmp/step && exec timeout -s KILL "${limit:-200}" sh "$file") >/tmp/out 2>&1 </dev/null
	status=$?
	# What a step leaves running would disturb the next one, and is a fault of its own.
	left=$(ps -o pid,comm | awk '$2 ~ /^kihon/ && $1 != 1')
	[ -z "$left" ] || [ $status -eq 77 ] || { echo "left behind: $left" >>/tmp/out; status=99; }
	killall -q -KILL kihon
	case $status in
	0) echo "ok $n $step" ;;
	77) echo "ok $n $step # skip $(tail -n 1 /tmp/out)" ;;
	*) echo "not ok $n $step (status $status)"; failed=1 ;;
	esac
	case $status in
	0 | 77) tail -n 16 /tmp/out ;;
	*) tail -c 6000 /tmp/out ;;
	esac | tr -d '\r' | sed 's/^/# /'
	rm -rf /tmp/step
done
echo "1..$n"
exit $failed
