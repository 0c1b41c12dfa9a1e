/* SPDX-License-Identifier: Apache-2.0 */
/* self: memfd_create, sendfile, seals, execveat. */
#include "guest/oci/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern char **environ;

static bool enters_containers(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "create") == 0 || strcmp(argv[i], "run") == 0 ||
		    strcmp(argv[i], "exec") == 0)
			return true;
	return false;
}

static bool is_sealed(int exe)
{
	int seals = fcntl(exe, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

static int copy(int exe)
{
	_cleanup_close_ int fd =
	    memfd_create("kihon-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	struct stat st;
	off_t done = 0;

	/* Before Linux 6.3 there is no MFD_EXEC, and every memfd is executable. */
	if (fd < 0)
		fd = memfd_create("kihon-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fstat(exe, &st) < 0)
		return -1;
	while (done < st.st_size)
		if (sendfile(fd, exe, &done, (size_t)(st.st_size - done)) <= 0)
			return -1;
	if (fchmod(fd, 0755) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -1;
	return steal_fd(&fd);
}

void self_protect(int argc, char **argv)
{
	_cleanup_close_ int exe = -1, fd = -1;

	if (!enters_containers(argc, argv))
		return;
	exe = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe >= 0 && is_sealed(exe))
		return;
	fd = exe < 0 ? -1 : copy(exe);
	if (fd >= 0)
		syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	dprintf(2, "kihon-oci: cannot run from a sealed copy: %s\n", strerror(errno));
	_exit(1);
}
