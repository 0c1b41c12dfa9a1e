/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_spec: the OCI runtime-spec 1.1 configuration of a Linux container as
 * one structure, whichever face (JSON, Kata protocol) it came through.
 *
 * Everything hangs in spec->arena: build one with oci_spec_new() and the
 * arena_*() functions, or parse JSON; free it with oci_spec_free(). Strings are
 * NULL when absent; an object that may be absent is a pointer; a number whose
 * absence matters is an oci_u32/oci_u64/oci_i64 with `set`. Enumerations keep
 * the specification's words; the engine translates them with its tables.
 * The comments name members as the JSON has them where they differ.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define OCI_SPEC_VERSION    "1.1.0"
#define OCI_SPEC_MAX_JSON   (4u << 20) /* bytes of config.json we read */
#define OCI_SPEC_MAX_MEMORY (8u << 20) /* bytes of arena a parsed document may take */

struct oci_u32 {
	bool set;
	uint32_t value;
};

struct oci_u64 {
	bool set;
	uint64_t value;
};

struct oci_i64 {
	bool set;
	int64_t value;
};

struct oci_flag {
	bool set;
	bool value;
};

/* v is NULL-terminated when n > 0, so that it serves as argv or envp. */
struct oci_strings {
	size_t n;
	char **v;
};

struct oci_pair {
	const char *key;
	const char *value;
};

struct oci_map {
	size_t n;
	struct oci_pair *v;
};

/* ---- process (config.md, "Process") ---- */

struct oci_user {
	uint32_t uid;
	uint32_t gid;
	struct oci_u32 umask;
	size_t n_additional_gids;
	uint32_t *additional_gids;
	/* Not in the specification for Linux: "user[:group]" as image configurations
	 * have it, names or numbers, looked up in the rootfs's /etc/passwd and
	 * /etc/group. When not NULL it replaces uid, gid, and adds the groups that
	 * list the user. JSON: username. */
	const char *name;
};

struct oci_rlimit {
	const char *type; /* "RLIMIT_NOFILE" */
	uint64_t soft;
	uint64_t hard;
};

struct oci_capabilities {
	struct oci_strings bounding;
	struct oci_strings effective;
	struct oci_strings inheritable;
	struct oci_strings permitted;
	struct oci_strings ambient;
};

struct oci_scheduler {
	const char *policy; /* "SCHED_OTHER" ... */
	int32_t nice;
	int32_t priority;
	struct oci_strings flags; /* "SCHED_FLAG_RESET_ON_FORK" ... */
	uint64_t runtime;         /* ns, SCHED_DEADLINE */
	uint64_t deadline;
	uint64_t period;
};

struct oci_io_priority {
	const char *class; /* "IOPRIO_CLASS_BE" ... */
	int32_t priority;
};

struct oci_cpu_affinity {
	const char *initial; /* a list of processors, "0-3,7"; NULL: not said */
	const char *final;
};

struct oci_process {
	bool terminal;
	bool no_new_privileges;
	bool absent; /* stands in for a process that is not set: can be created, not started */
	uint32_t console_height; /* 0: not said */
	uint32_t console_width;
	struct oci_user user;
	struct oci_strings args;
	struct oci_strings env;
	const char *cwd;
	struct oci_capabilities *capabilities; /* NULL: see container.h */
	size_t n_rlimits;
	struct oci_rlimit *rlimits;
	struct oci_i64 oom_score_adj;
	const char *apparmor_profile;
	const char *selinux_label;
	struct oci_scheduler *scheduler;
	struct oci_io_priority *io_priority;
	struct oci_cpu_affinity *exec_cpu_affinity; /* JSON: execCPUAffinity; exec only */
};

/* ---- root, mounts, hooks ---- */

struct oci_root {
	const char *path;
	bool readonly;
};

struct oci_id_mapping {
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size;
};

struct oci_mount {
	const char *destination;
	const char *type;
	const char *source;
	struct oci_strings options;
	size_t n_uid_mappings;
	struct oci_id_mapping *uid_mappings;
	size_t n_gid_mappings;
	struct oci_id_mapping *gid_mappings;
};

