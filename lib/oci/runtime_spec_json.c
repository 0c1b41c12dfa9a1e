/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_spec_json: the members of config.json, as tables (config.md, config-linux.md). */
#include <errno.h>
#include <stdlib.h>

#include "lib/oci/json_table.h"
#include "lib/oci/runtime_spec.h"

#define END                                                                                        \
	{                                                                                          \
		NULL                                                                               \
	}

/* ---- process ---- */

static const struct json_member user_members[] = {
    MEMBER(struct oci_user, "uid", JSON_U32, uid),
    MEMBER(struct oci_user, "gid", JSON_U32, gid),
    MEMBER(struct oci_user, "umask", JSON_OPT_U32, umask),
    {"additionalGids", JSON_U32_ARRAY, false, offsetof(struct oci_user, additional_gids),
     offsetof(struct oci_user, n_additional_gids)},
    MEMBER(struct oci_user, "username", JSON_STRING, name),
    END};

static const struct json_member rlimit_members[] = {
    MEMBER_REQUIRED(struct oci_rlimit, "type", JSON_STRING, type),
    MEMBER_REQUIRED(struct oci_rlimit, "soft", JSON_U64, soft),
    MEMBER_REQUIRED(struct oci_rlimit, "hard", JSON_U64, hard), END};

static const struct json_member capabilities_members[] = {
    MEMBER(struct oci_capabilities, "bounding", JSON_STRINGS, bounding),
    MEMBER(struct oci_capabilities, "effective", JSON_STRINGS, effective),
    MEMBER(struct oci_capabilities, "inheritable", JSON_STRINGS, inheritable),
    MEMBER(struct oci_capabilities, "permitted", JSON_STRINGS, permitted),
    MEMBER(struct oci_capabilities, "ambient", JSON_STRINGS, ambient),
    END};

static const struct json_member scheduler_members[] = {
    MEMBER_REQUIRED(struct oci_scheduler, "policy", JSON_STRING, policy),
    MEMBER(struct oci_scheduler, "nice", JSON_I32, nice),
    MEMBER(struct oci_scheduler, "priority", JSON_I32, priority),
    MEMBER(struct oci_scheduler, "flags", JSON_STRINGS, flags),
    MEMBER(struct oci_scheduler, "runtime", JSON_U64, runtime),
    MEMBER(struct oci_scheduler, "deadline", JSON_U64, deadline),
    MEMBER(struct oci_scheduler, "period", JSON_U64, period),
    END};

static const struct json_member io_priority_members[] = {
    MEMBER_REQUIRED(struct oci_io_priority, "class", JSON_STRING, class),
    MEMBER(struct oci_io_priority, "priority", JSON_I32, priority), END};

struct console_size {
	uint32_t height, width;
};

/* consoleSize goes straight into the process: its two members are in this order there. */
_Static_assert(offsetof(struct oci_process, console_width) ==
                   offsetof(struct oci_process, console_height) + sizeof(uint32_t),
               "console_height and console_width are read as one structure");

static const struct json_member console_members[] = {
    MEMBER(struct console_size, "height", JSON_U32, height),
    MEMBER(struct console_size, "width", JSON_U32, width), END};

static const struct json_member cpu_affinity_members[] = {
    MEMBER(struct oci_cpu_affinity, "initial", JSON_STRING, initial),
    MEMBER(struct oci_cpu_affinity, "final", JSON_STRING, final), END};

