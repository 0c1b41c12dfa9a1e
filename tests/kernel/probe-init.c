/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe-init: PID 1 of a test guest; tries what the agent will need of the kernel and says so, a
 * line a thing: `probe NAME ok [DETAIL]`, `probe NAME absent [DETAIL]` or `probe NAME failed:
 * REASON`, then `probe end`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char detail[512];

static int fail(const char *what)
{
	snprintf(detail, sizeof(detail), "%s: %s", what, strerror(errno));
	return -1;
}

__attribute__((format(printf, 1, 2))) static int ok(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return 0;
}

/* A documented outcome: the machine has no such device. */
static int absent(const char *what)
{
	ok("%s", what);
	return 1;
}

static bool slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n >= 0;
}

/* musl 1.2.3 has no statx(): the four fields asked of the kernel's structure. */
struct statx_head {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t rest[60];
};
#define ATTRIBUTE_DAX 0x00200000u

static bool file_is_dax(const char *path)
{
	struct statx_head st = {0};

	return syscall(SYS_statx, AT_FDCWD, path, 0, 0x7ff, &st) == 0 &&
	       (st.attributes & ATTRIBUTE_DAX);
}

static int probe_version(void)
{
	char version[256];

	return slurp("/proc/version", version, sizeof(version)) ? ok("%s", version)
	                                                        : fail("version");
}

static int probe_memory(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long total = 0, available = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "MemTotal:", 9))
			total = strtoul(line + 9, NULL, 10);
		if (!strncmp(line, "MemAvailable:", 13))
			available = strtoul(line + 13, NULL, 10);
	}
	if (f)
		fclose(f);
	return ok("total %lu kB, available %lu kB", total, available);
}

static int probe_clock(void)
{
	char source[64];

	slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
	      sizeof(source));
	return ok("%s", source);
}

static int probe_cpus(void)
{
	char text[64];

	slurp("/sys/devices/system/cpu/online", text, sizeof(text));
	return ok("%s", text);
}

static int probe_cgroup(void)
{
	char controllers[256];

	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		return fail("mount");
	slurp("/sys/fs/cgroup/cgroup.controllers", controllers, sizeof(controllers));
	return ok("%s", controllers);
}

static int probe_namespaces(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		              CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)
		          ? errno
		          : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return fail("fork");
	errno = WEXITSTATUS(status);
	return errno ? fail("unshare") : ok("mnt uts ipc user pid net cgroup time");
}

static int probe_overlay(void)
{
	mkdir("/t", 0755);
	if (mount("t", "/t", "tmpfs", 0, NULL))
		return fail("tmpfs");
	mkdir("/t/lower", 0755);
	mkdir("/t/upper", 0755);
	mkdir("/t/work", 0755);
	mkdir("/t/merged", 0755);
	mkdir("/t/lower/gone", 0755);
	if (mount("o", "/t/merged", "overlay", 0,
	          "lowerdir=/t/lower,upperdir=/t/upper,workdir=/t/work"))
		return fail("overlay");
	if (rmdir("/t/merged/gone") || mkdir("/t/merged/gone", 0755))
		return fail("whiteout");
	return ok("opaque directory made");
}

static int probe_seccomp(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return fail("seccomp");
	return ok("filter, user notification");
}

static int probe_bpf(void)
{
	struct bpf_insn program[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
	    .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
	    .insn_cnt = 2,
	    .insns = (uintptr_t)program,
	    .license = (uintptr_t) "Apache-2.0",
	};
	char jit[16];
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), root;

	if (fd < 0)
		return fail("load");
	root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attr = (union bpf_attr){.target_fd = (uint32_t)root,
	                        .attach_bpf_fd = (uint32_t)fd,
	                        .attach_type = BPF_CGROUP_DEVICE};
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
		return fail("attach");
	slurp("/proc/sys/net/core/bpf_jit_enable", jit, sizeof(jit));
	return ok("device program attached, jit %s", jit);
}

static int probe_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? fail("landlock") : ok("abi %ld", abi);
}

static int probe_notify(void)
{
	int a = inotify_init1(IN_CLOEXEC), b = fanotify_init(FAN_CLOEXEC, O_RDONLY);

	return a < 0 ? fail("inotify") : b < 0 ? fail("fanotify") : ok("inotify fanotify");
}

