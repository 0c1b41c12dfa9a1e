/* SPDX-License-Identifier: Apache-2.0 */
/* store: JSON records in a folder a container. */
#include "guest/oci/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/oci/leftover.h"
#include "guest/oci/runtime.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"

#define RECORD_MAX  (1u << 20)
#define ID_MAX      1024
#define RECORD      "record.json"
#define RECORD_PART "record.json.part" /* while the container is made */

int store_check_id(const char *id, struct error *err)
{
	size_t n = strlen(id);
	bool good = n > 0 && n <= ID_MAX && strspn(id, ".") != n;

	for (size_t i = 0; i < n && good; i++)
		good = isalnum((unsigned char)id[i]) || strchr("_+-.", id[i]);
	if (!good)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%s\" cannot be the id of a container: letters, digits and "
		                      "_+-. only",
		                      id);
	return 0;
}

char *store_path(const char *id, const char *file)
{
	return str_printf("%s/%s%s%s", runtime()->root, id, *file ? "/" : "", file);
}

int store_new(const char *id, struct error *err)
{
	_cleanup_free_ char *path = store_path(id, "");
	int r = store_check_id(id, err);

	if (r < 0)
		return r;
	if (!path)
		return error_set(err, ENOMEM, "no memory");
	if (mkdir(path, 0711) == 0)
		return 0;
	if (errno == ENOENT) {
		r = fs_mkdir_p(runtime()->root, 0700, err);
		if (r < 0)
			return r;
		if (mkdir(path, 0711) == 0)
			return 0;
	}
	if (errno == EEXIST) {
		r = leftover_remove(id, err);
		if (r < 0)
			return r;
		if (mkdir(path, 0711) == 0)
			return 0;
	}
	return error_errno(err, errno, "making the record folder %s", path);
}

void store_remove(const char *id)
{
	static const char *const files[] = {RECORD, "config.json", "start.sock", "filter",
	                                    "cgroup"};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		_cleanup_free_ char *path = store_path(id, files[i]);

		if (path)
			unlink(path);
	}
	{
		_cleanup_free_ char *path = store_path(id, "");

		if (path && rmdir(path) < 0 && errno != ENOENT)
			(void)fs_remove_tree(AT_FDCWD, path, &err);
	}
}

/* ---- saving ---- */

static int write_part(const char *part, const void *data, size_t size, mode_t mode,
                      struct error *err)
{
	_cleanup_close_ int fd =
	    openat(AT_FDCWD, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "making %s", part);
	r = fs_write_all(fd, data, size);
	return r < 0 ? error_errno(err, -r, "writing %s", part) : 0;
}

int store_write_file(const char *path, const void *data, size_t size, mode_t mode,
                     struct error *err)
{
	_cleanup_free_ char *part = str_printf("%s.part", path);
	int r;

	if (!part)
		return error_set(err, ENOMEM, "no memory");
	r = write_part(part, data, size, mode, err);
	if (r == 0 && rename(part, path) < 0)
		r = error_errno(err, errno, "writing %s", path);
	if (r < 0)
		unlink(part);
	return r;
}

static int save_filter(const char *id, int filter, struct error *err)
{
	_cleanup_free_ char *path = store_path(id, "filter");
	_cleanup_close_ int fd = -1;
	struct stat st;
	off_t at = 0;

	if (filter < 0)
		return 0;
	if (!path || fstat(filter, &st) < 0)
		return error_set(err, ENOMEM, "no memory");
	fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, errno, "making %s", path);
	while (at < st.st_size)
		if (sendfile(fd, filter, &at, (size_t)(st.st_size - at)) <= 0)
			return error_errno(err, errno, "writing %s", path);
	return 0;
}