static const struct json_member process_members[] = {
    MEMBER(struct oci_process, "terminal", JSON_BOOL, terminal),
    MEMBER(struct oci_process, "noNewPrivileges", JSON_BOOL, no_new_privileges),
    MEMBER_INLINE(struct oci_process, "consoleSize", console_height, console_members),
    MEMBER_INLINE(struct oci_process, "user", user, user_members),
    MEMBER(struct oci_process, "args", JSON_STRINGS, args),
    MEMBER(struct oci_process, "env", JSON_STRINGS, env),
    MEMBER_REQUIRED(struct oci_process, "cwd", JSON_STRING, cwd),
    MEMBER_POINTER(struct oci_process, "capabilities", capabilities, capabilities_members,
                   struct oci_capabilities),
    MEMBER_ARRAY(struct oci_process, "rlimits", n_rlimits, rlimits, rlimit_members,
                 struct oci_rlimit),
    MEMBER(struct oci_process, "oomScoreAdj", JSON_OPT_I64, oom_score_adj),
    MEMBER(struct oci_process, "apparmorProfile", JSON_STRING, apparmor_profile),
    MEMBER(struct oci_process, "selinuxLabel", JSON_STRING, selinux_label),
    MEMBER_POINTER(struct oci_process, "scheduler", scheduler, scheduler_members,
                   struct oci_scheduler),
    MEMBER_POINTER(struct oci_process, "ioPriority", io_priority, io_priority_members,
                   struct oci_io_priority),
    MEMBER_POINTER(struct oci_process, "execCPUAffinity", exec_cpu_affinity, cpu_affinity_members,
                   struct oci_cpu_affinity),
    END};

/* ---- root, mounts, hooks ---- */

static const struct json_member root_members[] = {
    MEMBER_REQUIRED(struct oci_root, "path", JSON_STRING, path),
    MEMBER(struct oci_root, "readonly", JSON_BOOL, readonly), END};

static const struct json_member id_mapping_members[] = {
    MEMBER_REQUIRED(struct oci_id_mapping, "containerID", JSON_U32, container_id),
    MEMBER_REQUIRED(struct oci_id_mapping, "hostID", JSON_U32, host_id),
    MEMBER_REQUIRED(struct oci_id_mapping, "size", JSON_U32, size), END};

static const struct json_member mount_members[] = {
    MEMBER_REQUIRED(struct oci_mount, "destination", JSON_STRING, destination),
    MEMBER(struct oci_mount, "type", JSON_STRING, type),
    MEMBER(struct oci_mount, "source", JSON_STRING, source),
    MEMBER(struct oci_mount, "options", JSON_STRINGS, options),
    MEMBER_ARRAY(struct oci_mount, "uidMappings", n_uid_mappings, uid_mappings, id_mapping_members,
                 struct oci_id_mapping),
    MEMBER_ARRAY(struct oci_mount, "gidMappings", n_gid_mappings, gid_mappings, id_mapping_members,
                 struct oci_id_mapping),
    END};

static const struct json_member hook_members[] = {
    MEMBER_REQUIRED(struct oci_hook, "path", JSON_STRING, path),
    MEMBER(struct oci_hook, "args", JSON_STRINGS, args),
    MEMBER(struct oci_hook, "env", JSON_STRINGS, env),
    MEMBER(struct oci_hook, "timeout", JSON_OPT_I64, timeout), END};

struct all_hooks {
	struct oci_hooks point[OCI_HOOK_POINTS];
};

#define HOOKS(json, which)                                                                         \
	MEMBER_ARRAY(struct all_hooks, json, point[which].n, point[which].v, hook_members,         \
	             struct oci_hook)

static const struct json_member hooks_members[] = {
    HOOKS("prestart", OCI_HOOK_PRESTART),
    HOOKS("createRuntime", OCI_HOOK_CREATE_RUNTIME),
    HOOKS("createContainer", OCI_HOOK_CREATE_CONTAINER),
    HOOKS("startContainer", OCI_HOOK_START_CONTAINER),
    HOOKS("poststart", OCI_HOOK_POSTSTART),
    HOOKS("poststop", OCI_HOOK_POSTSTOP),
    END};

/* ---- linux.resources ---- */

