/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes partition tables (the first 512 bytes) and DAX information blocks (what follows). */
#include <stdlib.h>
#include <string.h>

#include "lib/disk/dax_info.h"
#include "lib/disk/mbr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sector[MBR_SIZE];
	struct mbr mbr, again;
	struct dax_info info;

	if (mbr_parse(data, size, UINT64_C(1) << 40, &mbr, NULL) == 0) {
		if (mbr_format(&mbr, sector, NULL) < 0 ||
		    mbr_parse(sector, sizeof(sector), UINT64_C(1) << 40, &again, NULL) < 0)
			abort();
		for (unsigned int i = 0; i < MBR_ENTRIES; i++)
			if (mbr.partitions[i].size > 0 &&
			    memcmp(&mbr.partitions[i], &again.partitions[i],
			           sizeof(mbr.partitions[i])) != 0)
				abort();
	}
	if (size > MBR_SIZE)
		dax_info_parse(data + MBR_SIZE, size - MBR_SIZE, &info, NULL);
	return 0;
}
