/* SPDX-License-Identifier: Apache-2.0 */
/*
 * started: tells the host's monitor that process 1 runs, without a device or privilege for it.
 *
 * It looks twice at the status of a virtio device that works, in sysfs: over virtio-mmio each look
 * is one register read (virtio 1.2 §4.2.2, Status), which the built-in monitor takes the time of
 * (docs/vmm.md, Statistics). The kernel itself looks once at most. Other monitors answer and do
 * not care.
 */
#pragma once

/* After sysfs is mounted, at `sysfs`. 0; 1: no device works that could be looked at. */
int started_tell_host(const char *sysfs);
