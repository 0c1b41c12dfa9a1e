/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: a folder with config.json, and what the options change in it. */
#pragma once

#include "guest/agent/container/container.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* Reads DIR/config.json (or `config`, another file), whose text goes to *text. *bundle is the
 * folder's absolute path, fresh memory. */
int bundle_load(const char *dir, const char *config, struct buffer *text, char **bundle,
                struct oci_spec **spec, struct error *err);
/* A copy of that text for the record of `id`. */
int bundle_keep_config(const char *id, const struct buffer *text, struct error *err);

/* A process for a specification without one (config.md, "Process": required when start is called,
 * not before): `absent`, so that it is created and not started. */
int bundle_stand_in_process(struct oci_spec *spec, struct error *err);

/* linux.cgroupsPath as this run's cgroup manager has it; opts->no_cgroup when there is none. */
int bundle_set_cgroup(struct oci_spec *spec, const char *id, struct container_opts *opts,
                      struct error *err);

/* Makes `file` with the pid in it, whole or not at all. NULL: nothing. */
int bundle_write_pid(const char *file, pid_t pid, struct error *err);

/* Waits until the program of a started process runs. A seccomp listener goes to the agent of
 * linux.seccomp.listenerPath with the container process state (config-linux.md) as soon as it is
 * there: execve may be one of the calls that wait for the agent's answer. `s` may be NULL. */
int bundle_wait_running(const struct oci_seccomp *s, struct container *c,
                        struct container_process *p, struct error *err);
