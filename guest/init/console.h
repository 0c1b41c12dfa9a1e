/* SPDX-License-Identifier: Apache-2.0 */
/* console: descriptors 0, 1 and 2 of the first process. */
#pragma once

/* Makes this process a session leader with the console as controlling terminal and as
 * descriptors 0-2. Without a console they are /dev/null for reading and /dev/kmsg (or
 * /dev/null) for writing. Never fails: there is nobody to tell. */
void console_setup(void);

/* The console is a single program's from here on: what it writes goes out as it is written, without
 * carriage returns. Says so with the line "kihon: program", which the host waits for. */
void console_give_to_program(void);
/* The kernel's last words ("reboot: Power down") are not the program's. For the very end: it
 * would not show a panic either. */
void console_silence_kernel(void);
