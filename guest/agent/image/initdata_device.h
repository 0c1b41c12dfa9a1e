/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initdata_device: the host's configuration for the guest (credentials, certificates, policy) on
 * a disk of its own. The disk is found by its first 8 bytes; the puller's code, as a user without
 * rights, takes it apart and writes files into IMAGE_CONFIG_DIR.
 */
#pragma once

#include "guest/agent/sandbox.h"

/* 0: done, or there is no such disk. */
typedef void (*initdata_done_fn)(int result, const struct error *err, void *data);

/* done is called once, never from within. */
int initdata_load(struct sandbox *s, initdata_done_fn done, void *data, struct error *err);

/* The same later, for a disk that came into a virtio-mmio slot while the guest ran, as a clone of a
 * template gets it: result -ENOENT when there is none. */
int initdata_load_plugged(struct sandbox *s, initdata_done_fn done, void *data, struct error *err);
