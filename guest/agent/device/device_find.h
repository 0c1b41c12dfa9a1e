/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_find: the devices that storages, devices and interfaces of the agent protocol name, as
 * things to wait for (uevent.h).
 *
 * match_data is a struct device_key. The name that a wait yields is the block device's ("vda")
 * or the link's ("eth0").
 */
#pragma once

#include "pci_path.h"
#include "uevent.h"

struct device_key {
	union {
		struct pci_path pci; /* device_pci, device_pci_block, device_pci_net */
		char name[32];       /* device_block: "vdb", "pmem0"; device_vfio_group: "12";
		                      * device_mac_net: "52:54:00:12:34:56", in any case */
		struct {
			uint32_t id;
			uint64_t lun;
		} scsi; /* device_scsi_block */
	};
};

/* A virtio (or any other) disk behind that PCI path. */
extern const struct uevent_matcher device_pci_block;
/* A network link behind that PCI path. */
extern const struct uevent_matcher device_pci_net;
/* The network link with that hardware address. */
extern const struct uevent_matcher device_mac_net;
/* The PCI device itself; its name is its address, "0000:01:03.0". */
extern const struct uevent_matcher device_pci;
/* The node of an IOMMU group; its name is "vfio/12". */
extern const struct uevent_matcher device_vfio_group;
/* A disk by its kernel name: virtio-mmio disks, pmem. */
extern const struct uevent_matcher device_block;
/* SCSI address 0:0:id:lun, which the hosts are made to scan. */
extern const struct uevent_matcher device_scsi_block;

/* "ID:LUN", as storages and devices have it. -EINVAL. */
int device_scsi_parse(const char *address, struct device_key *key, struct error *err);
/* -ENODEV: there is no SCSI host, so that waiting for a disk is in vain. */
int device_scsi_check_host(const char *sysfs, struct error *err);
