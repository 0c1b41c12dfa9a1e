/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of lib/measure: published vectors, and firmware, kernels and PE images that lie.
 *
 * Vectors: SEV-SNP from virtee/sev-snp-measure, tests/test_guest.py, and virtee/sev,
 * tests/measurement.rs, whose firmware is given here by its digest and its tables; TDX from
 * aleph-im/aleph-vm, rust/crates/aleph-tee/tests/fixtures/tdx (hardware: QEMU 10.2.4, edk2
 * 202602) and its tests of made-up images.
 */
#include "lib/measure/snp.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/measure/authenticode.h"
#include "lib/measure/efi_boot.h"
#include "lib/measure/guid.h"
#include "lib/measure/linux_image.h"
#include "lib/measure/tdx.h"
#include "lib/measure/tpm.h"
#include "lib/measure/vcpu.h"
#include "tests/unit/check.h"

#define GUID_FOOTER "96b582de-1fb2-45f7-baea-a366c55a082d"
#define GUID_SEV    "dc886566-984a-4798-a75e-5585a7bf67cc"
#define GUID_RESET  "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
#define GUID_HASHES "7255371f-3a3b-4b04-927b-1da6efa8d454"
#define GUID_TDX    "e47a6535-984a-4798-865e-4685a7bf8ec2"

static void check_hex(const uint8_t *got, size_t size, const char *want)
{
	char text[2 * SHA_MAX_SIZE + 1];

	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", got[i]);
	check_str(text, want);
}

