/* SPDX-License-Identifier: Apache-2.0 */
/* spec_from_proto: field by field; repeated fields become arrays in the arena. */
#include "guest/agent/rpc/spec_from_proto.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_VERSION "1.0.2" /* Kata's agent asks for none */

/* An array for a repeated field. Sets *out and *n; the arena remembers a failure. */
#define REPEAT(arena, out, n_out, count)                                                           \
	do {                                                                                       \
		(out) = arena_array((arena), (count), sizeof(*(out)));                             \
		(n_out) = (out) ? (count) : 0;                                                     \
	} while (0)

static const char *text(const char *s)
{
	return s && *s ? s : NULL;
}

static struct oci_strings strings(struct arena *a, char **v, size_t n)
{
	struct oci_strings out = {0};

	if (n == 0)
		return out;
	out.v = arena_array(a, n + 1, sizeof(*out.v)); /* and a NULL at the end */
	for (; out.v && out.n < n; out.n++)
		out.v[out.n] = v[out.n];
	return out;
}

static struct oci_i64 i64_or_unset(int64_t v)
{
	return (struct oci_i64){v != 0, v};
}

static struct oci_u64 u64_or_unset(uint64_t v)
{
	return (struct oci_u64){v != 0, v};
}

static struct oci_u32 u32_or_unset(uint32_t v)
{
	return (struct oci_u32){v != 0, v};
}

/* ---- process */

static struct oci_capabilities *capabilities(struct arena *a, const Grpc__LinuxCapabilities *in)
{
	struct oci_capabilities *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	out->bounding = strings(a, in->bounding, in->n_bounding);
	out->effective = strings(a, in->effective, in->n_effective);
	out->inheritable = strings(a, in->inheritable, in->n_inheritable);
	out->permitted = strings(a, in->permitted, in->n_permitted);
	out->ambient = strings(a, in->ambient, in->n_ambient);
	return out;
}

static void user(const Grpc__User *in, struct oci_user *out)
{
	if (!in)
		return;
	out->uid = in->uid;
	out->gid = in->gid;
	out->n_additional_gids = in->n_additionalgids;
	out->additional_gids = in->additionalgids;
	out->name = text(in->username);
}

static void rlimits(struct arena *a, const Grpc__Process *in, struct oci_process *out)
{
	REPEAT(a, out->rlimits, out->n_rlimits, in->n_rlimits);
	for (size_t i = 0; i < out->n_rlimits; i++)
		out->rlimits[i] = (struct oci_rlimit){
		    in->rlimits[i]->type,
		    in->rlimits[i]->soft,
		    in->rlimits[i]->hard,
		};
}

/* Kata's agent leaves out what is no NAME=VALUE. */
static struct oci_strings environment(struct arena *a, char **v, size_t n)
{
	struct oci_strings out = strings(a, v, n);
	size_t kept = 0;

	for (size_t i = 0; i < out.n; i++)
		if (strchr(out.v[i], '=') && out.v[i][0] != '=')
			out.v[kept++] = out.v[i];
	if (out.v)
		out.v[kept] = NULL;
	out.n = kept;
	return out;
}

static struct oci_process *process(struct arena *a, const Grpc__Process *in)
{
	struct oci_process *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	out->terminal = in->terminal;
	out->no_new_privileges = in->nonewprivileges;
	if (in->consolesize) {
		out->console_height = in->consolesize->height;
		out->console_width = in->consolesize->width;
	}
	user(in->user, &out->user);
	out->args = strings(a, in->args, in->n_args);
	out->env = environment(a, in->env, in->n_env);
	out->cwd = text(in->cwd);
	out->capabilities = capabilities(a, in->capabilities);
	rlimits(a, in, out);
	/* Always set: the agent's own -1000 must not be inherited. */
	out->oom_score_adj = (struct oci_i64){true, in->oomscoreadj};
	out->apparmor_profile = text(in->apparmorprofile);
	out->selinux_label = text(in->selinuxlabel);
	return out;
}

/* ---- hooks and mounts */

static void hook_list(struct arena *a, Grpc__Hook **in, size_t n, struct oci_hooks *out)
{
	REPEAT(a, out->v, out->n, n);
	for (size_t i = 0; i < out->n; i++)
		out->v[i] = (struct oci_hook){
		    .path = in[i]->path,
		    .args = strings(a, in[i]->args, in[i]->n_args),
		    .env = strings(a, in[i]->env, in[i]->n_env),
		    .timeout = i64_or_unset(in[i]->timeout),
		};
}

