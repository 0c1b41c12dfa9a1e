/* SPDX-License-Identifier: Apache-2.0 */
/* console: the kernel's descriptors are replaced by the console as /dev now has it. */
#include "console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/fs.h"

/* Puts `fd` at `where` and, unless it is there already, closes it. */
static void put(int fd, int where)
{
	if (fd < 0 || fd == where)
		return;
	(void)dup2(fd, where);
	if (fd > 2)
		close(fd);
}

static void without_console(void)
{
	int in = fcntl(0, F_GETFD) < 0 ? open("/dev/null", O_RDONLY) : 0, out;

	put(in, 0);
	if (fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0)
		return;
	out = open("/dev/kmsg", O_WRONLY);
	if (out < 0)
		out = open("/dev/null", O_WRONLY);
	if (out < 0)
		return;
	(void)dup2(out, 1);
	(void)dup2(out, 2);
	if (out > 2)
		close(out);
}

void console_setup(void)
{
	int fd;

	(void)setsid();
	/* What the kernel opened for pid 1 is a node that the devtmpfs mount hides, so ttyname(3)
	 * would not find it. */
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd < 0) {
		without_console();
		return;
	}
	for (int i = 0; i <= 2; i++)
		if (i != fd)
			(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
	/* 0: take it only if it is free. */
	(void)ioctl(0, TIOCSCTTY, 0);
}

void console_give_to_program(void)
{
	static const char sign[] = "kihon: program\n";
	struct termios t;

	if (tcgetattr(1, &t) == 0) {
		t.c_oflag &= ~(tcflag_t)OPOST;
		(void)tcsetattr(1, TCSADRAIN, &t);
	}
	(void)fs_write_all(1, sign, sizeof(sign) - 1);
}

void console_silence_kernel(void)
{
	/* syslog(2) goes no lower than 1, which shows emergencies, and a reboot is one. */
	(void)fs_write_string(AT_FDCWD, "/proc/sys/kernel/printk", "0", NULL);
}
