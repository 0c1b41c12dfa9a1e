/* SPDX-License-Identifier: Apache-2.0 */
/* guest_devices: what `boot` and `run` may give a guest beside what every guest has. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/hypervisor/hypervisor.h"
#include "lib/base/error.h"
#include "lib/base/options.h"

struct guest_devices {
	uint64_t memory_max; /* bytes; 0: the memory stays as it is */
	bool balloon, huge_pages, prefault, shared_memory;
	uint32_t slots; /* GUEST_SLOTS_DEFAULT: as many as such a guest is given */
	const char *console;
	struct strv shares; /* "DIR:TAG" */
};

#define GUEST_SLOTS_DEFAULT UINT32_MAX

/* Rows of a verb's option table; `member` is its struct guest_devices. */
#define GUEST_DEVICE_ROWS(type, member)                                                            \
	{"memory-max",                                                                             \
	 0,                                                                                        \
	 OPTION_SIZE,                                                                              \
	 offsetof(type, member.memory_max),                                                        \
	 "SIZE",                                                                                   \
	 NULL,                                                                                     \
	 "what 'kihon resize' may give the guest at most (default: --memory);\n"                   \
	 "for the built-in monitor"},                                                              \
	    {"balloon",                                                                            \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.balloon),                                                       \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "give memory that the guest does not use back to this host while it runs"},           \
	    {"huge-pages",                                                                         \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.huge_pages),                                                    \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "make the memory of this host's 2 MiB pages (vm.nr_hugepages)"},                      \
	    {"prefault",                                                                           \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.prefault),                                                      \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "take all of the memory before the guest begins"},                                    \
	    {"share",                                                                              \
	     0,                                                                                    \
	     OPTION_LIST,                                                                          \
	     offsetof(type, member.shares),                                                        \
	     "DIR:TAG",                                                                            \
	     NULL,                                                                                 \
	     "let the guest mount a folder: 'mount -t virtiofs TAG /mnt'; by virtiofsd(1)"},       \
	    {"shared-memory",                                                                      \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.shared_memory),                                                 \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "let 'kihon volume attach' give the guest folders, too; for the built-in\n"           \
	     "monitor"},                                                                           \
	    {"slots",                                                                              \
	     0,                                                                                    \
	     OPTION_U32,                                                                           \
	     offsetof(type, member.slots),                                                         \
	     "N",                                                                                  \
	     NULL,                                                                                 \
	     "places for 'kihon volume attach', up to 8 (default 2; 0 for an image of\n"           \
	     "one program); for the built-in monitor"},                                            \
	{                                                                                          \
		"console", 0, OPTION_ENUM, offsetof(type, member.console), "NAME", "ttyS0|hvc0",   \
		    "the guest's console: ttyS0 (default), a serial port; hvc0, a virtio "         \
		    "console,\n"                                                                   \
		    "which is faster and says nothing before its driver is there"                  \
	}

/* For a verb's `defaults` and `release`. */
void guest_devices_default(struct guest_devices *d);
void guest_devices_free(struct guest_devices *d);

/* Says it in the configuration, which keeps pointers to d's strings. `program`: the guest is of
 * one program, without an agent. */
int guest_devices_config(const struct guest_devices *d, bool program, struct hypervisor_config *c,
                         struct error *err);
/* The word that the kernel is told of its console, or NULL. */
const char *guest_devices_word(const struct guest_devices *d);
