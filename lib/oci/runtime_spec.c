/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_spec: making a specification, and what it demands beyond types. */
#include "lib/oci/runtime_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

struct oci_spec *oci_spec_new(void)
{
	struct oci_spec *spec = calloc(1, sizeof(*spec));

	if (spec)
		spec->arena.limit = OCI_SPEC_MAX_MEMORY;
	return spec;
}

void oci_spec_free(struct oci_spec *spec)
{
	if (!spec)
		return;
	arena_free(&spec->arena);
	free(spec);
}

int oci_strings_copy(struct arena *a, struct oci_strings *out, const char *const *v, size_t n)
{
	if (n == 0) {
		*out = (struct oci_strings){0};
		return 0;
	}
	out->v = arena_new_array(a, n + 1, char *);
	if (!out->v)
		return -ENOMEM;
	for (out->n = 0; out->n < n; out->n++) {
		out->v[out->n] = arena_strdup(a, v[out->n]);
		if (!out->v[out->n])
			return -ENOMEM;
	}
	return 0;
}

const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, const char *type)
{
	for (size_t i = 0; i < spec->linux_.n_namespaces; i++)
		if (strcmp(spec->linux_.namespaces[i].type, type) == 0)
			return &spec->linux_.namespaces[i];
	return NULL;
}

const char *oci_map_get(const struct oci_map *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->v[i].key, key) == 0)
			return map->v[i].value;
	return NULL;
}

const char *oci_hook_point_name(enum oci_hook_point point)
{
	static const char *const names[OCI_HOOK_POINTS] = {
	    [OCI_HOOK_PRESTART] = "prestart",
	    [OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
	    [OCI_HOOK_CREATE_CONTAINER] = "createContainer",
	    [OCI_HOOK_START_CONTAINER] = "startContainer",
	    [OCI_HOOK_POSTSTART] = "poststart",
	    [OCI_HOOK_POSTSTOP] = "poststop",
	};

	return names[point];
}

/* ---- validation ---- */

static int invalid(struct error *err, const char *member, const char *value, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "container configuration: %s \"%s\" %s",
	                      member, value ? value : "", why);
}

static int absolute(struct error *err, const char *member, const char *path)
{
	if (!path || path[0] != '/')
		return invalid(err, member, path, "is not an absolute path");
	return 0;
}

static bool one_of(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static int validate_env(const struct oci_strings *env, const char *member, struct error *err)
{
	for (size_t i = 0; i < env->n; i++)
		if (env->v[i][0] == '=' || !strchr(env->v[i], '='))
			return invalid(err, member, env->v[i], "is not of the form NAME=VALUE");
	return 0;
}

int oci_process_validate(const struct oci_process *p, struct error *err)
{
	int r;

	if (p->args.n == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "container configuration: process.args is empty");
	r = absolute(err, "process.cwd", p->cwd);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		if (!p->rlimits[i].type || !str_starts(p->rlimits[i].type, "RLIMIT_"))
			return invalid(err, "process.rlimits type", p->rlimits[i].type,
			               "is not a resource limit");
		for (size_t j = 0; j < i; j++)
			if (strcmp(p->rlimits[i].type, p->rlimits[j].type) == 0)
				return invalid(err, "process.rlimits type", p->rlimits[i].type,
				               "is there twice");
	}
	if (p->oom_score_adj.set &&
	    (p->oom_score_adj.value < -1000 || p->oom_score_adj.value > 1000))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "container configuration: process.oomScoreAdj is not from -1000 to 1000");
	return validate_env(&p->env, "process.env", err);
}

static int validate_namespaces(const struct oci_linux *l, struct error *err)
{
	static const char *const types[] = {"pid",  "network", "mount", "ipc", "uts",
	                                    "user", "cgroup",  "time",  NULL};

	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct oci_namespace *ns = &l->namespaces[i];

		if (!ns->type || !one_of(types, ns->type))
			return invalid(err, "linux.namespaces type", ns->type, "is not known");
		for (size_t j = 0; j < i; j++)
			if (strcmp(ns->type, l->namespaces[j].type) == 0)
				return invalid(err, "linux.namespaces type", ns->type,
				               "is there twice");
		if (!str_empty(ns->path) && ns->path[0] != '/')
			return invalid(err, "linux.namespaces path", ns->path,
			               "is not an absolute path");
	}
	return 0;
}

