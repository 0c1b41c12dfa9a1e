/* SPDX-License-Identifier: Apache-2.0 */
/* policy: see the header. */
#include "lib/image/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"

static const char what[] = "the image policy (policy.json)";

struct policy {
	cJSON *root;
	const cJSON *fallback; /* "default" */
	const cJSON *docker;   /* scopes, may be NULL */
};

int policy_parse(const char *json, size_t size, struct policy **out, struct error *err)
{
	_cleanup_policy_ struct policy *p = calloc(1, sizeof(*p));
	const cJSON *transports = NULL, *e;
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory");
	r = json_parse(json, size, POLICY_MAX_FILE, what, &p->root, err);
	if (!r)
		r = json_array(p->root, "default", true, &p->fallback, what, err);
	if (!r)
		r = json_object(p->root, "transports", false, &transports, what, err);
	if (!r)
		r = json_object(transports, "docker", false, &p->docker, what, err);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(e, p->docker)
	{
		if (!cJSON_IsArray(e))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "%s: the scope \"%.100s\" is not a list", what,
			                      e->string);
	}
	*out = steal_ptr(&p);
	return 0;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	cJSON_Delete(p->root);
	free(p);
}

/* Cuts the last part off a scope: tag or digest, then component by component. */
static bool widen(char *scope)
{
	char *at = strchr(scope, '@'), *slash = strrchr(scope, '/');
	char *colon = strrchr(scope, ':');

	if (at)
		*at = '\0';
	else if (colon && slash && colon > slash)
		*colon = '\0';
	else if (slash)
		*slash = '\0';
	else
		return false;
	return true;
}

static const cJSON *find_scope(const struct policy *p, const struct reference *ref, char *scope,
                               size_t room)
{
	char text[REFERENCE_TEXT_MAX];
	const cJSON *list;

	snprintf(scope, room, "%s", reference_text(ref, text));
	do {
		list = cJSON_GetObjectItemCaseSensitive(p->docker, scope);
		if (list)
			return list;
	} while (widen(scope));
	for (const char *dot = strchr(ref->host, '.'); dot; dot = strchr(dot + 1, '.')) {
		snprintf(scope, room, "*%s", dot);
		list = cJSON_GetObjectItemCaseSensitive(p->docker, scope);
		if (list)
			return list;
	}
	scope[0] = '\0';
	list = cJSON_GetObjectItemCaseSensitive(p->docker, "");
	if (list)
		return list;
	snprintf(scope, room, "default");
	return p->fallback;
}

static int check_one(const cJSON *req, const char *scope, struct error *err)
{
	const char *type = "";

	json_string(req, "type", true, &type, what, NULL);
	if (!strcmp(type, "insecureAcceptAnything"))
		return 0;
	if (!strcmp(type, "reject"))
		return error_set_kind(err, ERROR_VERIFICATION, EACCES,
		                      "the image policy rejects it (scope \"%s\")", scope);
	if (!strcmp(type, "signedBy") || !strcmp(type, "sigstoreSigned"))
		return error_set_kind(
		    err, ERROR_VERIFICATION, EACCES,
		    "the image policy wants a signature (%s, scope \"%s\"), which "
		    "this version cannot check: refused",
		    type, scope);
	return error_set_kind(err, ERROR_VERIFICATION, EACCES,
	                      "the image policy has the unknown requirement \"%.40s\" (scope "
	                      "\"%s\"): refused",
	                      type, scope);
}

int policy_check(const struct policy *p, const struct reference *ref, struct error *err)
{
	char scope[REFERENCE_TEXT_MAX];
	const cJSON *list, *req;

	if (!p)
		return 0;
	list = find_scope(p, ref, scope, sizeof(scope));
	if (!cJSON_GetArraySize(list))
		return error_set_kind(err, ERROR_VERIFICATION, EACCES,
		                      "the image policy has an empty list for it (scope \"%s\"): "
		                      "refused",
		                      scope);
	cJSON_ArrayForEach(req, list)
	{
		int r = check_one(req, scope, err);

		if (r)
			return r;
	}
	return 0;
}
