/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_file: is the file of a guest kernel whole? */
#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/vmm/boot/kernel.h"
#include "lib/base/cleanup.h"

int kernel_file_check(const char *path, bool *multiboot, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct error why = ERROR_INIT;
	struct kernel_image kernel;
	struct stat st;
	void *bytes;
	int r;

	*multiboot = false;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read the kernel %s", path);
	if (st.st_size == 0)
		return 0;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_errno(err, errno, "cannot read the kernel %s", path);
	r = kernel_parse(bytes, (size_t)st.st_size, &kernel, &why);
	munmap(bytes, (size_t)st.st_size);
	*multiboot = r == 0 && kernel.entry == KERNEL_ENTRY_MULTIBOOT;
	if (r == 0 || r == -ENOEXEC)
		return 0;
	return error_set_kind(err, why.kind, -r, "the kernel %s %s", path, why.text);
}
