/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup: directories, controllers, membership, killing, freezing, removing. */
#include "guest/agent/container/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container/cgroup_controllers.h"
#include "guest/agent/container/mountinfo.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define FILE_MAX  (1u << 20)
#define DEPTH_MAX 64

const char *const cgroup_controller_names[CGROUP_CONTROLLERS + 1] = {
    "cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma", "misc", NULL};

int cgroup_find_root(char **out, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	int r;

	/* The usual place, without reading a list that may be long. */
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
		*out = strdup("/sys/fs/cgroup");
		return *out ? 0 : error_set(err, ENOMEM, "looking for cgroup2: no memory");
	}
	r = mountinfo_open(&m, err);
	if (r < 0)
		return r;
	while (mountinfo_next(&m, &e)) {
		if (strcmp(e.type, "cgroup2") != 0)
			continue;
		*out = strdup(e.point);
		return *out ? 0 : error_set(err, ENOMEM, "looking for cgroup2: no memory");
	}
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "no cgroup2 file system is mounted, and cgroup v1 is not supported");
}

/* ---- controllers ---- */

static uint32_t parse_controllers(char *text)
{
	uint32_t set = 0;
	char *word, *save = NULL;

	for (word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		for (int i = 0; i < CGROUP_CONTROLLERS; i++)
			if (strcmp(word, cgroup_controller_names[i]) == 0)
				set |= 1u << i;
	return set;
}

static int read_controllers(int dir, const char *file, uint32_t *out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(dir, file, FILE_MAX, &text, err);

	if (r == 0)
		*out = text.data ? parse_controllers((char *)text.data) : 0;
	return r;
}

/* Enables what is available in `dir` for its children. */
static int enable_controllers(int dir, uint32_t needed, struct error *err)
{
	uint32_t available, enabled, missing;
	char text[128] = "";
	size_t n = 0;
	int r = read_controllers(dir, "cgroup.controllers", &available, err);

	if (r == 0)
		r = read_controllers(dir, "cgroup.subtree_control", &enabled, err);
	if (r < 0)
		return r;
	missing = available & ~enabled;
	if (!missing)
		return 0;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (missing & 1u << i)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " +%s",
			                      cgroup_controller_names[i]);
	if (fs_write_string(dir, "cgroup.subtree_control", text + 1, NULL) == 0)
		return 0;
	/* One of them is refused: the others all the same. */
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (!(missing & 1u << i))
			continue;
		snprintf(text, sizeof(text), "+%s", cgroup_controller_names[i]);
		r = fs_write_string(dir, "cgroup.subtree_control", text, NULL);
		if (r < 0 && needed & 1u << i)
			return error_errno(err, -r, "enabling the cgroup controller \"%s\"",
			                   cgroup_controller_names[i]);
	}
	return 0;
}

static int check_controllers(int dir, const char *path, uint32_t needed, struct error *err)
{
	uint32_t available = 0;
	int r = needed ? read_controllers(dir, "cgroup.controllers", &available, err) : 0;

	if (r < 0)
		return r;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (needed & ~available & 1u << i)
			return error_set_kind(
			    err, ERROR_ENVIRONMENT, ENOTSUP,
			    "the resources need the cgroup v2 controller \"%s\", which %s does not "
			    "have (is it not delegated, or used by a cgroup v1 hierarchy?)",
			    cgroup_controller_names[i], path);
	return 0;
}

/* ---- making ---- */

void cgroup_close(struct cgroup *c)
{
	free(c->path);
	close_fd(&c->fd);
	close_fd(&c->events_fd);
	c->path = NULL;
}

int cgroup_open(const char *path, struct cgroup *out, struct error *err)
{
	*out = (struct cgroup)CGROUP_INIT;
	out->fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (out->fd < 0)
		return error_errno(err, errno, "opening the cgroup %s", path);
	out->path = strdup(path);
	if (!out->path) {
		cgroup_close(out);
		return error_set(err, ENOMEM, "opening the cgroup %s: no memory", path);
	}
	return 0;
}

int cgroup_open_of_process(pid_t pid, int *fd, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_free_ char *root = NULL, *path = NULL;
	char file[64], *line, *save = NULL;
	int r;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	r = fs_read_file(AT_FDCWD, file, FILE_MAX, &text, err);
	if (r == 0)
		r = cgroup_find_root(&root, err);
	if (r < 0)
		return r;
	for (line = text.data ? strtok_r((char *)text.data, "\n", &save) : NULL; line && !path;
	     line = strtok_r(NULL, "\n", &save))
		if (str_starts(line, "0::/"))
			path = str_printf("%s%s", root, line + 3);
	*fd = path ? openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (*fd < 0)
		return error_errno(err, path ? errno : ENOENT, "opening the cgroup of process %d",
		                   pid);
	return 0;
}