static void unhex(const char *text, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const char byte[] = {text[2 * i], text[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
}

/* ---- firmware with tables ---- */

struct entry {
	const char *guid;
	const uint8_t *data;
	size_t size;
};

/* The table at the end of a firmware; its entries in the order of the file. */
static void put_table(uint8_t *fw, size_t size, const struct entry *entries, size_t n)
{
	uint8_t *end = fw + size - 32;
	size_t total = 18;

	guid_bytes(GUID_FOOTER, end - 16);
	for (size_t i = 0; i < n; i++)
		total += entries[i].size + 18;
	put_le16(end - 18, (uint16_t)total);
	end -= 18;
	for (size_t i = n; i-- > 0;) {
		guid_bytes(entries[i].guid, end - 16);
		put_le16(end - 18, (uint16_t)(entries[i].size + 18));
		memcpy(end - 18 - entries[i].size, entries[i].data, entries[i].size);
		end -= 18 + entries[i].size;
	}
}

/* edk2's AmdSev firmware, its last page: the sections as the published vectors have them. */
static const struct sev_section amd_sev[] = {
    {0x800000, 0x9000, 1}, {0x80a000, 0x3000, 1},  {0x80d000, 0x1000, 2}, {0x80e000, 0x1000, 3},
    {0x80f000, 0x1000, 4}, {0x810000, 0x1000, 16}, {0x811000, 0xf000, 1},
};

#define SEV_LIST_AT 0x400u

static void put_sev(uint8_t fw[4096], const struct sev_section *s, size_t n)
{
	uint8_t offset[4], reset[4], hashes[8];
	const struct entry table[] = {
	    {GUID_HASHES, hashes, 8}, {GUID_RESET, reset, 4}, {GUID_SEV, offset, 4}};
	uint8_t *p = fw + SEV_LIST_AT;

	memset(fw, 0, 4096);
	put_le32(offset, 4096 - SEV_LIST_AT);
	put_le32(reset, 0x80b004);
	put_le32(hashes, 0x810c00);
	put_le32(hashes + 4, 0x400);
	put_table(fw, 4096, table, 3);
	memcpy(p, "ASEV", 4);
	put_le32(p + 4, (uint32_t)(16 + 12 * n));
	put_le32(p + 8, 1);
	put_le32(p + 12, (uint32_t)n);
	p += 16;
	for (size_t i = 0; i < n; i++, p += 12) {
		put_le32(p, s[i].gpa);
		put_le32(p + 4, s[i].size);
		put_le32(p + 8, s[i].type);
	}
}

/* ---- SEV-SNP ---- */

#define AMD_SEV_DIGEST                                                                             \
	"086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da" \
	"6d466b74"

TEST(snp_published_digests)
{
	static const struct {
		uint32_t cpus;
		uint64_t features;
		const char *cmdline, *want;
	} vectors[] = {
	    {1, 0x1, "",
	     "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a907939"
	     "7fa3852819b5"},
	    {1, 0x21, "",
	     "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa4117"
	     "9ef98a7ef198"},
	    {1, 0x1, "console=ttyS0 loglevel=7",
	     "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e7"
	     "06363b4b08fa"},
	    {1, 0x21, "console=ttyS0 loglevel=7",
	     "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895df"
	     "e778d0228977"},
	    {4, 0x1, "",
	     "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877"
	     "c36e23046ad5"},
	    {4, 0x21, "",
	     "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698"
	     "e2414a631942"},
	    {1, 0x1, NULL,
	     "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d"
	     "76e7c5df632d"},
	    {1, 0x21, NULL,
	     "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9"
	     "f22adbcd0e2b"},
	};
	uint8_t fw[4096], start[SNP_DIGEST_SIZE], digest[SNP_DIGEST_SIZE];
	struct error err = ERROR_INIT;
	uint32_t signature;

	put_sev(fw, amd_sev, 7);
	unhex(AMD_SEV_DIGEST, start, sizeof(start));
	check_ok(vcpu_signature("EPYC-v4", &signature, &err), &err);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		const struct snp_kernel kernel = {.cmdline = vectors[i].cmdline};
		const struct snp_launch l = {
		    .firmware = {fw, sizeof(fw)},
		    .firmware_digest = start,
		    .kernel = vectors[i].cmdline ? &kernel : NULL,
		    .cpus = vectors[i].cpus,
		    .signature = signature,
		    .features = vectors[i].features,
		};

		check_ok(snp_measure(&l, NULL, digest, &err), &err);
		check_hex(digest, sizeof(digest), vectors[i].want);
	}
}

/* GUIDs and lengths as QEMU writes them; the digests of "x" and NUL, of nothing, of "kernel". */
TEST(snp_hash_table_bytes)
{
	static const char want[] = "06d63894224fc94cb479a793d411fd21a800"
	                           "d82dd09720bd944caa78e7714d36ab2a3200";
	const struct snp_kernel k = {.kernel = {(const uint8_t *)"kernel", 6}, .cmdline = "x"};
	uint8_t table[SNP_HASH_TABLE_SIZE], head[36], sha[SHA256_SIZE];
	const struct blob words = {(const uint8_t *)"x", 2}, nothing = {NULL, 0};
	struct error err = ERROR_INIT;

	check_ok(snp_hash_table(&k, table, &err), &err);
	unhex(want, head, sizeof(head));
	check_mem(table, head, sizeof(head));
	check_ok(sha_of(SHA_ALG_256, &words, 1, sha, &err), &err);
	check_mem(table + 36, sha, sizeof(sha));
	check_ok(sha_of(SHA_ALG_256, &nothing, 1, sha, &err), &err);
	check_mem(table + 86, sha, sizeof(sha));
	check_ok(sha_of(SHA_ALG_256, &k.kernel, 1, sha, &err), &err);
	check_mem(table + 136, sha, sizeof(sha));
	for (size_t i = 168; i < sizeof(table); i++)
		check_int(table[i], 0);
}

TEST(processor_signatures)
{
	static const struct {
		const char *name;
		uint32_t want;
	} known[] = {{"EPYC", 0x800f12},       {"EPYC-v4", 0x800f12},
	             {"EPYC-IBPB", 0x800f12},  {"EPYC-Rome", 0x830f10},
	             {"EPYC-Milan", 0xa00f11}, {"EPYC-Milan-v2", 0xa00f11},
	             {"EPYC-Genoa", 0xa10f10}, {"EPYC-Turin", 0xb00f00}};
	static const char *const unknown[] = {"",       "EPYC-v0", "EPYC-v99",    "EPYC-",
	                                      "EPYC-v", "host",    "EPYC-Milanx", "epyc"};
	struct error err = ERROR_INIT;
	uint32_t got;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		check_ok(vcpu_signature(known[i].name, &got, &err), &err);
		check_int(got, known[i].want);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		check_int(vcpu_signature(unknown[i], &got, NULL), -EINVAL);
}

static int snp_of(const uint8_t *fw, size_t size)
{
	static const uint8_t start[SNP_DIGEST_SIZE];
	const struct snp_kernel kernel = {.cmdline = ""};
	const struct snp_launch l = {.firmware = {fw, size},
	                             .firmware_digest = start,
	                             .kernel = &kernel,
	                             .cpus = 2,
	                             .features = 1};
	struct error err = ERROR_INIT;
	uint8_t digest[SNP_DIGEST_SIZE];
	int r = snp_measure(&l, NULL, digest, &err);

	if (r < 0)
		check(err.text[0] && (err.kind == ERROR_INPUT || err.kind == ERROR_USAGE));
	return r;
}

TEST(snp_firmware_that_lies)
{
	static const struct {
		size_t at;
		uint32_t value;
		int want;
	} lies[] = {
	    {4096 - 50, 0x11, -EINVAL},              /* a table shorter than its footer */
	    {4096 - 50, 0xffff, -EINVAL},            /* or longer than the file */
	    {4096 - 68, 0x0001, -EINVAL},            /* an entry shorter than its tail */
	    {4096 - 68, 0x7fff, -EINVAL},            /* or longer than the table */
	    {4096 - 72, 0, -EINVAL},                 /* a list at the file's end */
	    {4096 - 72, 4097, -EINVAL},              /* before its begin */
	    {4096 - 72, 0xffffffff, -EINVAL},        /* far before */
	    {SEV_LIST_AT, 0, -EINVAL},               /* not ASEV */
	    {SEV_LIST_AT + 4, 0xfff, -EINVAL},       /* another length */
	    {SEV_LIST_AT + 8, 2, -EINVAL},           /* version */
	    {SEV_LIST_AT + 12, 0, -EINVAL},          /* no section */
	    {SEV_LIST_AT + 12, 1u << 31, -EINVAL},   /* many */
	    {SEV_LIST_AT + 16, 0x800001, -EINVAL},   /* not a whole page */
	    {SEV_LIST_AT + 20, 0, -EINVAL},          /* empty */
	    {SEV_LIST_AT + 20, 0xfffff000, -EINVAL}, /* 4 GiB of zeros */
	    {SEV_LIST_AT + 24, 9, -EINVAL},          /* type */
	    {SEV_LIST_AT + 44, 0x2000, -EINVAL},     /* two secrets pages */
	    {SEV_LIST_AT + 76, 0x815000, -EINVAL},   /* digests elsewhere than their table */
	    {SEV_LIST_AT + 84, 1, -ENODATA},         /* no digests */
	};
	uint8_t fw[4096];

	put_sev(fw, amd_sev, 7);
	check_int(snp_of(fw, sizeof(fw)), 0);
	check_int(snp_of(fw, 0), -EINVAL);
	check_int(snp_of(fw, 4095), -EINVAL);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		put_sev(fw, amd_sev, 7);
		if (lies[i].at >= 4096 - 68 && lies[i].at != 4096 - 72)
			put_le16(fw + lies[i].at, (uint16_t)lies[i].value);
		else
			put_le32(fw + lies[i].at, lies[i].value);
		check_int(snp_of(fw, sizeof(fw)), lies[i].want);
	}
	memset(fw, 0, sizeof(fw));
	check_int(snp_of(fw, sizeof(fw)), -ENODATA);
}

