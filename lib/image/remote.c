/* SPDX-License-Identifier: Apache-2.0 */
/* remote: see the header. */
#include "lib/image/remote.h"

#include <errno.h>
#include <string.h>

#include "lib/image/registry_config.h"

/* Of the places that registries.conf gives, the last is the image's own; mirrors are not written
 * to, and lack what was written a moment ago. */
static int find_place(struct remote *r, const char *reference, bool *plain_http, struct error *err)
{
	_cleanup_free_ struct registry_sources *sources = calloc(1, sizeof(*sources));
	const struct registry_source *last;
	int e;

	if (!sources)
		return error_set(err, ENOMEM, "out of memory");
	e = registry_config_expand(r->settings.registries, reference, sources, err);
	if (e)
		return e;
	last = &sources->v[sources->n - 1];
	r->ref = last->ref;
	*plain_http = last->plain_http;
	return 0;
}

static int check_reference(const char *reference, struct error *err)
{
	struct reference ref;
	int e = reference_parse(reference, &ref, err);

	if (e || ref.host_given)
		return e;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "\"%.200s\" names no registry: give HOST[:PORT]/REPOSITORY[:TAG]",
	                      reference);
}

static int set_up(struct remote *r, const char *reference, const struct remote_options *o,
                  const atomic_bool *cancel, struct error *err)
{
	const struct settings_from from = {
	    .config_dir = o->config,
	    .ca_file = o->ca,
	    .auth_file = o->authfile,
	    .system_ca = !o->no_system_ca,
	};
	const struct settings *s = &r->settings;
	bool plain_http = false;
	int e = check_reference(reference, err);

	if (!e)
		e = settings_load(&from, &r->settings, err);
	if (!e)
		e = find_place(r, reference, &plain_http, err);
	if (!e)
		e = trust_new(buffer_cstr(&s->ca), s->ca.size, &r->trust, err);
	if (!e)
		e = http_init(err);
	if (e)
		return e;
	r->http_config = (struct http_config){.trust = r->trust,
	                                      .https_proxy = s->https_proxy,
	                                      .http_proxy = s->http_proxy,
	                                      .no_proxy = s->no_proxy,
	                                      .cancel = cancel,
	                                      .uploaded = o->uploaded};
	e = http_new(&r->http_config, &r->http, err);
	plain_http = plain_http || strv_has(&o->plain_http, r->ref.host);
	return e ? e : registry_new(&r->ref, plain_http, s->auth, cancel, &r->registry, err);
}

int remote_open(struct remote *out, const char *reference, const struct remote_options *o,
                const atomic_bool *cancel, struct error *err)
{
	int e;

	*out = (struct remote){0};
	e = set_up(out, reference, o, cancel, err);
	if (e)
		remote_close(out);
	return e;
}

void remote_close(struct remote *r)
{
	registry_free(r->registry);
	http_free(r->http);
	trust_free(r->trust);
	settings_clear(&r->settings);
	*r = (struct remote){0};
}
