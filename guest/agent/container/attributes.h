/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes: what a process of a container inherits besides namespaces and ids:
 * resource limits, OOM score, scheduling, I/O priority, personality, labels, kernel
 * parameters (config.md "POSIX process", "Linux Process"; config-linux.md "Sysctl").
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* What needs the capabilities of the runtime, so for a process that will be in a user
 * namespace it is set before that joins, or from the outside. pid 0: this process.
 * OOM score, scheduling, I/O priority: */
int attributes_set_outside(pid_t pid, const struct oci_process *p, struct error *err);
/* Resource limits; late where possible, for they hold for the setting up too. */
int attributes_set_rlimits(pid_t pid, const struct oci_process *p, struct error *err);

/* execCPUAffinity: NULL or an empty list changes nothing. */
int attributes_set_affinity(const char *list, struct error *err);
int attributes_set_personality(const struct oci_personality *p, struct error *err);
/* A session keyring of its own, named after the container. A kernel without keys, or a
 * full quota, is no error. */
void attributes_new_keyring(const char *name);
/* proc_fd: the runtime's /proc. The keys take effect in this process's namespaces. */
int attributes_set_sysctls(int proc_fd, const struct oci_map *sysctl, struct error *err);
/* Does the kernel have them? To be asked in the runtime's mount namespace. Without, there is
 * nothing that a label could confine. */
bool attributes_have_apparmor(void);
bool attributes_have_selinux(void);
/* The labels that the next execve takes on; NULL or "": none. */
int attributes_set_labels(int proc_fd, const char *apparmor, const char *selinux,
                          struct error *err);
