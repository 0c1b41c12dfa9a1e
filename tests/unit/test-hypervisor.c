/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of accelerator on hosts of all kinds, and QEMU's command line. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "host-shim/hypervisor/accel.h"
#include "host-shim/hypervisor/qemu_args.h"
#include "host-shim/hypervisor/tsc.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

static void put(const char *root, const char *name, const char *text)
{
	char *path = str_printf("%s/%s", root, name), *slash = strrchr(path, '/');
	int fd;

	*slash = '\0';
	check(fs_mkdir_p(path, 0755, NULL) >= 0);
	*slash = '/';
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	check(fd >= 0);
	check_int(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(path);
}

TEST(kvm_needs_a_device_and_hardware)
{
	const char *root = check_tmpdir();
	struct accel_choice c;
	struct error err = ERROR_INIT;

	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_TCG);
	check(strstr(c.why, "/dev/kvm"));
	check_int(accel_choose(ACCEL_KVM, root, &c, &err), -ENOENT);
	check_int(err.kind, ERROR_ENVIRONMENT);

	put(root, "dev/kvm", "");
	put(root, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme sse2\nbugs\t\t: svm\n");
	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_TCG);
	check(strstr(c.why, "VMX"));
	check_ok(accel_choose(ACCEL_KVM, root, &c, &err), &err);
	check_int(c.accel, ACCEL_KVM);

	put(root, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmxx xsvm svm_lock vmx_\n");
	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_TCG);
	put(root, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu svm_lock svm\n");
	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_KVM);

	put(root, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx sse2\n");
	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_KVM);
	check_str(c.why, "");
	check(!c.pvm);
	check_ok(accel_choose(ACCEL_TCG, root, &c, &err), &err);
	check_int(c.accel, ACCEL_TCG);
	check_str(c.why, "");

	put(root, "sys/module/kvm_pvm/version", "1");
	check_ok(accel_choose(ACCEL_AUTO, root, &c, &err), &err);
	check_int(c.accel, ACCEL_TCG);
	check(strstr(c.why, "PVM"));
	check_ok(accel_choose(ACCEL_KVM, root, &c, &err), &err);
	check(c.pvm);
}

static char *joined(const struct hypervisor_config *c, const struct qemu_start *s)
{
	struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;
	char *text = strdup("");

	check_ok(qemu_args(&args, c, s, &err), &err);
	for (size_t i = 0; i < args.n; i++) {
		char *more = str_printf("%s%s ", text, args.v[i]);

		free(text);
		text = more;
	}
	strv_free(&args);
	return text;
}

TEST(clock_words_are_for_emulated_guests_only)
{
	struct hypervisor_config c = {
	    .accel = ACCEL_TCG, .cpus = 1, .memory = 64 << 20, .kernel = "k", .initrd = "i"};
	struct qemu_start s = {.vsock = -1, .exit_port = -1, .console = 3, .tsc_khz = 2400123};
	char *text = joined(&c, &s);

	check(strstr(text, " tsc_early_khz=2400123 tsc=reliable"));
	check(strstr(text, "-initrd i "));
	check(!strstr(text, "root="));
	check(!strstr(text, "vsock"));
	free(text);
	c.accel = ACCEL_KVM;
	text = joined(&c, &s);
	check(!strstr(text, "tsc"));
	check(strstr(text, "-accel kvm -cpu host "));
	free(text);
	c.pvm = true;
	text = joined(&c, &s);
	check(strstr(text, "-cpu host,-arch-capabilities "));
	free(text);
}

TEST(descriptors_of_disks_follow_in_order)
{
	struct hypervisor_config c = {
	    .accel = ACCEL_KVM,
	    .cpus = 1,
	    .memory = 64 << 20,
	    .kernel = "k",
	    .n_disks = 3,
	    .disks = {{.fd = 50, .readonly = true}, {.path = "a,b"}, {.fd = 51, .readonly = true}}};
	struct qemu_start s = {.vsock = 4, .exit_port = -1, .console = 3, .disks = 5};
	char *text = joined(&c, &s);

	check(strstr(text, "-add-fd fd=5,set=0 "));
	check(strstr(text, "file=/dev/fdset/0,readonly=on"));
	check(strstr(text, "file=a,,b,readonly=off"));
	check(strstr(text, "-add-fd fd=6,set=2 "));
	check(strstr(text, "socket,id=vsock,fd=4"));
	free(text);
}

TEST(kernels_that_lack_something)
{
	struct hypervisor_config c = {.accel = ACCEL_TCG,
	                              .cpus = 1,
	                              .memory = 24 << 20,
	                              .kernel = "k",
	                              .initrd = "i",
	                              .lacks = HYPERVISOR_LACKS_ACPI | HYPERVISOR_LACKS_PCI};
	struct qemu_start s = {.vsock = -1, .exit_port = 4, .console = 3};
	struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;
	char *text = joined(&c, &s);

	check(strstr(text, "-machine microvm,acpi=off,"));
	check(!strstr(text, "acpi=on"));
	check(strstr(text, "name=kihon.exit"));
	check(!strstr(text, "pci=off"));
	free(text);
	c.lacks = HYPERVISOR_LACKS_ACPI;
	text = joined(&c, &s);
	check(strstr(text, " noreplace-smp pci=off "));
	free(text);
	c.machine = "q35";
	check_int(qemu_args(&args, &c, &s, &err), -EINVAL);
	check(strstr(err.text, "microvm"));
	strv_free(&args);
	c.lacks = HYPERVISOR_LACKS_NET;
	text = joined(&c, &s);
	check(strstr(text, "-machine q35,"));
	check(!strstr(text, "pci=off"));
	free(text);
}