static const struct json_member device_rule_members[] = {
    MEMBER_REQUIRED(struct oci_device_rule, "allow", JSON_BOOL, allow),
    MEMBER(struct oci_device_rule, "type", JSON_STRING, type),
    MEMBER(struct oci_device_rule, "major", JSON_OPT_I64, major),
    MEMBER(struct oci_device_rule, "minor", JSON_OPT_I64, minor),
    MEMBER(struct oci_device_rule, "access", JSON_STRING, access),
    END};

static const struct json_member memory_members[] = {
    MEMBER(struct oci_memory, "limit", JSON_OPT_I64, limit),
    MEMBER(struct oci_memory, "reservation", JSON_OPT_I64, reservation),
    MEMBER(struct oci_memory, "swap", JSON_OPT_I64, swap),
    MEMBER(struct oci_memory, "kernel", JSON_OPT_I64, kernel),
    MEMBER(struct oci_memory, "kernelTCP", JSON_OPT_I64, kernel_tcp),
    MEMBER(struct oci_memory, "swappiness", JSON_OPT_U64, swappiness),
    MEMBER(struct oci_memory, "disableOOMKiller", JSON_OPT_FLAG, disable_oom_killer),
    MEMBER(struct oci_memory, "useHierarchy", JSON_OPT_FLAG, use_hierarchy),
    MEMBER(struct oci_memory, "checkBeforeUpdate", JSON_OPT_FLAG, check_before_update),
    END};

static const struct json_member cpu_members[] = {
    MEMBER(struct oci_cpu, "shares", JSON_OPT_U64, shares),
    MEMBER(struct oci_cpu, "quota", JSON_OPT_I64, quota),
    MEMBER(struct oci_cpu, "burst", JSON_OPT_U64, burst),
    MEMBER(struct oci_cpu, "period", JSON_OPT_U64, period),
    MEMBER(struct oci_cpu, "realtimeRuntime", JSON_OPT_I64, realtime_runtime),
    MEMBER(struct oci_cpu, "realtimePeriod", JSON_OPT_U64, realtime_period),
    MEMBER(struct oci_cpu, "idle", JSON_OPT_I64, idle),
    MEMBER(struct oci_cpu, "cpus", JSON_STRING, cpus),
    MEMBER(struct oci_cpu, "mems", JSON_STRING, mems),
    END};

struct pids {
	struct oci_i64 limit;
};

static const struct json_member pids_members[] = {MEMBER(struct pids, "limit", JSON_OPT_I64, limit),
                                                  END};

static const struct json_member weight_device_members[] = {
    MEMBER_REQUIRED(struct oci_weight_device, "major", JSON_I64, major),
    MEMBER_REQUIRED(struct oci_weight_device, "minor", JSON_I64, minor),
    MEMBER(struct oci_weight_device, "weight", JSON_OPT_U32, weight),
    MEMBER(struct oci_weight_device, "leafWeight", JSON_OPT_U32, leaf_weight), END};

static const struct json_member throttle_members[] = {
    MEMBER_REQUIRED(struct oci_throttle_device, "major", JSON_I64, major),
    MEMBER_REQUIRED(struct oci_throttle_device, "minor", JSON_I64, minor),
    MEMBER_REQUIRED(struct oci_throttle_device, "rate", JSON_U64, rate), END};

#define THROTTLE(json, member)                                                                     \
	MEMBER_ARRAY(struct oci_block_io, json, member.n, member.v, throttle_members,              \
	             struct oci_throttle_device)

static const struct json_member block_io_members[] = {
    MEMBER(struct oci_block_io, "weight", JSON_OPT_U32, weight),
    MEMBER(struct oci_block_io, "leafWeight", JSON_OPT_U32, leaf_weight),
    MEMBER_ARRAY(struct oci_block_io, "weightDevice", n_weight_devices, weight_devices,
                 weight_device_members, struct oci_weight_device),
    THROTTLE("throttleReadBpsDevice", read_bps),
    THROTTLE("throttleWriteBpsDevice", write_bps),
    THROTTLE("throttleReadIOPSDevice", read_iops),
    THROTTLE("throttleWriteIOPSDevice", write_iops),
    END};

