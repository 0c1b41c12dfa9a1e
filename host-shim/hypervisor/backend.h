/* SPDX-License-Identifier: Apache-2.0 */
/* backend: what hypervisor.c and its back ends share. */
#pragma once

#include "host-shim/hypervisor/hypervisor.h"
#include "host-shim/hypervisor/shares.h"
#include "lib/base/bytes.h"

struct hypervisor_ops {
	const char *name;
	bool has_stats;
	bool takes_confidential;
	bool can_plug; /* slots, and memory that grows */
	size_t size;   /* of the back end's structure, which begins with struct hypervisor */
	int (*check)(struct hypervisor *hv, struct error *err);
	int (*command)(struct hypervisor *hv, struct strv *out, struct error *err); /* NULL: none */
	int (*prepare)(struct hypervisor *hv, struct error *err);
	int (*start)(struct hypervisor *hv, struct error *err);
	int (*save)(struct hypervisor *hv, struct error *err); /* NULL: it has no templates */
	void (*stop)(struct hypervisor *hv);
	void (*release)(struct hypervisor *hv); /* not the structure itself */
	int (*vsock_connect)(struct hypervisor *hv, uint32_t port, struct error *err);
};

/* The console's last bytes. */
#define CONSOLE_KEPT (32u << 10)

struct hypervisor {
	const struct hypervisor_ops *ops;
	struct loop *loop;
	struct hypervisor_config config;
	struct hypervisor_events events;
	struct buffer console;
	struct buffer tail; /* of hypervisor_console_tail() */
	struct buffer stats;
	struct share shares[HYPERVISOR_SHARES_MAX]; /* their processes, before prepare() */
	unsigned int n_shares;
	bool prepared, started, asked, saved, ended;
	int exit_status;
};

/* For back ends: bytes of the guest's console; the end, told to the caller once. */
void hypervisor_take_console(struct hypervisor *hv, const uint8_t *bytes, size_t size);
void hypervisor_take_note(struct hypervisor *hv, const char *text);
void hypervisor_take_end(struct hypervisor *hv, bool failed, const char *text);

extern const struct hypervisor_ops qemu_backend;
extern const struct hypervisor_ops builtin_backend;
