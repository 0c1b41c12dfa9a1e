/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_socket: where a created container waits for a later command to start it. Unlike
 * a fifo it answers: an error, or the end of file that a successful execve makes.
 */
#pragma once

#include "lib/base/error.h"

/* Both return a descriptor. The path may be longer than a socket address holds. */
int start_socket_listen(const char *path, struct error *err);
int start_socket_connect(const char *path, struct error *err);
