/* SPDX-License-Identifier: Apache-2.0 */
/* confidential_host: whether this host, a firmware and a kernel can start a confidential guest. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/hypervisor/child.h"
#include "host-shim/hypervisor/confidential.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/measure/firmware.h"

/* AMD APM volume 3, appendix E.4.17: CPUID Fn8000_001F, EBX bits 5 to 0. */
#define CPUID_ENCRYPTION 0x8000001f
#define CBITPOS_MASK     0x3f
#define CBITPOS_MILAN    51

static const struct host {
	const char *parameter; /* of KVM's module */
	const char *device;    /* that QEMU opens; NULL: none */
	const char *wants;
} hosts[] = {
    [CONFIDENTIAL_SEV] = {"sys/module/kvm_amd/parameters/sev", "dev/sev",
                          "an AMD EPYC with SEV switched on in its firmware, and Linux's kvm_amd "
                          "with sev=1"},
    [CONFIDENTIAL_SEV_SNP] = {"sys/module/kvm_amd/parameters/sev_snp", "dev/sev",
                              "an AMD EPYC with SEV-SNP switched on in its firmware, and Linux "
                              "6.11 or later"},
    [CONFIDENTIAL_TDX] = {"sys/module/kvm_intel/parameters/tdx", NULL,
                          "an Intel Xeon with TDX switched on in its firmware, and Linux 6.16 or "
                          "later with kvm_intel's tdx=1"},
};

static int lacks(const struct confidential *c, struct error *err, const char *what, const char *why)
{
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
	                      "this host runs no %s guests (/%s: %s); that takes %s",
	                      confidential_name(c), what, why, hosts[c->kind].wants);
}

int confidential_check_host(const struct confidential *c, const char *root, struct error *err)
{
	const struct host *h = &hosts[c->kind];
	_cleanup_free_ char *parameter = str_printf("%s/%s", root, h->parameter);
	_cleanup_free_ char *device = str_printf("%s/%s", root, h->device ? h->device : "");
	_cleanup_buffer_ struct buffer value = BUFFER_INIT;
	_cleanup_close_ int fd = -1;
	int r;

	if (!parameter || !device)
		return error_set(err, ENOMEM, "no memory for a file name");
	r = fs_read_file(AT_FDCWD, parameter, 64, &value, NULL);
	if (r < 0)
		return lacks(c, err, h->parameter, strerror(-r));
	if (!strchr("Yy1", buffer_cstr(&value)[0]) || value.size == 0)
		return lacks(c, err, h->parameter, "it is off");
	if (!h->device)
		return 0;
	fd = open(device, O_RDWR | O_CLOEXEC);
	return fd < 0 ? lacks(c, err, h->device, strerror(errno)) : 0;
}

uint32_t confidential_cbitpos(const struct confidential *c)
{
	uint32_t eax, ebx = 0, ecx, edx;

	if (c->cbitpos)
		return c->cbitpos;
	if (!__get_cpuid(CPUID_ENCRYPTION, &eax, &ebx, &ecx, &edx) || !(ebx & CBITPOS_MASK))
		return CBITPOS_MILAN;
	return ebx & CBITPOS_MASK;
}

/* As `measure` does. */
static bool has_place(const struct sev_firmware *fw)
{
	for (size_t i = 0; i < fw->n_sections; i++)
		if (fw->sections[i].type == SEV_SECTION_KERNEL_HASHES)
			return fw->has_hash_table;
	return false;
}

static int check_firmware(const struct confidential *c, struct error *err)
{
	_cleanup_buffer_ struct buffer file = BUFFER_INIT;
	struct sev_firmware sev = {0};
	struct tdx_firmware tdx;
	struct blob blob;
	int r = child_check_file("firmware", c->firmware, err);

	if (r == 0)
		r = fs_read_file(AT_FDCWD, c->firmware, FIRMWARE_MAX_SIZE, &file, err);
	if (r < 0)
		return r;
	blob = (struct blob){file.data, file.size};
	/* Of SEV's older firmwares there is nothing to read: QEMU finds the place itself. */
	if (c->kind == CONFIDENTIAL_SEV)
		return 0;
	r = c->kind == CONFIDENTIAL_TDX ? firmware_tdx(&blob, &tdx, err)
	                                : firmware_sev(&blob, &sev, err);
	if (r < 0)
		return error_prefix(err, r, "%s", c->firmware);
	if (c->kind == CONFIDENTIAL_SEV_SNP && !c->no_hashes && !has_place(&sev))
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "%s has no place for digests of the kernel, so that nobody "
		                      "would vouch for it: use edk2's OvmfPkg/AmdSev, or "
		                      "kernel-hashes=off",
		                      c->firmware);
	return 0;
}

int confidential_check_files(const struct confidential *c, const char *kernel, struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint8_t magic[2] = {0};
	int r = check_firmware(c, err);

	if (r == 0)
		r = child_check_file("SEV session", c->session, err);
	if (r == 0)
		r = child_check_file("SEV certificate", c->dh_cert, err);
	if (r == 0)
		r = child_check_file("kernel", kernel, err);
	if (r < 0)
		return r;
	/* UEFI specification 2.3: a firmware starts programs in the PE format. */
	fd = open(kernel, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, magic, 2) != 2 || memcmp(magic, "MZ", 2) != 0)
		return error_set_kind(err, ERROR_INPUT, ENOEXEC,
		                      "the kernel %s has no EFI stub, through which a firmware "
		                      "starts it: build it with CONFIG_EFI_STUB "
		                      "(docs/confidential.md)",
		                      kernel);
	return 0;
}
