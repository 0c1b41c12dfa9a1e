/* SPDX-License-Identifier: Apache-2.0 */
/* pause: who it is for, its root, its process. */
#include "guest/agent/image/pause.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/sandbox.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

#define DRIVER       "image_guest_pull"
#define METADATA_MAX (64u << 10)
#define CONFIG_MAX   (1u << 20)

/* What container engines say in annotations and image metadata; the value is "sandbox". */
static const char *const type_keys[] = {"io.kubernetes.cri.container-type",
                                        "io.kubernetes.cri-o.ContainerType"};

#define N_KEYS (sizeof(type_keys) / sizeof(type_keys[0]))

bool pause_wanted(const Grpc__Storage *storage)
{
	const char *json =
	    storage_option(storage->driver_options, storage->n_driver_options, DRIVER);
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *metadata = NULL;

	/* What cannot be read says nothing: the image is pulled, or that fails. */
	if (strcmp(storage->driver, DRIVER) != 0 || !json ||
	    json_parse(json, strlen(json), METADATA_MAX, DRIVER, &doc, NULL) < 0 ||
	    json_object(doc, "metadata", true, &metadata, DRIVER, NULL) < 0)
		return false;
	for (size_t i = 0; i < N_KEYS; i++) {
		const char *type = "";

		if (json_string(metadata, type_keys[i], false, &type, DRIVER, NULL) == 0 &&
		    strcmp(type, "sandbox") == 0)
			return true;
	}
	return false;
}

int pause_mount(const char *mount_point, const char *container_id, struct error *err)
{
	static const char *const names[] = {"upper", "work"};
	_cleanup_strv_ struct strv words = STRV_INIT;
	int r = strv_add(&words, "lowerdir=" PAUSE_BUNDLE "/rootfs");

	if (!fs_exists(PAUSE_BUNDLE "/rootfs"))
		return error_set(err, ENOENT,
		                 "this guest image has no pause container: " PAUSE_BUNDLE
		                 "/rootfs is not there");
	for (size_t i = 0; i < 2 && r == 0; i++) {
		_cleanup_free_ char *dir =
		    str_printf(SANDBOX_ROOT "/%s/pause/%s", container_id, names[i]);

		if (!dir)
			break;
		r = fs_mkdir_p(dir, 0755, err);
		if (r < 0)
			return r;
		r = strv_addf(&words, "%sdir=%s", names[i], dir);
	}
	if (words.n != 3)
		return error_set(err, ENOMEM, "out of memory for a pause container");
	return storage_mount("overlay", mount_point, "overlay", words.v, words.n, err);
}

static bool is_sandbox(const struct oci_spec *spec, Grpc__Storage *const *storages, size_t n)
{
	bool pulled = false, sandbox = false;

	for (size_t i = 0; i < n && !pulled; i++)
		pulled = strcmp(storages[i]->driver, DRIVER) == 0;
	for (size_t i = 0; i < N_KEYS && !sandbox; i++) {
		const char *type = oci_map_get(&spec->annotations, type_keys[i]);

		sandbox = type && strcmp(type, "sandbox") == 0;
	}
	return pulled && sandbox;
}

static void copy_strings(struct arena *a, struct oci_strings *to, const struct oci_strings *from)
{
	oci_strings_copy(a, to, (const char *const *)from->v, from->n);
}

static struct oci_capabilities *copy_capabilities(struct arena *a,
                                                  const struct oci_capabilities *from)
{
	struct oci_capabilities *to = from ? arena_alloc(a, sizeof(*to)) : NULL;

	if (!to)
		return NULL;
	copy_strings(a, &to->bounding, &from->bounding);
	copy_strings(a, &to->effective, &from->effective);
	copy_strings(a, &to->inheritable, &from->inheritable);
	copy_strings(a, &to->permitted, &from->permitted);
	copy_strings(a, &to->ambient, &from->ambient);
	return to;
}

static struct oci_rlimit *copy_rlimits(struct arena *a, const struct oci_rlimit *from, size_t n)
{
	struct oci_rlimit *to = arena_array(a, n + 1, sizeof(*to));

	for (size_t i = 0; to && i < n; i++) {
		to[i] = from[i];
		to[i].type = arena_strdup(a, from[i].type);
	}
	return to;
}

/* Copies the pause container's process into spec's arena. How soon it is killed for want of memory,
 * and its labels, stay the host's to say. */
static int take_process(struct oci_spec *spec, const struct oci_process *from, struct error *err)
{
	struct arena *a = &spec->arena;
	struct oci_process *to = arena_alloc(a, sizeof(*to));

	if (!to)
		return error_set(err, ENOMEM, "out of memory for a pause container");
	*to = *spec->process;
	to->user = (struct oci_user){.uid = from->user.uid, .gid = from->user.gid};
	to->terminal = from->terminal;
	to->no_new_privileges = from->no_new_privileges;
	to->cwd = arena_strdup(a, from->cwd);
	to->capabilities = copy_capabilities(a, from->capabilities);
	to->n_rlimits = from->n_rlimits;
	to->rlimits = copy_rlimits(a, from->rlimits, from->n_rlimits);
	copy_strings(a, &to->args, &from->args);
	copy_strings(a, &to->env, &from->env);
	spec->process = to;
	return a->failed ? error_set(err, ENOMEM, "out of memory for a pause container") : 0;
}

int pause_process(struct oci_spec *spec, Grpc__Storage *const *storages, size_t n,
                  const char *bundle, struct error *err)
{
	_cleanup_oci_spec_ struct oci_spec *pause = NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_free_ char *path = NULL;
	int r;

	if (!is_sandbox(spec, storages, n))
		return 1;
	path = str_printf("%s/config.json", bundle);
	if (!path)
		return error_set(err, ENOMEM, "out of memory for a pause container");
	r = fs_read_file(AT_FDCWD, path, CONFIG_MAX, &text, err);
	if (r == 0)
		r = oci_spec_parse(buffer_cstr(&text), text.size, &pause, err);
	if (r == 0 && (!pause->process || pause->process->args.n == 0))
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "it has no process with arguments");
	if (r == 0 && !spec->process)
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "the request has no process");
	if (r == 0)
		r = take_process(spec, pause->process, err);
	return r < 0 ? error_prefix(err, r, "the pause container's %s", path) : 0;
}
