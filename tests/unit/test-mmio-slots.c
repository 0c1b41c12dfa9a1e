/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of looking at virtio-mmio slots again, in a folder that looks as /sys does. */
#include "guest/agent/device/mmio_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

#define DEVICES "bus/platform/devices"
#define DRIVER  "bus/platform/drivers/virtio-mmio"

static char root[64], dev[80];

static char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void folder(const char *name)
{
	check_int(fs_mkdir_p(at(name), 0755, NULL), 0);
}

static void make_sysfs(void)
{
	static const char *const folders[] = {DEVICES "/LNRO0005:00",
	                                      DEVICES "/LNRO0005:0a",
	                                      DEVICES "/serial8250",
	                                      DRIVER,
	                                      "class/block",
	                                      "dev/vda",
	                                      "devices/platform/LNRO0005:0a/virtio3/block/vda",
	                                      "devices/pci0000:00/block/sda"};
	int fd;

	strcpy(root, "/tmp/kihon-slots-XXXXXX");
	check(mkdtemp(root) != NULL);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		folder(folders[i]);
	check_int(symlink("../drivers/virtio-mmio", at(DEVICES "/LNRO0005:00/driver")), 0);
	check_int(symlink("../drivers/virtio-mmio", at(DEVICES "/LNRO0005:0a/driver")), 0);
	check_int(
	    symlink("../../devices/platform/LNRO0005:0a/virtio3/block/vda", at("class/block/vda")),
	    0);
	check_int(symlink("../../devices/pci0000:00/block/sda", at("class/block/sda")), 0);
	for (int i = 0; i < 2; i++) {
		fd = open(at(i ? DRIVER "/bind" : DRIVER "/unbind"), O_CREAT | O_WRONLY, 0600);
		check(fd >= 0);
		close(fd);
	}
}

static void written(const char *file, const char *want)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	check_int(fs_read_file(AT_FDCWD, at(file), 100, &b, NULL), 0);
	check_str(buffer_cstr(&b), want);
}

static void remove_sysfs(void)
{
	check_int(fs_remove_tree(AT_FDCWD, root, NULL), 0);
}

TEST(only_slots_without_a_driver_are_looked_at)
{
	make_sysfs();
	check(!mmio_slots_empty(root));
	check_int(mmio_slots_probe(root, NULL), 0);
	written(DRIVER "/bind", "");
	folder(DEVICES "/virtio-mmio.1");
	check(mmio_slots_empty(root));
	check_int(mmio_slots_probe(root, NULL), 1);
	written(DRIVER "/bind", "virtio-mmio.1");
	remove_sysfs();
}

TEST(one_slot_is_filled_and_cleared_by_its_number)
{
	_cleanup_buffer_ struct buffer names = BUFFER_INIT;
	struct error err = ERROR_INIT;

	make_sysfs();
	/* It has a driver already: its disks are told. */
	check_int(mmio_slots_fill(root, dev, 10, &names, &err), 0);
	check_str(buffer_cstr(&names), "vda\n");
	written(DRIVER "/bind", "");
	buffer_clear(&names);
	folder(DEVICES "/LNRO0005:0b");
	check_int(mmio_slots_fill(root, dev, 11, &names, &err), 0);
	check_int(names.size, 0);
	written(DRIVER "/bind", "LNRO0005:0b");
	check_int(mmio_slots_fill(root, dev, 12, &names, &err), -ENOENT);
	check_int(mmio_slots_clear(root, dev, 10, &err), 0);
	written(DRIVER "/unbind", "LNRO0005:0a");
	check_int(mmio_slots_clear(root, "/nowhere", 11, &err), 0); /* it has no driver */
	written(DRIVER "/unbind", "LNRO0005:0a");
	check_int(mmio_slots_clear(root, "/nowhere", 12, &err), -ENOENT);
	remove_sysfs();
}

TEST(a_network_is_told_by_its_interface)
{
	_cleanup_buffer_ struct buffer names = BUFFER_INIT;
	struct error err = ERROR_INIT;

	make_sysfs();
	folder("class/net");
	folder("devices/platform/LNRO0005:0b/virtio4/net/eth1");
	folder("devices/pci0000:00/net/eth0");
	folder(DEVICES "/LNRO0005:0b");
	check_int(
	    symlink("../../devices/platform/LNRO0005:0b/virtio4/net/eth1", at("class/net/eth1")),
	    0);
	check_int(symlink("../../devices/pci0000:00/net/eth0", at("class/net/eth0")), 0);
	check_int(mmio_slots_fill(root, dev, 11, &names, &err), 0);
	check_str(buffer_cstr(&names), "eth1\n");
	remove_sysfs();
}

/* Of persistent memory the disk is there only after the driver is, and its node after that. */
TEST(a_disk_that_appears_later_is_waited_for)
{
	_cleanup_buffer_ struct buffer names = BUFFER_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;

	make_sysfs();
	folder(DEVICES "/LNRO0005:0c/virtio5");
	folder("devices/platform/LNRO0005:0c/virtio5/ndbus1/region1/namespace1.0/block/pmem1");
	check_int(fs_write_file_atomic(at(DEVICES "/LNRO0005:0c/virtio5/device"), "0x001b\n", 7,
	                               0444, &err),
	          0);
	pid = fork();
	if (pid == 0) {
		usleep(300000);
		if (symlink("../../devices/platform/LNRO0005:0c/virtio5/ndbus1/region1/"
		            "namespace1.0/block/pmem1",
		            at("class/block/pmem1")) < 0)
			_exit(1);
		usleep(300000);
		_exit(mkdir(at("dev/pmem1"), 0700) < 0);
	}
	check_int(mmio_slots_fill(root, dev, 12, &names, &err), 0);
	check_str(buffer_cstr(&names), "pmem1\n");
	check_int(access(at("dev/pmem1"), F_OK), 0);
	check_int(waitpid(pid, NULL, 0), pid);
	remove_sysfs();
}

TEST(a_kernel_without_slots)
{
	struct error err = ERROR_INIT;

	check(!mmio_slots_empty("/proc"));
	check_int(mmio_slots_probe("/proc", &err), -ENOENT);
}

TEST_MAIN()
