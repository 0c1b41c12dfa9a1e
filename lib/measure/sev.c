/* SPDX-License-Identifier: Apache-2.0 */
/* sev: the bytes that an SEV guest is launched with. */
#include "lib/measure/sev.h"

#include <errno.h>

int sev_measure(const struct blob *firmware, const struct snp_kernel *kernel,
                const struct measure_trace *t, uint8_t out[SEV_DIGEST_SIZE], struct error *err)
{
	uint8_t table[SNP_HASH_TABLE_SIZE];
	const struct blob parts[] = {*firmware, {table, sizeof(table)}};
	const struct blob value = {out, SEV_DIGEST_SIZE};
	struct sev_firmware fw;
	int r = firmware_sev(firmware, &fw, err);

	if (r < 0)
		return r;
	if (!fw.has_hash_table || fw.hash_table_size < sizeof(table))
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "this firmware has no place for digests of the kernel, so "
		                      "kernel, initrd and words would not be measured: use one "
		                      "that is built from edk2's OvmfPkg/AmdSev");
	r = snp_hash_table(kernel, table, err);
	if (r == 0)
		r = sha_of(SHA_ALG_256, parts, 2, out, err);
	if (r == 0)
		measure_step(t, "digest", NULL, &value,
		             "firmware, digests of kernel, initrd and words");
	return r;
}
