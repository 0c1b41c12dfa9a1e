/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_ready: waiting until a disk that was just found can be opened.
 *
 * The kernel shows a new disk in sysfs and makes its node before it can be opened: until then
 * opening it fails with ENXIO, or ENOENT. Disks of persistent memory come up by a thread of the
 * kernel's own, so that whoever looks into sysfs may see them in that moment.
 */
#pragma once

#include "lib/base/error.h"

/* Waits, some ten seconds at most, until `path` ("/dev/vda") can be opened. Returns 0 at once for
 * what is no block device and for a disk that is there, whatever state it is in; -ENXIO, -ENOENT:
 * it did not come. Opening a disk may read its partitions: for helpers only. */
int disk_ready(const char *path, struct error *err);
