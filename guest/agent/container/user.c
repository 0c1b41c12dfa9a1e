/* SPDX-License-Identifier: Apache-2.0 */
/* user: reads passwd and group line by line; the image may have made them as it likes. */
#include "guest/agent/container/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define FILE_MAX (4u << 20)
#define FIELDS   7

/* Walks "a:b:c" lines. Fields that are not there are "". */
struct table {
	struct buffer text;
	char *next;
	char *field[FIELDS];
};

/* To open a device node does something already (a watchdog's). */
static int is_ordinary(int root_fd, const char *path)
{
	_cleanup_close_ int fd = fs_open_in_root(root_fd, path, O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static int table_open(struct table *t, int root_fd, const char *path)
{
	int r = is_ordinary(root_fd, path), fd;

	memset(t, 0, sizeof(*t));
	if (r < 0)
		return r;
	fd = fs_open_in_root(root_fd, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	r = fs_read_fd(fd, FILE_MAX, &t->text);
	close_fd(&fd);
	t->next = r == 0 && t->text.size ? (char *)t->text.data : NULL;
	return r;
}

static void table_close(struct table *t)
{
	buffer_free(&t->text);
}

static bool table_next(struct table *t)
{
	static char empty[] = "";

	while (t->next && *t->next) {
		char *line = strsep(&t->next, "\n");

		if (!*line || *line == '#')
			continue;
		for (int i = 0; i < FIELDS; i++) {
			t->field[i] = line ? strsep(&line, ":") : empty;
			t->field[i][strcspn(t->field[i], "\r")] = 0;
		}
		return true;
	}
	return false;
}

void user_identity_free(struct user_identity *id)
{
	free(id->gids);
	free(id->home);
	memset(id, 0, sizeof(*id));
}

static int add_group(struct user_identity *id, gid_t gid)
{
	gid_t *p = realloc(id->gids, (id->n_gids + 1) * sizeof(*p));

	if (!p)
		return -ENOMEM;
	id->gids = p;
	p[id->n_gids++] = gid;
	return 0;
}

/* Fills what passwd says of a user named or numbered so. 1: no entry. */
static int look_up_user(int root_fd, const char *name, bool numeric, uint32_t number,
                        struct user_identity *id, char **login, struct error *err)
{
	struct table t;
	uint32_t uid, gid;
	int r = table_open(&t, root_fd, "/etc/passwd");

	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return error_errno(err, -r, "reading the container's /etc/passwd");
	r = 1;
	while (r == 1 && table_next(&t)) {
		if (parse_u32(t.field[2], &uid) < 0 || parse_u32(t.field[3], &gid) < 0)
			continue;
		if (numeric ? uid != number : strcmp(t.field[0], name) != 0)
			continue;
		id->uid = uid;
		id->gid = gid;
		id->home = strdup(t.field[5]);
		if (login)
			*login = strdup(t.field[0]);
		r = id->home && (!login || *login) ? 0
		                                   : error_set(err, ENOMEM, "looking up a user");
	}
	table_close(&t);
	return r;
}

static bool lists(char *members, const char *login)
{
	char *m;

	while ((m = strsep(&members, ",")))
		if (strcmp(m, login) == 0)
			return true;
	return false;
}

/* The groups that list `login`, or the number of the group `name`. */
static int look_up_groups(int root_fd, const char *name, const char *login,
                          struct user_identity *id, struct error *err)
{
	struct table t;
	uint32_t gid;
	int r = table_open(&t, root_fd, "/etc/group");

	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return error_errno(err, -r, "reading the container's /etc/group");
	r = name ? 1 : 0;
	while (table_next(&t)) {
		if (parse_u32(t.field[2], &gid) < 0)
			continue;
		if (name && strcmp(t.field[0], name) == 0) {
			id->gid = gid;
			r = 0;
			break;
		}
		if (!name && lists(t.field[3], login) && add_group(id, gid) < 0) {
			r = error_set(err, ENOMEM, "looking up groups");
			break;
		}
	}
	table_close(&t);
	return r;
}

static int resolve_name(int root_fd, const char *text, struct user_identity *id, struct error *err)
{
	_cleanup_free_ char *copy = strdup(text), *login = NULL;
	char *group = copy;
	const char *user;
	uint32_t number = 0;
	bool numeric;
	int r;

	if (!copy)
		return error_set(err, ENOMEM, "looking up the user %s", text);
	user = strsep(&group, ":");
	if (!*user)
		user = "0";
	numeric = parse_u32(user, &number) == 0;
	id->uid = number;
	r = look_up_user(root_fd, user, numeric, number, id, &login, err);
	if (r < 0)
		return r;
	if (r == 1 && !numeric)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "the container's /etc/passwd has no user \"%s\"", user);
	if (str_empty(group))
		return login ? look_up_groups(root_fd, NULL, login, id, err) : 0;
	if (parse_u32(group, &number) == 0) {
		id->gid = number;
		return 0;
	}
	r = look_up_groups(root_fd, group, NULL, id, err);
	if (r == 1)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "the container's /etc/group has no group \"%s\"", group);
	return r;
}

int user_resolve(int root_fd, const struct oci_user *u, struct user_identity *out,
                 struct error *err)
{
	int r;

	memset(out, 0, sizeof(*out));
	if (!str_empty(u->name)) {
		r = resolve_name(root_fd, u->name, out, err);
	} else {
		struct user_identity entry = {0};

		out->uid = u->uid;
		out->gid = u->gid;
		/* Only the home is of interest; a broken passwd is no reason to fail. */
		if (look_up_user(root_fd, NULL, true, u->uid, &entry, NULL, NULL) == 0)
			out->home = steal_ptr(&entry.home);
		user_identity_free(&entry);
		r = 0;
	}
	for (size_t i = 0; i < u->n_additional_gids && r == 0; i++)
		if (add_group(out, u->additional_gids[i]) < 0)
			r = error_set(err, ENOMEM, "setting additional groups");
	if (r < 0)
		user_identity_free(out);
	return r;
}
