/* SPDX-License-Identifier: Apache-2.0 */
/* group: cgroup v2 (Linux Documentation/admin-guide/cgroup-v2.rst), as far as one may. */
#include "host-shim/hypervisor/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define PREFIX "kihon-"

static const char *mount_point(void)
{
	static const char *const paths[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs st;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (statfs(paths[i], &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC)
			return paths[i];
	return NULL;
}

/* The caller's group: "0::/user.slice" in /proc/self/cgroup. Fresh memory, NULL when it is none of
 * those that can be seen here. */
static char *own_group(void)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *mount = mount_point(), *line, *end;

	if (!mount || fs_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 16, &text, NULL) < 0)
		return NULL;
	line = strstr(buffer_cstr(&text), "0::/");
	if (!line || (line != buffer_cstr(&text) && line[-1] != '\n'))
		return NULL;
	line += strlen("0::");
	end = strchrnul(line, '\n');
	if (strncmp(line, "/..", 3) == 0)
		return NULL;
	return str_printf("%s%.*s", mount, (int)(end - line), line);
}

/* Groups that nobody is in any more: the kernel keeps the others. */
static void sweep(const char *parent)
{
	_cleanup_closedir_ DIR *dir = opendir(parent);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (str_starts(e->d_name, PREFIX))
			unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
}

static int join(const char *path, pid_t pid, unsigned int threads_max)
{
	_cleanup_free_ char *procs = str_printf("%s/cgroup.procs", path),
	                    *most = str_printf("%s/pids.max", path),
	                    *number = str_printf("%d", pid), *limit = str_printf("%u", threads_max);

	if (!procs || !most || !number || !limit)
		return -ENOMEM;
	/* The controller may not be for us. */
	(void)fs_write_string(AT_FDCWD, most, limit, NULL);
	return fs_write_string(AT_FDCWD, procs, number, NULL);
}

char *group_make(const char *id, pid_t pid, unsigned int threads_max)
{
	_cleanup_free_ char *parent = own_group();
	_cleanup_free_ char *path = parent ? str_printf("%s/" PREFIX "%s", parent, id) : NULL;

	if (!path)
		return NULL;
	sweep(parent);
	/* Twice: another one's sweep may come between the two steps. */
	for (int i = 0; i < 2; i++) {
		if (mkdir(path, 0755) < 0)
			return NULL;
		if (join(path, pid, threads_max) == 0)
			return steal_ptr(&path);
		rmdir(path);
	}
	return NULL;
}

static int read_file(const char *path, const char *name, struct buffer *out)
{
	_cleanup_free_ char *file = str_printf("%s/%s", path, name);

	return file ? fs_read_file(AT_FDCWD, file, 4096, out, NULL) : -ENOMEM;
}

char *group_out_of_memory(const char *path)
{
	_cleanup_buffer_ struct buffer events = BUFFER_INIT, limit = BUFFER_INIT;
	const char *kills;

	if (!path || read_file(path, "memory.events", &events) < 0)
		return NULL;
	kills = strstr(buffer_cstr(&events), "\noom_kill ");
	if (!kills || strtoull(kills + strlen("\noom_kill "), NULL, 10) == 0)
		return NULL;
	if (read_file(path, "memory.max", &limit) < 0 || str_starts(buffer_cstr(&limit), "max"))
		return str_printf("out of memory (%s itself has no limit)", path);
	return str_printf("out of memory (memory.max of %s is %.*s)", path,
	                  (int)strcspn(buffer_cstr(&limit), "\n"), buffer_cstr(&limit));
}

void group_remove(char *path)
{
	if (path)
		rmdir(path);
	free(path);
}
