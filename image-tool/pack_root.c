/* SPDX-License-Identifier: Apache-2.0 */
/* pack_root: what a guest of one program has besides the program. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/pack.h"
#include "lib/base/fs.h"

#define CONFIG_MAX 65536 /* what kihon-init reads */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to make the root file system");
}

/* ---- entries */

struct entry {
	const char *path;
	uint32_t mode;
	uint32_t major, minor;
	bool only_missing; /* what the source has there stays */
};

/* Mount points of kihon-init, and what the kernel opens before it mounts /dev. */
static const struct entry entries[] = {
    {"/dev", S_IFDIR | 0755, 0, 0, true},
    {"/dev/console", S_IFCHR | 0600, 5, 1, false},
    {"/dev/null", S_IFCHR | 0666, 1, 3, false},
    {"/proc", S_IFDIR | 0555, 0, 0, true},
    {"/sys", S_IFDIR | 0555, 0, 0, true},
    {"/run", S_IFDIR | 0755, 0, 0, true},
    {"/tmp", S_IFDIR | 01777, 0, 0, true},
    {PACK_DIR, S_IFDIR | 0755, 0, 0, false},
    {PACK_DIR "/licences", S_IFDIR | 0755, 0, 0, false},
};

static bool is_there(struct pack *p, const struct entry *e)
{
	struct erofs_node *node = erofs_tree_find(p->tree, e->path, strlen(e->path));
	struct erofs_attr attr;

	if (!node)
		return false;
	erofs_node_attr(node, &attr);
	return (attr.mode & S_IFMT) == (e->mode & S_IFMT);
}

static int add_entries(struct pack *p, struct error *err)
{
	int r = erofs_tree_remove(p->tree, PACK_DIR, strlen(PACK_DIR), err);

	r = r < 0 ? r : 0;
	for (size_t i = 0; r == 0 && i < sizeof(entries) / sizeof(*entries); i++) {
		const struct entry *e = &entries[i];
		struct erofs_attr attr = {.mode = e->mode,
		                          .rdev_major = e->major,
		                          .rdev_minor = e->minor,
		                          .mtime = p->mtime};

		if (!e->only_missing || !is_there(p, e))
			r = erofs_tree_add(p->tree, e->path, strlen(e->path), &attr, NULL, err);
	}
	return r;
}

static int add_host_file(struct pack *p, const char *path, const char *from, uint32_t mode,
                         struct error *err)
{
	struct erofs_attr attr = {.mode = S_IFREG | mode, .mtime = p->mtime};
	struct erofs_node *node;
	struct stat st;
	int r;

	if (stat(from, &st) < 0) {
		r = error_errno(err, errno, "cannot read %s", from);
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return error_hint(err, r, "run make guest");
	}
	r = erofs_tree_add(p->tree, path, strlen(path), &attr, &node, err);
	return r < 0 ? r : erofs_node_set_path(p->tree, node, from, (uint64_t)st.st_size, err);
}

static int add_init(struct pack *p, struct error *err)
{
	static const char init[] = PACK_DIR "/init";
	static const struct entry name = {.path = "/init", .mode = S_IFLNK};
	struct erofs_attr attr = {.mode = S_IFLNK | 0777, .mtime = p->mtime};
	_cleanup_free_ char *from = str_printf("%s/bin/kihon-init", p->where.guest);
	int r = from ? add_host_file(p, init, from, 0755, err) : no_memory(err);

	/* For whoever boots the root without the words of image.json. */
	if (r == 0 && !erofs_tree_find(p->tree, name.path, strlen(name.path)))
		r = erofs_tree_add_symlink(p->tree, name.path, strlen(name.path), &attr, init,
		                           strlen(init), NULL, err);
	return r;
}

/* The licences of what is linked into init want to be passed on. */
static int add_licences(struct pack *p, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->img->n_packages; i++) {
		const char *name = p->img->packages[i].name;
		_cleanup_free_ char *from = str_printf("%s/licences/%s", p->where.guest, name);
		_cleanup_free_ char *to = str_printf(PACK_DIR "/licences/%s", name);

		if (!from || !to)
			return no_memory(err);
		if (fs_exists(from))
			r = add_host_file(p, to, from, 0644, err);
	}
	return r;
}

/* The kernel's own client of DHCP leaves the name servers here (nfsroot.rst). */
static int add_resolv(struct pack *p, struct error *err)
{
	static const char path[] = "/etc/resolv.conf", target[] = "/proc/net/pnp";
	struct erofs_node *etc = erofs_tree_find(p->tree, "/etc", 4);
	struct erofs_attr attr = {.mode = S_IFLNK | 0777, .mtime = p->mtime}, dir;

	if (etc)
		erofs_node_attr(etc, &dir);
	if (!p->network || (etc && !S_ISDIR(dir.mode)) ||
	    erofs_tree_find(p->tree, path, strlen(path)))
		return 0;
	return erofs_tree_add_symlink(p->tree, path, strlen(path), &attr, target, strlen(target),
	                              NULL, err);
}

/* ---- init.conf */

/* docs/init.md: a newline is \n, a backslash is doubled. */
static void add_line(struct buffer *out, const char *key, const char *value)
{
	buffer_printf(out, "%s ", key);
	for (; *value; value++) {
		if (*value == '\n')
			buffer_str(out, "\\n");
		else if (*value == '\\')
			buffer_str(out, "\\\\");
		else
			buffer_append(out, value, 1);
	}
	buffer_str(out, "\n");
}

static int write_config(struct pack *p, struct buffer *out, struct error *err)
{
	uint32_t uid = 0, gid = 0;
	bool said = false;
	int r = pack_user(p, &uid, &gid, &said, err);

	if (r < 0)
		return r;
	add_line(out, "exec", p->program);
	for (size_t i = 1; i < p->run.argv.n; i++)
		add_line(out, "arg", p->run.argv.v[i]);
	for (size_t i = 0; i < p->run.env.n; i++)
		add_line(out, "env", p->run.env.v[i]);
	if (p->run.cwd)
		add_line(out, "cwd", p->run.cwd);
	if (said)
		buffer_printf(out, "user %u:%u\n", uid, gid);
	if (out->failed)
		return no_memory(err);
	if (out->size > CONFIG_MAX || p->run.argv.n + p->run.env.n >= 1024)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "the command and its environment are too long: %d bytes and "
		                      "1023 words at most",
		                      CONFIG_MAX);
	return 0;
}

static int add_config(struct pack *p, struct error *err)
{
	static const char path[] = PACK_DIR "/init.conf";
	struct erofs_attr attr = {.mode = S_IFREG | 0644, .mtime = p->mtime};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct erofs_node *node;
	int r = write_config(p, &text, err);

	if (r == 0)
		r = erofs_tree_add(p->tree, path, strlen(path), &attr, &node, err);
	return r < 0 ? r : erofs_node_copy_memory(p->tree, node, text.data, text.size, err);
}

int pack_root(struct pack *p, struct error *err)
{
	int r = add_entries(p, err);

	if (r == 0)
		r = add_init(p, err);
	if (r == 0)
		r = add_licences(p, err);
	if (r == 0)
		r = add_resolv(p, err);
	return r < 0 ? r : add_config(p, err);
}
