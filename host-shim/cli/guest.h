/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: a guest as the command line describes it, from its image to its end.
 *
 * What `boot` and `run` share: options, image, runtime folder, hypervisor,
 * signals, the time limit, and the one line that says why it went wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/cli/guest_devices.h"
#include "host-shim/cli/image_dir.h"
#include "host-shim/cli/net_options.h"
#include "host-shim/cli/runtime_dir.h"
#include "host-shim/hypervisor/hypervisor.h"
#include "lib/base/options.h"

/* Exit status for a failure that is neither the container's nor a usage error, as podman's. */
#define EXIT_OURS  125
#define EXIT_USAGE 2

struct guest_options {
	const char *vmm, *cpu, *machine, *accel, *append, *confidential;
	struct guest_net_words net; /* its addresses' rows are NET_ADDRESS_ROWS */
	uint32_t cpus;
	uint64_t memory, timeout; /* bytes, ms */
	bool verbose, no_jail;
	struct guest_devices devices; /* rows of their own: GUEST_DEVICE_ROWS */
};

/* Rows of a verb's option table; `member` is its struct guest_options. */
#define GUEST_OPTION_ROWS(type, member)                                                            \
	{"cpus",                                                                                   \
	 0,                                                                                        \
	 OPTION_U32,                                                                               \
	 offsetof(type, member.cpus),                                                              \
	 "N",                                                                                      \
	 NULL,                                                                                     \
	 "processors of the guest, 1 to 32 (default 1)"},                                          \
	    {"memory",                                                                             \
	     'm',                                                                                  \
	     OPTION_SIZE,                                                                          \
	     offsetof(type, member.memory),                                                        \
	     "SIZE",                                                                               \
	     NULL,                                                                                 \
	     "memory of the guest: 64M, 2G (default 512M);\nthe image's files are kept in it"},    \
	    {"vmm",                                                                                \
	     0,                                                                                    \
	     OPTION_ENUM,                                                                          \
	     offsetof(type, member.vmm),                                                           \
	     "NAME",                                                                               \
	     "builtin|qemu",                                                                       \
	     "what runs the guest: builtin, on a KVM that can run Linux, its --net user by\n"      \
	     "passt(1); qemu. Default: builtin where it can, without --machine; else qemu"},       \
	    {"cpu",                                                                                \
	     0,                                                                                    \
	     OPTION_ENUM,                                                                          \
	     offsetof(type, member.cpu),                                                           \
	     "MODEL",                                                                              \
	     "host|x86-64-v2|x86-64-v3",                                                           \
	     "host (default), or a level that is the same on every host that has it;\n"            \
	     "for the built-in monitor"},                                                          \
	    {"no-jail",                                                                            \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.no_jail),                                                       \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "do not confine the built-in monitor: only for debugging it"},                        \
	    {"machine",                                                                            \
	     0,                                                                                    \
	     OPTION_ENUM,                                                                          \
	     offsetof(type, member.machine),                                                       \
	     "NAME",                                                                               \
	     "microvm|q35",                                                                        \
	     "microvm (default): boots fastest, root on virtio-blk;\n"                             \
	     "q35: PCI and ACPI, root on virtio-pmem mapped without a copy (DAX)"},                \
	    {"confidential",                                                                       \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     offsetof(type, member.confidential),                                                  \
	     "KIND[,KEY=VALUE...]",                                                                \
	     NULL,                                                                                 \
	     "sev, sev-snp or tdx, and firmware=FILE: a guest whose memory this host cannot\n"     \
	     "read, in QEMU; see docs/confidential.md"},                                           \
	    {"accel",                                                                              \
	     0,                                                                                    \
	     OPTION_ENUM,                                                                          \
	     offsetof(type, member.accel),                                                         \
	     "NAME",                                                                               \
	     "auto|kvm|tcg",                                                                       \
	     "auto (default): KVM where it can run Linux at speed, else emulation;\n"              \
	     "kvm: insist; tcg: emulate"},                                                         \
	    NET_OPTION_ROW(type, member.net),                                                      \
	    {"append",                                                                             \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     offsetof(type, member.append),                                                        \
	     "WORDS",                                                                              \
	     NULL,                                                                                 \
	     "more words for the guest's kernel command line"},                                    \
	    {"timeout",                                                                            \
	     0,                                                                                    \
	     OPTION_DURATION,                                                                      \
	     offsetof(type, member.timeout),                                                       \
	     "TIME",                                                                               \
	     NULL,                                                                                 \
	     "end the guest after this long: 30s, 5m (default: no limit)"},                        \
	{                                                                                          \
		"verbose", 'v', OPTION_FLAG, offsetof(type, member.verbose), NULL, NULL,           \
		    "show the guest's console"                                                     \
	}

/* One processor, 512 MiB. For a verb's `defaults` and `release`. */
void guest_options_default(struct guest_options *o);
void guest_options_free(struct guest_options *o);

struct guest;

struct guest_events {
	void (*console)(void *data, const uint8_t *bytes, size_t size);
	void (*ended)(void *data, const struct hypervisor_end *end);
	/* SIGINT, SIGTERM, SIGHUP, SIGQUIT came; NULL: the guest is stopped at the first. */
	void (*signalled)(void *data, int signo);
	void *data;
};

struct guest_setup {
	const char *image_dir;       /* NULL: the default */
	struct image_dir *image;     /* that one, open: it is taken over; NULL: it is opened */
	const char *kernel, *initrd; /* instead of the image's; NULL: the image's */
	bool exit_port, no_vsock, stats;
	bool describe; /* as in hypervisor.h: guest_start() will not be called */
	const char *name;
	const struct template_files *save_to, *from; /* as in hypervisor.h */
	uint32_t slots;                              /* the same */
};

/* Everything up to where hypervisor_start() can be called: the helpers run, nothing secret
 * has been read. */
int guest_new(struct guest **out, struct loop *loop, const struct guest_options *o,
              const struct guest_setup *setup, const struct guest_events *events,
              struct error *err);
/* Starts it, and says once on stderr when it is emulated. */
int guest_start(struct guest *g, struct error *err);
void guest_free(struct guest *g); /* NULL is fine; nothing is left behind */
DEFINE_CLEANUP(struct guest, guest, guest_free)
#define _cleanup_guest_ _cleanup_(cleanup_guest)

struct hypervisor *guest_hypervisor(struct guest *g);
/* Of an image with one program its path, else NULL. */
const char *guest_program(const struct guest *g);
const struct runtime_dir *guest_runtime(const struct guest *g);
const struct guest_net *guest_network(const struct guest *g);

/* Whether the console shows a kernel panic: then its line, else NULL. Valid until the next
 * call that looks at the console. */
const char *guest_panic(struct guest *g);
/* The signal that ended it, or 0; and whether its time was up. */
int guest_signal(const struct guest *g);
bool guest_timed_out(const struct guest *g);

/* Prints "kihon: text" on stderr; returns EXIT_USAGE for a usage error, else EXIT_OURS. */
int cli_fail(const struct error *err);
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