static void hooks(struct arena *a, const Grpc__Hooks *in, struct oci_hooks out[OCI_HOOK_POINTS])
{
	if (!in)
		return;
	hook_list(a, in->prestart, in->n_prestart, &out[OCI_HOOK_PRESTART]);
	hook_list(a, in->createruntime, in->n_createruntime, &out[OCI_HOOK_CREATE_RUNTIME]);
	hook_list(a, in->createcontainer, in->n_createcontainer, &out[OCI_HOOK_CREATE_CONTAINER]);
	hook_list(a, in->startcontainer, in->n_startcontainer, &out[OCI_HOOK_START_CONTAINER]);
	hook_list(a, in->poststart, in->n_poststart, &out[OCI_HOOK_POSTSTART]);
	hook_list(a, in->poststop, in->n_poststop, &out[OCI_HOOK_POSTSTOP]);
}

static void mounts(struct arena *a, const Grpc__Spec *in, struct oci_spec *out)
{
	REPEAT(a, out->mounts, out->n_mounts, in->n_mounts);
	for (size_t i = 0; i < out->n_mounts; i++)
		out->mounts[i] = (struct oci_mount){
		    .destination = in->mounts[i]->destination,
		    .type = text(in->mounts[i]->type),
		    .source = text(in->mounts[i]->source),
		    .options = strings(a, in->mounts[i]->options, in->mounts[i]->n_options),
		};
}

/* ---- resources */

/* In config.json an absent number means all devices; in proto3 it arrives as 0, and -1 says it
 * outright. A rule that denies is widened by 0:0, one that allows is not: no device is 0:0. */
static void device_rules(struct arena *a, const Grpc__LinuxResources *in, struct oci_resources *out)
{
	REPEAT(a, out->devices, out->n_devices, in->n_devices);
	for (size_t i = 0; i < out->n_devices; i++) {
		const Grpc__LinuxDeviceCgroup *d = in->devices[i];
		bool all = !d->allow && d->major == 0 && d->minor == 0;

		out->devices[i] = (struct oci_device_rule){
		    .allow = d->allow,
		    .type = text(d->type),
		    .major = {!all && d->major >= 0, d->major},
		    .minor = {!all && d->minor >= 0, d->minor},
		    .access = text(d->access),
		};
	}
}

static void throttles(struct arena *a, Grpc__LinuxThrottleDevice **in, size_t n,
                      struct oci_throttles *out)
{
	REPEAT(a, out->v, out->n, n);
	for (size_t i = 0; i < out->n; i++)
		out->v[i] = (struct oci_throttle_device){in[i]->major, in[i]->minor, in[i]->rate};
}

static struct oci_block_io *block_io(struct arena *a, const Grpc__LinuxBlockIO *in)
{
	struct oci_block_io *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	out->weight = u32_or_unset(in->weight);
	out->leaf_weight = u32_or_unset(in->leafweight);
	REPEAT(a, out->weight_devices, out->n_weight_devices, in->n_weightdevice);
	for (size_t i = 0; i < out->n_weight_devices; i++)
		out->weight_devices[i] = (struct oci_weight_device){
		    in->weightdevice[i]->major,
		    in->weightdevice[i]->minor,
		    u32_or_unset(in->weightdevice[i]->weight),
		    u32_or_unset(in->weightdevice[i]->leafweight),
		};
	throttles(a, in->throttlereadbpsdevice, in->n_throttlereadbpsdevice, &out->read_bps);
	throttles(a, in->throttlewritebpsdevice, in->n_throttlewritebpsdevice, &out->write_bps);
	throttles(a, in->throttlereadiopsdevice, in->n_throttlereadiopsdevice, &out->read_iops);
	throttles(a, in->throttlewriteiopsdevice, in->n_throttlewriteiopsdevice, &out->write_iops);
	return out;
}

static void memory(const Grpc__LinuxMemory *in, struct oci_memory *out)
{
	if (!in)
		return;
	out->limit = i64_or_unset(in->limit);
	out->reservation = i64_or_unset(in->reservation);
	out->swap = i64_or_unset(in->swap);
	out->kernel = i64_or_unset(in->kernel);
	out->kernel_tcp = i64_or_unset(in->kerneltcp);
	out->swappiness = u64_or_unset(in->swappiness);
	out->disable_oom_killer = (struct oci_flag){in->disableoomkiller, in->disableoomkiller};
}