struct oci_hook {
	const char *path;
	struct oci_strings args;
	struct oci_strings env;
	struct oci_i64 timeout; /* seconds */
};

enum oci_hook_point {
	OCI_HOOK_PRESTART,         /* runtime namespaces, before pivot_root; deprecated */
	OCI_HOOK_CREATE_RUNTIME,   /* runtime namespaces, before pivot_root */
	OCI_HOOK_CREATE_CONTAINER, /* container namespaces, before pivot_root */
	OCI_HOOK_START_CONTAINER,  /* container namespaces, at start before the process */
	OCI_HOOK_POSTSTART,        /* runtime namespaces */
	OCI_HOOK_POSTSTOP,         /* runtime namespaces */
	OCI_HOOK_POINTS
};

struct oci_hooks {
	size_t n;
	struct oci_hook *v;
};

/* ---- linux (config-linux.md) ---- */

struct oci_namespace {
	const char *type; /* pid network mount ipc uts user cgroup time */
	const char *path; /* NULL: a new one */
};

struct oci_device {
	const char *path;
	const char *type; /* c b u p */
	int64_t major;
	int64_t minor;
	struct oci_u32 file_mode;
	struct oci_u32 uid;
	struct oci_u32 gid;
};

struct oci_device_rule {
	bool allow;
	const char *type;     /* a c b; NULL: a */
	struct oci_i64 major; /* unset or -1: all */
	struct oci_i64 minor;
	const char *access; /* of r w m; NULL: all */
};

struct oci_memory {
	struct oci_i64 limit;
	struct oci_i64 reservation;
	struct oci_i64 swap; /* memory + swap */
	struct oci_i64 kernel;
	struct oci_i64 kernel_tcp;
	struct oci_u64 swappiness;
	struct oci_flag disable_oom_killer;
	struct oci_flag use_hierarchy;
	struct oci_flag check_before_update;
};

struct oci_cpu {
	struct oci_u64 shares;
	struct oci_i64 quota; /* us */
	struct oci_u64 burst;
	struct oci_u64 period;
	struct oci_i64 realtime_runtime;
	struct oci_u64 realtime_period;
	struct oci_i64 idle;
	const char *cpus;
	const char *mems;
};

struct oci_weight_device {
	int64_t major;
	int64_t minor;
	struct oci_u32 weight;
	struct oci_u32 leaf_weight;
};

struct oci_throttle_device {
	int64_t major;
	int64_t minor;
	uint64_t rate;
};

struct oci_throttles {
	size_t n;
	struct oci_throttle_device *v;
};

struct oci_block_io {
	struct oci_u32 weight;
	struct oci_u32 leaf_weight;
	size_t n_weight_devices;
	struct oci_weight_device *weight_devices;
	struct oci_throttles read_bps; /* throttleReadBpsDevice */
	struct oci_throttles write_bps;
	struct oci_throttles read_iops;
	struct oci_throttles write_iops;
};

struct oci_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_interface_priority {
	const char *name;
	uint32_t priority;
};

struct oci_network {
	struct oci_u32 class_id;
	size_t n_priorities;
	struct oci_interface_priority *priorities;
};

struct oci_rdma {
	const char *device;
	struct oci_u32 hca_handles;
	struct oci_u32 hca_objects;
};

struct oci_resources {
	size_t n_devices;
	struct oci_device_rule *devices;
	struct oci_memory memory; /* all members unset: not there */
	struct oci_cpu cpu;
	struct oci_i64 pids_limit;
	struct oci_block_io *block_io;
	size_t n_hugepage_limits;
	struct oci_hugepage_limit *hugepage_limits;
	struct oci_network *network;
	size_t n_rdma;
	struct oci_rdma *rdma;
	struct oci_map unified;
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value;
	uint64_t value_two;
	const char *op; /* "SCMP_CMP_EQ" ... */
};

struct oci_seccomp_rule {
	struct oci_strings names;
	const char *action;
	struct oci_u32 errno_ret;
	size_t n_args;
	struct oci_seccomp_arg *args;
};

