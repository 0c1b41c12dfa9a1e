/* SPDX-License-Identifier: Apache-2.0 */
/* test-container-mounts: what a container sees of file systems and devices, and that no link
 * leads a mount out of it. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "container_box.h"
#include "lib/base/fs.h"

TEST(sees_only_its_mounts)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.script = "while read a b c root point rest; do echo $point; done < /proc/self/mountinfo";
	o = box_run(&b);
	check_str(o, "/\n/proc\n/dev\n/dev/pts\n");
	box_free(&b);
}

TEST(default_devices_and_links)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.script = "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' "
	           "$d; done; for d in fd stdin stdout stderr ptmx; do readlink $d; done; stat -c "
	           "'%n %t:%T %a %u %g %F' "
	           "mine pipe; echo x > null && dd if=zero bs=4 count=1 2>/dev/null | wc -c";
	b.linux_ = ",\"devices\":[{\"path\":\"/dev/mine\",\"type\":\"c\",\"major\":1,\"minor\":5,"
	           "\"fileMode\":432,\"uid\":3,\"gid\":4},{\"path\":\"/dev/pipe\",\"type\":\"p\"}]";
	o = box_run(&b);
	check_str(o, "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\n"
	             "tty 5:0 666\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n"
	             "/proc/self/fd/2\npts/ptmx\nmine 1:5 660 3 4 character special file\n"
	             "pipe 0:0 666 0 0 fifo\n4\n");
	box_free(&b);
}

TEST(masked_and_readonly_paths)
{
	struct box b;
	const char *o;

	box_init(&b);
	put(&b, "/data/secret", "treasure");
	put(&b, "/usr/file", "x");
	b.linux_ = ",\"maskedPaths\":[\"/data\",\"/usr/file\",\"/proc/version\",\"/nothing/here\"],"
	           "\"readonlyPaths\":[\"/tmp\",\"/proc/sys\",\"/nothing\"]";
	b.process = ",\"capabilities\":{\"bounding\":[\"CAP_SYS_ADMIN\",\"CAP_DAC_OVERRIDE\"],"
	            "\"permitted\":[\"CAP_SYS_ADMIN\",\"CAP_DAC_OVERRIDE\"],\"effective\":"
	            "[\"CAP_SYS_ADMIN\",\"CAP_DAC_OVERRIDE\"]}";
	b.script = "ls /data | wc -l; cat /usr/file | wc -c; cat /proc/version | wc -c; "
	           "touch /tmp/x 2>&1; echo 1 2>&1 > /proc/sys/kernel/printk; touch /data/x 2>&1; "
	           "touch /etc/ok && echo fine";
	o = box_run(&b);
	check(has(o, "0\n0\n0\n"));
	check(has(o, "/tmp/x: Read-only file system"));
	check(has(o, "printk: Read-only file system"));
	check(has(o, "/data/x: Read-only file system"));
	check(has(o, "fine\n"));
	box_free(&b);
}

TEST(readonly_root)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.root = ",\"readonly\":true";
	b.mounts = ",{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}";
	b.script = "touch /x 2>&1; touch /tmp/x && echo written";
	o = box_run(&b);
	check(has(o, "/x: Read-only file system"));
	check(has(o, "written"));
	box_free(&b);
}

TEST(bind_mounts_and_their_options)
{
	struct box b;
	const char *o;
	char mounts[1024], path[512];

	box_init(&b);
	snprintf(path, sizeof(path), "%s/host", b.dir);
	check(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "%s/host/file", b.dir);
	check_ok(fs_write_file_atomic(path, "from outside\n", 13, 0644, &b.err), &b.err);
	snprintf(mounts, sizeof(mounts),
	         ",{\"destination\":\"/made/here\",\"type\":\"bind\",\"source\":\"%s/host\","
	         "\"options\":[\"rbind\",\"ro\",\"nosuid\",\"nodev\",\"noexec\",\"rprivate\"]}"
	         ",{\"destination\":\"/a/file\",\"type\":\"bind\",\"source\":\"host/file\","
	         "\"options\":[\"bind\",\"rw\"]}",
	         b.dir);
	b.mounts = mounts;
	b.script =
	    "cat /made/here/file; touch /made/here/x 2>&1; echo more >> /a/file; cat /a/file; "
	    "grep /made/here /proc/self/mountinfo";
	o = box_run(&b);
	check(has(o, "from outside\n"));
	check(has(o, "here/x: Read-only file system"));
	check(has(o, "from outside\nmore\n"));
	check(has(o, "ro,nosuid,nodev,noexec"));
	box_free(&b);
}

TEST(bad_mount_options_are_named)
{
	struct box b;

	box_init(&b);
	b.mounts = ",{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	           "\"options\":[\"size=banana\"]}";
	check_int(box_create(&b), -EINVAL);
	check(has(b.err.text, "mounting /tmp: making a tmpfs file system"));
	check(has(b.err.text, "size"));
	box_free(&b);
	b.c = NULL;
	b.output = (struct buffer)BUFFER_INIT;
	b.mounts = ",{\"destination\":\"/tmp\",\"type\":\"bind\",\"source\":\"/missing/source\"}";
	check_int(box_create(&b), -ENOENT);
	check(has(b.err.text, "/missing/source"));
	box_free(&b);
}

TEST(tmpfs_copies_up)
{
	struct box b;

	box_init(&b);
	put(&b, "/data/file", "kept\n");
	b.mounts = ",{\"destination\":\"/data\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	           "\"options\":[\"tmpcopyup\",\"mode=750\"]}";
	b.script = "cat /data/file; echo new > /data/file; stat -c %a /data";
	check_str(box_run(&b), "kept\n750\n");
	{
		_cleanup_buffer_ struct buffer t = BUFFER_INIT;
		char path[512];

		snprintf(path, sizeof(path), "%s/rootfs/data/file", b.dir);
		check_ok(fs_read_file(AT_FDCWD, path, 100, &t, &b.err), &b.err);
		check_str(buffer_cstr(&t), "kept\n");
	}
	box_free(&b);
}

/* A link in the image must not let a mount land outside the rootfs. */
TEST(mount_destination_through_a_link_stays_inside)
{
	struct box b;
	char path[512], target[512], outside[512];

	box_init(&b);
	snprintf(outside, sizeof(outside), "%s/outside", b.dir);
	check(mkdir(outside, 0755) == 0);
	snprintf(path, sizeof(path), "%s/rootfs/escape", b.dir);
	check(symlink(outside, path) == 0);
	snprintf(path, sizeof(path), "%s/rootfs/up", b.dir);
	check(symlink("../../../../../../../../../../etc", path) == 0);
	b.mounts = ",{\"destination\":\"/escape/sub\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}"
	           ",{\"destination\":\"/up\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}";
	b.script = "grep -c -E ' (/etc|/escape/sub|.*/outside/sub) ' /proc/self/mountinfo; "
	           "touch /etc/inside";
	/* The absolute link's target does not exist inside: that is an error, or is made. */
	if (box_create(&b) == 0)
		check_ok(box_finish(&b), &b.err);
	snprintf(target, sizeof(target), "%s/outside/sub", b.dir);
	check(access(target, F_OK) < 0);
	check(access("/etc/inside", F_OK) < 0);
	box_free(&b);
}