TEST(networks)
{
	struct hypervisor_config c = {
	    .accel = ACCEL_TCG, .cpus = 1, .memory = 64 << 20, .kernel = "k", .initrd = "i"};
	struct qemu_start s = {.vsock = -1, .exit_port = -1, .console = 3, .net = 7};
	struct error err = ERROR_INIT;
	char *text = joined(&c, &s);

	check(!strstr(text, "netdev") && !strstr(text, "ip="));
	free(text);
	check_ok(guest_net_parse(&c.net, &(struct guest_net_words){"user"}, &err), &err);
	text = joined(&c, &s);
	check(strstr(text, "-netdev user,id=net,ipv6=off "));
	check(strstr(text, "-device virtio-net-device,netdev=net,mac=52:54:00:12:34:56 "));
	check(strstr(text, "ip=10.0.2.15::10.0.2.2:"));
	free(text);
	c.machine = "q35";
	check_ok(guest_net_parse(&c.net,
	                         &(struct guest_net_words){"tap=t0", "192.0.2.5/24",
	                                                   .mac = "02:00:00:00:00:07"},
	                         &err),
	         &err);
	c.net.mtu = 1400;
	text = joined(&c, &s);
	check(strstr(text, "-netdev tap,id=net,fd=7 "));
	check(strstr(text, "-device virtio-net-pci,netdev=net,mac=02:00:00:00:00:07,host_mtu=1400,"
	                   "romfile= "));
	check(strstr(text, "ip=192.0.2.5:::255.255.255.0::eth0:off"));
	free(text);
}

TEST(unknown_machines_are_refused)
{
	struct hypervisor_config c = {.machine = "pdp11"};
	struct qemu_start s = {.vsock = -1, .exit_port = -1};
	struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;

	check_int(qemu_args(&args, &c, &s, &err), -EINVAL);
	check_int(err.kind, ERROR_USAGE);
	check_int(qemu_machine_check("pdp11", false, &err), -EINVAL);
	check_int(qemu_machine_check("q35", false, NULL), 0);
	check_int(qemu_machine_check(NULL, false, NULL), 0);
	strv_free(&args);
}

/* Why a guest of this configuration cannot be; "" for other reasons than its devices. */
static const char *refusal(const char *back_end, const struct hypervisor_config *c)
{
	static struct error err;
	struct hypervisor_events events = {0};
	struct hypervisor *hv = NULL;
	struct loop *loop = NULL;

	err = (struct error)ERROR_INIT;
	check_ok(loop_new(&loop, &err), &err);
	check(hypervisor_new(&hv, loop, back_end, c, &events, &err) < 0);
	loop_free(loop);
	return strstr(err.text, "/nowhere") ? "" : err.text;
}

TEST(devices_that_cannot_be_are_refused)
{
	static const struct template_files files = TEMPLATE_FILES_INIT;
	const struct hypervisor_config plain = {.accel = ACCEL_KVM,
	                                        .cpus = 1,
	                                        .memory = 64 << 20,
	                                        .kernel = "/nowhere/vmlinux",
	                                        .rootfs = "/nowhere/rootfs.erofs",
	                                        .no_vsock = true};
	struct hypervisor_config c = plain;

	check_str(refusal("builtin", &c), "");
	c.memory_max = 128 << 20;
	c.balloon = c.virtio_console = c.huge_pages = c.prefault = c.slots_asked = true;
	c.slots = HYPERVISOR_SLOTS_MAX;
	check_str(refusal("builtin", &c), "");
	c.slots++;
	check_str(refusal("builtin", &c), "--slots 9: at most 8");
	c = plain;
	c.memory_max = 128 << 20;
	check_str(refusal("qemu", &c), "qemu has no --memory-max: use --vmm builtin");
	c.lacks = HYPERVISOR_LACKS_MEM;
	check(strstr(refusal("builtin", &c), "CONFIG_VIRTIO_MEM"));
	c.lacks = HYPERVISOR_LACKS_BALLOON;
	check_str(refusal("builtin", &c), "");
	c.save_to = &files;
	check_str(refusal("builtin", &c), "--memory-max does not go with a template");
	c = plain;
	c.from = &files;
	check_str(refusal("builtin", &c), "");
	c.balloon = true;
	check_str(refusal("builtin", &c), "--balloon does not go with a template");
}

TEST(counter_speed_repeats)
{
	struct tsc_sample s;
	uint32_t first, second;

	tsc_sample(&s);
	first = tsc_khz(&s);
	if (first == 0)
		check_skip("this machine has no time stamp counter");
	second = tsc_khz(&s);
	check(first > second - second / 100 && first < second + second / 100);
}

TEST_MAIN()
