/* SPDX-License-Identifier: Apache-2.0 */
/* measure: the measurement that whoever verifies a confidential guest must expect. */
#include "image-tool/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image-tool/tool.h"
#include "lib/base/str.h"
#include "lib/measure/authenticode.h"
#include "lib/measure/efi_boot.h"
#include "lib/measure/linux_image.h"
#include "lib/measure/sev.h"
#include "lib/measure/snp.h"
#include "lib/measure/tdx.h"
#include "lib/measure/tpm.h"
#include "lib/measure/vcpu.h"
#include "lib/measure/vmsa.h"

/* As kihon's. */
#define DEFAULT_CPUS   1
#define DEFAULT_MEMORY (512ull << 20)
#define MEMORY_MIN     (1ull << 20)

/* One run. */
struct measure {
	const struct measure_options *o;
	const struct measure_input *in;
	struct measure_report *report;
	struct measure_trace trace;
};

/* 0x1f or 1f, at most 16 digits. */
static int hex_number(const char *option, const char *text, uint64_t max, uint64_t *out,
                      struct error *err)
{
	const char *digits = str_starts(text, "0x") ? text + 2 : text;
	size_t n = strspn(digits, "0123456789abcdefABCDEF");

	*out = n > 0 && n <= 16 ? strtoull(digits, NULL, 16) : 0;
	if (n == 0 || n > 16 || digits[n] || *out > max)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%s %s is no hexadecimal number up to 0x%" PRIx64, option,
		                      text, max);
	return 0;
}

