/* SPDX-License-Identifier: Apache-2.0 */
/* test-container: containers of busybox made through the engine, judged by what the processes
 * in them see: their life, their namespaces, their hooks. */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "container_box.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

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

TEST_MAIN()