static void cpu(const Grpc__LinuxCPU *in, struct oci_cpu *out)
{
	if (!in)
		return;
	out->shares = u64_or_unset(in->shares);
	out->quota = i64_or_unset(in->quota);
	out->period = u64_or_unset(in->period);
	out->realtime_runtime = i64_or_unset(in->realtimeruntime);
	out->realtime_period = u64_or_unset(in->realtimeperiod);
	out->cpus = text(in->cpus);
	out->mems = text(in->mems);
}

static struct oci_network *network(struct arena *a, const Grpc__LinuxNetwork *in)
{
	struct oci_network *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	out->class_id = u32_or_unset(in->classid);
	REPEAT(a, out->priorities, out->n_priorities, in->n_priorities);
	for (size_t i = 0; i < out->n_priorities; i++)
		out->priorities[i] = (struct oci_interface_priority){
		    in->priorities[i]->name,
		    in->priorities[i]->priority,
		};
	return out;
}

static struct oci_resources *resources(struct arena *a, const Grpc__LinuxResources *in)
{
	struct oci_resources *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	device_rules(a, in, out);
	memory(in->memory, &out->memory);
	cpu(in->cpu, &out->cpu);
	if (in->pids)
		out->pids_limit = i64_or_unset(in->pids->limit);
	out->block_io = block_io(a, in->blockio);
	REPEAT(a, out->hugepage_limits, out->n_hugepage_limits, in->n_hugepagelimits);
	for (size_t i = 0; i < out->n_hugepage_limits; i++)
		out->hugepage_limits[i] = (struct oci_hugepage_limit){
		    in->hugepagelimits[i]->pagesize,
		    in->hugepagelimits[i]->limit,
		};
	out->network = network(a, in->network);
	return out;
}

/* ---- linux */

static void id_mappings(struct arena *a, Grpc__LinuxIDMapping **in, size_t n,
                        struct oci_id_mapping **out, size_t *n_out)
{
	REPEAT(a, *out, *n_out, n);
	for (size_t i = 0; i < *n_out; i++)
		(*out)[i] = (struct oci_id_mapping){in[i]->containerid, in[i]->hostid, in[i]->size};
}

static void devices(struct arena *a, const Grpc__Linux *in, struct oci_linux *out)
{
	REPEAT(a, out->devices, out->n_devices, in->n_devices);
	for (size_t i = 0; i < out->n_devices; i++) {
		const Grpc__LinuxDevice *d = in->devices[i];

		out->devices[i] = (struct oci_device){
		    .path = d->path,
		    .type = d->type,
		    .major = d->major,
		    .minor = d->minor,
		    .file_mode = u32_or_unset(d->filemode),
		    .uid = {true, d->uid},
		    .gid = {true, d->gid},
		};
	}
}

static void seccomp_rule(struct arena *a, const Grpc__LinuxSyscall *in,
                         struct oci_seccomp_rule *out)
{
	out->names = strings(a, in->names, in->n_names);
	out->action = text(in->action);
	out->errno_ret = (struct oci_u32){
	    in->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET,
	    in->errnoret,
	};
	REPEAT(a, out->args, out->n_args, in->n_args);
	for (size_t i = 0; i < out->n_args; i++)
		out->args[i] = (struct oci_seccomp_arg){
		    (uint32_t)(in->args[i]->index > UINT32_MAX ? UINT32_MAX : in->args[i]->index),
		    in->args[i]->value,
		    in->args[i]->valuetwo,
		    text(in->args[i]->op),
		};
}

static struct oci_seccomp *seccomp(struct arena *a, const Grpc__LinuxSeccomp *in)
{
	struct oci_seccomp *out = in ? arena_alloc(a, sizeof(*out)) : NULL;

	if (!out)
		return NULL;
	out->default_action = text(in->defaultaction);
	out->architectures = strings(a, in->architectures, in->n_architectures);
	out->flags = strings(a, in->flags, in->n_flags);
	REPEAT(a, out->rules, out->n_rules, in->n_syscalls);
	for (size_t i = 0; i < out->n_rules; i++)
		seccomp_rule(a, in->syscalls[i], &out->rules[i]);
	return out;
}

static void sysctls(struct arena *a, const Grpc__Linux *in, struct oci_map *out)
{
	REPEAT(a, out->v, out->n, in->n_sysctl);
	for (size_t i = 0; i < out->n; i++)
		out->v[i] = (struct oci_pair){in->sysctl[i]->key, in->sysctl[i]->value};
}

