/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes kernels to be measured: setup header and PE image. */
#include <stdlib.h>

#include "lib/measure/authenticode.h"
#include "lib/measure/linux_image.h"
#include "lib/measure/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct efi_boot boot = {.kernel = {data, size}, .cmdline = "console=ttyS0"};
	_cleanup_buffer_ struct buffer loaded = BUFFER_INIT;
	struct measure_register pcr[TPM_PCR_COUNT];
	uint8_t one[SHA_MAX_SIZE], two[SHA_MAX_SIZE];
	bool is_pe = authenticode_is_pe(&boot.kernel);

	if (authenticode_digest(&boot.kernel, SHA_ALG_256, one, NULL) == 0 && !is_pe)
		abort();
	if (linux_image_as_loaded(&boot.kernel, 512u << 20, 4096, &loaded, NULL) < 0)
		return 0;
	if (loaded.size != size || linux_image_check(&(struct blob){loaded.data, size}, NULL) < 0)
		abort();
	tpm_pcrs(&boot, SHA_ALG_256, NULL, pcr, NULL);
	boot.kernel.data = loaded.data;
	authenticode_digest(&boot.kernel, SHA_ALG_384, two, NULL);
	return 0;
}