static int hex_digest(const char *option, const char *text, uint8_t *out, size_t size,
                      struct error *err)
{
	if (strlen(text) != 2 * size || strspn(text, "0123456789abcdefABCDEF") != 2 * size)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%s wants %zu hexadecimal digits, a SHA-384 digest", option,
		                      2 * size);
	for (size_t i = 0; i < size; i++) {
		const char byte[] = {text[2 * i], text[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return 0;
}

/* ---- SEV-SNP ---- */

static int snp_processors(const struct measure *m, struct snp_launch *l, struct error *err)
{
	const struct measure_options *o = m->o;
	const char *model = o->cpu_sig ? NULL : o->vcpu_type ?: VCPU_DEFAULT;
	uint64_t number;
	int r;

	l->cpus = o->cpus;
	l->features = VMSA_SNP;
	if (l->cpus == 0 || l->cpus > SNP_CPUS_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--cpus takes 1 to %d",
		                      SNP_CPUS_MAX);
	if (model) {
		r = vcpu_signature(model, &l->signature, err);
	} else {
		r = hex_number("--cpu-sig", o->cpu_sig, UINT32_MAX, &number, err);
		l->signature = (uint32_t)number;
	}
	if (r == 0 && o->guest_features)
		r = hex_number("--guest-features", o->guest_features, UINT64_MAX, &l->features,
		               err);
	m->report->cpus.count = l->cpus;
	m->report->cpus.signature = l->signature;
	m->report->cpus.features = l->features;
	m->report->cpus.model = model;
	return r;
}

/* The digest is what it is, but no guest will come that far. */
static void warn_of_kernel(struct measure *m)
{
	const struct efi_boot boot = {.kernel = measure_blob(&m->in->kernel),
	                              .initrd = measure_blob(&m->in->initrd),
	                              .cmdline = m->in->cmdline};
	struct error why = ERROR_INIT;

	if (efi_boot_check(&boot, &why) < 0)
		measure_report_warning(m->report,
		                       authenticode_is_pe(&boot.kernel)
		                           ? "the kernel or its command line will not boot"
		                           : "the kernel has no EFI stub: the firmware will not "
		                             "start it");
}

static int measure_snp(struct measure *m, struct error *err)
{
	const struct snp_kernel kernel = {measure_blob(&m->in->kernel),
	                                  measure_blob(&m->in->initrd), m->in->cmdline};
	uint8_t digest[SNP_DIGEST_SIZE], firmware[SNP_DIGEST_SIZE];
	struct snp_launch l = {.firmware = measure_blob(&m->in->firmware), .kernel = &kernel};
	int r = snp_processors(m, &l, err);

	if (r == 0 && m->o->firmware_digest) {
		r = hex_digest("--firmware-digest", m->o->firmware_digest, firmware,
		               sizeof(firmware), err);
		l.firmware_digest = firmware;
	}
	if (r < 0)
		return r;
	r = snp_measure(&l, &m->trace, digest, err);
	if (r < 0)
		return error_prefix(err, r, "%s", m->in->firmware.name);
	warn_of_kernel(m);
	measure_report_value(m->report, "launch_digest", digest, sizeof(digest));
	return 0;
}

/* ---- SEV ---- */

static int measure_sev(struct measure *m, struct error *err)
{
	const struct snp_kernel kernel = {measure_blob(&m->in->kernel),
	                                  measure_blob(&m->in->initrd), m->in->cmdline};
	const struct blob firmware = measure_blob(&m->in->firmware);
	uint8_t digest[SEV_DIGEST_SIZE];
	int r = sev_measure(&firmware, &kernel, &m->trace, digest, err);

	if (r < 0)
		return error_prefix(err, r, "%s", m->in->firmware.name);
	warn_of_kernel(m);
	measure_report_value(m->report, "launch_digest", digest, sizeof(digest));
	return 0;
}

/* ---- TDX and TPM: a boot through EFI ---- */

/* `loaded` holds the kernel when QEMU changes it. */
static int efi_boot_of(const struct measure *m, bool header_loaded, bool word_first,
                       struct buffer *loaded, struct efi_boot *boot, struct error *err)
{
	const struct measure_options *o = m->o;
	int r;

	*boot = (struct efi_boot){.kernel = measure_blob(&m->in->kernel),
	                          .initrd = measure_blob(&m->in->initrd),
	                          .cmdline = m->in->cmdline};
	boot->initrd_word_first =
	    o->initrd_word ? strcmp(o->initrd_word, "first") == 0 : word_first;
	if (o->kernel_header)
		header_loaded = strcmp(o->kernel_header, "loaded") == 0;
	r = efi_boot_check(boot, err);
	if (r < 0 || !header_loaded)
		return r;
	r = linux_image_as_loaded(&boot->kernel, o->memory, boot->initrd.size, loaded, err);
	boot->kernel = (struct blob){loaded->data, loaded->size};
	return r;
}

static void report_registers(struct measure_report *report, const struct measure_register *regs,
                             size_t n)
{
	for (size_t i = 0; i < n; i++)
		measure_report_value(report, regs[i].name, regs[i].value, sha_size(regs[i].alg));
}

static int measure_tdx(struct measure *m, struct error *err)
{
	_cleanup_buffer_ struct buffer loaded = BUFFER_INIT;
	const struct blob firmware = measure_blob(&m->in->firmware);
	struct measure_register rtmr[TDX_RTMR_COUNT];
	uint8_t mrtd[TDX_DIGEST_SIZE];
	struct efi_boot boot;
	int r = tdx_mrtd(&firmware, &m->trace, mrtd, err);

	if (r < 0)
		return error_prefix(err, r, "%s", m->in->firmware.name);
	r = efi_boot_of(m, false, true, &loaded, &boot, err);
	if (r == 0)
		r = tdx_rtmrs(&boot, &m->trace, rtmr, err);
	if (r < 0)
		return error_prefix(err, r, "%s", m->in->kernel.name);
	measure_report_value(m->report, "MRTD", mrtd, sizeof(mrtd));
	report_registers(m->report, rtmr, TDX_RTMR_COUNT);
	measure_report_unknown(m->report, "RTMR[0]",
	                       "memory map, ACPI tables and boot variables, which QEMU makes from "
	                       "its version and arguments");
	return 0;
}

static int measure_tpm(struct measure *m, struct error *err)
{
	static const char *const others[] = {"PCR[0]", "PCR[1]", "PCR[2]",
	                                     "PCR[3]", "PCR[6]", "PCR[7]"};
	_cleanup_buffer_ struct buffer loaded = BUFFER_INIT;
	struct measure_register pcr[TPM_PCR_COUNT];
	enum sha_alg bank = SHA_ALG_256;
	struct efi_boot boot;
	int r = efi_boot_of(m, true, false, &loaded, &boot, err);

	while (m->o->bank && strcmp(m->o->bank, sha_name(bank)) != 0)
		bank++;
	if (r == 0)
		r = tpm_pcrs(&boot, bank, &m->trace, pcr, err);
	if (r < 0)
		return error_prefix(err, r, "%s", m->in->kernel.name);
	report_registers(m->report, pcr, TPM_PCR_COUNT);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		measure_report_unknown(m->report, others[i], "the firmware's and the machine's");
	return 0;
}

/* ---- the verb ---- */

#define SNP 1u
#define TDX 2u
#define TPM 4u
#define SEV 8u

static const struct tee {
	const char *name;
	unsigned int bit;
	bool firmware; /* it is measured */
	int (*measure)(struct measure *m, struct error *err);
} tees[] = {
    {"snp", SNP, true, measure_snp},
    {"tdx", TDX, true, measure_tdx},
    {"tpm", TPM, false, measure_tpm},
    {"sev", SEV, true, measure_sev},
};

static const struct tee *find_tee(const char *name)
{
	for (size_t i = 0; name && i < sizeof(tees) / sizeof(*tees); i++)
		if (strcmp(tees[i].name, name) == 0)
			return &tees[i];
	return NULL;
}

/* An option that does not change the result is a misunderstanding. */
static int check_options(const struct measure_options *o, const struct tee *tee, struct error *err)
{
	const struct {
		const char *name;
		bool given;
		unsigned int tees;
	} table[] = {
	    {"--firmware", o->firmware, SNP | TDX | SEV},
	    {"--firmware-digest", o->firmware_digest, SNP},
	    {"--cpus", o->cpus != DEFAULT_CPUS, SNP},
	    {"--vcpu-type", o->vcpu_type, SNP},
	    {"--cpu-sig", o->cpu_sig, SNP},
	    {"--guest-features", o->guest_features, SNP},
	    {"--memory", o->memory != DEFAULT_MEMORY, TDX | TPM},
	    {"--kernel-header", o->kernel_header, TDX | TPM},
	    {"--initrd-word", o->initrd_word, TDX | TPM},
	    {"--bank", o->bank, TPM},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].given && !(tee && tee->bit & table[i].tees))
			return error_set_kind(err, ERROR_USAGE, EINVAL, "%s changes nothing %s%s",
			                      table[i].name, tee ? "with --tee " : "without --tee",
			                      tee ? tee->name : "");
	if (o->memory < MEMORY_MIN)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--memory takes 1M and more");
	if (o->vcpu_type && o->cpu_sig)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--vcpu-type and --cpu-sig say the same: give one");
	if (o->cmdline && (o->append || o->root || o->net))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--cmdline is the whole command line: --append, --root and "
		                      "--net add nothing to it");
	if (o->quiet && (o->json || o->verbose))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--quiet goes with neither --json nor --verbose");
	if (tee && tee->firmware && !o->firmware)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--tee %s wants --firmware FILE: the firmware that the guest "
		                      "is started with is measured",
		                      tee->name);
	return 0;
}

