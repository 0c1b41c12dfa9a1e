/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-container: containers of busybox made through the engine, judged by what the
 * processes in them see (/proc/self/status, mountinfo, id) and by what the kernel says.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

#include "guest/agent/container/cgroup.h"
#include "guest/agent/container/container.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define BUSYBOX "/bin/busybox"

static const char default_mounts[] =
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}";

static const char default_namespaces[] =
    "{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}";

/* What a test varies; NULL: the default. Strings are JSON. */
struct box {
	const char *script;     /* sh -c */
	const char *args;       /* instead: the list */
	const char *process;    /* further members, each with a leading comma */
	const char *mounts;     /* further entries, each with a leading comma */
	const char *namespaces; /* the list */
	const char *linux_;     /* further members of linux, each with a leading comma */
	const char *top;        /* further members of the top */
	const char *user;       /* instead of "uid":0,"gid":0 */
	const char *root;       /* further members of root */
	const char *cwd;
	struct container_opts opts;
	bool terminal;
	/* results */
	struct container *c;
	char dir[256]; /* bundle */
	int out;       /* pipe of stdout and stderr */
	int console;
	struct buffer output;
	struct error err;
	int code;
};

static void make_rootfs(const char *dir)
{
	static const char *const folders[] = {"bin", "etc", "proc", "dev", "sys",
	                                      "tmp", "run", "data", "usr"};
	static const char *const tools[] = {"sh",    "cat",  "ls",    "id",       "grep", "mount",
	                                    "echo",  "true", "sleep", "readlink", "stat", "mkdir",
	                                    "touch", "kill", "mknod", "hostname", "pwd",  "env",
	                                    "stty",  "tty",  "umask", "chroot",   "ln",   "uname",
	                                    "ps",    "dd",   "wc",    "head",     "rm",   "nice"};
	char path[512], from[64];

	snprintf(path, sizeof(path), "%s/rootfs", dir);
	check(mkdir(path, 0755) == 0);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/rootfs/%s", dir, folders[i]);
		check(mkdir(path, 0755) == 0);
	}
	snprintf(path, sizeof(path), "cp %s %s/rootfs/bin/busybox", BUSYBOX, dir);
	check(system(path) == 0);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		snprintf(path, sizeof(path), "%s/rootfs/bin/%s", dir, tools[i]);
		snprintf(from, sizeof(from), "busybox");
		check(symlink(from, path) == 0);
	}
}

/* A file of the rootfs, with contents. */
static void put(struct box *b, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/rootfs%s", b->dir, name);
	check_ok(fs_write_file_atomic(path, text, strlen(text), 0755, &b->err), &b->err);
}

static void box_init(struct box *b)
{
	if (geteuid() != 0)
		check_skip("needs root");
	if (access(BUSYBOX, X_OK) < 0)
		check_skip("needs " BUSYBOX " (package busybox-static)");
	memset(b, 0, sizeof(*b));
	b->out = b->console = -1;
	snprintf(b->dir, sizeof(b->dir), "%s", check_tmpdir());
	make_rootfs(b->dir);
	b->opts = (struct container_opts){
	    .id = "test", .bundle = b->dir, .stdio = {-1, -1, -1}, .no_cgroup = true};
}

static struct oci_spec *box_spec(struct box *b)
{
	_cleanup_buffer_ struct buffer j = BUFFER_INIT;
	struct oci_spec *spec = NULL;

	buffer_printf(&j, "{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"rootfs\"%s},",
	              b->root ? b->root : "");
	buffer_printf(&j, "\"process\":{\"cwd\":\"%s\",\"terminal\":%s,\"user\":{%s},",
	              b->cwd ? b->cwd : "/", b->terminal ? "true" : "false",
	              b->user ? b->user : "\"uid\":0,\"gid\":0");
	buffer_str(&j, "\"env\":[\"PATH=/bin\"],\"args\":");
	if (b->args) {
		buffer_str(&j, b->args);
	} else {
		buffer_str(&j, "[\"sh\",\"-c\",");
		buffer_json_string(&j, b->script ? b->script : "true");
		buffer_str(&j, "]");
	}
	buffer_printf(&j, "%s},\"mounts\":[%s%s],", b->process ? b->process : "", default_mounts,
	              b->mounts ? b->mounts : "");
	buffer_printf(&j, "\"linux\":{\"namespaces\":[%s]%s}%s}",
	              b->namespaces ? b->namespaces : default_namespaces,
	              b->linux_ ? b->linux_ : "", b->top ? b->top : "");
	check_ok(oci_spec_parse(buffer_cstr(&j), j.size, &spec, &b->err), &b->err);
	return spec;
}