static const struct json_member hugepage_members[] = {
    MEMBER_REQUIRED(struct oci_hugepage_limit, "pageSize", JSON_STRING, page_size),
    MEMBER_REQUIRED(struct oci_hugepage_limit, "limit", JSON_U64, limit), END};

static const struct json_member interface_priority_members[] = {
    MEMBER_REQUIRED(struct oci_interface_priority, "name", JSON_STRING, name),
    MEMBER_REQUIRED(struct oci_interface_priority, "priority", JSON_U32, priority), END};

static const struct json_member network_members[] = {
    MEMBER(struct oci_network, "classID", JSON_OPT_U32, class_id),
    MEMBER_ARRAY(struct oci_network, "priorities", n_priorities, priorities,
                 interface_priority_members, struct oci_interface_priority),
    END};

static const struct json_member rdma_members[] = {
    MEMBER(struct oci_rdma, "hcaHandles", JSON_OPT_U32, hca_handles),
    MEMBER(struct oci_rdma, "hcaObjects", JSON_OPT_U32, hca_objects), END};

static const struct json_member resources_members[] = {
    MEMBER_ARRAY(struct oci_resources, "devices", n_devices, devices, device_rule_members,
                 struct oci_device_rule),
    MEMBER_INLINE(struct oci_resources, "memory", memory, memory_members),
    MEMBER_INLINE(struct oci_resources, "cpu", cpu, cpu_members),
    MEMBER_INLINE(struct oci_resources, "pids", pids_limit, pids_members),
    MEMBER_POINTER(struct oci_resources, "blockIO", block_io, block_io_members,
                   struct oci_block_io),
    MEMBER_ARRAY(struct oci_resources, "hugepageLimits", n_hugepage_limits, hugepage_limits,
                 hugepage_members, struct oci_hugepage_limit),
    MEMBER_POINTER(struct oci_resources, "network", network, network_members, struct oci_network),
    MEMBER_KEYED(struct oci_resources, "rdma", n_rdma, rdma, rdma_members, struct oci_rdma),
    MEMBER(struct oci_resources, "unified", JSON_PAIRS, unified),
    END};

/* ---- linux.seccomp ---- */

static const struct json_member seccomp_arg_members[] = {
    MEMBER_REQUIRED(struct oci_seccomp_arg, "index", JSON_U32, index),
    MEMBER_REQUIRED(struct oci_seccomp_arg, "value", JSON_U64_EXACT, value),
    MEMBER(struct oci_seccomp_arg, "valueTwo", JSON_U64_EXACT, value_two),
    MEMBER_REQUIRED(struct oci_seccomp_arg, "op", JSON_STRING, op), END};

static const struct json_member seccomp_rule_members[] = {
    MEMBER_REQUIRED(struct oci_seccomp_rule, "names", JSON_STRINGS, names),
    MEMBER_REQUIRED(struct oci_seccomp_rule, "action", JSON_STRING, action),
    MEMBER(struct oci_seccomp_rule, "errnoRet", JSON_OPT_U32, errno_ret),
    MEMBER_ARRAY(struct oci_seccomp_rule, "args", n_args, args, seccomp_arg_members,
                 struct oci_seccomp_arg),
    END};

static const struct json_member seccomp_members[] = {
    MEMBER_REQUIRED(struct oci_seccomp, "defaultAction", JSON_STRING, default_action),
    MEMBER(struct oci_seccomp, "defaultErrnoRet", JSON_OPT_U32, default_errno_ret),
    MEMBER(struct oci_seccomp, "architectures", JSON_STRINGS, architectures),
    MEMBER(struct oci_seccomp, "flags", JSON_STRINGS, flags),
    MEMBER(struct oci_seccomp, "listenerPath", JSON_STRING, listener_path),
    MEMBER(struct oci_seccomp, "listenerMetadata", JSON_STRING, listener_metadata),
    MEMBER_ARRAY(struct oci_seccomp, "syscalls", n_rules, rules, seccomp_rule_members,
                 struct oci_seccomp_rule),
    END};

