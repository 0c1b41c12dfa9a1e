/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the tables of a guest firmware: what is taken is measured, within bounds. */
#include <stdlib.h>

#include "lib/measure/snp.h"
#include "lib/measure/tdx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t start[SNP_DIGEST_SIZE];
	const struct snp_kernel kernel = {.cmdline = "console=ttyS0"};
	const struct blob firmware = {data, size};
	struct snp_launch l = {.firmware = firmware,
	                       .firmware_digest = start,
	                       .kernel = &kernel,
	                       .cpus = 2,
	                       .features = 1};
	uint8_t digest[SNP_DIGEST_SIZE];
	struct sev_firmware sev;
	struct tdx_firmware tdx;
	uint64_t memory = 0;

	if (firmware_sev(&firmware, &sev, NULL) == 0)
		for (size_t i = 0; i < sev.n_sections; i++)
			memory += sev.sections[i].size;
	if (firmware_tdx(&firmware, &tdx, NULL) == 0)
		for (size_t i = 0; i < tdx.n_sections; i++)
			memory += tdx.sections[i].size;
	if (memory > 2ull * FIRMWARE_MAX_MEMORY)
		abort();
	/* Hashing tells nothing about the tables: only a little of it. */
	if (memory > 1u << 20)
		return 0;
	if (snp_measure(&l, NULL, digest, NULL) == 0)
		l.kernel = NULL;
	snp_measure(&l, NULL, digest, NULL);
	tdx_mrtd(&firmware, NULL, digest, NULL);
	return 0;
}