/* Creates; returns what container_process_wait_ready() said. */
static int box_create(struct box *b)
{
	_cleanup_oci_spec_ struct oci_spec *spec = box_spec(b);
	int fds[2], r;

	check(pipe2(fds, O_CLOEXEC) == 0);
	b->out = fds[0];
	if (!b->terminal)
		b->opts.stdio[1] = b->opts.stdio[2] = fds[1];
	r = container_create(&b->opts, spec, &b->c, &b->err);
	close(fds[1]);
	if (r < 0)
		return r;
	return container_process_wait_ready(container_init(b->c), 20000, &b->err);
}

static void read_all(int fd, struct buffer *out)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buffer_append(out, chunk, (size_t)n);
}

static void reap(struct container_process *p)
{
	int status = 0;

	check(waitpid(container_process_pid(p), &status, 0) == container_process_pid(p));
	container_process_exited(p, status);
}

/* Starts, collects the output, waits for the end. */
static int box_finish(struct box *b)
{
	int r = container_start(b->c, &b->err);

	if (r == 0)
		r = container_process_wait_ready(container_init(b->c), 20000, &b->err);
	if (r == 0)
		read_all(b->terminal ? b->console : b->out, &b->output);
	if (r < 0)
		container_signal_all(b->c, SIGKILL, NULL);
	reap(container_init(b->c));
	b->code = container_process_exit_code(container_init(b->c));
	return r;
}

static void box_free(struct box *b)
{
	if (b->c) {
		if (!container_process_has_exited(container_init(b->c))) {
			container_signal_all(b->c, SIGKILL, NULL);
			reap(container_init(b->c));
		}
		for (int i = 0; i < 500 && container_destroy(b->c, &b->err) == 1; i++)
			usleep(10000);
		container_free(b->c);
	}
	close_fd(&b->out);
	close_fd(&b->console);
	buffer_free(&b->output);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* helpers */
		;
}

