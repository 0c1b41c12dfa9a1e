/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: the user's terminal in raw mode, and back again whatever happens. */
#include "terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

void terminal_init(struct terminal *t, int fd)
{
	*t = (struct terminal){.fd = isatty(fd) ? fd : -1};
}

int terminal_raw(struct terminal *t)
{
	struct termios raw;

	if (t->fd < 0 || t->raw)
		return 0;
	if (tcgetattr(t->fd, &t->saved) < 0)
		return -errno;
	raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(t->fd, TCSADRAIN, &raw) < 0)
		return -errno;
	t->raw = true;
	return 0;
}

void terminal_restore(struct terminal *t)
{
	if (t->raw)
		tcsetattr(t->fd, TCSADRAIN, &t->saved);
	t->raw = false;
}

bool terminal_size(const struct terminal *t, unsigned short *rows, unsigned short *columns)
{
	struct winsize w;

	if (t->fd < 0 || ioctl(t->fd, TIOCGWINSZ, &w) < 0)
		return false;
	*rows = w.ws_row;
	*columns = w.ws_col;
	return w.ws_row && w.ws_col;
}
