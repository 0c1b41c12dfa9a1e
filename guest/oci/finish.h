/* SPDX-License-Identifier: Apache-2.0 */
/* finish: the end of a container, waited for. */
#pragma once

#include "guest/agent/container/container.h"
#include "lib/base/error.h"

#define FINISH_TIMEOUT_MS 30000

/* Kills what is left, takes the cgroup away, runs the poststop hooks. */
int finish_container(struct container *c, struct error *err);
