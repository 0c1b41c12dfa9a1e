/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall_filter: linux.seccomp into a filter program (config-linux.md, "Seccomp"), made with
 * libseccomp once a container and loaded into each of its processes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct syscall_filter {
	void *filters; /* struct sock_filter[], owned */
	size_t n;
	uint32_t flags; /* of seccomp(2) */
	bool notifies;  /* SCMP_ACT_NOTIFY is in use: there will be a listener */
};

#define SYSCALL_FILTER_MAX 4096 /* BPF_MAXINSNS */

/* Flags and actions checked, compiled to a memfd; the descriptor's content is what
 * syscall_filter_read() takes. System calls that the architecture does not have are left
 * out. */
int syscall_filter_compile(const struct oci_seccomp *s, int *program_fd, struct error *err);
int syscall_filter_read(int fd, struct syscall_filter *out, struct error *err);
void syscall_filter_free(struct syscall_filter *p);

/* Loads it. Needs no_new_privs or CAP_SYS_ADMIN. Returns 0, or with `notifies` the listener's
 * descriptor. After this only what the program allows works: nothing here calls more. */
int syscall_filter_load(const struct syscall_filter *p);

/* A listener cannot be sent by the process that just got the filter, for the filter may
 * stop exactly that. syscall_filter_sender_start() leaves a process behind that shares the
 * descriptors but not the filter; syscall_filter_load_and_send() loads, lets it send the listener
 * (SYNC_LISTENER) over `fd`, and waits for it without a system call. */
struct syscall_filter_sender;
int syscall_filter_sender_start(int fd, struct syscall_filter_sender **out, struct error *err);
int syscall_filter_load_and_send(const struct syscall_filter *p,
                                 struct syscall_filter_sender *sender);

/* For `kihon-oci features`: NULL-terminated words that we understand. */
const char *const *syscall_filter_action_names(void);
const char *const *syscall_filter_operator_names(void);
const char *const *syscall_filter_arch_names(void);
const char *const *syscall_filter_flag_names(void);