/* The whole way; fails the test unless it exits 0. */
static const char *box_run(struct box *b)
{
	check_ok(box_create(b), &b->err);
	check_ok(box_finish(b), &b->err);
	if (b->code != 0)
		check_fail(__FILE__, __LINE__, "exit code %d: %s", b->code,
		           buffer_cstr(&b->output));
	return buffer_cstr(&b->output);
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

TEST(runs_and_tells_exit_codes)
{
	struct box b;

	box_init(&b);
	b.script = "echo out; echo err >&2; exit 7";
	check_ok(box_create(&b), &b.err);
	check_int(container_status(b.c), CONTAINER_CREATED);
	check_ok(box_finish(&b), &b.err);
	check_str(buffer_cstr(&b.output), "out\nerr\n");
	check_int(b.code, 7);
	check_int(container_status(b.c), CONTAINER_STOPPED);
	box_free(&b);
}

TEST(death_by_signal_is_128_and_more)
{
	struct box b;

	box_init(&b);
	b.script = "trap - TERM; kill -TERM $$; sleep 1; kill -9 $$; sleep 1";
	b.namespaces = "{\"type\":\"mount\"}";
	check_ok(box_create(&b), &b.err);
	check_ok(box_finish(&b), &b.err);
	check_int(b.code, 128 + SIGTERM);
	box_free(&b);
}

/* An ignored signal survives execve(2) and CLONE_CLEAR_SIGHAND; no program expects one. */
TEST(inherits_no_ignored_and_no_blocked_signal)
{
	sigset_t one;
	struct box b;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&one);
	sigaddset(&one, SIGTERM);
	sigprocmask(SIG_BLOCK, &one, NULL);
	box_init(&b);
	b.script = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
	check(has(box_run(&b), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
	box_free(&b);
}

TEST(is_alone_in_its_namespaces)
{
	struct box b;
	const char *o;
	char own[128] = "";

	box_init(&b);
	b.top = ",\"hostname\":\"inside\",\"domainname\":\"example\"";
	b.script = "echo pid=$$; hostname; cat /proc/sys/kernel/domainname; ls /proc | grep -c "
	           "'^[0-9]'; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";
	o = box_run(&b);
	check(has(o, "pid=1\ninside\nexample\n"));
	check(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0);
	check(has(o, own)); /* not asked for */
	check(readlink("/proc/self/ns/ipc", own, sizeof(own) - 1) > 0);
	check(!has(o, own));
	box_free(&b);
}

TEST(joins_namespaces_by_path)
{
	struct box a, b;
	char namespaces[512];
	const char *o;

	box_init(&a);
	a.script = "sleep 100";
	a.top = ",\"hostname\":\"shared\"";
	check_ok(box_create(&a), &a.err);
	memset(&b, 0, sizeof(b));
	b = a;
	b.c = NULL;
	b.top = NULL;
	b.out = b.console = -1;
	b.opts.id = "second";
	snprintf(namespaces, sizeof(namespaces),
	         "{\"type\":\"mount\"},{\"type\":\"uts\",\"path\":\"/proc/%d/ns/uts\"},"
	         "{\"type\":\"pid\",\"path\":\"/proc/%d/ns/pid\"}",
	         container_process_pid(container_init(a.c)),
	         container_process_pid(container_init(a.c)));
	b.namespaces = namespaces;
	b.script = "hostname; echo pid=$$; ls -d /proc/1";
	o = box_run(&b);
	check(has(o, "shared\n"));
	check(has(o, "/proc/1\n"));
	check(!has(o, "pid=1\n"));
	box_free(&b);
	box_free(&a);
}

TEST(a_path_of_another_type_is_refused)
{
	struct box b;

	box_init(&b);
	b.namespaces = "{\"type\":\"mount\"},{\"type\":\"uts\",\"path\":\"/proc/self/ns/net\"}";
	check_int(box_create(&b), -EINVAL);
	check(has(b.err.text, "is not a uts namespace"));
	box_free(&b);
}

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

TEST(capabilities_are_exactly_those)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.script = "grep -E '^(Cap|NoNew)' /proc/self/status";
	b.process = ",\"noNewPrivileges\":true,\"capabilities\":{"
	            "\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\",\"CAP_NET_BIND_SERVICE\"],"
	            "\"permitted\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\"],"
	            "\"inheritable\":[\"CAP_CHOWN\"],\"ambient\":[\"CAP_CHOWN\"]}";
	b.user = "\"uid\":1000,\"gid\":1000";
	o = box_run(&b);
	/* CHOWN 0, KILL 5, NET_BIND_SERVICE 10. For a user that is not root execve keeps what
	 * is ambient (capabilities(7), "Transformation"). */
	check_str(o, "CapInh:\t0000000000000001\nCapPrm:\t0000000000000001\n"
	             "CapEff:\t0000000000000001\nCapBnd:\t0000000000000421\n"
	             "CapAmb:\t0000000000000001\nNoNewPrivs:\t1\n");
	box_free(&b);
}

TEST(root_has_its_bounding_set)
{
	struct box b;

	box_init(&b);
	b.script = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status";
	b.process = ",\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"],"
	            "\"effective\":[\"CAP_KILL\"]}";
	check_str(box_run(&b), "CapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n"
	                       "CapBnd:\t0000000000000020\n");
	box_free(&b);
}

TEST(no_capabilities_at_all)
{
	struct box b;

	box_init(&b);
	b.script = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status";
	check_str(box_run(&b), "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
	                       "CapBnd:\t0000000000000000\n");
	box_free(&b);
}

