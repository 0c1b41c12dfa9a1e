/* SPDX-License-Identifier: Apache-2.0 */
/* snp: the chain of pages that an SEV-SNP guest is launched with. */
#include "lib/measure/snp.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/measure/guid.h"
#include "lib/measure/vmsa.h"

/* PAGE_TYPE of SNP_LAUNCH_UPDATE (firmware ABI, table 67). */
enum page_type {
	PAGE_NORMAL = 1,
	PAGE_VMSA = 2,
	PAGE_ZERO = 3,
	PAGE_SECRETS = 5,
	PAGE_CPUID = 6,
};

#define PAGE_INFO_SIZE 0x70u
/* Where a VMSA is said to be: the last page of a 48-bit address (KVM). */
#define VMSA_GPA 0xfffffffff000ull

#define GUID_HASH_TABLE   "9438d606-4f22-4cc9-b479-a793d411fd21"
#define GUID_HASH_CMDLINE "97d02dd8-bd20-4c94-aa78-e7714d36ab2a"
#define GUID_HASH_INITRD  "44baf731-3a2f-4bd7-9af1-41e29169781d"
#define GUID_HASH_KERNEL  "4de79437-abd2-427f-b835-d5b172d2045b"
#define HASH_TABLE_LENGTH 168u /* without the padding to 16 bytes */
#define HASH_ENTRY_LENGTH 50u

static const uint8_t no_content[SHA384_SIZE];

/* DIGEST_NEW = SHA-384(PAGE_INFO), which begins with the digest so far. */
static int add_page(uint8_t digest[SHA384_SIZE], enum page_type type, uint64_t gpa,
                    const uint8_t content[SHA384_SIZE], struct error *err)
{
	uint8_t info[PAGE_INFO_SIZE] = {0};
	const struct blob part = {info, sizeof(info)};

	memcpy(info, digest, SHA384_SIZE);
	memcpy(info + 0x30, content, SHA384_SIZE);
	put_le16(info + 0x60, PAGE_INFO_SIZE);
	info[0x62] = (uint8_t)type;
	/* 0x63 IMI_PAGE, 0x65 to 0x67 permissions of VMPL 3 to 1: none */
	put_le64(info + 0x68, gpa);
	return sha_of(SHA_ALG_384, &part, 1, digest, err);
}

/* A page whose content is measured. */
static int add_content(uint8_t digest[SHA384_SIZE], enum page_type type, uint64_t gpa,
                       const uint8_t *page, struct error *err)
{
	const struct blob part = {page, FIRMWARE_PAGE};
	uint8_t content[SHA384_SIZE];
	int r = sha_of(SHA_ALG_384, &part, 1, content, err);

	return r < 0 ? r : add_page(digest, type, gpa, content, err);
}

static void told(const struct measure_trace *t, const uint8_t digest[SHA384_SIZE], const char *what,
                 uint64_t gpa, uint64_t pages)
{
	const struct blob value = {digest, SHA384_SIZE};

	measure_step(t, "digest", NULL, &value, "%s: %" PRIu64 " page%s at 0x%" PRIx64, what, pages,
	             pages == 1 ? "" : "s", gpa);
}

/* The firmware ends at 4 GiB. */
static int add_firmware(const struct blob *fw, uint8_t digest[SHA384_SIZE],
                        const struct measure_trace *t, struct error *err)
{
	uint64_t gpa = (1ull << 32) - fw->size;
	int r = 0;

	for (size_t at = 0; r == 0 && at < fw->size; at += FIRMWARE_PAGE)
		r = add_content(digest, PAGE_NORMAL, gpa + at, fw->data + at, err);
	if (r == 0)
		told(t, digest, "firmware", gpa, fw->size / FIRMWARE_PAGE);
	return r;
}

/* One entry of the table: GUID, length, SHA-256. */
static int add_hash(uint8_t *p, const char *guid, const struct blob *parts, size_t n,
                    struct error *err)
{
	guid_bytes(guid, p);
	put_le16(p + GUID_SIZE, HASH_ENTRY_LENGTH);
	return sha_of(SHA_ALG_256, parts, n, p + GUID_SIZE + 2, err);
}

int snp_hash_table(const struct snp_kernel *k, uint8_t out[SNP_HASH_TABLE_SIZE], struct error *err)
{
	const struct blob cmdline = {(const uint8_t *)k->cmdline, strlen(k->cmdline) + 1};
	uint8_t *p = out + GUID_SIZE + 2;
	int r;

	memset(out, 0, SNP_HASH_TABLE_SIZE);
	guid_bytes(GUID_HASH_TABLE, out);
	put_le16(out + GUID_SIZE, HASH_TABLE_LENGTH);
	r = add_hash(p, GUID_HASH_CMDLINE, &cmdline, 1, err);
	if (r == 0)
		r = add_hash(p + HASH_ENTRY_LENGTH, GUID_HASH_INITRD, &k->initrd, 1, err);
	if (r == 0)
		r = add_hash(p + (size_t)2 * HASH_ENTRY_LENGTH, GUID_HASH_KERNEL, &k->kernel, 1,
		             err);
	return r;
}