static int probe_mqueue(void)
{
	mkdir("/dev/mqueue", 0755);
	if (mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL))
		return fail("mount");
	return mq_open("/probe", O_CREAT | O_RDWR | O_CLOEXEC, 0600, NULL) == (mqd_t)-1
	           ? fail("mq_open")
	           : ok("queue made");
}

static int probe_hugetlb(void)
{
	mkdir("/t/huge", 0755);
	return mount("h", "/t/huge", "hugetlbfs", 0, NULL) ? fail("mount") : ok("mounted");
}

static int probe_vsock(void)
{
	int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	struct sockaddr_vm a = {
	    .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 1024};
	unsigned int cid = 0;

	if (s < 0 || fd < 0)
		return fail("open");
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 1))
		return fail("listen");
	if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid))
		return fail("cid");
	return ok("listening on 1024, cid %u", cid);
}

static int probe_net(void)
{
	static const int families[] = {AF_INET, AF_INET6, AF_PACKET, AF_UNIX, AF_NETLINK};
	DIR *d = opendir("/sys/class/net");
	struct dirent *e;
	char names[128] = "";

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (socket(families[i], families[i] == AF_NETLINK ? SOCK_RAW : SOCK_DGRAM, 0) < 0)
			return fail("socket");
	}
	while (d && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			snprintf(names + strlen(names), sizeof(names) - strlen(names), " %.15s",
			         e->d_name);
	}
	if (d)
		closedir(d);
	return ok("links:%s", names);
}

/* Mounts FROM, reads its /hello and says how that went. */
static int try_erofs(const char *from, const char *options, const char *as)
{
	char text[64];

	mkdir("/t/e", 0755);
	if (mount(from, "/t/e", "erofs", MS_RDONLY, options))
		return fail(as);
	slurp("/t/e/hello", text, sizeof(text));
	umount("/t/e");
	return strcmp(text, "hello") ? fail("content") : ok("%s", as);
}

static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char block[4096];
	ssize_t n = in < 0 || out < 0 ? -1 : 0;

	while (n >= 0 && (n = read(in, block, sizeof(block))) > 0) {
		if (write(out, block, (size_t)n) != n)
			n = -1;
	}
	close(in);
	close(out);
	return n < 0 ? -1 : 0;
}

/* tmpfs has no block device below it and no pages that EROFS could read: ENOTBLK is what is
 * expected. */
static int probe_erofs_file_on_tmpfs(void)
{
	int result;

	if (copy("/probe.erofs", "/t/probe.erofs"))
		return fail("copy");
	result = try_erofs("/t/probe.erofs", NULL, "mounted from a file on tmpfs");
	return result && errno == ENOTBLK ? absent("a file on tmpfs needs a loop device") : result;
}

static int probe_erofs_loop(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop, image;
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	struct loop_config config = {.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
	char path[32];

	if (number < 0)
		return fail("loop-control");
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	loop = open(path, O_RDONLY | O_CLOEXEC);
	image = open("/t/probe.erofs", O_RDONLY | O_CLOEXEC);
	config.fd = (uint32_t)image;
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config))
		return fail("configure");
	return try_erofs(path, NULL, "mounted from a loop device on a file on tmpfs");
}

static int probe_disk(void)
{
	mkdir("/d", 0755);
	if (access("/dev/vda", F_OK))
		return absent("no /dev/vda");
	return mount("/dev/vda", "/d", "ext4", MS_RDONLY, NULL) ? fail("ext4")
	                                                        : ok("/dev/vda is ext4");
}

static int probe_erofs_file_on_ext4(void)
{
	if (access("/d/probe.erofs", F_OK))
		return absent("no ext4 disk");
	return try_erofs("/d/probe.erofs", NULL, "mounted from a file on ext4");
}

static int probe_pmem(void)
{
	char line[512] = "";
	FILE *mounts;
	bool shown = false, dax;

	if (access("/dev/pmem0", F_OK))
		return absent("no /dev/pmem0");
	mkdir("/t/p", 0755);
	if (mount("/dev/pmem0", "/t/p", "erofs", MS_RDONLY, "dax=always"))
		return fail("mount");
	mounts = fopen("/proc/mounts", "re");
	while (mounts && fgets(line, sizeof(line), mounts))
		shown = shown || (strstr(line, " /t/p ") && strstr(line, "dax=always"));
	if (mounts)
		fclose(mounts);
	dax = file_is_dax("/t/p/hello");
	errno = 0;
	return shown && dax ? ok("EROFS on /dev/pmem0 is DAX") : fail("mounted, but without DAX");
}

