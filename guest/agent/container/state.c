/* SPDX-License-Identifier: Apache-2.0 */
/* state: runtime.md's members, in its order. */
#include "guest/agent/container/state.h"

#include "lib/base/str.h"

void state_write(const struct state *s, struct buffer *out)
{
	buffer_str(out, "{\"ociVersion\":");
	buffer_json_string(out, s->version ? s->version : OCI_SPEC_VERSION);
	buffer_str(out, ",\"id\":");
	buffer_json_string(out, s->id);
	buffer_printf(out, ",\"status\":\"%s\",\"pid\":%d,\"bundle\":", s->status, s->pid);
	buffer_json_string(out, s->bundle ? s->bundle : "");
	buffer_str(out, ",\"annotations\":{");
	for (size_t i = 0; s->annotations && i < s->annotations->n; i++) {
		if (i)
			buffer_str(out, ",");
		buffer_json_string(out, s->annotations->v[i].key);
		buffer_str(out, ":");
		buffer_json_string(out, s->annotations->v[i].value);
	}
	buffer_str(out, "}}");
}
