/* SPDX-License-Identifier: Apache-2.0 */
/* test-container-cgroup: control groups of containers, and their device rules. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "container_box.h"
#include "guest/agent/container/cgroup.h"

static bool find_cgroup_root(char *out, size_t size)
{
	_cleanup_free_ char *root = NULL;

	if (cgroup_find_root(&root, NULL) < 0 || access(root, W_OK) < 0)
		return false;
	snprintf(out, size, "%s", root);
	return true;
}

TEST(cgroup_kill_pause_and_removal)
{
	struct box b;
	char root[256], path[512], id[64];
	pid_t *pids = NULL;
	size_t n = 0;
	int i;

	if (!find_cgroup_root(root, sizeof(root)))
		check_skip("no writable cgroup2 mount");
	box_init(&b);
	snprintf(id, sizeof(id), "kihon-test-%d", getpid());
	b.opts.id = id;
	b.opts.no_cgroup = false;
	b.script = "sleep 100 & sleep 100 & wait";
	check_ok(box_create(&b), &b.err);
	check_ok(container_start(b.c, &b.err), &b.err);
	check_ok(container_process_wait_ready(container_init(b.c), 60000, &b.err), &b.err);
	snprintf(path, sizeof(path), "%s/%s", root, id);
	check_str(container_cgroup_path(b.c), path);
	for (i = 0; i < 6000 && n != 3; i++) {
		free(pids);
		check_ok(container_pids(b.c, &pids, &n, &b.err), &b.err);
		usleep(10000);
	}
	free(pids);
	check_int(n, 3);
	check_ok(container_pause(b.c, &b.err), &b.err);
	for (i = 0; i < 6000 && container_status(b.c) != CONTAINER_PAUSED; i++)
		usleep(10000);
	check_int(container_status(b.c), CONTAINER_PAUSED);
	check_ok(container_resume(b.c, &b.err), &b.err);
	check_int(container_destroy(b.c, &b.err) < 0, 0);
	reap(container_init(b.c));
	for (i = 0; i < 6000 && container_destroy(b.c, &b.err) == 1; i++)
		usleep(10000);
	check(access(path, F_OK) < 0);
	check_int(container_process_exit_code(container_init(b.c)), 128 + SIGKILL);
	box_free(&b);
}

TEST(device_rules)
{
	struct box b;
	char root[256], id[64];
	const char *o;

	if (!find_cgroup_root(root, sizeof(root)))
		check_skip("no writable cgroup2 mount");
	box_init(&b);
	snprintf(id, sizeof(id), "kihon-test-dev-%d", getpid());
	b.opts.id = id;
	b.opts.no_cgroup = false;
	b.process = ",\"capabilities\":{\"bounding\":[\"CAP_MKNOD\"],\"permitted\":[\"CAP_MKNOD\"],"
	            "\"effective\":[\"CAP_MKNOD\"]}";
	b.linux_ = ",\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
	           "{\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":229,\"access\":\"r\"}]}";
	b.script = "mknod /tmp/kmsg c 1 11; mknod /tmp/fuse c 10 229; cat /tmp/kmsg 2>&1; "
	           "echo > /tmp/fuse; (exec 3< /tmp/fuse) 2>&1 && echo fuse-read; "
	           "head -c 1 /dev/zero | wc -c";
	b.opts.stdio[2] = -1;
	check_ok(box_create(&b), &b.err);
	check_ok(box_finish(&b), &b.err);
	o = buffer_cstr(&b.output);
	check(has(o, "kmsg': Operation not permitted"));
	check(has(o, "/tmp/fuse: Operation not permitted"));
	check(access("/dev/fuse", F_OK) < 0 || has(o, "fuse-read") || has(o, "No such device"));
	check(has(o, "1\n"));
	box_free(&b);
}

TEST(a_missing_controller_is_named)
{
	struct box b;
	char root[256];

	if (!find_cgroup_root(root, sizeof(root)))
		check_skip("no writable cgroup2 mount");
	box_init(&b);
	b.opts.id = "kihon-test-unified";
	b.opts.no_cgroup = false;
	b.linux_ = ",\"resources\":{\"rdma\":{\"x\":{\"hcaHandles\":1}}}";
	if (box_create(&b) == 0)
		check_skip("the rdma controller is there");
	check(has(b.err.text, "\"rdma\"") || has(b.err.text, "rdma.max"));
	box_free(&b);
}

TEST(foreign_cgroup_is_not_taken)
{
	struct box b;
	char root[256], path[512];
	int fd;

	if (!find_cgroup_root(root, sizeof(root)))
		check_skip("no writable cgroup2 mount");
	box_init(&b);
	b.opts.id = "kihon-test-foreign";
	b.opts.no_cgroup = false;
	snprintf(path, sizeof(path), "%s/kihon-test-foreign", root);
	check(mkdir(path, 0755) == 0);
	strcat(path, "/cgroup.procs");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
	check_int(box_create(&b), -EBUSY);
	snprintf(path, sizeof(path), "%s/cgroup.procs", root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
	snprintf(path, sizeof(path), "%s/kihon-test-foreign", root);
	check(rmdir(path) == 0);
	box_free(&b);
}

TEST_MAIN()
