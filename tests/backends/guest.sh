#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The program of the guest that tests/backends/cases.sh boots: does what the kernel word do=NAME says.
bb=/bin/busybox
words=$($bb cat /proc/cmdline)
do=${words##*do=}
case ${do%% *} in
status) exit 7 ;;
killed) $bb kill -KILL $$ ;;
hungry) exec $bb tail /dev/zero ;;
output) $bb seq 1 6000 ;;
words) echo "${words##*do=}" ;;
machine)
	echo "cpus $($bb nproc)"
	echo "memory $($bb sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
	;;
net)
	echo "links $($bb ls /sys/class/net | $bb tr '\n' ' ')"
	echo "address $($bb ip addr | $bb grep -o 'inet 10[0-9./]*')"
	;;
off) $bb poweroff -f ;;
reset) $bb reboot -f ;;
wait)
	echo ready
	exec $bb sleep 1000
	;;
*) echo "do what?" && exit 99 ;;
esac
