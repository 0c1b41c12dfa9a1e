/* SPDX-License-Identifier: Apache-2.0 */
/* test-pci-path: texts, and resolution on a sysfs tree made by hand after a real q35's. */
#include <sys/stat.h>

#include "check.h"
#include "guest/agent/device/device_find.h"
#include "guest/agent/device/pci_path.h"
#include "lib/base/fs.h"

static const char *sysfs;

static void folder(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", sysfs, path);
	check_int(fs_mkdir_p(full, 0755, NULL), 0);
}

static void link_to(const char *target, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", sysfs, path);
	check_int(symlink(target, full), 0);
}

#define ROOT "devices/pci0000:00"

static void make_tree(void)
{
	sysfs = check_tmpdir();
	folder(ROOT "/0000:00:02.0/pci_bus/0000:01");
	folder(ROOT "/0000:00:02.0/0000:01:03.0/virtio5/block/vdb/vdb1");
	folder(ROOT "/0000:00:02.0/0000:01:04.0/virtio6/net/eth1");
	folder(ROOT "/0000:00:05.0/virtio1/block/vda");
	folder(ROOT "/0000:00:07.0/pci_bus/0000:07");
	folder(ROOT "/0000:00:07.0/pci_bus/0000:08");
	folder("devices/pci0000:20/0000:20:00.0/pci_bus/0000:21");
	folder("class/block");
	folder("class/net");
	link_to("../../" ROOT "/0000:00:02.0/0000:01:03.0/virtio5/block/vdb/vdb1",
	        "class/block/vdb1");
	link_to("../../" ROOT "/0000:00:02.0/0000:01:03.0/virtio5/block/vdb", "class/block/vdb");
	link_to("../../" ROOT "/0000:00:05.0/virtio1/block/vda", "class/block/vda");
	link_to("../../" ROOT "/0000:00:02.0/0000:01:04.0/virtio6/net/eth1", "class/net/eth1");
	link_to("../../devices/virtual/net/lo", "class/net/lo");
}

static int resolve(const char *text, char *out)
{
	struct pci_path p;
	struct error err = ERROR_INIT;
	int r;

	check_ok(pci_path_parse(&p, text, &err), &err);
	r = pci_path_resolve(sysfs, &p, out, &err);
	check(r == 0 || err.text[0]);
	return r;
}

TEST(texts)
{
	static const char *const good[] = {"02",        "2",        "02/03", "1f.7",
	                                   "02.0/03.1", "20/00/03", "1F"};
	static const char *const bad[] = {"",
	                                  "/",
	                                  "02/",
	                                  "/02",
	                                  "20",
	                                  "20/01",
	                                  "02/20",
	                                  "02.8",
	                                  "x",
	                                  "02.",
	                                  "002",
	                                  "02//03",
	                                  "02 ",
	                                  "20/00/01/02",
	                                  "0000:00:02.0",
	                                  "21.1/00/01",
	                                  "1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1",
	                                  "-1"};
	struct pci_path p;
	struct error err;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		check_ok(pci_path_parse(&p, good[i], &err), &err);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		error_clear(&err);
		check_int(pci_path_parse(&p, bad[i], &err), -EINVAL);
		check(strstr(err.text, "PCI path") != NULL);
	}
	check_int(pci_path_parse(&p, "20/01/03.2", &err), 0);
	check_int(p.root_bus, 0x20);
	check_int(p.depth, 2);
	check_int(p.at[1].function, 2);
}

TEST(resolution)
{
	char out[PCI_SYSFS_PATH_MAX];

	make_tree();
	check_int(resolve("05", out), 0);
	check_str(out, "/devices/pci0000:00/0000:00:05.0");
	check_int(resolve("02/03", out), 0);
	check_str(out, "/devices/pci0000:00/0000:00:02.0/0000:01:03.0");
	check_int(resolve("20/00/1f.1", out), 0);
	check_str(out, "/devices/pci0000:20/0000:20:00.0/0000:21:1f.1");
	/* The last need not be there: it is what one waits for. */
	check_int(resolve("02/09", out), 0);
	check_int(resolve("09/01", out), -ENOENT);
	check_int(resolve("05/01", out), -EINVAL);
	check_int(resolve("07/01", out), -EINVAL);
}

static int lookup(const struct uevent_matcher *m, const char *path, char *name)
{
	struct device_key key = {.pci = {0}};

	check_int(pci_path_parse(&key.pci, path, NULL), 0);
	return m->lookup(&key, sysfs, name, 32);
}

TEST(devices_that_were_there_from_the_start)
{
	struct device_key key = {.name = "vda"};
	char name[32];

	make_tree();
	check_int(lookup(&device_pci_block, "02/03", name), 0);
	check_str(name, "vdb"); /* not its partition */
	check_int(lookup(&device_pci_net, "02/04", name), 0);
	check_str(name, "eth1");
	check_int(lookup(&device_pci_net, "02/03", name), -ENOENT);
	check_int(lookup(&device_pci_block, "02/09", name), -ENOENT);
	check_int(lookup(&device_pci_block, "09/01", name), -ENOENT);
	check_int(device_block.lookup(&key, sysfs, name, sizeof(name)), 0);
	check_str(name, "vda");
	strcpy(key.name, "../net/lo");
	check_int(device_block.lookup(&key, sysfs, name, sizeof(name)), -ENOENT);
}

TEST(scsi_addresses)
{
	struct device_key key = {.scsi = {.id = 1, .lun = 2}};
	struct error err = ERROR_INIT;
	char name[32], text[32] = "", path[512];
	FILE *f;

	make_tree();
	link_to("../../devices/x/host2/target2:0:1/2:0:1:2/block/sda", "class/block/sda");
	link_to("../../devices/x/host2/target2:0:1/2:0:1:22/block/sdb", "class/block/sdb");
	check_int(device_scsi_block.lookup(&key, sysfs, name, sizeof(name)), 0);
	check_str(name, "sda");
	key.scsi.lun = 3;
	check_int(device_scsi_block.lookup(&key, sysfs, name, sizeof(name)), -ENOENT);
	check_int(device_scsi_check_host(sysfs, &err), -ENODEV);
	folder("class/scsi_host/host2");
	snprintf(path, sizeof(path), "%s/class/scsi_host/host2/scan", sysfs);
	f = fopen(path, "w");
	check(f != NULL);
	fclose(f);
	check_ok(device_scsi_check_host(sysfs, &err), &err);
	key.scsi.lun = 2;
	check_ok(device_scsi_block.prompt(&key, sysfs, &err), &err);
	f = fopen(path, "r");
	check(f != NULL);
	check(fgets(text, sizeof(text), f) != NULL);
	fclose(f);
	check_str(text, "0 1 2");
}

TEST_MAIN()
