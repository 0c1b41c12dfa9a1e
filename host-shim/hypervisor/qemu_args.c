/* SPDX-License-Identifier: Apache-2.0 */
/* qemu_args: the command line of QEMU for a guest, from a table of machines. */
#include "qemu_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/hypervisor/qemu_confidential.h"
#include "lib/base/bytes.h"
#include "lib/guestimg/boot_words.h"

/* virtio-pmem is mapped in huge pages, the image is padded to them. */
#define PMEM_ALIGN (2ull << 20)
#define GIB        (1ull << 30)

struct machine {
	const char *name;
	const char *type;    /* of -machine, before the memory back end */
	const char *no_acpi; /* the same for a kernel without ACPI; NULL: it cannot do without */
	const char *global;  /* of -global; NULL: none */
	const char *suffix;  /* of virtio device names */
	const char *net_extra;
	const char *words; /* for kernels with PCI; NULL: none */
	bool pmem_root;    /* the root is virtio-pmem with DAX, else virtio-blk */
	bool confidential;
};

static const struct machine machines[] = {
    {
        .name = "microvm",
        .type = "microvm,acpi=on,pcie=off,rtc=on,isa-serial=on,"
                "x-option-roms=off,auto-kernel-cmdline=on",
        /* Devices are then named on the command line, and the tick comes from the PIT. */
        .no_acpi = "microvm,acpi=off,pcie=off,pit=on,pic=on,rtc=on,isa-serial=on,"
                   "x-option-roms=off,auto-kernel-cmdline=on",
        /* QEMU's virtio-mmio is the legacy kind by default, which vhost-user refuses. */
        .global = "virtio-mmio.force-legacy=off",
        .suffix = "device",
        .net_extra = "",
        .words = BOOT_WORDS_NO_PCI,
        .pmem_root = false,
    },
    {
        .name = "q35",
        .type = "q35,usb=off,smbus=off,sata=off,vmport=off,hpet=off",
        .global = NULL,
        .suffix = "pci",
        .net_extra = ",romfile=",
        .pmem_root = true,
    },
    /* Such a guest cannot use memory of the host's where it wants its own: no pmem. System
     * management mode would be a door into it. */
    {
        .name = "q35",
        .type = "q35,usb=off,smbus=off,sata=off,vmport=off,hpet=off,smm=off",
        .suffix = "pci",
        .net_extra = ",romfile=",
        .confidential = true,
    },
};

static const struct machine *find_machine(const char *name, bool confidential)
{
	if (!name)
		name = confidential ? "q35" : QEMU_MACHINE_DEFAULT;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (strcmp(machines[i].name, name) == 0 && machines[i].confidential == confidential)
			return &machines[i];
	return NULL;
}

int qemu_machine_check(const char *name, bool confidential, struct error *err)
{
	if (find_machine(name, confidential))
		return 0;
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      confidential
	                          ? "--machine %s has no confidential guests: q35 has"
	                          : "there is no machine \"%s\" (there are microvm and q35)",
	                      name);
}

static int file_size(const char *path, uint64_t *size, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	*size = (uint64_t)st.st_size;
	return 0;
}

/* Each add_* appends arguments and returns non-zero when the memory is full. */
static int add_pair(struct strv *a, const char *option, char *value)
{
	return strv_add(a, option) < 0 || strv_add_take(a, value) < 0;
}

static const char *cpu_of(const struct hypervisor_config *c)
{
	if (c->confidential && c->confidential->cpu)
		return c->confidential->cpu;
	if (c->accel != ACCEL_KVM)
		return "max";
	return c->pvm ? "host,-arch-capabilities" : "host";
}

static int add_base(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                    uint64_t pmem)
{
	uint64_t mib = c->memory >> 20;
	int bad = strv_add(a, "qemu-system-x86_64") < 0;

	/* Nothing that is not named here; and no more rights than it started with. */
	bad |= strv_add(a, "-nodefaults") < 0 || strv_add(a, "-no-user-config") < 0 ||
	       strv_add(a, "-nographic") < 0 || strv_add(a, "-no-reboot") < 0;
	bad |= add_pair(a, "-sandbox",
	                str_printf("on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
	                           "resourcecontrol=deny"));
	bad |= add_pair(a, "-name", str_printf("%s", c->name ? c->name : "kihon"));
	bad |= add_pair(a, "-machine",
	                str_printf("%s,memory-backend=ram%s",
	                           c->lacks & HYPERVISOR_LACKS_ACPI ? m->no_acpi : m->type,
	                           qemu_confidential_machine(c->confidential)));
	bad |=
	    add_pair(a, "-accel", str_printf(c->accel == ACCEL_KVM ? "kvm" : "tcg,thread=single"));
	bad |= add_pair(a, "-cpu", str_printf("%s", cpu_of(c)));
	bad |= add_pair(a, "-smp", str_printf("%u", c->cpus));
	if (pmem)
		/* Room above RAM for the image, wherever the gigabyte it lies in begins. */
		bad |= add_pair(a, "-m",
		                str_printf("%" PRIu64 "M,maxmem=%" PRIu64 "M", mib,
		                           (uint64_t)(mib + ((pmem + 2 * GIB) >> 20))));
	else
		bad |= add_pair(a, "-m", str_printf("%" PRIu64 "M", mib));
	/* Shared with the vsock device; without share=on it starts, but deaf. */
	bad |= add_pair(a, "-object",
	                str_printf("memory-backend-memfd,id=ram,size=%" PRIu64 "M,share=on%s%s",
	                           mib, c->huge_pages ? ",hugetlb=on,hugetlbsize=2M" : "",
	                           c->prefault ? ",prealloc=on" : ""));
	if (m->global)
		bad |= add_pair(a, "-global", str_printf("%s", m->global));
	return bad;
}