/* A small config.json in the record itself: what most commands need of it. */
static void write_light(struct buffer *j, const struct oci_spec *spec)
{
	buffer_str(j, "\"ociVersion\":");
	buffer_json_string(j, spec->version);
	buffer_str(j, ",\"annotations\":{");
	for (size_t i = 0; i < spec->annotations.n; i++) {
		buffer_str(j, i ? "," : "");
		buffer_json_string(j, spec->annotations.v[i].key);
		buffer_str(j, ":");
		buffer_json_string(j, spec->annotations.v[i].value);
	}
	buffer_str(j, "},\"linux\":{\"namespaces\":[");
	for (size_t i = 0; i < spec->linux_.n_namespaces; i++) {
		const struct oci_namespace *ns = &spec->linux_.namespaces[i];

		buffer_printf(j, "%s{\"type\":", i ? "," : "");
		buffer_json_string(j, ns->type);
		if (!str_empty(ns->path)) {
			buffer_str(j, ",\"path\":");
			buffer_json_string(j, ns->path);
		}
		buffer_str(j, "}");
	}
	buffer_str(j, "]}");
}

static void write_rootfs(struct buffer *j, const char *bundle, const struct oci_spec *spec)
{
	_cleanup_free_ char *joined = NULL;
	const char *path = spec->root ? spec->root->path : NULL;

	if (str_empty(path))
		return;
	if (path[0] != '/') {
		joined = str_printf("%s/%s", bundle, path);
		path = joined;
	}
	buffer_str(j, ",\"rootfs\":");
	buffer_json_string(j, path ? path : "");
}

int store_save(const char *id, const char *bundle, const struct oci_spec *spec, struct container *c,
               struct error *err)
{
	_cleanup_buffer_ struct buffer j = BUFFER_INIT;
	_cleanup_free_ char *path = store_path(id, RECORD_PART);
	pid_t pid = container_process_pid(container_init(c));
	char stamp[40], fraction[16];
	struct timespec now;
	struct tm tm;
	uint64_t below;
	const char *shared_root = container_shared_root(c, &below);
	int r = save_filter(id, container_filter_fd(c), err);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	snprintf(fraction, sizeof(fraction), ".%09ldZ", now.tv_nsec);
	buffer_printf(&j, "{\"pid\":%d,\"startTime\":\"%" PRIu64 "\",\"created\":\"%s%s\",", pid,
	              container_process_start_time(container_init(c)), stamp, fraction);
	buffer_printf(&j, "\"owner\":%u,\"laterHooks\":%s,\"bundle\":", (unsigned int)geteuid(),
	              spec->hooks[OCI_HOOK_POSTSTART].n || spec->hooks[OCI_HOOK_POSTSTOP].n
	                  ? "true"
	                  : "false");
	buffer_json_string(&j, bundle);
	write_rootfs(&j, bundle, spec);
	if (container_cgroup_path(c)) {
		buffer_str(&j, ",\"cgroup\":");
		buffer_json_string(&j, container_cgroup_path(c));
	}
	if (shared_root) {
		buffer_printf(&j, ",\"rootBelow\":%" PRIu64 ",\"sharedRoot\":", below);
		buffer_json_string(&j, shared_root);
	}
	buffer_str(&j, ",");
	write_light(&j, spec);
	buffer_str(&j, "}\n");
	if (!path || j.failed)
		return error_set(err, ENOMEM, "no memory");
	return write_part(path, j.data, j.size, 0600, err);
}

int store_publish(const char *id, struct error *err)
{
	_cleanup_free_ char *part = store_path(id, RECORD_PART), *path = store_path(id, RECORD);

	if (!part || !path)
		return error_set(err, ENOMEM, "no memory");
	return rename(part, path) < 0 ? error_errno(err, errno, "writing %s", path) : 0;
}

/* ---- loading ---- */

void store_record_free(struct store_record *r)
{
	free(r->id);
	free(r->bundle);
	free(r->rootfs);
	free(r->cgroup);
	free(r->shared_root);
	free(r->created);
	oci_spec_free(r->light);
	memset(r, 0, sizeof(*r));
}

static int read_record(const cJSON *obj, const char *id, struct store_record *out,
                       struct error *err)
{
	const char *bundle = NULL, *cgroup = NULL, *created = NULL, *start = NULL, *root = NULL;
	const char *rootfs = NULL;
	uint64_t pid = 0, owner = 0;
	int r;

