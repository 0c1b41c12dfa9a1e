/* SPDX-License-Identifier: Apache-2.0 */
/* registry_config: see the header; containers-registries.conf(5). */
#include "lib/image/registry_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

static const char what[] = "the registry configuration";

static const char *text(const cJSON *obj, const char *key)
{
	const char *s = "";

	json_string(obj, key, false, &s, what, NULL);
	return s;
}

static bool flag(const cJSON *obj, const char *key)
{
	bool v = false;

	json_bool(obj, key, false, &v, what, NULL);
	return v;
}

static int check_place(const cJSON *obj, struct error *err)
{
	const char *s;
	bool b;

	if (!cJSON_IsObject(obj))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: not a table", what);
	if (json_string(obj, "prefix", false, &s, what, err) < 0 ||
	    json_string(obj, "location", false, &s, what, err) < 0 ||
	    json_bool(obj, "insecure", false, &b, what, err) < 0 ||
	    json_bool(obj, "blocked", false, &b, what, err) < 0)
		return -EINVAL;
	if (!*text(obj, "prefix") && !*text(obj, "location"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: a registry without prefix and location", what);
	return 0;
}

int registry_config_check(const cJSON *table, struct error *err)
{
	const cJSON *registries = NULL, *mirrors, *search = NULL, *e, *m;
	int r = json_array(table, "unqualified-search-registries", false, &search, what, err);

	if (r >= 0)
		r = json_array(table, "registry", false, &registries, what, err);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(e, search)
	{
		if (!cJSON_IsString(e))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "%s: unqualified-search-registries holds no names",
			                      what);
	}
	cJSON_ArrayForEach(e, registries)
	{
		mirrors = NULL;
		r = check_place(e, err);
		if (!r && json_array(e, "mirror", false, &mirrors, what, err) < 0)
			r = -EINVAL;
		cJSON_ArrayForEach(m, mirrors)
		{
			r = r ? r : check_place(m, err);
		}
		if (r)
			return r;
	}
	return 0;
}

static const char *prefix_of(const cJSON *registry)
{
	const char *p = text(registry, "prefix");

	return *p ? p : text(registry, "location");
}

/* The prefix stands for whole components of host/repository:tag. */
static bool fits(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return n && !strncmp(name, prefix, n) && strchr("/:@", name[n]);
}

static const cJSON *find_registry(const cJSON *registries, const char *name)
{
	const cJSON *e, *best = NULL;

	cJSON_ArrayForEach(e, registries)
	{
		if (fits(name, prefix_of(e)) &&
		    (!best || strlen(prefix_of(e)) > strlen(prefix_of(best))))
			best = e;
	}
	return best;
}

static int add(struct registry_sources *out, const char *location, const char *rest, bool plain,
               struct error *err)
{
	_cleanup_free_ char *name = str_printf("%s%s", location, rest);
	struct registry_source *s = &out->v[out->n];
	int r;

	if (!name)
		return error_set(err, ENOMEM, "out of memory");
	if (out->n == REGISTRY_SOURCES_MAX)
		return 0;
	r = reference_parse(name, &s->ref, err);
	if (r)
		return error_prefix(err, r, "%s", what);
	s->plain_http = plain;
	out->n++;
	return 0;
}

static int expand_one(const cJSON *registries, const struct reference *ref,
                      struct registry_sources *out, struct error *err)
{
	const cJSON *registry, *mirrors = NULL, *m;
	char name[REFERENCE_TEXT_MAX];
	const char *rest, *location;
	int r = 0;

	reference_text(ref, name);
	registry = find_registry(registries, name);
	if (!registry)
		return add(out, name, "", false, err);
	if (flag(registry, "blocked"))
		return error_set_kind(err, ERROR_VERIFICATION, EACCES,
		                      "%s: the registry configuration blocks \"%.100s\"", name,
		                      prefix_of(registry));
	rest = name + strlen(prefix_of(registry));
	json_array(registry, "mirror", false, &mirrors, what, NULL);
	cJSON_ArrayForEach(m, mirrors)
	{
		const char *at = text(m, "location");

		r = r ? r : add(out, *at ? at : text(m, "prefix"), rest, flag(m, "insecure"), err);
	}
	location = text(registry, "location");
	if (!r)
		r = add(out, *location ? location : prefix_of(registry), rest,
		        flag(registry, "insecure"), err);
	return r;
}

int registry_config_expand(const cJSON *table, const char *reference, struct registry_sources *out,
                           struct error *err)
{
	const cJSON *registries = NULL, *search = NULL, *e;
	struct reference ref;
	int r = reference_parse(reference, &ref, err);

	out->n = 0;
	if (r)
		return r;
	json_array(table, "registry", false, &registries, what, NULL);
	json_array(table, "unqualified-search-registries", false, &search, what, NULL);
	if (ref.host_given || !cJSON_GetArraySize(search))
		return expand_one(registries, &ref, out, err);
	cJSON_ArrayForEach(e, search)
	{
		_cleanup_free_ char *name = str_printf("%s/%s", e->valuestring, reference);

		if (!name)
			return error_set(err, ENOMEM, "out of memory");
		r = reference_parse(name, &ref, err);
		if (!r)
			r = expand_one(registries, &ref, out, err);
		if (r)
			return r;
	}
	return 0;
}
