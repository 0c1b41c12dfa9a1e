/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor: one interface to whatever runs a guest.
 *
 * Callers describe a guest, start it, and hear of it through callbacks on their
 * loop; which back end runs it they choose by name and then never ask again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/hypervisor/accel.h"
#include "host-shim/hypervisor/confidential.h"
#include "host-shim/hypervisor/guest_net.h"
#include "host-shim/hypervisor/template.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"

#define HYPERVISOR_DISKS_MAX 8
#define HYPERVISOR_CPUS_MAX  32
/* Empty places of a template's guest for devices that only its clones have: a network, a disk. */
#define HYPERVISOR_SLOTS 2
/* The container kernel (from 16 MiB up to 31) crashes before it has a console with 32 MiB, and an
 * agent has pulled and run an image with 40 (bytes). */
#define HYPERVISOR_MEMORY_MIN (48ull << 20)

struct hypervisor_disk {
	const char *path; /* or NULL, and then: */
	int fd;           /* open file; stays the caller's */
	bool readonly;
};

#define HYPERVISOR_SHARES_MAX 4
#define HYPERVISOR_TAG_MAX    36 /* bytes, virtio 1.2 §5.11.4 */
#define HYPERVISOR_SLOTS_MAX  8

/* A folder of this host that the guest may mount by its tag. */
struct hypervisor_share {
	const char *path, *tag;
};

/* What a guest's kernel was built without. */
enum hypervisor_lacks {
	HYPERVISOR_LACKS_ACPI = 1u << 0,
	HYPERVISOR_LACKS_PCI = 1u << 1,
	HYPERVISOR_LACKS_NET = 1u << 2,
	HYPERVISOR_LACKS_VSOCK = 1u << 3,
	HYPERVISOR_LACKS_BALLOON = 1u << 4,
	HYPERVISOR_LACKS_MEM = 1u << 5,
	HYPERVISOR_LACKS_FS = 1u << 6,
	HYPERVISOR_LACKS_CONSOLE = 1u << 7,
};

/* What to run. Strings stay the caller's and must live as long as the hypervisor. */
struct hypervisor_config {
	const char *name;        /* of the guest, for people */
	const char *runtime_dir; /* private folder; sockets are made in it */
	const char *machine;     /* "microvm" or "q35"; NULL: the back end's default */
	enum accel accel;        /* ACCEL_KVM or ACCEL_TCG */
	bool pvm;                /* the KVM is PVM */
	uint32_t cpus;
	const char *cpu_model; /* of the built-in monitor; NULL: the host's processor */
	bool no_jail;          /* run the built-in monitor unconfined, to debug it */
	uint64_t memory;       /* bytes, whole MiB */
	uint64_t memory_min;   /* what this guest takes at least; 0: HYPERVISOR_MEMORY_MIN */
	uint32_t lacks;        /* enum hypervisor_lacks: devices for these are left out */

	const char *kernel; /* ELF vmlinux with a PVH entry, or bzImage */
	const char *initrd; /* NULL: none */
	const char *rootfs; /* root disk, always attached read-only; NULL: none */
	/* Kernel words for the root as a virtio-blk and as a virtio-pmem device; NULL: the
	 * disk itself is EROFS. */
	const char *root_words_blk, *root_words_pmem;
	const char *cmdline; /* words after those that the machine needs; NULL: none */