static int measure(const struct measure_options *o, const char *dir, struct measure_input *in,
                   struct measure_report *report, struct error *err)
{
	const struct tee *tee = find_tee(o->tee);
	struct measure m = {.o = o, .in = in, .report = report};
	int r = check_options(o, tee, err);

	if (r == 0)
		r = measure_input_read(in, dir, o, err);
	if (r < 0)
		return r;
	m.trace = (struct measure_trace){o->verbose ? measure_report_step : NULL, report};
	if (!in->initrd.name && !measure_root_hash(in))
		measure_report_warning(report,
		                       "the root file system is not measured: build the image "
		                       "with --verity, and have its words in the command line");
	if (tee)
		r = tee->measure(&m, err);
	return r < 0 ? r : measure_report_print(report, err);
}

static void defaults(void *data)
{
	struct measure_options *o = data;

	o->cpus = DEFAULT_CPUS;
	o->memory = DEFAULT_MEMORY;
}

static int run_measure(int argc, char **argv, void *data)
{
	const struct measure_options *o = data;
	_cleanup_measure_input_ struct measure_input in = {0};
	struct measure_report report = {.dir = argv[0], .o = o, .in = &in};
	struct error err = ERROR_INIT;
	int r = measure(o, argv[0], &in, &report, &err);

	buffer_free(&report.steps);
	return r < 0 ? tool_fail(&err) : 0;
}

#define ROW(name, type, member, arg, choices, help)                                                \
	{                                                                                          \
		name, 0, type, offsetof(struct measure_options, member), arg, choices, help        \
	}

