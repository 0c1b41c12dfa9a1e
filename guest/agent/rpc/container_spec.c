/* SPDX-License-Identifier: Apache-2.0 */
/* container_spec: image defaults, namespaces, devices. */
#include "guest/agent/rpc/container_spec.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/str.h"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory for the specification");
}

/* ---- image defaults */

/* first, then second; strings are shared. */
static int concat(struct arena *a, const struct oci_strings *first,
                  const struct oci_strings *second, struct oci_strings *out)
{
	struct oci_strings made = {0, arena_array(a, first->n + second->n + 1, sizeof(char *))};

	if (!made.v)
		return -ENOMEM;
	for (size_t i = 0; i < first->n; i++)
		made.v[made.n++] = first->v[i];
	for (size_t i = 0; i < second->n; i++)
		made.v[made.n++] = second->v[i];
	*out = made;
	return 0;
}

static bool has_variable(const struct oci_strings *env, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], entry, n) == 0)
			return true;
	return false;
}

/* The image's variables, unless the specification has them too. */
static int merge_env(struct arena *a, const struct oci_strings *image, struct oci_strings *env)
{
	struct oci_strings kept = {0, arena_array(a, image->n + 1, sizeof(char *))};

	if (!kept.v)
		return -ENOMEM;
	for (size_t i = 0; i < image->n; i++)
		if (!has_variable(env, image->v[i]))
			kept.v[kept.n++] = image->v[i];
	return concat(a, &kept, env, env);
}

int container_spec_image_defaults(struct oci_spec *spec, const struct image_info *image,
                                  struct error *err)
{
	struct oci_process *p = spec->process;
	struct arena *a = &spec->arena;

	if (concat(a, &image->entrypoint, p->args.n ? &p->args : &image->cmd, &p->args) < 0 ||
	    merge_env(a, &image->env, &p->env) < 0)
		return no_memory(err);
	if (p->args.n == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the image names no command to run; give one");
	if (str_empty(p->cwd) && *image->working_dir)
		p->cwd = arena_strdup(a, image->working_dir);
	if (str_empty(p->cwd))
		p->cwd = "/";
	if (p->user.uid == 0 && p->user.gid == 0 && !p->user.name && *image->user)
		p->user.name = arena_strdup(a, image->user);
	/* The image may go before the specification does. */
	for (size_t i = 0; i < p->args.n; i++)
		p->args.v[i] = arena_strdup(a, p->args.v[i]);
	for (size_t i = 0; i < p->env.n; i++)
		p->env.v[i] = arena_strdup(a, p->env.v[i]);
	return a->failed ? no_memory(err) : 0;
}

/* ---- namespaces */

static const char *shared_path(struct arena *a, const struct sandbox *s, const char *type,
                               bool shared_pid)
{
	if (strcmp(type, "pid") == 0 && shared_pid && s->pidns_fd >= 0)
		return arena_printf(a, "/proc/%d/fd/%d", (int)getpid(), s->pidns_fd);
	if (s->has_namespaces && (strcmp(type, "ipc") == 0 || strcmp(type, "uts") == 0))
		return arena_printf(a, SANDBOX_NS_DIR "/%s", type);
	return NULL;
}

int container_spec_namespaces(struct oci_spec *spec, const struct sandbox *s, bool shared_pid,
                              struct error *err)
{
	static const char *const always[] = {"pid", "cgroup"};
	struct oci_linux *l = &spec->linux_;
	struct arena *a = &spec->arena;
	struct oci_namespace *v = arena_array(a, l->n_namespaces + 2, sizeof(*v));
	size_t n = 0;

	if (!v)
		return no_memory(err);
	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct oci_namespace *ns = &l->namespaces[i];

		if (strcmp(ns->type, always[0]) == 0 || strcmp(ns->type, always[1]) == 0)
			continue;
		v[n] = *ns;
		/* What the host calls its ipc or uts namespace means nothing here. */
		if (strcmp(ns->type, "ipc") == 0 || strcmp(ns->type, "uts") == 0)
			v[n].path = shared_path(a, s, ns->type, shared_pid);
		if (v[n].path && strcmp(ns->type, "uts") == 0)
			spec->hostname = spec->domainname = NULL;
		n++;
	}
	for (size_t i = 0; i < 2; i++)
		v[n++] =
		    (struct oci_namespace){always[i], shared_path(a, s, always[i], shared_pid)};
	l->namespaces = v;
	l->n_namespaces = n;
	return a->failed ? no_memory(err) : 0;
}

/* ---- the guest's own hooks */