static int probe_device(const char *path)
{
	return access(path, F_OK) ? absent(path) : ok("%s", path);
}

static int probe_hvc(void)
{
	return probe_device("/dev/hvc0");
}

static int probe_ports(void)
{
	return probe_device("/dev/vport1p1");
}

static int probe_hwrng(void)
{
	char name[64] = "";

	slurp("/sys/class/misc/hw_random/rng_current", name, sizeof(name));
	return name[0] && strcmp(name, "none") ? ok("%s", name) : absent("no device");
}

static int probe_nodes(void)
{
	static const char *const nodes[] = {"/dev/fuse", "/dev/net/tun", "/dev/mapper/control",
	                                    "/dev/ptmx", "/dev/loop-control"};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		if (access(nodes[i], F_OK))
			return fail(nodes[i]);
	}
	return ok("fuse tun device-mapper ptmx loop-control");
}

static int probe_filesystems(void)
{
	static const char *const wanted[] = {"virtiofs", "fuse",  "ext4",     "erofs",
	                                     "overlay",  "tmpfs", "hugetlbfs"};
	char text[1024] = "";
	int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return fail("/proc/filesystems");
	close(fd);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		errno = ENODEV;
		if (!strstr(text, wanted[i]))
			return fail(wanted[i]);
	}
	return ok("virtiofs fuse ext4 erofs overlay tmpfs hugetlbfs");
}

static int probe_hardening(void)
{
	char spectre[128];

	errno = EEXIST;
	if (!access("/dev/mem", F_OK) || !access("/proc/kcore", F_OK) ||
	    !access("/proc/modules", F_OK))
		return fail("mem, kcore or modules");
	slurp("/sys/devices/system/cpu/vulnerabilities/spectre_v2", spectre, sizeof(spectre));
	return ok("no raw memory, no modules; spectre_v2: %s", spectre);
}

static const struct {
	const char *name;
	int (*probe)(void);
} probes[] = {
    {"version", probe_version},
    {"memory", probe_memory},
    {"cpus", probe_cpus},
    {"clock", probe_clock},
    {"cgroup", probe_cgroup},
    {"namespaces", probe_namespaces},
    {"overlay", probe_overlay},
    {"seccomp", probe_seccomp},
    {"bpf", probe_bpf},
    {"landlock", probe_landlock},
    {"notify", probe_notify},
    {"mqueue", probe_mqueue},
    {"hugetlb", probe_hugetlb},
    {"vsock", probe_vsock},
    {"net", probe_net},
    {"nodes", probe_nodes},
    {"filesystems", probe_filesystems},
    {"hardening", probe_hardening},
    {"erofs-file-tmpfs", probe_erofs_file_on_tmpfs},
    {"erofs-loop", probe_erofs_loop},
    {"disk", probe_disk},
    {"erofs-file-ext4", probe_erofs_file_on_ext4},
    {"pmem", probe_pmem},
    {"hvc", probe_hvc},
    {"ports", probe_ports},
    {"hwrng", probe_hwrng},
};

int main(void)
{
	static const char *const outcome[] = {"failed:", "ok", "absent"};
	char words[2048] = "";
	struct timespec now;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	slurp("/proc/cmdline", words, sizeof(words));
	/* From an initramfs without device nodes, PID 1 starts without a console. */
	if (fcntl(1, F_GETFD) < 0) {
		int console = open("/dev/console", O_RDWR);

		dup2(console, 0);
		dup2(console, 1);
		dup2(console, 2);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("probe start ok %lld.%06ld s\n", (long long)now.tv_sec, now.tv_nsec / 1000);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		int result;

		detail[0] = '\0';
		result = probes[i].probe();
		printf("probe %s %s %s\n", probes[i].name, outcome[result + 1], detail);
	}
	printf("probe end\n");
	fflush(stdout);
	tcdrain(1);
	sync();
	reboot(strstr(words, "reboot=t") ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}