TEST(user_groups_umask_home)
{
	struct box b;

	box_init(&b);
	put(&b, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1234:77::/home/ann:/bin/sh\n");
	b.user = "\"uid\":1234,\"gid\":5,\"additionalGids\":[7,9],\"umask\":63";
	b.script = "id -u; id -g; grep Groups: /proc/self/status; umask; echo $HOME; touch /tmp/x; "
	           "stat -c %a /tmp/x";
	check(mkdir("/tmp", 01777) == 0 || errno == EEXIST);
	{
		char path[512];

		snprintf(path, sizeof(path), "%s/rootfs/tmp", b.dir);
		check(chmod(path, 01777) == 0);
	}
	check_str(box_run(&b), "1234\n5\nGroups:\t7 9 \n0077\n/home/ann\n600\n");
	box_free(&b);
}

TEST(names_of_an_image_are_looked_up_inside)
{
	struct box b;

	box_init(&b);
	put(&b, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1234:77::/home/ann:/bin/sh\n");
	put(&b, "/etc/group", "root:x:0:\nstaff:x:50:bob,ann\nann:x:77:\naudio:x:29:ann\n");
	b.user = "\"username\":\"ann\"";
	b.script = "id -u; id -g; grep Groups: /proc/self/status";
	check_str(box_run(&b), "1234\n77\nGroups:\t29 50 \n");
	box_free(&b);
}

TEST(unknown_user_name)
{
	struct box b;

	box_init(&b);
	b.user = "\"username\":\"nobody-here\"";
	check_int(box_create(&b), -ENOENT);
	check(has(b.err.text, "no user \"nobody-here\""));
	box_free(&b);
}

TEST(rlimits_oom_score_nice)
{
	struct box b;

	box_init(&b);
	b.process = ",\"oomScoreAdj\":123,\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":77,"
	            "\"hard\":99},{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":"
	            "18446744073709551615}],\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":5},"
	            "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":6}";
	b.script =
	    "cat /proc/self/oom_score_adj; grep -E 'open files|core file' /proc/self/limits "
	    "| while read a b c d e f; do echo $a $b $c $d $e $f; done; "
	    "read a b c d e f g h i j k l m n o p q r nice rest < /proc/self/stat; echo nice "
	    "$nice; grep -c 'policy.* 3$' /proc/self/sched";
	{
		const char *o = box_run(&b);

		check(has(o, "123\n"));
		check(has(o, "Max core file size 0 unlimited bytes\n"));
		check(has(o, "Max open files 77 99 files\n"));
		check(has(o, "nice 5\n1\n"));
	}
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
	check(has(b.err.text, "must be mounted on an ordinary directory"));
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

/* Magic links of /proc must not lead a working directory out (CVE-2024-21626). */
TEST(working_directory_cannot_leave)
{
	struct box b;

	box_init(&b);
	put(&b, "/this-is-inside", "");
	for (int i = 3; i < 14; i++) {
		char cwd[64];

		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", i);
		b.cwd = cwd;
		b.script = "ls /proc/self/cwd/ 2>&1; readlink /proc/self/cwd";
		b.c = NULL;
		b.output = (struct buffer)BUFFER_INIT;
		if (box_create(&b) == 0) {
			check_ok(box_finish(&b), &b.err);
			if (!has(buffer_cstr(&b.output), "this-is-inside"))
				check_fail(__FILE__, __LINE__, "%s leads to %s", cwd,
				           buffer_cstr(&b.output));
		}
		box_free(&b);
	}
}

TEST(missing_working_directory_is_made)
{
	struct box b;

	box_init(&b);
	b.cwd = "/srv/app";
	b.script = "pwd";
	check_str(box_run(&b), "/srv/app\n");
	box_free(&b);
}

TEST(no_descriptor_leaks_in)
{
	struct box b;
	int open_here = open("/etc/hostname", O_RDONLY); /* without O_CLOEXEC */
	const char *o;

	box_init(&b);
	b.args = "[\"ls\",\"-l\",\"/proc/self/fd\"]";
	o = box_run(&b);
	check(has(o, "0 -> /dev/null"));
	check(!has(o, "hostname"));
	check(!has(o, " 4 -> ")); /* 3 is ls's own */
	close(open_here);
	box_free(&b);
}

TEST(preserved_descriptors_arrive)
{
	struct box b;
	char want[64];
	const char *o;
	int fd;

	box_init(&b);
	fd = open("/etc/hostname", O_RDONLY);
	check(fd >= 3);
	b.opts.preserve_fds = (unsigned int)fd - 2;
	b.args = "[\"ls\",\"-l\",\"/proc/self/fd\"]";
	o = box_run(&b);
	snprintf(want, sizeof(want), " %d -> /etc/hostname", fd);
	check(has(o, want));
	snprintf(want, sizeof(want), " %d -> ", fd + 2); /* the next one is ls's own */
	check(!has(o, want));
	close(fd);
	box_free(&b);
}

TEST(seccomp_filters)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":"
	           "[\"SCMP_ARCH_X86_64\"],\"syscalls\":["
	           "{\"names\":[\"mkdir\",\"mkdirat\",\"no_such_call\"],\"action\":"
	           "\"SCMP_ACT_ERRNO\",\"errnoRet\":95},"
	           "{\"names\":[\"sethostname\"],\"action\":\"SCMP_ACT_ERRNO\"},"
	           "{\"names\":[\"kill\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":11,"
	           "\"args\":[{\"index\":1,\"value\":10,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	b.process = ",\"noNewPrivileges\":true";
	b.script = "mkdir /x 2>&1; hostname y 2>&1; kill -10 $$ 2>&1; kill -0 $$ && echo ok; "
	           "grep Seccomp: /proc/self/status";
	o = box_run(&b);
	check(has(o, "'/x': Operation not supported"));
	check(has(o, "sethostname: Operation not permitted"));
	check(has(o, "Resource temporarily unavailable"));
	check(has(o, "ok\nSeccomp:\t2\n"));
	box_free(&b);
}