/* ---- PE images ---- */

#define PE_SIZE 0x440u

/* aleph-vm's made-up image: two sections out of order, 32 bytes behind them, 32 of signature. */
static void make_pe(uint8_t pe[PE_SIZE], uint32_t directories, uint32_t signature)
{
	static const uint32_t places[] = {0x300, 0x200};

	for (size_t i = 0; i < PE_SIZE; i++)
		pe[i] = (uint8_t)(i * 7 + 3);
	memset(pe, 0, 0x40);
	memcpy(pe, "MZ", 2);
	put_le32(pe + 0x3c, 0x40);
	memcpy(pe + 0x40, "PE\0", 4);
	memset(pe + 0x44, 0, 20 + 240 + 80);
	put_le16(pe + 0x44, 0x8664);
	put_le16(pe + 0x46, 2);
	put_le16(pe + 0x54, 240);
	put_le16(pe + 0x58, 0x20b);
	put_le32(pe + 0x58 + 60, 0x200);
	put_le32(pe + 0x58 + 64, 0x12345678);
	put_le32(pe + 0x58 + 108, directories);
	put_le32(pe + 0x58 + 144, 0x420);
	put_le32(pe + 0x58 + 148, signature);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *h = pe + 0x58 + 240 + 40 * i;

		memcpy(h, i == 0 ? ".text\0\0" : ".data\0\0", 8);
		put_le32(h + 16, 0x100);
		put_le32(h + 20, places[i]);
	}
}

#define MADE_UP_PE                                                                                 \
	"27ca0b497c08dcf49e302a2dd4bbe74889b19d0d1af84364c8cad3472d5ba1bfda1e7cfe7fb94848d491cdfd" \
	"2a163410"