static int add_hash_page(const struct snp_launch *l, const struct sev_firmware *fw, uint64_t gpa,
                         uint8_t digest[SHA384_SIZE], struct error *err)
{
	size_t offset = fw->hash_table % FIRMWARE_PAGE;
	uint8_t page[FIRMWARE_PAGE] = {0};
	int r;

	if (!l->kernel)
		return add_page(digest, PAGE_ZERO, gpa, no_content, err);
	if (fw->hash_table - offset != gpa || fw->hash_table_size < SNP_HASH_TABLE_SIZE ||
	    offset > sizeof(page) - SNP_HASH_TABLE_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "firmware: its place for digests of the kernel, 0x%" PRIx32
		                      ", %" PRIu32 " bytes, is not in the page 0x%" PRIx64
		                      " that is measured",
		                      fw->hash_table, fw->hash_table_size, gpa);
	r = snp_hash_table(l->kernel, page + offset, err);
	return r < 0 ? r : add_content(digest, PAGE_NORMAL, gpa, page, err);
}

static int add_section(const struct snp_launch *l, const struct sev_firmware *fw,
                       const struct sev_section *s, uint8_t digest[SHA384_SIZE], struct error *err)
{
	int r = 0;

	switch (s->type) {
	case SEV_SECTION_SECRETS:
		return add_page(digest, PAGE_SECRETS, s->gpa, no_content, err);
	case SEV_SECTION_CPUID:
		return add_page(digest, PAGE_CPUID, s->gpa, no_content, err);
	case SEV_SECTION_KERNEL_HASHES:
		return add_hash_page(l, fw, s->gpa, digest, err);
	default: /* memory */
		for (uint64_t at = 0; r == 0 && at < s->size; at += FIRMWARE_PAGE)
			r = add_page(digest, PAGE_ZERO, s->gpa + at, no_content, err);
		return r;
	}
}

static const char *section_name(uint32_t type)
{
	static const char *const names[] = {
	    [SEV_SECTION_MEMORY] = "memory of zeros",
	    [SEV_SECTION_SECRETS] = "secrets page",
	    [SEV_SECTION_CPUID] = "CPUID page",
	    [SEV_SECTION_SVSM_CAA] = "SVSM calling area",
	    [SEV_SECTION_KERNEL_HASHES] = "digests of kernel, initrd and words",
	};

	return names[type];
}

static int add_sections(const struct snp_launch *l, const struct sev_firmware *fw,
                        uint8_t digest[SHA384_SIZE], const struct measure_trace *t,
                        struct error *err)
{
	bool hashes = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < fw->n_sections; i++) {
		const struct sev_section *s = &fw->sections[i];

		hashes |= s->type == SEV_SECTION_KERNEL_HASHES;
		r = add_section(l, fw, s, digest, err);
		if (r == 0)
			told(t, digest, section_name(s->type), s->gpa, s->size / FIRMWARE_PAGE);
	}
	if (r == 0 && l->kernel && (!hashes || !fw->has_hash_table))
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "this firmware has no place for digests of the kernel, so "
		                      "kernel, initrd and words would not be measured: use one "
		                      "that is built from edk2's OvmfPkg/AmdSev");
	return r;
}

/* KVM adds the processors' pages when the launch is finished, in their order. */
static int add_cpus(const struct snp_launch *l, uint32_t reset_eip, uint8_t digest[SHA384_SIZE],
                    const struct measure_trace *t, struct error *err)
{
	uint8_t page[VMSA_SIZE];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < l->cpus; i++) {
		vmsa_page(i == 0 ? VMSA_BOOT_EIP : reset_eip, l->signature, l->features, page);
		r = add_content(digest, PAGE_VMSA, VMSA_GPA, page, err);
		if (r == 0)
			told(t, digest, i == 0 ? "first processor" : "further processor", VMSA_GPA,
			     1);
	}
	return r;
}

int snp_measure(const struct snp_launch *l, const struct measure_trace *t,
                uint8_t out[SNP_DIGEST_SIZE], struct error *err)
{
	struct sev_firmware fw;
	int r;

	if (l->firmware.size % FIRMWARE_PAGE || l->firmware.size == 0 ||
	    l->firmware.size > FIRMWARE_MAX_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "firmware: %zu bytes are not whole pages, at most %u MiB",
		                      l->firmware.size, FIRMWARE_MAX_SIZE >> 20);
	if (l->cpus == 0 || l->cpus > SNP_CPUS_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "a guest has 1 to %d processors, not %" PRIu32, SNP_CPUS_MAX,
		                      l->cpus);
	r = firmware_sev(&l->firmware, &fw, err);
	if (r < 0)
		return r;
	memset(out, 0, SNP_DIGEST_SIZE);
	if (l->firmware_digest)
		memcpy(out, l->firmware_digest, SNP_DIGEST_SIZE);
	else
		r = add_firmware(&l->firmware, out, t, err);
	if (r == 0)
		r = add_sections(l, &fw, out, t, err);
	return r < 0 ? r : add_cpus(l, fw.reset_eip, out, t, err);
}
