/* SPDX-License-Identifier: Apache-2.0 */
/* path: see the header. */
#include "lib/image/path.h"

#include <errno.h>
#include <string.h>

#define LINKS_MAX 40 /* as the kernel (MAXSYMLINKS) */

static int too_long(struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG,
	                      "a path longer than the %d bytes that Linux can open (or a name "
	                      "longer than %d)",
	                      EROFS_PATH_MAX, EROFS_NAME_MAX);
}

void image_path_up(struct image_path *p)
{
	char *slash = memrchr(p->text, '/', p->len);

	p->len = slash ? (size_t)(slash - p->text) : 0;
	p->text[p->len] = '\0';
}

const char *image_path_name(const struct image_path *p)
{
	const char *slash = memrchr(p->text, '/', p->len);

	return slash ? slash + 1 : p->text;
}

/* One component, which may be "", "." or "..". */
static int add_component(struct image_path *p, const char *name, size_t n, struct error *err)
{
	if (n == 0 || (n == 1 && name[0] == '.'))
		return 0;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		image_path_up(p);
		return 0;
	}
	if (n > EROFS_NAME_MAX || p->len + 1 + n > EROFS_PATH_MAX)
		return too_long(err);
	if (p->len)
		p->text[p->len++] = '/';
	memcpy(p->text + p->len, name, n);
	p->len += n;
	p->text[p->len] = '\0';
	return 0;
}

int image_path_add(struct image_path *p, const char *text, struct error *err)
{
	for (;;) {
		size_t n = strcspn(text, "/");
		int r = add_component(p, text, n, err);

		if (r)
			return r;
		if (!text[n])
			return 0;
		text += n + 1;
	}
}

int image_path_set(struct image_path *p, const char *text, struct error *err)
{
	p->len = 0;
	p->text[0] = '\0';
	return image_path_add(p, text, err);
}

/* target + "/" + rest, into rest. */
static int put_before(struct image_path *rest, const char *target, size_t n, struct error *err)
{
	if (n + 1 + rest->len > EROFS_PATH_MAX)
		return too_long(err);
	memmove(rest->text + n + 1, rest->text, rest->len + 1);
	memcpy(rest->text, target, n);
	rest->text[n] = '/';
	rest->len += n + 1;
	return 0;
}

int image_path_resolve(struct erofs_tree *tree, struct image_path *p, struct error *err)
{
	struct image_path rest = *p, done = {.len = 0};
	int links = 0;

	for (;;) {
		size_t n = strcspn(rest.text, "/"), target_len, before = done.len;
		struct erofs_node *node;
		const char *target;
		int r = add_component(&done, rest.text, n, err);

		if (r)
			return r;
		if (!rest.text[n])
			break;
		rest.len -= n + 1;
		memmove(rest.text, rest.text + n + 1, rest.len + 1);
		node = erofs_tree_find(tree, done.text, done.len);
		target = node ? erofs_node_target(node, &target_len) : NULL;
		if (!target)
			continue;
		if (++links > LINKS_MAX)
			return error_set_kind(err, ERROR_INPUT, ELOOP,
			                      "\"%.100s\": too many symbolic links", p->text);
		done.len = target[0] == '/' ? 0 : before;
		done.text[done.len] = '\0';
		r = put_before(&rest, target, target_len, err);
		if (r)
			return r;
	}
	*p = done;
	return 0;
}