TEST(authenticode_published_digest)
{
	uint8_t pe[PE_SIZE], digest[SHA_MAX_SIZE];
	const struct blob image = {pe, sizeof(pe)};
	struct error err = ERROR_INIT;

	make_pe(pe, 16, 0x20);
	check(authenticode_is_pe(&image));
	check_ok(authenticode_digest(&image, SHA_ALG_384, digest, &err), &err);
	check_hex(digest, SHA384_SIZE, MADE_UP_PE);
	/* What is not hashed: checksum, the directory's entry, the signature. */
	pe[0x58 + 65] ^= 1;
	pe[0x430] ^= 1;
	check_ok(authenticode_digest(&image, SHA_ALG_384, digest, &err), &err);
	check_hex(digest, SHA384_SIZE, MADE_UP_PE);
	/* Without directories all of the end is hashed. */
	make_pe(pe, 4, 0x20);
	check_ok(authenticode_digest(&image, SHA_ALG_384, digest, &err), &err);
}

TEST(authenticode_images_that_lie)
{
	static const struct {
		size_t at;
		uint32_t value;
	} lies[] = {
	    {0x3c, 0xffffffff},  {0x3c, 0x430},      {0x44 + 2, 97 | 0 << 16}, {0x44 + 16, 0xffff},
	    {0x44 + 16, 60},     {0x58, 0x30b},      {0x58 + 60, 0x100},       {0x58 + 60, 0x441},
	    {0x58 + 144, 0x441}, {0x58 + 148, 0x41}, {0x58 + 256, 0x441},      {0x58 + 260, 0x400},
	    {0x58 + 256, 0x240},
	};
	uint8_t pe[PE_SIZE], digest[SHA_MAX_SIZE];
	const struct blob image = {pe, sizeof(pe)};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct error err = ERROR_INIT;

		make_pe(pe, 16, 0x20);
		if (lies[i].at < 0x5a && lies[i].at != 0x3c)
			put_le16(pe + lies[i].at, (uint16_t)lies[i].value);
		else
			put_le32(pe + lies[i].at, lies[i].value);
		check_int(authenticode_digest(&image, SHA_ALG_384, digest, &err), -EINVAL);
		check_int(err.kind, ERROR_INPUT);
	}
	for (size_t n = 0; n < 0x1a0; n++) {
		const struct blob cut = {pe, n};

		make_pe(pe, 16, 0);
		check(authenticode_digest(&cut, SHA_ALG_384, digest, NULL) < 0);
	}
}

/* ---- TDX ---- */

TEST(tdx_published_mrtd)
{
	static const uint64_t sections[4][6] = {
	    {0x0000, 0x1000, 0xfffff000, 0x1000, 0, 1},
	    {0x1000, 0x1000, 0xffffe000, 0x1000, 1, 1},
	    {0, 0, 0x809000, 0x2000, 2, 0},
	    {0, 0, 0x80b000, 0x1000, 3, 2},
	};
	static const char other1[] = "11111111-1111-1111-1111-111111111111";
	static const char other2[] = "22222222-2222-2222-2222-222222222222";
	_cleanup_free_ uint8_t *fw = malloc(0x3000);
	uint8_t offset[4], mrtd[TDX_DIGEST_SIZE];
	const struct entry table[] = {{other1, (const uint8_t *)"unrelated", 9},
	                              {GUID_TDX, offset, 4},
	                              {other2, (const uint8_t *)"\xab\xab\xab\xab", 4}};
	const struct blob firmware = {fw, 0x3000};
	struct error err = ERROR_INIT;

	check(fw);
	for (size_t i = 0; i < 0x3000; i++)
		fw[i] = (uint8_t)(i * 13 + 5);
	memset(fw + 0x3000 - 32, 0, 32);
	memcpy(fw + 0x2000, "TDVF", 4);
	put_le32(fw + 0x2004, 16 + 4 * 32);
	put_le32(fw + 0x2008, 1);
	put_le32(fw + 0x200c, 4);
	for (size_t i = 0; i < 4; i++) {
		uint8_t *p = fw + 0x2010 + 32 * i;

		put_le32(p, (uint32_t)sections[i][0]);
		put_le32(p + 4, (uint32_t)sections[i][1]);
		put_le64(p + 8, sections[i][2]);
		put_le64(p + 16, sections[i][3]);
		put_le32(p + 24, (uint32_t)sections[i][4]);
		put_le32(p + 28, (uint32_t)sections[i][5]);
	}
	put_le32(offset, 0x1000);
	put_table(fw, 0x3000, table, 3);
	check_ok(tdx_mrtd(&firmware, NULL, mrtd, &err), &err);
	check_hex(
	    mrtd, sizeof(mrtd),
	    "168f5582b72265ed01aad1edd402f5d096c12d95385b5f38959b5cc8c128e6efe6e13e854e211a1ee4"
	    "e4a4eeafa36fa6");
	/* Content of another size than the memory's, beyond the file, an unknown type. */
	put_le32(fw + 0x2014, 0x800);
	check_int(tdx_mrtd(&firmware, NULL, mrtd, &err), -EINVAL);
	put_le32(fw + 0x2014, 0x1000);
	put_le32(fw + 0x2010, 0x2001);
	check_int(tdx_mrtd(&firmware, NULL, mrtd, &err), -EINVAL);
	put_le32(fw + 0x2010, 0);
	put_le32(fw + 0x2028, 4);
	check_int(tdx_mrtd(&firmware, NULL, mrtd, &err), -EINVAL);
	guid_bytes(other1, fw + 0x3000 - 32 - 18 - 22 - 16);
	check_int(tdx_mrtd(&firmware, NULL, mrtd, &err), -ENODATA);
}