/* An emulated guest is told the speed of its counter, and trusts it. */
static char *platform_words(const struct machine *m, const struct hypervisor_config *c,
                            const struct qemu_start *start)
{
	const char *words = m->words && !(c->lacks & HYPERVISOR_LACKS_PCI) ? m->words : "";

	if (c->accel != ACCEL_TCG || start->tsc_khz == 0)
		return str_printf("%s", words);
	return str_printf("%s%stsc_early_khz=%u tsc=reliable no_timer_check", words,
	                  *words ? " " : "", start->tsc_khz);
}

static int add_kernel(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                      const struct qemu_start *start)
{
	_cleanup_free_ char *platform = platform_words(m, c, start);
	char net[GUEST_NET_WORD_MAX];
	const struct boot_launch launch = {.root = !c->rootfs     ? BOOT_ROOT_NONE
	                                           : m->pmem_root ? BOOT_ROOT_PMEM
	                                                          : BOOT_ROOT_BLK,
	                                   .words_blk = c->root_words_blk,
	                                   .words_pmem = c->root_words_pmem,
	                                   .net = net,
	                                   .platform = platform,
	                                   .image = c->cmdline};
	int bad = !platform || add_pair(a, "-kernel", str_printf("%s", c->kernel));

	guest_net_word(&c->net, net);
	if (c->initrd)
		bad |= add_pair(a, "-initrd", str_printf("%s", c->initrd));
	return bad | add_pair(a, "-append", boot_words_launch(&launch));
}

static int add_disk(struct strv *a, const struct machine *m, const char *id, char *file,
                    bool readonly)
{
	int bad = !file;

	bad |=
	    add_pair(a, "-drive",
	             str_printf("if=none,id=%s,format=raw,file=%s,readonly=%s,auto-read-only=off",
	                        id, file ? file : "", readonly ? "on" : "off"));
	bad |= add_pair(a, "-device", str_printf("virtio-blk-%s,drive=%s", m->suffix, id));
	free(file);
	return bad;
}

static int add_root(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                    uint64_t pmem)
{
	_cleanup_free_ char *path = NULL;
	int bad;

	if (!c->rootfs)
		return 0;
	path = qemu_quote(c->rootfs);
	if (!path)
		return 1;
	if (!m->pmem_root)
		return add_disk(a, m, "root", str_printf("%s", path), true);
	bad = add_pair(a, "-object",
	               str_printf("memory-backend-file,id=root,mem-path=%s,size=%" PRIu64
	                          ",share=on,readonly=on",
	                          path, pmem));
	return bad | add_pair(a, "-device", str_printf("virtio-pmem-%s,memdev=root", m->suffix));
}

static int add_disks(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                     const struct qemu_start *start)
{
	int bad = 0, fd = start->disks;

	for (unsigned int i = 0; i < c->n_disks; i++) {
		const struct hypervisor_disk *d = &c->disks[i];
		char id[16];

		snprintf(id, sizeof(id), "disk%u", i);
		if (d->path) {
			bad |= add_disk(a, m, id, qemu_quote(d->path), d->readonly);
			continue;
		}
		bad |= add_pair(a, "-add-fd", str_printf("fd=%d,set=%u", fd++, i));
		bad |= add_disk(a, m, id, str_printf("/dev/fdset/%u", i), d->readonly);
	}
	return bad;
}

/* Port 0 is the console's. A guest makes queues for as many ports as there may be, which for the
 * usual 31 takes 3 MiB. */
static int add_ports(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                     const struct qemu_start *start)
{
	int bad = 0;

	if (start->exit_port < 0 && !c->virtio_console)
		return 0;
	bad |= add_pair(a, "-device", str_printf("virtio-serial-%s,max_ports=2", m->suffix));
	if (c->virtio_console)
		bad |= add_pair(a, "-device", str_printf("virtconsole,chardev=console,nr=0"));
	if (start->exit_port < 0)
		return bad;
	bad |= add_pair(a, "-chardev", str_printf("socket,id=exit,fd=%d", start->exit_port));
	return bad | add_pair(a, "-device",
	                      str_printf("virtserialport,chardev=exit,nr=1,name=kihon.exit"));
}

