/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-uevent: any bytes as a uevent, matched against every kind of device, and as a PCI path. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/device/device_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct uevent_matcher *const matchers[] = {&device_pci_block, &device_pci_net,
	                                                        &device_block, &device_scsi_block};
	char *text = strndup((const char *)data, size);
	char out[PCI_SYSFS_PATH_MAX];
	struct device_key key = {.pci = {.depth = 1, .at = {{.slot = 5}}}};
	struct uevent ev;

	if (uevent_parse(&ev, data, size) == 0)
		for (size_t i = 0; i < sizeof(matchers) / sizeof(*matchers); i++)
			(void)matchers[i]->match(&ev, &key, "/nonexistent");
	if (text && pci_path_parse(&key.pci, text, NULL) == 0)
		(void)pci_path_resolve("/nonexistent", &key.pci, out, NULL);
	free(text);
	return 0;
}
