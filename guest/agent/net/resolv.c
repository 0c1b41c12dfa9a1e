/* SPDX-License-Identifier: Apache-2.0 */
/* resolv: a few lines, written over the old ones. */
#include "resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define TARGET "/etc/resolv.conf"

/* Over a regular file only: a link or an absent file is the image's own choice. */
static int bind_over_target(int fd, struct error *err)
{
	struct stat ours, theirs;

	if (fstat(fd, &ours) < 0)
		return error_errno(err, errno, "stat " RESOLV_PATH);
	if (lstat(TARGET, &theirs) < 0 || !S_ISREG(theirs.st_mode))
		return 0;
	if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return 0; /* bound before */
	if (mount(RESOLV_PATH, TARGET, NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "bind " RESOLV_PATH " over " TARGET);
	return 0;
}

int resolv_write(const struct net_addr *dns, size_t n, const char *domain, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_close_ int fd = -1;
	int r;

	if (!str_empty(domain))
		buffer_printf(&text, "search %s\n", domain);
	for (size_t i = 0; i < n; i++) {
		char address[NET_ADDR_TEXT];

		net_addr_format(&dns[i], false, address);
		buffer_printf(&text, "nameserver %s\n", address);
	}
	if (text.failed)
		return error_set(err, ENOMEM, "write " RESOLV_PATH ": no memory");
	/* In place: a rename would leave the bind mount with the old file. */
	fd = open(RESOLV_PATH, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "open " RESOLV_PATH);
	r = fs_pwrite_all(fd, buffer_cstr(&text), text.size, 0);
	if (r == 0 && ftruncate(fd, (off_t)text.size) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, -r, "write " RESOLV_PATH);
	return bind_over_target(fd, err);
}