static int add_shares(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                      const struct qemu_start *start)
{
	int bad = 0;

	for (unsigned int i = 0; i < c->n_shares; i++) {
		_cleanup_free_ char *tag = qemu_quote(c->shares[i].tag);

		bad |= !tag ||
		       add_pair(a, "-chardev",
		                str_printf("socket,id=share%u,fd=%d", i, start->shares + (int)i));
		bad |= add_pair(a, "-device",
		                str_printf("vhost-user-fs-%s,chardev=share%u,tag=%s", m->suffix, i,
		                           tag ? tag : ""));
	}
	return bad;
}

static int add_net(struct strv *a, const struct machine *m, const struct guest_net *n,
                   const struct qemu_start *start)
{
	bool tap = n->kind == GUEST_NET_TAP;
	char mac[GUEST_NET_MAC_TEXT], mtu[24] = "";
	int bad;

	if (n->kind == GUEST_NET_NONE)
		return 0;
	guest_net_mac(n, mac);
	if (n->mtu)
		snprintf(mtu, sizeof(mtu), ",host_mtu=%u", n->mtu);
	bad = add_pair(a, "-netdev",
	               tap ? str_printf("tap,id=net,fd=%d", start->net)
	                   : str_printf("user,id=net,ipv6=off"));
	return bad | add_pair(a, "-device",
	                      str_printf("virtio-net-%s,netdev=net,mac=%s%s%s", m->suffix, mac, mtu,
	                                 m->net_extra));
}

static int add_channels(struct strv *a, const struct machine *m, const struct hypervisor_config *c,
                        const struct qemu_start *start)
{
	int bad = add_pair(a, "-chardev", str_printf("socket,id=console,fd=%d", start->console));

	bad |= add_pair(a, "-serial",
	                str_printf("%s", c->virtio_console ? "null" : "chardev:console"));
	/* As kvm-unit-tests and the built-in monitor have it. */
	if (start->debug_exit)
		bad |= add_pair(a, "-device", str_printf("isa-debug-exit,iobase=0xf4,iosize=4"));
	if (start->vsock >= 0) {
		bad |= add_pair(a, "-chardev", str_printf("socket,id=vsock,fd=%d", start->vsock));
		bad |= add_pair(a, "-device",
		                str_printf("vhost-user-vsock-%s,chardev=vsock", m->suffix));
	}
	bad |= add_ports(a, m, c, start);
	bad |= add_net(a, m, &c->net, start);
	bad |= add_pair(a, "-object", str_printf("rng-builtin,id=rng"));
	bad |= add_pair(a, "-device", str_printf("virtio-rng-%s,rng=rng", m->suffix));
	if (c->balloon)
		bad |= add_pair(a, "-device",
		                str_printf("virtio-balloon-%s,deflate-on-oom=on,"
		                           "free-page-reporting=on",
		                           m->suffix));
	return bad | add_shares(a, m, c, start);
}

int qemu_args(struct strv *a, const struct hypervisor_config *c, const struct qemu_start *start,
              struct error *err)
{
	const struct machine *m = find_machine(c->machine, c->confidential);
	uint64_t pmem = 0;
	int r = qemu_machine_check(c->machine, c->confidential, err);

	if (r < 0)
		return r;
	if (c->lacks & (HYPERVISOR_LACKS_ACPI | HYPERVISOR_LACKS_PCI) && m->confidential)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the image's kernel has no PCI or ACPI, which a confidential "
		                      "guest needs: build it with docs/confidential.md's fragment");
	if (c->lacks & (HYPERVISOR_LACKS_ACPI | HYPERVISOR_LACKS_PCI) && !m->no_acpi)
		return error_set_kind(
		    err, ERROR_USAGE, EINVAL,
		    "the image's kernel has no PCI or ACPI, which %s needs: use "
		    "--machine microvm, or a kernel that has them (kata-image-tool "
		    "pack --machine q35 --kernel auto)",
		    m->name);
	if (c->rootfs && m->pmem_root)
		r = file_size(c->rootfs, &pmem, err);
	if (r < 0)
		return r;
	if (pmem % PMEM_ALIGN || (c->rootfs && m->pmem_root && pmem == 0))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: %" PRIu64 " bytes cannot be mapped into a guest: pad "
		                      "the image to a multiple of 2 MiB, or use --machine microvm",
		                      c->rootfs, pmem);
	if (add_base(a, m, c, pmem) | qemu_confidential_add(a, c->confidential) |
	    add_kernel(a, m, c, start) | add_root(a, m, c, pmem) | add_disks(a, m, c, start) |
	    add_channels(a, m, c, start))
		return error_set(err, ENOMEM, "no memory for QEMU's arguments");
	return 0;
}
