/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: ptmx, TIOCGPTPEER, the controlling terminal, /dev/console. */
#include "guest/agent/container/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/agent/container/mount.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

/* An image may have any device there, and to open one does something already: looked at first. */
static int open_multiplexer(int root_fd, const char *path)
{
	_cleanup_close_ int node = fs_open_in_root(root_fd, path, O_PATH, 0);
	struct stat st;

	if (node < 0)
		return node;
	if (fstat(node, &st) < 0)
		return -errno;
	/* Documentation/admin-guide/devices.txt */
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return -ENOTTY;
	return fs_open_in_root(root_fd, path, O_RDWR | O_NOCTTY, 0);
}

static int open_master(int root_fd)
{
	/* Only the multiplexer of a devpts instance makes terminals of the container. */
	int fd = open_multiplexer(root_fd, "/dev/pts/ptmx");

	if (fd == -ENOENT || fd == -EACCES)
		fd = open_multiplexer(root_fd, "/dev/ptmx");
	return fd;
}

int terminal_open(int root_fd, int *master, int *slave, struct error *err)
{
	_cleanup_close_ int m = open_master(root_fd), s = -1;
	struct statfs fs;
	int unlock = 0;

	if (m < 0)
		return error_errno(err, -m,
		                   "opening /dev/pts/ptmx in the container (a terminal needs a "
		                   "devpts mount)");
	if (ioctl(m, TIOCSPTLCK, &unlock) < 0)
		return error_errno(err, errno, "unlocking the container's terminal");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		return error_errno(err, errno, "opening the container's terminal");
	if (fstatfs(s, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return error_set_kind(err, ERROR_INPUT, ENOTTY,
		                      "the container's /dev/ptmx makes no terminals of a devpts");
	*master = steal_fd(&m);
	*slave = steal_fd(&s);
	return 0;
}

int terminal_set_size(int fd, uint32_t rows, uint32_t columns)
{
	struct winsize ws = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

	if (!rows && !columns)
		return 0;
	return ioctl(fd, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

int terminal_take(int slave, uid_t uid, struct error *err)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_errno(err, errno, "taking the controlling terminal");
	/* In a user namespace the id may have no mapping; the mode lets the owner be. */
	if (fchown(slave, uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM)
		return error_errno(err, errno, "setting the owner of the terminal");
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return error_errno(err, errno, "making the terminal descriptor %d", i);
	return 0;
}

int terminal_bind_console(int root_fd, int slave, struct error *err)
{
	_cleanup_close_ int node = mount_clone(slave, "", false, err), destination = -1;

	if (node < 0)
		return error_prefix(err, node, "making /dev/console");
	destination = mount_open_destination(root_fd, "/dev/console", false, err);
	if (destination < 0)
		return destination;
	return mount_attach(node, destination, "/dev/console", err);
}
