/* SPDX-License-Identifier: Apache-2.0 */
/* state_json: one object. */
#include "guest/oci/state_json.h"

#include <errno.h>
#include <stdio.h>

#include "guest/oci/store.h"
#include "lib/base/cleanup.h"

static void write_annotations(const struct oci_map *map, struct buffer *out)
{
	buffer_str(out, ",\n  \"annotations\": {");
	for (size_t i = 0; i < map->n; i++) {
		buffer_str(out, i ? ",\n    " : "\n    ");
		buffer_json_string(out, map->v[i].key);
		buffer_str(out, ": ");
		buffer_json_string(out, map->v[i].value);
	}
	buffer_str(out, map->n ? "\n  }" : "}");
}

static void write_member(struct buffer *out, const char *name, const char *value)
{
	buffer_printf(out, ",\n  \"%s\": ", name);
	buffer_json_string(out, value ? value : "");
}

int state_json_write(const char *id, bool annotations, struct buffer *out, struct error *err)
{
	_cleanup_container_ struct container *c = NULL;
	enum container_status s;
	struct store_record rec;
	char owner[16];
	int r = store_attach(id, false, &c, NULL, err);

	if (r == 0)
		r = store_load(id, &rec, err);
	if (r < 0)
		return r;
	s = container_status(c);
	buffer_printf(out, "{\n  \"ociVersion\": \"%s\"",
	              rec.light->version ? rec.light->version : OCI_SPEC_VERSION);
	write_member(out, "id", id);
	buffer_printf(out, ",\n  \"pid\": %d", s == CONTAINER_STOPPED ? 0 : rec.pid);
	write_member(out, "status", container_status_name(s));
	write_member(out, "bundle", rec.bundle);
	write_member(out, "created", rec.created);
	snprintf(owner, sizeof(owner), "%u", rec.owner);
	write_member(out, "owner", rec.owner == 0 ? "root" : owner);
	if (annotations)
		write_annotations(&rec.light->annotations, out);
	buffer_str(out, "\n}");
	store_record_free(&rec);
	return out->failed ? error_set(err, ENOMEM, "no memory") : 0;
}
