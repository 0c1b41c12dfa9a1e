/* SPDX-License-Identifier: Apache-2.0 */
/* console: descriptors 0, 1 and 2 of the first process. */
#pragma once

/* Makes this process a session leader with the console as controlling terminal and as
 * descriptors 0-2. Without a console they are /dev/null for reading and /dev/kmsg (or
 * /dev/null) for writing. Never fails: there is nobody to tell. */
void console_setup(void);
