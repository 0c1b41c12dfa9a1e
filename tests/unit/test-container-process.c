/* SPDX-License-Identifier: Apache-2.0 */
/* test-container-process: identity, limits, filters, terminal of the processes of a container,
 * judged by /proc/self/status and by the kernel. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "container_box.h"

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

/* Compiled by the container's first process, or by its maker. */
static void try_filter(bool by_maker)
{
	struct box b;
	const char *o;

	box_init(&b);
	b.opts.caller_waits = by_maker;
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

TEST(seccomp_filters)
{
	try_filter(false);
}

TEST(seccomp_filters_of_the_maker)
{
	try_filter(true);
}

/* What the first process says comes before a filter that nobody takes any more. */
TEST(first_process_fails_before_its_filter)
{
	struct box b;

	box_init(&b);
	b.opts.caller_waits = true;
	b.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
	           "[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\"}]}";
	b.mounts = ",{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/no/such/folder\","
	           "\"options\":[\"bind\"]}";
	check_int(box_create(&b), -ENOENT);
	check(has(b.err.text, "/no/such/folder"));
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
		b.opts.caller_waits = i % 2;
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

TEST(personality)
{
	struct box b;

	box_init(&b);
	b.linux_ = ",\"personality\":{\"domain\":\"LINUX32\"}";
	b.script = "uname -m";
	check_str(box_run(&b), "i686\n");
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
	check_ok(container_process_wait_ready(container_init(b.c), 60000, &b.err), &b.err);
	read_all(b.console, &b.output);
	check(waitpid(container_process_pid(container_init(b.c)), &status, 0) > 0);
	container_process_exited(container_init(b.c), status);
	o = buffer_cstr(&b.output);
	check_str(o, "/dev/pts/0\r\n33 111\r\nconsole\r\n55\r\nok\r\n");
	check_int(container_process_exit_code(container_init(b.c)), 3);
	box_free(&b);
}

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
		r = container_process_wait_ready(p, 60000, &b->err);
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
	b.opts.caller_waits = true;
	b.top = ",\"hostname\":\"exec-here\"";
	b.script = "sleep 100";
	b.process = ",\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"],"
	            "\"effective\":[\"CAP_KILL\"]}";
	b.linux_ = ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
	           "[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95}]}";
	check_ok(box_create(&b), &b.err);
	check_ok(container_start(b.c, &b.err), &b.err);
	check_ok(container_process_wait_ready(container_init(b.c), 60000, &b.err), &b.err);
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

TEST_MAIN()