static int is_hook(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int add_hook(struct arena *a, struct oci_hooks *list, const char *path, const char *point)
{
	struct oci_hook *v = arena_array(a, list->n + 1, sizeof(*v));
	char **args = arena_array(a, 3, sizeof(*args));

	if (!v || !args)
		return -ENOMEM;
	if (list->n)
		memcpy(v, list->v, list->n * sizeof(*v));
	args[0] = arena_strdup(a, path);
	args[1] = arena_strdup(a, point);
	v[list->n] = (struct oci_hook){.path = args[0], .args = {2, args}};
	list->v = v;
	list->n++;
	return args[0] && args[1] ? 0 : -ENOMEM;
}

static int add_hooks_of(struct oci_spec *spec, const char *path, enum oci_hook_point at)
{
	const char *point = oci_hook_point_name(at);
	char *dir = arena_printf(&spec->arena, "%s/%s", path, point);
	struct dirent **names = NULL;
	int n = dir ? scandir(dir, &names, is_hook, alphasort) : 0, r = dir ? 0 : -ENOMEM;

	for (int i = 0; i < n; i++) {
		char *file = arena_printf(&spec->arena, "%s/%s", dir, names[i]->d_name);
		struct stat st;

		if (!file)
			r = -ENOMEM;
		else if (r == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111)
			r = add_hook(&spec->arena, &spec->hooks[at], file, point);
		free(names[i]);
	}
	free(names);
	return r;
}

int container_spec_guest_hooks(struct oci_spec *spec, const char *path, struct error *err)
{
	static const enum oci_hook_point points[] = {OCI_HOOK_PRESTART, OCI_HOOK_POSTSTART,
	                                             OCI_HOOK_POSTSTOP};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (add_hooks_of(spec, path, points[i]) < 0)
			return no_memory(err);
	return 0;
}

/* ---- the termination message */

const char *container_spec_termination_log(const struct oci_spec *spec)
{
	const char *path = oci_map_get(&spec->annotations, ANNOTATION_TERMINATION_PATH);

	for (size_t i = 0; path && i < spec->n_mounts; i++) {
		const struct oci_mount *m = &spec->mounts[i];

		if (m->destination && m->source && strcmp(m->destination, path) == 0)
			return m->source;
	}
	return NULL;
}

/* ---- devices */

static struct oci_device *find_device(struct oci_linux *l, const char *path)
{
	for (size_t i = 0; i < l->n_devices; i++)
		if (l->devices[i].path && strcmp(l->devices[i].path, path) == 0)
			return &l->devices[i];
	return NULL;
}

static struct oci_device *append_device(struct oci_spec *spec, const char *path)
{
	struct oci_linux *l = &spec->linux_;
	struct oci_device *v = arena_array(&spec->arena, l->n_devices + 1, sizeof(*v));

	if (!v)
		return NULL;
	if (l->n_devices)
		memcpy(v, l->devices, l->n_devices * sizeof(*v));
	v[l->n_devices] = (struct oci_device){.path = arena_strdup(&spec->arena, path),
	                                      .major = -1,
	                                      .minor = -1,
	                                      .file_mode = {true, 0600}};
	l->devices = v;
	return &v[l->n_devices++];
}

int container_spec_device(struct oci_spec *spec, const char *container_path, const char *new_path,
                          dev_t dev, char type, struct error *err)
{
	struct oci_linux *l = &spec->linux_;
	struct arena *a = &spec->arena;
	struct oci_resources *res = l->resources;
	struct oci_device_rule *rules;
	struct oci_device *entry = find_device(l, container_path), old;

	if (!entry && !new_path)
		return 0; /* a device for the guest, not for this container's /dev */
	if (!entry)
		entry = append_device(spec, new_path);
	if (!entry)
		return no_memory(err);
	old = *entry;
	entry->major = major(dev);
	entry->minor = minor(dev);
	entry->type = type == 'b' ? "b" : "c";
	if (new_path)
		entry->path = arena_strdup(a, new_path);
	if (!res)
		res = l->resources = arena_alloc(a, sizeof(*res));
	rules = res ? arena_array(a, res->n_devices + 1, sizeof(*rules)) : NULL;
	if (!rules)
		return no_memory(err);
	for (size_t i = 0; i < res->n_devices; i++) {
		rules[i] = res->devices[i];
		if (rules[i].major.set && rules[i].minor.set && rules[i].major.value == old.major &&
		    rules[i].minor.value == old.minor) {
			rules[i].major.value = major(dev);
			rules[i].minor.value = minor(dev);
		}
	}
	rules[res->n_devices] = (struct oci_device_rule){
	    .allow = true,
	    .type = type == 'b' ? "b" : "c",
	    .major = {true, major(dev)},
	    .minor = {true, minor(dev)},
	    .access = "rwm",
	};
	res->devices = rules;
	res->n_devices++;
	return a->failed ? no_memory(err) : 0;
}

/* ---- PCI addresses in the environment */

static const char *translate(const struct pci_name *names, size_t n, const char *word, size_t size)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i].host) == size && strncasecmp(names[i].host, word, size) == 0)
			return names[i].guest;
	return NULL;
}

/* NULL on a full memory. */
static char *translate_list(struct arena *a, const struct pci_name *names, size_t n, char *entry)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	const char *at = strchr(entry, '=') + 1;

	buffer_append(&out, entry, (size_t)(at - entry));
	for (;;) {
		size_t size = strcspn(at, ",");
		const char *guest = translate(names, n, at, size);

		if (guest)
			buffer_str(&out, guest);
		else
			buffer_append(&out, at, size);
		at += size;
		if (!*at)
			break;
		buffer_append(&out, at++, 1);
	}
	return out.failed ? NULL : arena_strdup(a, buffer_cstr(&out));
}

int container_spec_pci_names(struct oci_spec *spec, const struct pci_name *names, size_t n,
                             struct error *err)
{
	struct oci_strings *env = spec->process ? &spec->process->env : NULL;

	for (size_t i = 0; n > 0 && env && i < env->n; i++) {
		const char *equals = strchr(env->v[i], '=');

		if (!equals || !str_starts(env->v[i], "PCIDEVICE_") ||
		    (equals - env->v[i] >= 5 && memcmp(equals - 5, "_INFO", 5) == 0))
			continue;
		env->v[i] = translate_list(&spec->arena, names, n, env->v[i]);
		if (!env->v[i])
			return no_memory(err);
	}
	return 0;
}