/* What a TDX guest of QEMU 10.2.4 and edk2 202602 had; its initrd is known by its digest. */
TEST(tdx_hardware_rtmr2)
{
	static const enum efi_event options[] = {EFI_EVENT_OPTIONS, EFI_EVENT_END};
	const struct efi_boot boot = {
	    .initrd = {(const uint8_t *)"i", 1},
	    .cmdline = "root=LABEL=cloudimg-rootfs ro console=ttyS0",
	    .initrd_word_first = true,
	};
	struct measure_register reg;
	struct error err = ERROR_INIT;
	uint8_t initrd[SHA384_SIZE];

	unhex("88de90bedcc560064688c74ccd6609a25ed9d48b0a0e13d8b2a558212724d8755b2c8114dcf04b8d51ea"
	      "4cf7782e3091",
	      initrd, sizeof(initrd));
	measure_register_init(&reg, SHA_ALG_384, "RTMR[2]");
	check_ok(efi_boot_extend(&reg, &boot, options, NULL, &err), &err);
	check_ok(measure_extend(&reg, initrd, NULL, "initrd", &err), &err);
	check_hex(
	    reg.value, SHA384_SIZE,
	    "972547466cb6bcb8a23cd479e9258c3affbbc4f0ba2805d732477200d0dff8432447c7a775e70453cd"
	    "b51f018a306ece");
}

/* ---- kernels ---- */

#define KERNEL_SIZE 0x3000u

/* Header and PE image as Linux's bzImage has them, without code. */
static void make_kernel(uint8_t k[KERNEL_SIZE], bool stub)
{
	memset(k, 0x5a, KERNEL_SIZE);
	memset(k, 0, 0x1000);
	k[0x1f1] = 7;
	put_le16(k + 0x1fe, 0xaa55);
	memcpy(k + 0x202, "HdrS", 4);
	put_le16(k + 0x206, 0x20f);
	k[0x211] = 1;
	put_le32(k + 0x22c, 0x7fffffff);
	put_le16(k + 0x236, 0x3f);
	if (!stub)
		return;
	memcpy(k, "MZ", 2);
	put_le32(k + 0x3c, 0x40);
	memcpy(k + 0x40, "PE\0", 4);
	put_le16(k + 0x44, 0x8664);
	put_le16(k + 0x46, 1);
	put_le16(k + 0x54, 160);
	put_le16(k + 0x58, 0x20b);
	put_le32(k + 0x58 + 60, 0x1000);
	put_le32(k + 0x58 + 108, 6);
	put_le32(k + 0x58 + 160 + 16, 0x2000);
	put_le32(k + 0x58 + 160 + 20, 0x1000);
}

