/* SPDX-License-Identifier: Apache-2.0 */
/* state_json: one object, a member a line or all in one line. */
#include "guest/oci/state_json.h"

#include <errno.h>
#include <stdio.h>

#include "guest/oci/store.h"
#include "lib/base/cleanup.h"

/* How the members are set apart. */
struct layout {
	const char *first, *next, *colon, *last;
};

static const struct layout layouts[] = {
    [STATE_JSON_LINES] = {"{\n  ", ",\n  ", ": ", "\n}"},
    [STATE_JSON_COMPACT] = {"{", ",", ":", "}"},
};

static const struct layout annotation_layouts[] = {
    [STATE_JSON_LINES] = {"{\n    ", ",\n    ", ": ", "\n  }"},
    [STATE_JSON_COMPACT] = {"{", ",", ":", "}"},
};

static void write_annotations(const struct oci_map *map, const struct layout *l, struct buffer *out)
{
	if (map->n == 0)
		buffer_str(out, "{");
	for (size_t i = 0; i < map->n; i++) {
		buffer_str(out, i ? l->next : l->first);
		buffer_json_string(out, map->v[i].key);
		buffer_str(out, l->colon);
		buffer_json_string(out, map->v[i].value);
	}
	buffer_str(out, map->n ? l->last : "}");
}

static void write_name(struct buffer *out, const struct layout *l, const char *name)
{
	buffer_printf(out, "%s\"%s\"%s", l->next, name, l->colon);
}

static void write_member(struct buffer *out, const struct layout *l, const char *name,
                         const char *value)
{
	write_name(out, l, name);
	buffer_json_string(out, value ? value : "");
}

int state_json_write(const char *id, enum state_json_form form, struct buffer *out,
                     struct error *err)
{
	_cleanup_container_ struct container *c = NULL;
	const struct layout *l = &layouts[form];
	enum container_status s;
	struct store_record rec;
	char owner[16];
	int r = store_attach(id, false, &c, NULL, err);

	if (r == 0)
		r = store_load(id, &rec, err);
	if (r < 0)
		return r;
	s = container_status(c);
	buffer_printf(out, "%s\"ociVersion\"%s", l->first, l->colon);
	buffer_json_string(out, rec.light->version ? rec.light->version : OCI_SPEC_VERSION);
	write_member(out, l, "id", id);
	write_name(out, l, "pid");
	buffer_printf(out, "%d", s == CONTAINER_STOPPED ? 0 : rec.pid);
	write_member(out, l, "status", container_status_name(s));
	write_member(out, l, "bundle", rec.bundle);
	write_member(out, l, "rootfs", rec.rootfs);
	write_member(out, l, "created", rec.created);
	snprintf(owner, sizeof(owner), "%u", rec.owner);
	write_member(out, l, "owner", rec.owner == 0 ? "root" : owner);
	if (form == STATE_JSON_LINES || rec.light->annotations.n) {
		write_name(out, l, "annotations");
		write_annotations(&rec.light->annotations, &annotation_layouts[form], out);
	}
	buffer_str(out, l->last);
	store_record_free(&rec);
	return out->failed ? error_set(err, ENOMEM, "no memory") : 0;
}
