/* SPDX-License-Identifier: Apache-2.0 */
/* syscalls: the list of system calls that the puller may make. Used by sandbox.c alone. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* Needs no_new_privs. */
int syscalls_restrict(bool network, struct error *err);