TEST(kernel_as_qemu_hands_it_over)
{
	static const struct {
		uint64_t memory, initrd;
		uint16_t flags;
		uint32_t at;
	} places[] = {
	    /* low memory - 0x28000 - 1 - size, on a page */
	    {512ull << 20, 4097, 0x3f, 0x1ffd6000},
	    {2815ull << 20, 1, 0x3f, 0xafed7000},
	    {2816ull << 20, 1, 0x3f, 0x7ffd7000}, /* q35: 2 GiB below 4 GiB */
	    {64ull << 30, 1, 0x3f, 0x7ffd7000},
	    {2048ull << 20, 1, 0x3d, 0x7ffd7000}, /* not above 4 GiB: the header's limit */
	    {1024ull << 20, 0, 0x3f, 0},
	};
	uint8_t k[KERNEL_SIZE];
	const struct blob kernel = {k, sizeof(k)};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		_cleanup_buffer_ struct buffer out = BUFFER_INIT;

		make_kernel(k, true);
		put_le16(k + 0x236, places[i].flags);
		check_ok(
		    linux_image_as_loaded(&kernel, places[i].memory, places[i].initrd, &out, &err),
		    &err);
		check_int(out.size, sizeof(k));
		check_int(out.data[0x210], 0xb0);
		check_int(out.data[0x211], 0x81);
		check_int(get_le32(out.data + 0x218), places[i].at);
		check_int(get_le32(out.data + 0x21c), places[i].initrd);
		check_int(get_le16(out.data + 0x224), 0xfe00);
		check_int(get_le32(out.data + 0x228), 0x20000);
		check_mem(out.data + 0x22c, k + 0x22c, sizeof(k) - 0x22c);
	}
}

TEST(kernels_that_cannot_be_measured)
{
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {{0x1fe, 0}, {0x202, 0}, {0x206, 0x0b}, {0x211, 0}, {0x1f1, 0xff}};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	char words[LINUX_CMDLINE_MAX + 2];
	uint8_t k[KERNEL_SIZE];
	struct efi_boot boot = {.kernel = {k, sizeof(k)}, .cmdline = words};
	struct error err = ERROR_INIT;

	memset(words, 'x', sizeof(words));
	words[LINUX_CMDLINE_MAX] = words[LINUX_CMDLINE_MAX + 1] = '\0';
	make_kernel(k, true);
	check_ok(efi_boot_check(&boot, &err), &err);
	words[LINUX_CMDLINE_MAX] = 'x';
	check_int(efi_boot_check(&boot, &err), -E2BIG);
	words[LINUX_CMDLINE_MAX] = '\0';
	boot.initrd = (struct blob){k, 1};
	check_int(efi_boot_check(&boot, &err), -E2BIG);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		make_kernel(k, true);
		k[lies[i].at] = lies[i].value;
		check_int(efi_boot_check(&boot, &err), -EINVAL);
	}
	make_kernel(k, false);
	check_int(efi_boot_check(&boot, &err), -EINVAL);
	check(strstr(err.text, "EFI stub"));
	boot.kernel.size = 0x260;
	check_int(efi_boot_check(&boot, &err), -EINVAL);
	make_kernel(k, true);
	boot.kernel.size = sizeof(k);
	check_int(linux_image_as_loaded(&boot.kernel, 64 << 20, 64 << 20, &out, &err), -EFBIG);
}

/* What is there is measured, what is not there is not; registers nobody writes are zero. */
TEST(tpm_registers)
{
	static const char *const names[TPM_PCR_COUNT] = {"PCR[4]",  "PCR[5]",  "PCR[8]",
	                                                 "PCR[9]",  "PCR[11]", "PCR[12]",
	                                                 "PCR[13]", "PCR[14]", "PCR[15]"};
	static const uint8_t zeros[SHA256_SIZE];
	struct measure_register pcr[TPM_PCR_COUNT], again[TPM_PCR_COUNT];
	uint8_t k[KERNEL_SIZE];
	struct efi_boot boot = {.kernel = {k, sizeof(k)}, .cmdline = ""};
	struct error err = ERROR_INIT;

	make_kernel(k, true);
	check_ok(tpm_pcrs(&boot, SHA_ALG_256, NULL, pcr, &err), &err);
	for (size_t i = 0; i < TPM_PCR_COUNT; i++)
		check_str(pcr[i].name, names[i]);
	check_mem(pcr[3].value, zeros, sizeof(zeros));
	boot.initrd = (struct blob){k, 100};
	check_ok(tpm_pcrs(&boot, SHA_ALG_256, NULL, again, &err), &err);
	check_mem(pcr[0].value, again[0].value, SHA256_SIZE);
	check(memcmp(again[3].value, zeros, sizeof(zeros)) != 0);
	boot.initrd_word_first = true;
	check_ok(tpm_pcrs(&boot, SHA_ALG_256, NULL, pcr, &err), &err);
	check(memcmp(again[3].value, pcr[3].value, SHA256_SIZE) != 0);
}

TEST_MAIN()
