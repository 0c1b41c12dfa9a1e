#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# What the guest of steps kihon-net and network, and of tests/kihon-network.bats, runs: its address; a file from a server
# of the host, as its sum; one back.
bb=/bin/busybox
$bb ip addr show eth0 | $bb grep -o 'inet [0-9./]*'
$bb ip route | $bb grep default
$bb ip link show eth0 | $bb grep -o 'mtu [0-9]*\|link/ether [0-9a-f:]*'
$bb wget -q -O /tmp/file http://10.0.2.2:7000/file
$bb md5sum </tmp/file
$bb nc 10.0.2.2 7001 </tmp/file
exit 42