TEST(proc_through_a_link_is_refused)
{
	struct box b;
	char path[512];

	box_init(&b);
	snprintf(path, sizeof(path), "%s/rootfs/proc", b.dir);
	check(rmdir(path) == 0);
	check(symlink("/tmp", path) == 0);
	check_int(box_create(&b), -ELOOP);
	check(has(b.err.text, "must be mounted on ordinary directory"));
	box_free(&b);
}

TEST(mount_into_proc_is_refused)
{
	struct box b;
	char path[512];

	box_init(&b);
	snprintf(path, sizeof(path), "%s/rootfs/link", b.dir);
	check(symlink("/proc/self", path) == 0);
	b.mounts = ",{\"destination\":\"/link/attr\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}";
	check(box_create(&b) < 0);
	box_free(&b);
	b.c = NULL;
	b.mounts = ",{\"destination\":\"/proc/self/attr\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}";
	check(box_create(&b) < 0);
	check(has(b.err.text, "leads into the container's /proc") || has(b.err.text, "/proc/self"));
	box_free(&b);
}

TEST(rootfs_by_move_and_chroot)
{
	struct box b;

	box_init(&b);
	b.opts.no_pivot = true;
	b.script = "ls /; ls /../..; grep -c . /proc/self/mountinfo";
	check(has(box_run(&b), "bin\ndata\ndev\netc\nproc\n"));
	box_free(&b);
}

TEST_MAIN()