	struct hypervisor_disk disks[HYPERVISOR_DISKS_MAX];
	unsigned int n_disks;
	struct guest_net net;
	bool exit_port;     /* give the guest the port "kihon.exit" */
	bool no_vsock;      /* no vsock device */
	bool stats;         /* hypervisor_stats() will be asked; -ENOTSUP from a back end without */
	uint32_t guest_cid; /* 3 and more */
	/* Files of a template (template.h), which stay the caller's: hypervisor_save() writes to
	 * those of save_to, empty ones; the guest begins where the one in `from` was, and kernel
	 * and command line are not looked at. NULL: neither. -ENOTSUP from a back end without. */
	const struct template_files *save_to, *from;
	/* Empty places for devices that come while the guest runs (control.h), and for a clone's
	 * network and disks, of which its agent has to be told (docs/vmm.md): as many as the
	 * template's guest had. */
	uint32_t slots;
	bool slots_asked; /* that number is the user's wish: -ENOTSUP from a back end without */
	/* Refused of a back end, a kernel (`lacks`) or a template that does not have them. */
	uint64_t memory_max; /* what the guest's memory may grow to, bytes; 0: it does not */
	bool balloon;        /* memory that is free in the guest goes back to this host */
	bool huge_pages, prefault;
	bool shared_memory;  /* folders may come while the guest runs */
	bool virtio_console; /* the console is that device's, and nothing of the serial port's */
	struct hypervisor_share shares[HYPERVISOR_SHARES_MAX];
	unsigned int n_shares;
	/* The guest's memory is closed to this host; NULL: an ordinary one. -ENOTSUP from a back
	 * end without. The kernel is then one that a firmware starts. */
	const struct confidential *confidential;
	bool describe; /* hypervisor_command() is all that will be asked: the host is not looked at
	                */
};

/* Why a guest is no more. */
struct hypervisor_end {
	bool asked;       /* hypervisor_stop() had been called */
	bool failed;      /* the monitor did not end well, see text */
	bool saved;       /* hypervisor_save() has done its work */
	int exit_status;  /* the line "exit N" of the exit port, or -1 */
	const char *text; /* one line when failed, else "" */
};

struct hypervisor_events {
	void (*console)(void *data, const uint8_t *bytes, size_t size); /* may be NULL */
	void (*ended)(void *data, const struct hypervisor_end *end);    /* once */
	/* One line of what happened in a guest that runs on; may be NULL. The built-in monitor
	 * alone notices. */
	void (*note)(void *data, const char *text);
	void *data;
};

struct hypervisor;

/* Checks the configuration and the back end's tools; starts nothing. back_end NULL: "qemu". */
int hypervisor_new(struct hypervisor **out, struct loop *loop, const char *back_end,
                   const struct hypervisor_config *config, const struct hypervisor_events *events,
                   struct error *err);

/* Appends the words of the command that hypervisor_start() would run; descriptors that it would be
 * handed are there by number. -ENOTSUP from a back end that runs none. */
int hypervisor_command(struct hypervisor *hv, struct strv *out, struct error *err);

/* Starts the helper processes that face the guest. Call it before secrets are read into this
 * process: they are forked from it. */
int hypervisor_prepare(struct hypervisor *hv, struct error *err);

/* Adds a disk between hypervisor_prepare() and hypervisor_start(). */
int hypervisor_add_disk(struct hypervisor *hv, const struct hypervisor_disk *disk,
                        struct error *err);

int hypervisor_start(struct hypervisor *hv, struct error *err);

/* Saves a guest that runs to its save_to, or what it touched to its template, and ends it; `ended`
 * follows on the loop. Nobody may hold a connection to it: it would be in the template. */
int hypervisor_save(struct hypervisor *hv, struct error *err);

/* Ends the guest at once; `ended` follows on the loop. */
void hypervisor_stop(struct hypervisor *hv);

/* Ends what still runs and waits for it, removes the sockets. NULL is fine. */
void hypervisor_free(struct hypervisor *hv);
DEFINE_CLEANUP(struct hypervisor, hypervisor, hypervisor_free)
#define _cleanup_hypervisor_ _cleanup_(cleanup_hypervisor)

/* Begins to connect to the guest's vsock port: a connected unix socket on which
 * "OK <n>\n" or the end will come (see dial.h). */
int hypervisor_vsock_connect(struct hypervisor *hv, uint32_t port, struct error *err);

/* The end of the guest's console so far, for messages: at most `lines` lines. Valid until
 * the next call. "" when there was nothing. */
const char *hypervisor_console_tail(struct hypervisor *hv, unsigned int lines);

/* After the end: what the guest's monitor counted, JSON as of vm_stats_json(); "" when it came to
 * no end of its own. */
const char *hypervisor_stats(struct hypervisor *hv);
/* A unix socket in the runtime folder: who connects gets the same of the running guest. Only the
 * built-in monitor makes it. */
#define HYPERVISOR_STATS_SOCKET "stats"
#define HYPERVISOR_STATS_MAX    (64u << 10)
