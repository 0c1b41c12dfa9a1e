/* SPDX-License-Identifier: Apache-2.0 */
/* test-started: which virtio device is looked at, on a sysfs made by hand. */
#include "check.h"
#include "guest/init/started.h"
#include "lib/base/fs.h"

static char sysfs[256];

static void add_device(unsigned int n, const char *status)
{
	struct error err = ERROR_INIT;
	char path[400];

	snprintf(path, sizeof(path), "%s/bus/virtio/devices/virtio%u", sysfs, n);
	check_int(fs_mkdir_p(path, 0755, NULL), 0);
	strcat(path, "/status");
	check_ok(fs_write_file_atomic(path, status, strlen(status), 0644, &err), &err);
}

TEST(a_guest_without_virtio_tells_nobody)
{
	snprintf(sysfs, sizeof(sysfs), "%s/sys", check_tmpdir());
	check_int(started_tell_host(sysfs), 1);
}

TEST(a_device_without_a_driver_is_passed_over)
{
	snprintf(sysfs, sizeof(sysfs), "%s/sys", check_tmpdir());
	add_device(0, "0x00000001\n");
	add_device(1, "");
	add_device(2, "4 or what\n\n\n");
	check_int(started_tell_host(sysfs), 0);
	add_device(2, "0x0000000b\n");
	check_int(started_tell_host(sysfs), 1);
	/* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK (virtio 1.2 §2.1) */
	add_device(4, "0x0000000f\n");
	check_int(started_tell_host(sysfs), 0);
}

TEST_MAIN()
