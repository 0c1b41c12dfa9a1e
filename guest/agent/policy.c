/* SPDX-License-Identifier: Apache-2.0 */
/* policy: reading the list strictly, and asking it. */
#include "guest/agent/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/policy_match.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/device.pb-c.h"
#include "lib/rpc/proto/trace.pb-c.h"

#define POLICY_SCHEMA 1

struct policy {
	cJSON *doc;         /* NULL: everything is denied */
	const cJSON *allow; /* in doc */
	char *reason;       /* of a policy that denies everything */
};

static const ProtobufCMessageDescriptor *find_request(const char *name)
{
	static const ProtobufCServiceDescriptor *const services[] = {
	    &grpc__agent_service__descriptor, &kihon__trace__descriptor,
	    &kihon__devices__descriptor};

	for (size_t n = 0; n < sizeof(services) / sizeof(services[0]); n++)
		for (unsigned int i = 0; i < services[n]->n_methods; i++)
			if (strcmp(services[n]->methods[i].input->short_name, name) == 0)
				return services[n]->methods[i].input;
	return NULL;
}

/* Of two members with one name only one would count, and who reads it takes the other. */
static int check_twice(const cJSON *object, struct error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, object)
	{
		if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "policy: \"%.200s\" is there twice", item->string);
	}
	return 0;
}

static int check_rule(const ProtobufCMessageDescriptor *type, const cJSON *rule, struct error *err)
{
	const cJSON *where = cJSON_GetObjectItemCaseSensitive(rule, "where"), *field;
	int r;

	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(rule, "name")) ||
	    !cJSON_IsObject(where) || cJSON_GetArraySize(rule) != 2)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "policy: a rule of %s needs \"name\" and \"where\", nothing else",
		    type->short_name);
	r = check_twice(where, err);
	cJSON_ArrayForEach(field, where)
	{
		if (r == 0)
			r = policy_match_check(type, field->string, field, err);
	}
	return r;
}

static int check_entry(const cJSON *entry, struct error *err)
{
	const ProtobufCMessageDescriptor *type = find_request(entry->string);
	const cJSON *rule;
	int r = 0;

	if (!type)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "policy: there is no request \"%s\"", entry->string);
	if (cJSON_IsBool(entry))
		return 0;
	if (!cJSON_IsArray(entry))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "policy: %s: expected true, false or a list of rules",
		                      entry->string);
	cJSON_ArrayForEach(rule, entry)
	{
		r = check_rule(type, rule, err);
		if (r < 0)
			break;
	}
	return r;
}

static int check_document(const cJSON *doc, struct error *err)
{
	const cJSON *allow = NULL, *entry;
	uint64_t schema = 0;
	int r = json_u64(doc, "schema", true, &schema, "policy", err);

	if (r == 0 && (schema != POLICY_SCHEMA || cJSON_GetArraySize(doc) != 2))
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "policy: expected \"schema\": %d and \"allow\", nothing else",
		                   POLICY_SCHEMA);
	if (r == 0)
		r = json_object(doc, "allow", true, &allow, "policy", err);
	if (r == 0)
		r = check_twice(allow, err);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(entry, allow)
	{
		r = check_entry(entry, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Rego begins with a package clause, after comments and blanks. */
static bool looks_like_rego(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && (text[i] == '#' || strchr(" \t\r\n", text[i]))) {
		if (text[i] == '#')
			while (i < size && text[i] != '\n')
				i++;
		else
			i++;
	}
	return size - i > 8 && strncmp(text + i, "package ", 8) == 0;
}

int policy_parse(const char *text, size_t size, struct policy **out, struct error *err)
{
	_cleanup_cjson_ cJSON *doc = NULL;
	struct policy *p;
	int r;

	if (looks_like_rego(text, size))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "policy: this is Rego, which this agent does not read; it takes "
		    "an allow-list in JSON (docs/agent.md)");
	r = json_parse(text, size, POLICY_MAX_SIZE, "policy", &doc, err);
	if (r == 0)
		r = check_document(doc, err);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "policy: out of memory");
	p->allow = cJSON_GetObjectItemCaseSensitive(doc, "allow");
	p->doc = steal_ptr(&doc);
	*out = p;
	return 0;
}

struct policy *policy_deny_all(const char *reason)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (p)
		p->reason = strdup(reason); /* NULL is said as well */
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	cJSON_Delete(p->doc);
	free(p->reason);
	free(p);
}

/* NULL: the rule holds; else the field that does not match. */
static const char *first_mismatch(const cJSON *rule, const ProtobufCMessage *request)
{
	const cJSON *where = cJSON_GetObjectItemCaseSensitive(rule, "where"), *field;

	cJSON_ArrayForEach(
	    field, where) if (!policy_match(request, field->string, field)) return field->string;
	return NULL;
}

static int denied(const char *name, const cJSON *entry, const ProtobufCMessage *request,
                  struct error *err)
{
	const cJSON *rule;

	cJSON_ArrayForEach(rule, entry)
	{
		const char *field = first_mismatch(rule, request);

		if (!field)
			return 0;
		error_set(err, EPERM, "%s is blocked by policy: rule \"%s\": %s does not match",
		          name, cJSON_GetObjectItemCaseSensitive(rule, "name")->valuestring, field);
	}
	return cJSON_GetArraySize(entry) > 0
	           ? -EPERM
	           : error_set(err, EPERM, "%s is blocked by policy: it has no rule", name);
}

int policy_check(const struct policy *p, const char *service, const ProtobufCMessage *request,
                 struct error *err)
{
	const char *name = request->descriptor->short_name;
	const cJSON *entry;

	if (!p || strcmp(service, "grpc.Health") == 0)
		return 0;
	if (!p->doc)
		return error_set(err, EPERM, "%s is blocked by policy: %s", name,
		                 p->reason ? p->reason : "nothing is allowed");
	entry = cJSON_GetObjectItemCaseSensitive(p->allow, name);
	if (cJSON_IsTrue(entry))
		return 0;
	if (!cJSON_IsArray(entry))
		return error_set(err, EPERM, "%s is blocked by policy: it is not in the list",
		                 name);
	return denied(name, entry, request, err);
}
