/* SPDX-License-Identifier: Apache-2.0 */
/* storage_refresh: does what a storage's driver wants done again and again, in helpers. */
#pragma once

#include "guest/agent/storage/storage_driver.h"
#include "lib/base/loop.h"

struct storage_refresh;

/* NULL when memory is full: then nothing is followed, and the log says so. Copies both names. */
struct storage_refresh *storage_refresh_start(struct loop *loop,
                                              const struct storage_driver *driver,
                                              const char *source, const char *mount_point);
/* A helper that runs ends by itself. NULL is fine. */
void storage_refresh_stop(struct storage_refresh *r);