/* ---- linux ---- */

static const struct json_member namespace_members[] = {
    MEMBER_REQUIRED(struct oci_namespace, "type", JSON_STRING, type),
    MEMBER(struct oci_namespace, "path", JSON_STRING, path), END};

static const struct json_member device_members[] = {
    MEMBER_REQUIRED(struct oci_device, "path", JSON_STRING, path),
    MEMBER_REQUIRED(struct oci_device, "type", JSON_STRING, type),
    MEMBER(struct oci_device, "major", JSON_I64, major),
    MEMBER(struct oci_device, "minor", JSON_I64, minor),
    MEMBER(struct oci_device, "fileMode", JSON_OPT_U32, file_mode),
    MEMBER(struct oci_device, "uid", JSON_OPT_U32, uid),
    MEMBER(struct oci_device, "gid", JSON_OPT_U32, gid),
    END};

static const struct json_member intel_rdt_members[] = {
    MEMBER(struct oci_intel_rdt, "closID", JSON_STRING, clos_id),
    MEMBER(struct oci_intel_rdt, "l3CacheSchema", JSON_STRING, l3_cache_schema),
    MEMBER(struct oci_intel_rdt, "memBwSchema", JSON_STRING, mem_bw_schema),
    MEMBER(struct oci_intel_rdt, "schemata", JSON_STRING, schemata),
    MEMBER(struct oci_intel_rdt, "enableCMT", JSON_BOOL, enable_cmt),
    MEMBER(struct oci_intel_rdt, "enableMBM", JSON_BOOL, enable_mbm),
    END};

static const struct json_member personality_members[] = {
    MEMBER_REQUIRED(struct oci_personality, "domain", JSON_STRING, domain),
    MEMBER(struct oci_personality, "flags", JSON_STRINGS, flags), END};

static const struct json_member time_offset_members[] = {
    MEMBER(struct oci_time_offset, "secs", JSON_I64, secs),
    MEMBER(struct oci_time_offset, "nanosecs", JSON_U32, nanosecs), END};

static const struct json_member memory_policy_members[] = {
    MEMBER(struct oci_memory_policy, "mode", JSON_STRING, mode), END};

static const struct json_member net_device_members[] = {
    MEMBER(struct oci_net_device, "name", JSON_STRING, name), END};

static const struct json_member linux_members[] = {
    MEMBER_ARRAY(struct oci_linux, "uidMappings", n_uid_mappings, uid_mappings, id_mapping_members,
                 struct oci_id_mapping),
    MEMBER_ARRAY(struct oci_linux, "gidMappings", n_gid_mappings, gid_mappings, id_mapping_members,
                 struct oci_id_mapping),
    MEMBER(struct oci_linux, "sysctl", JSON_PAIRS, sysctl),
    MEMBER_POINTER(struct oci_linux, "resources", resources, resources_members,
                   struct oci_resources),
    MEMBER(struct oci_linux, "cgroupsPath", JSON_STRING, cgroups_path),
    MEMBER_ARRAY(struct oci_linux, "namespaces", n_namespaces, namespaces, namespace_members,
                 struct oci_namespace),
    MEMBER_ARRAY(struct oci_linux, "devices", n_devices, devices, device_members,
                 struct oci_device),
    MEMBER_POINTER(struct oci_linux, "seccomp", seccomp, seccomp_members, struct oci_seccomp),
    MEMBER(struct oci_linux, "rootfsPropagation", JSON_STRING, rootfs_propagation),
    MEMBER(struct oci_linux, "maskedPaths", JSON_STRINGS, masked_paths),
    MEMBER(struct oci_linux, "readonlyPaths", JSON_STRINGS, readonly_paths),
    MEMBER(struct oci_linux, "mountLabel", JSON_STRING, mount_label),
    MEMBER_POINTER(struct oci_linux, "intelRdt", intel_rdt, intel_rdt_members,
                   struct oci_intel_rdt),
    MEMBER_POINTER(struct oci_linux, "personality", personality, personality_members,
                   struct oci_personality),
    MEMBER_KEYED(struct oci_linux, "timeOffsets", n_time_offsets, time_offsets, time_offset_members,
                 struct oci_time_offset),
    MEMBER_POINTER(struct oci_linux, "memoryPolicy", memory_policy, memory_policy_members,
                   struct oci_memory_policy),
    MEMBER_KEYED(struct oci_linux, "netDevices", n_net_devices, net_devices, net_device_members,
                 struct oci_net_device),
    END};