TEST(seccomp_without_no_new_privileges)
{
	struct box b;

	box_init(&b);
	b.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
	           "[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95}]}";
	b.script = "mkdir /x 2>&1; grep -E '(Seccomp|NoNewPrivs):' /proc/self/status";
	b.user = "\"uid\":10,\"gid\":10";
	check(has(box_run(&b), "NoNewPrivs:\t0\nSeccomp:\t2\n"));
	box_free(&b);
}

TEST(bad_seccomp_is_refused)
{
	static const char *const bad[][2] = {
	    {"{\"defaultAction\":\"SCMP_ACT_WHATEVER\"}", "unknown seccomp action"},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":3}", "takes no errno"},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}",
	     "unknown seccomp architecture"},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"NOPE\"]}", "unknown seccomp flag"},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
	     "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
	     "beyond 5"},
	};
	struct box b;

	box_init(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), ",\"seccomp\":%s", bad[i][0]);
		b.linux_ = text;
		b.c = NULL;
		check_int(box_create(&b), -EINVAL);
		if (!has(b.err.text, bad[i][1]))
			check_fail(__FILE__, __LINE__, "%s", b.err.text);
		box_free(&b);
	}
}

TEST(missing_program_is_told_at_creation)
{
	struct box b;

	box_init(&b);
	b.args = "[\"no-such-program\"]";
	check_int(box_create(&b), -ENOENT);
	check(has(b.err.text, "executable file not found in $PATH"));
	box_free(&b);
	b.c = NULL;
	b.args = "[\"/etc\"]";
	check_int(box_create(&b), -EACCES);
	check(has(b.err.text, "Permission denied"));
	box_free(&b);
}

TEST(sysctls)
{
	struct box b;

	box_init(&b);
	b.namespaces =
	    "{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"network\"}";
	b.linux_ = ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\",\"kernel.msgmax\":\"9000\"}";
	b.script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; "
	           "grep -c lo: /proc/net/dev";
	check_str(box_run(&b), "1\n9000\n1\n");
	box_free(&b);
	b.c = NULL;
	b.namespaces = NULL;
	check_int(box_create(&b), -EPERM);
	check(has(b.err.text, "net.ipv4.ip_forward is not separate"));
	box_free(&b);
}

TEST(user_namespace)
{
	struct box b;
	const char *o;
	char path[600];

	box_init(&b);
	snprintf(path, sizeof(path), "cd %s && chown -R 100000:100000 rootfs && chmod 755 .",
	         b.dir);
	check(system(path) == 0);
	b.namespaces = "{\"type\":\"user\"},{\"type\":\"pid\"},{\"type\":\"mount\"},"
	               "{\"type\":\"ipc\"},{\"type\":\"uts\"}";
	b.linux_ = ",\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
	           "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]";
	b.process = ",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":100,\"hard\":200}],"
	            "\"oomScoreAdj\":700";
	b.script = "id -u; cat /proc/self/uid_map; touch /new && stat -c %u /new; echo x > "
	           "/dev/null && echo null; cat /proc/self/oom_score_adj";
	o = box_run(&b);
	check(has(o, "0\n"));
	check(has(o, "100000"));
	check(has(o, "null\n700\n"));
	{
		struct stat st;

		snprintf(path, sizeof(path), "%s/rootfs/new", b.dir);
		check(stat(path, &st) == 0);
		check_int(st.st_uid, 100000);
	}
	box_free(&b);
}

