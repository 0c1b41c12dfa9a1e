/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dax_info: the information block by which Linux makes a pmem device of a file's range.
 *
 * It is the PFN superblock of drivers/nvdimm/pfn.h, version 0.2, mode "page map in RAM": at byte
 * 4096 of an NVDIMM; what follows `data_offset` is then /dev/pmem0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define DAX_INFO_OFFSET 4096u
#define DAX_INFO_SIZE   4096u

struct dax_info {
	uint64_t data_offset; /* bytes */
	uint32_t align;       /* bytes */
};

void dax_info_format(const struct dax_info *info, uint8_t out[DAX_INFO_SIZE]);
/* 1: there is none. -EUCLEAN (kind input): there is one, and its checksum, version or mode is not
 * one that Linux takes here. */
int dax_info_parse(const uint8_t *data, size_t size, struct dax_info *out, struct error *err);