/* One step down. 1: the directory was there. */
static int step(int *dir, const char *name, const char *path, struct error *err)
{
	int made = mkdirat(*dir, name, 0755), fd;

	if (made < 0 && errno != EEXIST)
		return error_errno(err, errno, "making \"%s\" of the cgroup %s", name, path);
	fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		int r = error_errno(err, errno, "opening \"%s\" of the cgroup %s", name, path);

		if (made == 0)
			unlinkat(*dir, name, AT_REMOVEDIR);
		return r;
	}
	close(*dir);
	*dir = fd;
	return made < 0;
}

static int descend(const char *root, const struct strv *parts, const char *path, uint32_t needed,
                   int *out, struct error *err)
{
	_cleanup_close_ int dir = openat(AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 1;

	if (dir < 0)
		return error_errno(err, errno, "opening the cgroup root %s", root);
	for (size_t i = 0; i < parts->n; i++) {
		r = enable_controllers(dir, needed, err);
		if (r == 0)
			r = step(&dir, parts->v[i], path, err);
		if (r < 0)
			return r;
	}
	*out = steal_fd(&dir);
	return r;
}

int cgroup_create(const char *root, const char *path, const struct oci_resources *res,
                  struct cgroup *out, struct error *err)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;
	uint32_t needed = cgroup_controllers_needed(res);
	bool made;
	int r;

	*out = (struct cgroup)CGROUP_INIT;
	if (strv_split(&parts, path, "/") < 0)
		return error_set(err, ENOMEM, "making the cgroup %s: no memory", path);
	if (parts.n == 0 || parts.n > DEPTH_MAX || strv_has(&parts, "..") || strv_has(&parts, "."))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "linux.cgroupsPath \"%s\" is not "
		                      "usable",
		                      path);
	out->path = str_printf("%s/%s", root, path + strspn(path, "/"));
	if (!out->path)
		return error_set(err, ENOMEM, "making the cgroup %s: no memory", path);
	r = descend(root, &parts, path, needed, &out->fd, err);
	if (r == 1 && cgroup_is_populated(out) == 1)
		r = error_set_kind(err, ERROR_INPUT, EBUSY,
		                   "the cgroup %s has processes already: it belongs to somebody "
		                   "else",
		                   path);
	made = r == 0;
	if (r >= 0)
		r = check_controllers(out->fd, out->path, needed, err);
	if (r < 0 && made)
		rmdir(out->path);
	if (r < 0)
		cgroup_close(out);
	return r;
}