struct oci_seccomp {
	const char *default_action;
	struct oci_u32 default_errno_ret;
	struct oci_strings architectures;
	struct oci_strings flags;
	const char *listener_path;
	const char *listener_metadata;
	size_t n_rules;
	struct oci_seccomp_rule *rules; /* JSON: syscalls */
};

struct oci_intel_rdt {
	const char *clos_id;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	const char *schemata;
	bool enable_cmt;
	bool enable_mbm;
};

struct oci_personality {
	const char *domain; /* "LINUX", "LINUX32" */
	struct oci_strings flags;
};

struct oci_time_offset {
	const char *clock; /* "monotonic", "boottime" */
	int64_t secs;
	uint32_t nanosecs;
};

/* runtime-spec 1.3: read to be refused. */
struct oci_memory_policy {
	const char *mode;
};

struct oci_net_device {
	const char *host_name;
	const char *name;
};

struct oci_linux {
	size_t n_uid_mappings;
	struct oci_id_mapping *uid_mappings;
	size_t n_gid_mappings;
	struct oci_id_mapping *gid_mappings;
	struct oci_map sysctl;
	struct oci_resources *resources;
	const char *cgroups_path;
	size_t n_namespaces;
	struct oci_namespace *namespaces;
	size_t n_devices;
	struct oci_device *devices;
	struct oci_seccomp *seccomp;
	const char *rootfs_propagation;
	struct oci_strings masked_paths;
	struct oci_strings readonly_paths;
	const char *mount_label;
	struct oci_intel_rdt *intel_rdt;
	struct oci_personality *personality;
	size_t n_time_offsets;
	struct oci_time_offset *time_offsets;
	struct oci_memory_policy *memory_policy;
	size_t n_net_devices;
	struct oci_net_device *net_devices;
};

struct oci_spec {
	struct arena arena;  /* owns everything below */
	const char *version; /* ociVersion */
	struct oci_process *process;
	struct oci_root *root;
	const char *hostname;
	const char *domainname;
	size_t n_mounts;
	struct oci_mount *mounts;
	struct oci_hooks hooks[OCI_HOOK_POINTS];
	struct oci_map annotations;
	struct oci_linux linux_; /* "linux" is a macro in gnu17 */
};

/* An empty specification, or NULL on a full memory. */
struct oci_spec *oci_spec_new(void);
void oci_spec_free(struct oci_spec *spec);
DEFINE_CLEANUP(struct oci_spec, oci_spec, oci_spec_free)
#define _cleanup_oci_spec_ _cleanup_(cleanup_oci_spec)

/* config.json: types and required members are checked here, meaning by
 * oci_spec_validate(). Unknown members are ignored (config.md, "Extensibility"). */
int oci_spec_parse(const char *json, size_t size, struct oci_spec **out, struct error *err);
/* The config.json that reads as spec. -ENOMEM. */
int oci_spec_format(const struct oci_spec *spec, struct buffer *out, struct error *err);
/* One `process` object (exec --process): out->process is set, nothing else. */
int oci_spec_parse_process(const char *json, size_t size, struct oci_spec **out, struct error *err);
/* One `linux.resources` object (update --resources): out->linux_.resources is set. */
int oci_spec_parse_resources(const char *json, size_t size, struct oci_spec **out,
                             struct error *err);

/* What the specification demands beyond types: absolute paths, known words, no
 * namespace twice, one entry of every required list, version 1.x. -EINVAL and a
 * message naming the member. The engine calls it, whichever face filled the spec. */
int oci_spec_validate(const struct oci_spec *spec, struct error *err);
int oci_process_validate(const struct oci_process *process, struct error *err);

/* n strings (NULL-terminated vector made in the arena); NULL entries are not allowed.
 * 0 or -ENOMEM. */
int oci_strings_copy(struct arena *a, struct oci_strings *out, const char *const *v, size_t n);

/* The entry of that type, or NULL. */
const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, const char *type);
/* The value of an annotation, or NULL. */
const char *oci_map_get(const struct oci_map *map, const char *key);
/* "prestart" ... "poststop", as config.json has them. */
const char *oci_hook_point_name(enum oci_hook_point point);