	if ((r = json_string(obj, "bundle", true, &bundle, id, err)) < 0 ||
	    (r = json_string(obj, "rootfs", false, &rootfs, id, err)) < 0 ||
	    (r = json_string(obj, "cgroup", false, &cgroup, id, err)) < 0 ||
	    (r = json_string(obj, "created", true, &created, id, err)) < 0 ||
	    (r = json_string(obj, "startTime", true, &start, id, err)) < 0 ||
	    (r = json_u64(obj, "pid", true, &pid, id, err)) < 0 ||
	    (r = json_string(obj, "sharedRoot", false, &root, id, err)) < 0 ||
	    (r = json_u64(obj, "rootBelow", false, &out->root_below, id, err)) < 0 ||
	    (r = json_u64(obj, "owner", true, &owner, id, err)) < 0 ||
	    (r = json_bool(obj, "laterHooks", true, &out->hooks, id, err)) < 0)
		return r;
	out->pid = (pid_t)pid;
	out->owner = (uint32_t)owner;
	if (parse_u64(start, &out->start_time) < 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the record of %s is damaged", id);
	out->id = strdup(id);
	out->bundle = strdup(bundle);
	out->created = strdup(created);
	out->rootfs = rootfs ? strdup(rootfs) : NULL;
	out->cgroup = cgroup ? strdup(cgroup) : NULL;
	out->shared_root = root ? strdup(root) : NULL;
	if (!out->id || !out->bundle || !out->created || (cgroup && !out->cgroup) ||
	    (rootfs && !out->rootfs) || (root && !out->shared_root))
		return error_set(err, ENOMEM, "no memory");
	return 0;
}

int store_load(const char *id, struct store_record *out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *obj = NULL;
	_cleanup_free_ char *path = NULL;
	int r = store_check_id(id, err);

	memset(out, 0, sizeof(*out));
	if (r < 0)
		return r;
	path = store_path(id, RECORD);
	if (!path)
		return error_set(err, ENOMEM, "no memory");
	r = fs_read_file(AT_FDCWD, path, RECORD_MAX, &text, err);
	if (r == -ENOENT)
		return error_set_kind(err, ERROR_INPUT, ENOENT, "container %s does not exist", id);
	if (r == 0)
		r = json_parse(buffer_cstr(&text), text.size, RECORD_MAX, path, &obj, err);
	if (r == 0)
		r = read_record(obj, id, out, err);
	if (r == 0)
		r = oci_spec_parse(buffer_cstr(&text), text.size, &out->light, err);
	if (r < 0)
		store_record_free(out);
	return r;
}

static int load_config(const char *id, struct oci_spec **out, struct error *err)
{
	_cleanup_free_ char *path = store_path(id, "config.json");
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r;

	if (!path)
		return error_set(err, ENOMEM, "no memory");
	r = fs_read_file(AT_FDCWD, path, OCI_SPEC_MAX_JSON, &text, err);
	return r < 0 ? r : oci_spec_parse(buffer_cstr(&text), text.size, out, err);
}

int store_attach(const char *id, bool full, struct container **out, struct oci_spec **spec,
                 struct error *err)
{
	_cleanup_free_ char *sock = NULL, *filter = NULL;
	_cleanup_oci_spec_ struct oci_spec *config = NULL;
	struct store_record rec;
	struct container_record cr;
	int r = store_load(id, &rec, err);

	if (r < 0)
		return r;
	sock = store_path(id, "start.sock");
	filter = store_path(id, "filter");
	if (!sock || !filter)
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0 && (full || rec.hooks))
		r = load_config(id, &config, err);
	if (r == 0) {
		cr = (struct container_record){.id = id,
		                               .bundle = rec.bundle,
		                               .cgroup_path = rec.cgroup,
		                               .init_pid = rec.pid,
		                               .init_start_time = rec.start_time,
		                               .start_socket = sock,
		                               .shared_root = rec.shared_root,
		                               .shared_root_below = rec.root_below,
		                               .filter_path = fs_exists(filter) ? filter : NULL};
		r = container_attach(&cr, config ? config : rec.light, out, err);
	}
	if (r == 0 && full && spec)
		*spec = steal_ptr(&config);
	store_record_free(&rec);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_list(struct strv *ids, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(runtime()->root);
	struct dirent *d;

	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "reading %s", runtime()->root);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' && strv_add(ids, d->d_name) < 0)
			return error_set(err, ENOMEM, "no memory");
	if (ids->n)
		qsort(ids->v, ids->n, sizeof(ids->v[0]), by_name);
	return 0;
}
