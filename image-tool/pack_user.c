/* SPDX-License-Identifier: Apache-2.0 */
/* pack_user: numbers of the user that an image names, by the image's own passwd and group. */
#include <errno.h>
#include <string.h>

#include "image-tool/pack.h"

#define FIELDS 4 /* name, password, number, and for users the group's number */

struct account {
	uint32_t id, gid;
};

/* The account of `name`, or of number `id` when name is NULL. 1: there is none. Lines that are
 * broken are skipped. */
static int find_account(const struct rootview_file *f, const char *name, uint32_t id,
                        struct account *out)
{
	const char *at = (const char *)f->data, *end = at + f->size;

	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl ? nl : end) - at);
		_cleanup_free_ char *line = strndup(at, n);
		char *rest = line, *field[FIELDS] = {NULL};
		struct account a = {0, 0};

		at += n + 1;
		if (!line)
			return -ENOMEM;
		for (size_t i = 0; i < FIELDS && rest; i++)
			field[i] = strsep(&rest, ":");
		if (!field[2] || parse_u32(field[2], &a.id) < 0)
			continue;
		if (name ? strcmp(field[0], name) != 0 : a.id != id)
			continue;
		if (field[3])
			(void)parse_u32(field[3], &a.gid);
		*out = a;
		return 0;
	}
	return 1;
}

/* The same in a file of the image; a file that is not there has nobody. */
static int look_up(struct pack *p, const char *path, const char *name, uint32_t id,
                   struct account *out, struct error *err)
{
	struct rootview_file *f = malloc(sizeof(*f));
	int r = f ? rootview_find(p->view, "/", path, f, err) : -ENOMEM;

	if (r == 0)
		r = find_account(f, name, id, out);
	free(f);
	return r == -ENOMEM ? error_set(err, ENOMEM, "no memory to look a user up") : r;
}

static int unknown(struct pack *p, const char *what, const char *name, const char *path,
                   struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, ENOENT,
	                      "%s: there is no %s \"%s\" in its %s; --user UID:GID takes numbers",
	                      p->source, what, name, path);
}

int pack_user(struct pack *p, uint32_t *uid, uint32_t *gid, bool *said, struct error *err)
{
	const char *text = p->o->user ?: p->run.user;
	_cleanup_free_ char *user = text ? strdup(text) : NULL;
	char *group = user ? strchr(user, ':') : NULL;
	struct account a = {0, 0}, g = {0, 0};
	bool number;
	int r;

	*said = !str_empty(text);
	if (!*said)
		return 0;
	if (!user)
		return error_set(err, ENOMEM, "no memory to look a user up");
	if (group)
		*group++ = '\0';
	number = parse_u32(user, &a.id) == 0;
	r = look_up(p, "/etc/passwd", number ? NULL : user, a.id, &a, err);
	if (r < 0 || (r > 0 && !number))
		return r < 0 ? r : unknown(p, "user", user, "/etc/passwd", err);
	if (!str_empty(group) && parse_u32(group, &a.gid) < 0) {
		r = look_up(p, "/etc/group", group, 0, &g, err);
		if (r != 0)
			return r < 0 ? r : unknown(p, "group", group, "/etc/group", err);
		a.gid = g.id;
	}
	if (a.id == UINT32_MAX || a.gid == UINT32_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%u is no user or group",
		                      UINT32_MAX);
	*uid = a.id;
	*gid = a.gid;
	return 0;
}