static int validate_devices(const struct oci_linux *l, struct error *err)
{
	for (size_t i = 0; i < l->n_devices; i++) {
		const struct oci_device *d = &l->devices[i];
		int r = absolute(err, "linux.devices path", d->path);

		if (r < 0)
			return r;
		if (!d->type || !strchr("cbup", d->type[0]) || strlen(d->type) != 1)
			return invalid(err, "linux.devices type", d->type, "is not c, b, u or p");
	}
	return 0;
}

static int validate_paths(const struct oci_strings *paths, const char *member, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < paths->n && r == 0; i++)
		r = absolute(err, member, paths->v[i]);
	return r;
}

static int validate_seccomp(const struct oci_seccomp *s, struct error *err)
{
	if (!s)
		return 0;
	if (!s->default_action)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "container configuration: linux.seccomp.defaultAction is missing");
	for (size_t i = 0; i < s->n_rules; i++)
		if (s->rules[i].names.n == 0 || !s->rules[i].action)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "container configuration: linux.seccomp.syscalls "
			                      "entry %zu has no names or no action",
			                      i);
	if (s->listener_metadata && !s->listener_path)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "container configuration: linux.seccomp.listenerMetadata "
		                      "is set without listenerPath");
	return 0;
}

static int validate_linux(const struct oci_spec *spec, struct error *err)
{
	static const char *const propagations[] = {"shared",     "slave",       "private",
	                                           "unbindable", "rshared",     "rslave",
	                                           "rprivate",   "runbindable", NULL};
	const struct oci_linux *l = &spec->linux_;
	int r;

	r = validate_namespaces(l, err);
	if (r == 0)
		r = validate_devices(l, err);
	if (r == 0)
		r = validate_paths(&l->masked_paths, "linux.maskedPaths entry", err);
	if (r == 0)
		r = validate_paths(&l->readonly_paths, "linux.readonlyPaths entry", err);
	if (r == 0)
		r = validate_seccomp(l->seccomp, err);
	if (r < 0)
		return r;
	if (!str_empty(l->rootfs_propagation) && !one_of(propagations, l->rootfs_propagation))
		return invalid(err, "linux.rootfsPropagation", l->rootfs_propagation,
		               "is not shared, slave, private or unbindable");
	for (size_t i = 0; i < l->sysctl.n; i++)
		if (str_empty(l->sysctl.v[i].key) || strstr(l->sysctl.v[i].key, "..") ||
		    l->sysctl.v[i].key[0] == '/')
			return invalid(err, "linux.sysctl", l->sysctl.v[i].key, "is not a name");
	if (l->n_time_offsets && !oci_spec_namespace(spec, "time"))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "container configuration: linux.timeOffsets without a time namespace");
	if (!str_empty(spec->hostname) && !oci_spec_namespace(spec, "uts"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "container configuration: hostname without a uts namespace");
	if (!str_empty(spec->domainname) && !oci_spec_namespace(spec, "uts"))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "container configuration: domainname without a uts namespace");
	return 0;
}

static int validate_hooks(const struct oci_spec *spec, struct error *err)
{
	int r;

	for (int point = 0; point < OCI_HOOK_POINTS; point++) {
		const struct oci_hooks *h = &spec->hooks[point];

		for (size_t i = 0; i < h->n; i++) {
			r = absolute(err, "hooks path", h->v[i].path);
			if (r == 0)
				r = validate_env(&h->v[i].env, "hooks env", err);
			if (r < 0)
				return r;
			if (h->v[i].timeout.set && h->v[i].timeout.value <= 0)
				return invalid(err, "hooks timeout of", h->v[i].path,
				               "is not greater than zero");
		}
	}
	return 0;
}

int oci_spec_validate(const struct oci_spec *spec, struct error *err)
{
	int r;

	if (!spec->version || !str_starts(spec->version, "1."))
		return invalid(err, "ociVersion", spec->version, "is not 1.x");
	if (!spec->root || str_empty(spec->root->path))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "container configuration: root.path is missing");
	if (!spec->process)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "container configuration: process is missing");
	r = oci_process_validate(spec->process, err);
	for (size_t i = 0; i < spec->n_mounts && r == 0; i++)
		if (str_empty(spec->mounts[i].destination))
			r = invalid(err, "mounts destination", NULL, "is empty");
	if (r == 0)
		r = validate_hooks(spec, err);
	if (r == 0)
		r = validate_linux(spec, err);
	return r;
}