TEST(time_namespace)
{
	struct box b;
	double up;

	if (access("/proc/self/ns/time", F_OK) < 0)
		check_skip("the kernel has no time namespaces");
	box_init(&b);
	b.namespaces = "{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"time\"}";
	b.linux_ = ",\"timeOffsets\":{\"boottime\":{\"secs\":864000}}";
	b.script = "cat /proc/uptime";
	up = strtod(box_run(&b), NULL);
	check(up > 864000);
	box_free(&b);
}

TEST(personality)
{
	struct box b;

	box_init(&b);
	b.linux_ = ",\"personality\":{\"domain\":\"LINUX32\"}";
	b.script = "uname -m";
	check_str(box_run(&b), "i686\n");
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

TEST(terminal)
{
	struct box b;
	const char *o;
	int status;

	box_init(&b);
	b.terminal = true;
	b.process = ",\"consoleSize\":{\"height\":33,\"width\":111}";
	b.user = "\"uid\":55,\"gid\":55";
	b.script = "tty; stty size; test -c /dev/console && echo console; stat -c %u /dev/pts/0; "
	           "echo ok > /dev/tty; exit 3";
	check_ok(box_create(&b), &b.err);
	b.console = container_process_take_console(container_init(b.c));
	check(b.console >= 0);
	check_int(container_process_take_console(container_init(b.c)), -1);
	check_ok(container_start(b.c, &b.err), &b.err);
	check_ok(container_process_wait_ready(container_init(b.c), 20000, &b.err), &b.err);
	read_all(b.console, &b.output);
	check(waitpid(container_process_pid(container_init(b.c)), &status, 0) > 0);
	container_process_exited(container_init(b.c), status);
	o = buffer_cstr(&b.output);
	check_str(o, "/dev/pts/0\r\n33 111\r\nconsole\r\n55\r\nok\r\n");
	check_int(container_process_exit_code(container_init(b.c)), 3);
	box_free(&b);
}

/* ---- further processes ---- */

static int exec_in(struct box *b, const char *json, struct buffer *out, int *code)
{
	struct container_exec_opts o = {.stdio = {-1, -1, -1}};
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	struct container_process *p = NULL;
	int fds[2], r;

	check_ok(oci_spec_parse_process(json, strlen(json), &spec, &b->err), &b->err);
	check(pipe2(fds, O_CLOEXEC) == 0);
	o.stdio[1] = o.stdio[2] = fds[1];
	r = container_exec(b->c, spec->process, &o, &p, &b->err);
	close(fds[1]);
	if (r == 0) {
		r = container_process_wait_ready(p, 20000, &b->err);
		read_all(fds[0], out);
		reap(p);
		*code = container_process_exit_code(p);
		container_process_free(p);
	}
	close(fds[0]);
	return r;
}

TEST(further_processes)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct box b;
	int code = -1;

	box_init(&b);
	b.top = ",\"hostname\":\"exec-here\"";
	b.script = "sleep 100";
	b.process = ",\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"],"
	            "\"effective\":[\"CAP_KILL\"]}";
	b.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
	           "[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95}]}";
	check_ok(box_create(&b), &b.err);
	check_ok(container_start(b.c, &b.err), &b.err);
	check_ok(container_process_wait_ready(container_init(b.c), 20000, &b.err), &b.err);
	check_int(container_status(b.c), CONTAINER_RUNNING);
	check_ok(exec_in(&b,
	                 "{\"cwd\":\"/etc\",\"user\":{\"uid\":0,\"gid\":0},\"env\":[\"PATH=/bin\"],"
	                 "\"args\":[\"sh\",\"-c\",\"hostname; pwd; ls -d /proc/1; grep -E "
	                 "'^(CapBnd|Seccomp:)' /proc/self/status; mkdir /x; exit 9\"]}",
	                 &out, &code),
	         &b.err);
	check_int(code, 9);
	check(has(buffer_cstr(&out), "exec-here\n/etc\n/proc/1\nCapBnd:\t0000000000000020\n"
	                             "Seccomp:\t2\n"));
	check(has(buffer_cstr(&out), "'/x': Operation not supported"));
	/* a program that is not there */
	check_int(exec_in(&b, "{\"cwd\":\"/\",\"args\":[\"nothing\"]}", &out, &code), -ENOENT);
	/* SIGTERM has no handler in the first process of a pid namespace */
	check(!container_process_handles(container_init(b.c), SIGTERM));
	box_free(&b);
}

