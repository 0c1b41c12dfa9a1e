#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of a guest with a distribution's kernel: loads modules, looks at the devices that ACPI told of, powers
# off. Its lines are read by tests/nested/steps/long-distro.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo "distro kernel $(uname -r)"
while read -r module; do
	insmod "/modules/$module" || echo "distro failed: $module"
done </modules/order
# Disks are looked at by the kernel's own threads.
for try in 1 2 3 4 5 6 7 8 9 10; do
	[ -b /dev/vda ] && [ -b /dev/pmem0 ] && break
	sleep 0.5
done
echo "distro cpus $(cat /sys/devices/system/cpu/online)"
echo "distro acpi $(ls /sys/bus/acpi/devices | grep -c LNRO0005)"
echo "distro virtio $(ls /sys/bus/virtio/devices | wc -l)"
mount -t ext4 -o ro /dev/vda /mnt && echo "distro blk $(md5sum </mnt/probe.erofs)" && umount /mnt
mount -t erofs -o ro,dax=always /dev/pmem0 /mnt && echo "distro pmem $(cat /mnt/hello)" && umount /mnt
echo "distro rng $(cat /sys/class/misc/hw_random/rng_current 2>/dev/null)"
echo "distro end"
poweroff -f
