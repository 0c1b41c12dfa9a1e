/* SPDX-License-Identifier: Apache-2.0 */
/* PCI devices for containers, on a sysfs made by hand: options, drivers, IOMMU groups. A child
 * plays the kernel, which answers drivers_probe by a new link. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "guest/agent/device/device_find.h"
#include "guest/agent/device/vfio.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define ADDRESS "0000:01:03.0"

static void shell(const char *script)
{
	_cleanup_free_ char *line = str_printf("cd %s && %s", check_tmpdir(), script);

	if (system(line) != 0)
		check_fail(__FILE__, __LINE__, "%s", script);
}

/* A device with driver `e1000`, in group 12. */
static void make_tree(void)
{
	shell("D=devices/pci0000:00/0000:00:02.0/" ADDRESS
	      "; mkdir -p $D devices/pci0000:00/0000:00:02.0/pci_bus/0000:01 bus/pci/devices "
	      "bus/pci/drivers/vfio-pci bus/pci/drivers/e1000 kernel/iommu_groups/12; "
	      ": >$D/driver_override; : >bus/pci/drivers/e1000/unbind; : >bus/pci/drivers_probe; "
	      "ln -s ../../../" /* of bus/pci/devices */
	      "$D bus/pci/devices/" ADDRESS "; "
	      "ln -s ../../../../bus/pci/drivers/e1000 $D/driver; "
	      "ln -s ../../../../kernel/iommu_groups/12 $D/iommu_group");
}

static void refused(const char *word, int code)
{
	struct error err = ERROR_INIT;
	uint32_t group = 0;

	check_int(vfio_bind(check_tmpdir(), ADDRESS, &group, &err), code);
	if (!strstr(err.text, word) || !strstr(err.text, ADDRESS))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, word);
}

TEST(options)
{
	static const char *const bad[] = {
	    "",
	    "=",
	    "0000:3b:00.0",
	    "0000:3b:00.0=",
	    "0000:3b:00.0=zz",
	    "0000:3b:00.0=02/03/",
	    "000:3b:00.0=02",
	    "0000:3b:00.8=02",
	    "0000:3b:20.0=02",
	    "0000-3b-00.0=02",
	    "0000:3b:00.0 =02",
	    "0000:3b:00.00=02",
	    "g000:3b:00.0=02",
	};
	struct vfio_option o;

	check_int(vfio_option_parse(&o, "0000:3B:1f.7=02/03.1", NULL), 0);
	check_str(o.host, "0000:3b:1f.7");
	check_int(o.path.depth, 2);
	check_int(o.path.at[1].function, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (vfio_option_parse(&o, bad[i], NULL) != -EINVAL)
			check_fail(__FILE__, __LINE__, "\"%s\" is taken", bad[i]);
}

TEST(a_device_changes_its_driver)
{
	struct error err = ERROR_INIT;
	uint32_t group = 0;
	int status;
	pid_t kernel;

	make_tree();
	shell("rm bus/pci/drivers_probe; mkfifo bus/pci/drivers_probe");
	kernel = fork();
	if (kernel == 0) {
		shell("read -r a <bus/pci/drivers_probe || true; ln -sfn "
		      "../../../../bus/pci/drivers/vfio-pci bus/pci/devices/$a/driver");
		_exit(0);
	}
	/* The link comes after the write returns, unlike the kernel's: hence the second look. */
	for (int i = 0; i < 50; i++) {
		if (vfio_bind(check_tmpdir(), ADDRESS, &group, &err) == 0)
			break;
		check_int(err.code, -EIO);
		waitpid(kernel, &status, 0);
	}
	check_int((int)group, 12);
	shell("[ $(cat devices/pci0000:00/0000:00:02.0/" ADDRESS "/driver_override) = vfio-pci ]");
	shell("[ $(cat bus/pci/drivers/e1000/unbind) = " ADDRESS " ]");
}

TEST(a_device_that_has_the_driver_stays)
{
	struct error err = ERROR_INIT;
	uint32_t group = 0;

	make_tree();
	shell("ln -sfn ../../../../bus/pci/drivers/vfio-pci bus/pci/devices/" ADDRESS "/driver");
	check_ok(vfio_bind(check_tmpdir(), ADDRESS, &group, &err), &err);
	check_int((int)group, 12);
	shell("[ ! -s bus/pci/drivers_probe ] && [ ! -s bus/pci/drivers/e1000/unbind ]");
}

TEST(a_device_without_a_driver_is_not_unbound)
{
	make_tree();
	shell("rm bus/pci/devices/" ADDRESS "/driver");
	refused("did not take it", -EIO);
	shell("[ $(cat bus/pci/drivers_probe) = " ADDRESS
	      " ] && [ ! -s bus/pci/drivers/e1000/unbind ]");
}

TEST(what_cannot_be_is_one_line)
{
	make_tree();
	shell("rmdir bus/pci/drivers/vfio-pci");
	refused("no driver vfio-pci", -ENODEV);
	shell("mkdir bus/pci/drivers/vfio-pci; rm bus/pci/devices/" ADDRESS "/iommu_group");
	refused("no IOMMU group", -ENODEV);
	shell("ln -s ../nowhere/x12 bus/pci/devices/" ADDRESS "/iommu_group");
	refused("no number", -EIO);
	shell("[ ! -s bus/pci/devices/" ADDRESS "/driver_override ]"); /* nothing was changed */
	shell("rm bus/pci/devices/" ADDRESS);
	refused("No such file", -ENOENT);
}

TEST(found_by_path_and_by_group)
{
	struct device_key key;
	char name[32];

	make_tree();
	memset(&key, 0, sizeof(key));
	check_int(pci_path_parse(&key.pci, "02/03", NULL), 0);
	check_int(device_pci.lookup(&key, check_tmpdir(), name, sizeof(name)), 0);
	check_str(name, ADDRESS);
	check_int(pci_path_parse(&key.pci, "02/04", NULL), 0);
	check_int(device_pci.lookup(&key, check_tmpdir(), name, sizeof(name)), -ENOENT);
	memset(&key, 0, sizeof(key));
	strcpy(key.name, "12");
	check_int(device_vfio_group.lookup(&key, check_tmpdir(), name, sizeof(name)), -ENOENT);
	shell("mkdir -p devices/virtual/vfio/12");
	check_int(device_vfio_group.lookup(&key, check_tmpdir(), name, sizeof(name)), 0);
	check_str(name, "vfio/12");
	strcpy(key.name, "../12");
	check_int(device_vfio_group.lookup(&key, check_tmpdir(), name, sizeof(name)), -ENOENT);
}

TEST(their_events)
{
	const struct uevent pci = {.action = "add",
	                           .devpath = "/devices/pci0000:00/0000:00:02.0/" ADDRESS,
	                           .subsystem = "pci"};
	const struct uevent group = {
	    .action = "add", .devpath = "/devices/virtual/vfio/12", .subsystem = "vfio"};
	struct device_key key;

	make_tree();
	memset(&key, 0, sizeof(key));
	check_int(pci_path_parse(&key.pci, "02/03", NULL), 0);
	check(device_pci.match(&pci, &key, check_tmpdir()));
	check(!device_pci.match(&group, &key, check_tmpdir()));
	memset(&key, 0, sizeof(key));
	strcpy(key.name, "12");
	check(device_vfio_group.match(&group, &key, check_tmpdir()));
	strcpy(key.name, "1");
	check(!device_vfio_group.match(&group, &key, check_tmpdir()));
}

TEST_MAIN()