static const struct json_member spec_members[] = {
    MEMBER_REQUIRED(struct oci_spec, "ociVersion", JSON_STRING, version),
    MEMBER_POINTER(struct oci_spec, "process", process, process_members, struct oci_process),
    MEMBER_POINTER(struct oci_spec, "root", root, root_members, struct oci_root),
    MEMBER(struct oci_spec, "hostname", JSON_STRING, hostname),
    MEMBER(struct oci_spec, "domainname", JSON_STRING, domainname),
    MEMBER_ARRAY(struct oci_spec, "mounts", n_mounts, mounts, mount_members, struct oci_mount),
    MEMBER_INLINE(struct oci_spec, "hooks", hooks, hooks_members),
    MEMBER(struct oci_spec, "annotations", JSON_PAIRS, annotations),
    MEMBER_INLINE(struct oci_spec, "linux", linux_, linux_members),
    END};

/* Wrappers, so that a lone process or resources object reads like a member. */
static const struct json_member lone_process[] = {
    MEMBER_POINTER(struct oci_spec, "process", process, process_members, struct oci_process), END};
static const struct json_member lone_resources[] = {
    MEMBER_POINTER(struct oci_spec, "resources", linux_.resources, resources_members,
                   struct oci_resources),
    END};

static int parse(const char *json, size_t size, const char *what, const struct json_member *table,
                 bool wrapped, struct oci_spec **out, struct error *err)
{
	_cleanup_oci_spec_ struct oci_spec *spec = oci_spec_new();
	_cleanup_cjson_ cJSON *obj = NULL;
	int r;

	if (!spec)
		return error_set(err, ENOMEM, "reading %s: no memory", what);
	r = json_parse(json, size, OCI_SPEC_MAX_JSON, what, &obj, err);
	if (r < 0)
		return r;
	if (!cJSON_IsObject(obj))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a JSON object", what);
	if (wrapped) {
		cJSON *outer = cJSON_CreateObject();

		if (!outer || !cJSON_AddItemToObjectCS(outer, table[0].name, obj)) {
			cJSON_Delete(outer);
			return error_set(err, ENOMEM, "reading %s: no memory", what);
		}
		obj = outer;
	}
	r = json_table_read(&spec->arena, obj, table, spec, what, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&spec);
	return 0;
}

int oci_spec_parse(const char *json, size_t size, struct oci_spec **out, struct error *err)
{
	return parse(json, size, "config.json", spec_members, false, out, err);
}

int oci_spec_format(const struct oci_spec *spec, struct buffer *out, struct error *err)
{
	json_table_write(out, spec_members, spec);
	return out->failed ? error_set(err, ENOMEM, "writing config.json: no memory") : 0;
}

int oci_spec_parse_process(const char *json, size_t size, struct oci_spec **out, struct error *err)
{
	return parse(json, size, "the process", lone_process, true, out, err);
}

int oci_spec_parse_resources(const char *json, size_t size, struct oci_spec **out,
                             struct error *err)
{
	return parse(json, size, "the resources", lone_resources, true, out, err);
}