static void namespaces(struct arena *a, const Grpc__Linux *in, struct oci_linux *out)
{
	REPEAT(a, out->namespaces, out->n_namespaces, in->n_namespaces);
	for (size_t i = 0; i < out->n_namespaces; i++)
		out->namespaces[i] = (struct oci_namespace){
		    in->namespaces[i]->type,
		    text(in->namespaces[i]->path),
		};
}

/* The host's may be for systemd ("SLICE:PREFIX:NAME"), which is not here: folders in each other, as
 * with Kata's agent as process 1. */
static const char *cgroups_path(struct arena *a, const char *path)
{
	char *copy = path && strchr(path, ':') ? arena_strdup(a, path) : NULL;

	for (char *p = copy; p && (p = strchr(p, ':'));)
		*p = '/';
	return copy ? copy : path;
}

static void linux_part(struct arena *a, const Grpc__Linux *in, struct oci_linux *out)
{
	if (!in)
		return;
	id_mappings(a, in->uidmappings, in->n_uidmappings, &out->uid_mappings,
	            &out->n_uid_mappings);
	id_mappings(a, in->gidmappings, in->n_gidmappings, &out->gid_mappings,
	            &out->n_gid_mappings);
	sysctls(a, in, &out->sysctl);
	out->resources = resources(a, in->resources);
	out->cgroups_path = cgroups_path(a, text(in->cgroupspath));
	namespaces(a, in, out);
	devices(a, in, out);
	out->seccomp = seccomp(a, in->seccomp);
	out->rootfs_propagation = text(in->rootfspropagation);
	out->masked_paths = strings(a, in->maskedpaths, in->n_maskedpaths);
	out->readonly_paths = strings(a, in->readonlypaths, in->n_readonlypaths);
	out->mount_label = text(in->mountlabel);
	if (in->intelrdt && text(in->intelrdt->l3cacheschema)) {
		out->intel_rdt = arena_alloc(a, sizeof(*out->intel_rdt));
		if (out->intel_rdt)
			out->intel_rdt->l3_cache_schema = in->intelrdt->l3cacheschema;
	}
}

/* ---- the whole */

static int finish(struct oci_spec *spec, struct oci_spec **out, struct error *err)
{
	if (!spec || spec->arena.failed) {
		oci_spec_free(spec);
		return error_set(err, ENOMEM, "out of memory for the specification");
	}
	*out = spec;
	return 0;
}

static void root_and_annotations(const Grpc__Spec *in, struct oci_spec *spec)
{
	struct arena *a = &spec->arena;

	if (in->root) {
		spec->root = arena_alloc(a, sizeof(*spec->root));
		if (spec->root)
			*spec->root = (struct oci_root){text(in->root->path), in->root->readonly};
	}
	REPEAT(a, spec->annotations.v, spec->annotations.n, in->n_annotations);
	for (size_t i = 0; i < spec->annotations.n; i++)
		spec->annotations.v[i] = (struct oci_pair){
		    in->annotations[i]->key,
		    in->annotations[i]->value,
		};
}

int spec_from_proto(const Grpc__Spec *in, struct oci_spec **out, struct error *err)
{
	struct oci_spec *spec;

	if (!in || !in->process || !in->root || !in->linux)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the specification lacks its %s part",
		                      !in            ? "every"
		                      : !in->process ? "process"
		                      : !in->root    ? "root"
		                                     : "linux");
	spec = oci_spec_new();
	if (spec) {
		spec->version = text(in->version) ? in->version : DEFAULT_VERSION;
		spec->process = process(&spec->arena, in->process);
		spec->hostname = text(in->hostname);
		mounts(&spec->arena, in, spec);
		hooks(&spec->arena, in->hooks, spec->hooks);
		root_and_annotations(in, spec);
		linux_part(&spec->arena, in->linux, &spec->linux_);
	}
	return finish(spec, out, err);
}

int spec_from_process(const Grpc__Process *in, struct oci_spec **out, struct error *err)
{
	struct oci_spec *spec;

	if (!in)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the request has no process");
	spec = oci_spec_new();
	if (spec)
		spec->process = process(&spec->arena, in);
	return finish(spec, out, err);
}

int spec_from_resources(const Grpc__LinuxResources *in, struct oci_spec **out, struct error *err)
{
	struct oci_spec *spec;

	if (!in)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the request has no resources");
	spec = oci_spec_new();
	if (spec)
		spec->linux_.resources = resources(&spec->arena, in);
	return finish(spec, out, err);
}
