/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp: the launch digest of an SEV-SNP guest, as the secure processor computes it (SEV-SNP
 * firmware ABI 1.55, 8.17.2, PAGE_INFO) when QEMU starts OVMF with kernel-hashes=on.
 */
#pragma once

#include "lib/measure/firmware.h"
#include "lib/measure/trace.h"

#define SNP_DIGEST_SIZE SHA384_SIZE
#define SNP_CPUS_MAX    512

/* The table of digests through which kernel, initrd and words are measured (QEMU,
 * target/i386/sev.c; edk2, OvmfPkg/AmdSev/BlobVerifierLibSevHashes). */
#define SNP_HASH_TABLE_SIZE 176

struct snp_kernel {
	struct blob kernel;  /* the file, as it is */
	struct blob initrd;  /* NULL: none */
	const char *cmdline; /* without its NUL, which is measured, too */
};

int snp_hash_table(const struct snp_kernel *k, uint8_t out[SNP_HASH_TABLE_SIZE], struct error *err);

struct snp_launch {
	struct blob firmware;
	/* The digest after the firmware's pages, when the firmware is not at hand whole (its last
	 * 4096 bytes hold all tables). NULL: computed. */
	const uint8_t *firmware_digest;
	const struct snp_kernel *kernel; /* NULL: kernel-hashes=off */
	uint32_t cpus;
	uint32_t signature; /* of the processors, see vcpu.h */
	uint64_t features;  /* SEV_FEATURES, see vmsa.h */
};

/* -EINVAL and -ENODATA (kind input) for a firmware that cannot do it. */
int snp_measure(const struct snp_launch *l, const struct measure_trace *t,
                uint8_t out[SNP_DIGEST_SIZE], struct error *err);
