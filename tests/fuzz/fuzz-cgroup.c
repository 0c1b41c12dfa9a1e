/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-cgroup: files of a control group with anything in them. The input is a list of files: a byte
 * for the name, two for the size, the contents. What is read from them ends, and can be encoded.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/container/cgroup.h"
#include "guest/agent/rpc/stats.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/rpc/ttrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "cpu.stat",
    "memory.stat",
    "memory.events",
    "memory.current",
    "memory.max",
    "memory.peak",
    "memory.swap.max",
    "memory.swap.current",
    "memory.swap.events",
    "pids.current",
    "pids.max",
    "io.stat",
    "cgroup.procs",
    "cgroup.events",
    "hugetlb.2MB.current",
    "hugetlb.1GB.current",
    "hugetlb.2MB.events",
    "cgroup.controllers",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static char folder[] = "/tmp/fuzz-cgroup.XXXXXX";

static void remove_folder(void)
{
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

static int open_folder(void)
{
	static int dir = -1;

	if (dir < 0) {
		if (!mkdtemp(folder))
			abort();
		atexit(remove_folder);
		dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return dir;
}

static void write_files(int dir, const uint8_t *data, size_t size)
{
	struct reader r = reader_init(data, size);

	for (size_t i = 0; i < N_NAMES; i++)
		unlinkat(dir, names[i], 0);
	while (reader_left(&r) > 3) {
		const char *name = names[reader_u8(&r) % N_NAMES];
		size_t n = reader_le16(&r);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (n > reader_left(&r))
			n = reader_left(&r);
		if (fd < 0 || fs_write_all(fd, reader_bytes(&r, n), n) < 0)
			abort();
		close(fd);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgroup group = {folder, open_folder(), -1};
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	Grpc__CgroupStats stats = GRPC__CGROUP_STATS__INIT;
	struct buffer frame = BUFFER_INIT;
	pid_t *pids = NULL;
	uint64_t value;
	size_t n = 0;

	write_files(group.fd, data, size);
	if (stats_of_cgroup(&arena, group.fd, group.path, &stats) == 0)
		ttrpc_put_reply(&frame, 1, &stats.base);
	if (cgroup_pids(&group, &pids, &n, NULL) == 0 && n > size)
		abort();
	cgroup_is_populated(&group);
	cgroup_is_frozen(&group);
	cgroup_read_key(&group, "memory.events", "oom_kill", &value);
	free(pids);
	buffer_free(&frame);
	arena_free(&arena);
	return 0;
}