/* ---- hooks ---- */

TEST(hooks_in_their_places)
{
	struct box b;
	char top[4096], path[300];
	_cleanup_buffer_ struct buffer log = BUFFER_INIT;
	const char *t;
	pid_t runner = 0;
	int status;

	box_init(&b);
	snprintf(path, sizeof(path), "%s/log", b.dir);
	/* In the container namespace before pivot_root the runtime's files are there still. */
	snprintf(top, sizeof(top),
	         ",\"hooks\":{\"prestart\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"echo prestart $V >> %s\"],\"env\":[\"V=1\"]}],"
	         "\"createRuntime\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"echo createRuntime $(cat) >> %s\"]}],"
	         "\"createContainer\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"echo createContainer $(hostname) >> %s\"]}],"
	         "\"startContainer\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"echo startContainer >> /tmp/log\"]}],"
	         "\"poststart\":[{\"path\":\"/bin/false\"},{\"path\":\"/bin/sh\",\"args\":[\"sh\","
	         "\"-c\",\"echo poststart >> %s\"]}],"
	         "\"poststop\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"echo poststop $(cat) >> %s\"]}]},\"hostname\":\"hooked\"",
	         path, path, path, path, path);
	b.top = top;
	b.script = "cat /tmp/log; echo main";
	check_ok(box_create(&b), &b.err);
	check_ok(box_finish(&b), &b.err);
	check_str(buffer_cstr(&b.output), "startContainer\nmain\n");
	check_ok(container_run_hooks(b.c, OCI_HOOK_POSTSTART, &runner, &b.err), &b.err);
	check(waitpid(runner, &status, 0) == runner);
	check_int(WEXITSTATUS(status), 1); /* the first failed, the second ran */
	check_ok(container_run_hooks(b.c, OCI_HOOK_POSTSTOP, &runner, &b.err), &b.err);
	check(waitpid(runner, &status, 0) == runner);
	check_int(status, 0);
	check_ok(fs_read_file(AT_FDCWD, path, 4096, &log, &b.err), &b.err);
	t = buffer_cstr(&log);
	check(str_starts(t, "prestart 1\ncreateRuntime {\"ociVersion\":\"1.1.0\",\"id\":\"test\","
	                    "\"status\":\"creating\",\"pid\":"));
	check(has(t, "createContainer hooked\npoststart\npoststop {"));
	check(has(t, "\"status\":\"stopped\",\"pid\":0"));
	box_free(&b);
}

TEST(failing_and_hanging_hooks)
{
	struct box b;

	box_init(&b);
	b.top = ",\"hooks\":{\"createRuntime\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	        "\"echo no luck >&2; exit 3\"]}]}";
	check(box_create(&b) < 0);
	check(has(b.err.text, "createRuntime hook /bin/sh failed with status 3: no luck"));
	box_free(&b);
	b.c = NULL;
	b.top = ",\"hooks\":{\"createContainer\":[{\"path\":\"/bin/sleep\",\"args\":[\"sleep\","
	        "\"100\"],\"timeout\":1}]}";
	check_int(box_create(&b), -ETIMEDOUT);
	box_free(&b);
}

/* ---- cgroups ---- */

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
	check_ok(container_process_wait_ready(container_init(b.c), 20000, &b.err), &b.err);
	snprintf(path, sizeof(path), "%s/%s", root, id);
	check_str(container_cgroup_path(b.c), path);
	for (i = 0; i < 200 && n != 3; i++) {
		free(pids);
		check_ok(container_pids(b.c, &pids, &n, &b.err), &b.err);
		usleep(10000);
	}
	free(pids);
	check_int(n, 3);
	check_ok(container_pause(b.c, &b.err), &b.err);
	for (i = 0; i < 200 && container_status(b.c) != CONTAINER_PAUSED; i++)
		usleep(10000);
	check_int(container_status(b.c), CONTAINER_PAUSED);
	check_ok(container_resume(b.c, &b.err), &b.err);
	check_int(container_destroy(b.c, &b.err) < 0, 0);
	reap(container_init(b.c));
	for (i = 0; i < 500 && container_destroy(b.c, &b.err) == 1; i++)
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