static const struct option options[] = {
    ROW("tee", OPTION_ENUM, tee, "TEE", "snp|tdx|tpm|sev",
        "What measures the guest: AMD SEV-SNP, Intel TDX, a TPM that OVMF finds, or AMD SEV.\n"
        "Without it, only what goes into a measurement is shown."),
    ROW("firmware", OPTION_STRING, firmware, "FILE", NULL,
        "snp, tdx, sev: the firmware that QEMU gets as -bios."),
    ROW("cpus", OPTION_U32, cpus, "N", NULL, "snp: processors of the guest (1)."),
    ROW("vcpu-type", OPTION_STRING, vcpu_type, "MODEL", NULL,
        "snp: QEMU's -cpu without its properties (" VCPU_DEFAULT ")."),
    ROW("cpu-sig", OPTION_STRING, cpu_sig, "HEX", NULL,
        "snp: the processor's signature, CPUID 1, EAX, instead of a model."),
    ROW("guest-features", OPTION_STRING, guest_features, "HEX", NULL,
        "snp: SEV_FEATURES of the processors (0x1: SNP, nothing more)."),
    ROW("firmware-digest", OPTION_STRING, firmware_digest, "HEX", NULL,
        "snp: the digest after the firmware's pages, when FILE is only the last 4096\n"
        "bytes of the firmware."),
    ROW("memory", OPTION_SIZE, memory, "SIZE", NULL,
        "tdx, tpm: memory of the guest (512M); counts with --kernel-header loaded and an\n"
        "initrd, whose place QEMU writes into the kernel's header."),
    ROW("kernel-header", OPTION_ENUM, kernel_header, "HOW", "file|loaded",
        "tdx, tpm: the kernel is measured as it is in its file (from QEMU 10.0 with\n"
        "edk2-stable202502 on; the default of tdx), or with the header that an older QEMU\n"
        "fills in as a boot loader (as in Debian 12; the default of tpm)."),
    ROW("initrd-word", OPTION_ENUM, initrd_word, "WHERE", "first|last",
        "tdx, tpm: where the firmware puts initrd=initrd in the command line: first (edk2\n"
        "from stable202508 on, the default of tdx) or last (before, the default of tpm)."),
    ROW("bank", OPTION_ENUM, bank, "BANK", "sha256|sha384|sha512", "tpm: bank of PCRs (sha256)."),
    ROW("append", OPTION_STRING, append, "WORDS", NULL,
        "More words of the kernel command line, as kihon boot's --append."),
    ROW("root", OPTION_ENUM, root, "DEVICE", "blk|pmem",
        "How the root is attached, which its words depend on (blk, as in confidential\n"
        "guests; kihon boot --machine q35 has pmem)."),
    ROW("net", OPTION_ENUM, net, "NAME", "user|none",
        "The guest's network, as kihon boot's (user)."),
    ROW("cmdline", OPTION_STRING, cmdline, "WORDS", NULL,
        "The whole kernel command line, for another launcher than kihon."),
    ROW("json", OPTION_FLAG, json, NULL, NULL, "Print JSON."),
    {"verbose", 'v', OPTION_FLAG, offsetof(struct measure_options, verbose), NULL, NULL,
     "Show each step of the measurement."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct measure_options, quiet), NULL, NULL,
     "Print names and digests only."},
    {NULL},
};

const struct verb verb_measure = {
    .name = "measure",
    .args = "DIR",
    .summary = "Says which launch measurement a verifier must expect.",
    .details =
        "Computes what a confidential guest that is started with this image will be\n"
        "measured as, so that a verifier can compare its evidence. Needs no special\n"
        "hardware and starts nothing.\n"
        "\n"
        "  snp  the launch digest: firmware, digests of kernel, initrd and command line\n"
        "       (QEMU's kernel-hashes=on), first state of the processors\n"
        "  sev  the launch digest: the same without processors, SHA-256; not of SEV-ES\n"
        "  tdx  MRTD (firmware) and RTMR[1] to RTMR[3] (kernel, command line, initrd);\n"
        "       RTMR[0] is not predicted\n"
        "  tpm  PCR 4, 5, 9 (kernel, command line, initrd) and those that stay zero\n"
        "\n"
        "The command line is that of kihon boot without -v under KVM; the kernel is the\n"
        "image's bzImage, which needs an EFI stub (CONFIG_EFI_STUB). A root file system with\n"
        "dm-verity is measured through its root hash in the command line, an initrd as a\n"
        "whole; another root is not measured, which is warned of.\n"
        "\n"
        "Example:\n"
        "  kata-image-tool measure image --tee snp --firmware OVMF.fd --cpus 2",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_measure,
    .defaults = defaults,
    .data_size = sizeof(struct measure_options),
};
