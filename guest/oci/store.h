/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the records of containers between commands, one folder each below --root:
 * config.json as it was at creation, record.json, start.sock while it waits to be started,
 * filter (the compiled system call filter, if there is one), cgroup (leftover.h), notify
 * (notify.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/agent/container/container.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/oci/runtime_spec.h"

struct store_record {
	char *id;
	char *bundle;
	char *rootfs;      /* absolute path of its root file system; NULL in older records */
	char *cgroup;      /* absolute directory, or NULL */
	char *created;     /* RFC 3339 */
	char *shared_root; /* of a container without a mount namespace, see container.h */
	uint64_t root_below;
	pid_t pid;
	uint64_t start_time;
	uint32_t owner;
	struct oci_spec *light; /* annotations and namespaces only */
	bool hooks; /* there are poststart or poststop hooks: only config.json has them */
};

/* A container's id: letters, digits, "_+-.", not only dots. */
int store_check_id(const char *id, struct error *err);

/* Makes the folder. -EEXIST when the id is taken. */
int store_new(const char *id, struct error *err);
void store_remove(const char *id);
/* Path of a file of the container's, fresh memory, NULL on a full memory. */
char *store_path(const char *id, const char *file);

/* Appears whole or not at all for who looks at it. Unlike fs_write_file_atomic() it is not
 * forced to disk: containers do not outlive the machine either. */
int store_write_file(const char *path, const void *data, size_t size, mode_t mode,
                     struct error *err);
/* While the container is made: all of its record, which does not count before store_publish(). */
int store_save(const char *id, const char *bundle, const struct oci_spec *spec, struct container *c,
               struct error *err);
/* Once it is created. */
int store_publish(const char *id, struct error *err);
/* -ENOENT: no such container. */
int store_load(const char *id, struct store_record *out, struct error *err);
void store_record_free(struct store_record *r);

/* The container of a record. `full`: with the whole config.json, which goes to *spec (the
 * caller's to free). Else *spec is not touched and may be NULL. */
int store_attach(const char *id, bool full, struct container **out, struct oci_spec **spec,
                 struct error *err);
/* All ids, sorted. */
int store_list(struct strv *ids, struct error *err);