int cgroup_delegate(const struct cgroup *c, uid_t uid, struct error *err)
{
	static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *name, *save = NULL;

	if (fs_read_file(AT_FDCWD, "/sys/kernel/cgroup/delegate", FILE_MAX, &text, NULL) < 0) {
		buffer_clear(&text);
		buffer_str(&text, fallback);
	}
	if (text.failed)
		return error_set(err, ENOMEM, "delegating the cgroup: no memory");
	if (fchownat(c->fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return error_errno(err, errno, "giving the cgroup %s to user %u", c->path, uid);
	for (name = strtok_r((char *)text.data, "\n", &save); name;
	     name = strtok_r(NULL, "\n", &save))
		if (!strchr(name, '/') && fchownat(c->fd, name, uid, (gid_t)-1, 0) < 0 &&
		    errno != ENOENT)
			return error_errno(err, errno, "giving %s/%s to user %u", c->path, name,
			                   uid);
	return 0;
}

/* ---- looking ---- */

int cgroup_read_key(const struct cgroup *c, const char *file, const char *key, uint64_t *out)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *line, *save = NULL;
	size_t n = strlen(key);
	int r = fs_read_file(c->fd, file, FILE_MAX, &text, NULL);

	if (r < 0)
		return r;
	if (!text.data)
		return -ENOENT;
	for (line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return parse_u64(line + n + 1, out);
	return -ENOENT;
}

static int event(const struct cgroup *c, const char *key)
{
	uint64_t v = 0;
	int r = cgroup_read_key(c, "cgroup.events", key, &v);

	return r < 0 ? r : v != 0;
}

int cgroup_is_populated(const struct cgroup *c)
{
	int r = event(c, "populated");

	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

int cgroup_is_frozen(const struct cgroup *c)
{
	int r = event(c, "frozen");

	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

int cgroup_events_fd(struct cgroup *c)
{
	if (c->events_fd < 0 && c->fd >= 0)
		c->events_fd = openat(c->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return c->events_fd;
}

/* ---- walking ---- */

/* Calls fn for every directory below, children first, then for the group itself. Groups
 * come and go meanwhile; what vanished is skipped. */
static int walk(int root, int (*fn)(int parent, const char *name, int dir, void *data), void *data)
{
	struct {
		DIR *dir;
		char name[NAME_MAX + 1];
	} level[DEPTH_MAX];
	int depth = 0, r = 0, fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	level[0].dir = fd < 0 ? NULL : fdopendir(fd);
	if (!level[0].dir) {
		r = errno == ENOENT ? 0 : -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (depth >= 0) {
		struct dirent *d = readdir(level[depth].dir);

		if (!d) {
			int parent = depth ? dirfd(level[depth - 1].dir) : -1;

			if (r == 0)
				r = fn(parent, depth ? level[depth].name : NULL,
				       dirfd(level[depth].dir), data);
			closedir(level[depth--].dir);
			continue;
		}
		if (d->d_type != DT_DIR || d->d_name[0] == '.' || depth + 1 == DEPTH_MAX || r < 0)
			continue;
		fd = openat(dirfd(level[depth].dir), d->d_name,
		            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		level[depth + 1].dir = fdopendir(fd);
		if (!level[depth + 1].dir) {
			close(fd);
			continue;
		}
		snprintf(level[++depth].name, sizeof(level[0].name), "%s", d->d_name);
	}
	return r;
}

struct pid_list {
	pid_t *v;
	size_t n, room;
};

static int collect(int parent, const char *name, int dir, void *data)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct pid_list *list = data;
	char *line, *save = NULL;
	uint32_t pid;
	int r = fs_read_file(dir, "cgroup.procs", 16u << 20, &text, NULL);

	(void)parent;
	(void)name;
	if (r < 0)
		return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP ? 0 : r;
	for (line = text.data ? strtok_r((char *)text.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (parse_u32(line, &pid) < 0 || pid == 0)
			continue; /* 0: of a pid namespace that we do not see */
		if (list->n == list->room) {
			size_t room = list->room ? list->room * 2 : 64;
			pid_t *p = realloc(list->v, room * sizeof(*p));

			if (!p)
				return -ENOMEM;
			list->v = p;
			list->room = room;
		}
		list->v[list->n++] = (pid_t)pid;
	}
	return 0;
}

int cgroup_pids(const struct cgroup *c, pid_t **pids, size_t *n, struct error *err)
{
	struct pid_list list = {0};
	int r = walk(c->fd, collect, &list);

	if (r < 0) {
		free(list.v);
		return error_errno(err, -r, "listing the processes of the cgroup %s", c->path);
	}
	*pids = list.v;
	*n = list.n;
	return 0;
}

/* ---- acting ---- */

int cgroup_kill(const struct cgroup *c, struct error *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = fs_write_string(c->fd, "cgroup.kill", "1", NULL);

	if (r == 0 || r == -ENODEV)
		return 0;
	/* Before Linux 5.14: what forks meanwhile is caught by calling again. */
	r = cgroup_pids(c, &pids, &n, err);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	return r;
}

int cgroup_freeze(const struct cgroup *c, bool freeze, struct error *err)
{
	int r = fs_write_string(c->fd, "cgroup.freeze", freeze ? "1" : "0", NULL);

	if (r < 0)
		return error_errno(err, -r, "%s the cgroup %s", freeze ? "freezing" : "thawing",
		                   c->path);
	return 0;
}

static int remove_child(int parent, const char *name, int dir, void *data)
{
	(void)dir;
	(void)data;
	if (name && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int cgroup_remove(const struct cgroup *c, struct error *err)
{
	int r = 0;

	if (rmdir(c->path) == 0 || errno == ENOENT)
		return 0;
	/* EBUSY: processes, or groups that the container made. */
	if (errno == EBUSY && cgroup_is_populated(c) == 0) {
		r = walk(c->fd, remove_child, NULL);
		if (r == 0 && (rmdir(c->path) == 0 || errno == ENOENT))
			return 0;
	}
	if (r == -EBUSY || errno == EBUSY)
		return 1;
	return error_errno(err, errno, "removing the cgroup %s", c->path);
}
