/* SPDX-License-Identifier: Apache-2.0 */
/* signal_name: signals as people write them. */
#pragma once

/* "TERM", "SIGTERM", "15", "RTMIN+3"; -1 for anything else. */
int signal_by_name(const char *name);
