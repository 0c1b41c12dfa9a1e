/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: the user's terminal in raw mode, and back again whatever happens. */
#pragma once

#include <stdbool.h>
#include <termios.h>

struct terminal {
	int fd;
	bool raw;
	struct termios saved;
};

/* Takes fd when it is a terminal; terminal_raw() does nothing otherwise. */
void terminal_init(struct terminal *t, int fd);
/* Keys go to the container as they are; 0 or a negative errno value. */
int terminal_raw(struct terminal *t);
void terminal_restore(struct terminal *t);
/* False when the size is not known. */
bool terminal_size(const struct terminal *t, unsigned short *rows, unsigned short *columns);
