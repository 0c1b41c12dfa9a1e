/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what a list allows, what it denies and says, what is no list. */
#include "guest/agent/policy.h"

#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/health.pb-c.h"
#include "lib/rpc/proto/trace.pb-c.h"
#include "tests/unit/check.h"

#define AGENT "grpc.AgentService"

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	struct error err = ERROR_INIT;

	if (policy_parse(text, strlen(text), &p, &err) < 0)
		check_fail(__FILE__, __LINE__, "%s", err.text);
	return p;
}

static void refuse(const char *text, const char *says)
{
	struct policy *p = NULL;
	struct error err = ERROR_INIT;

	check_int(policy_parse(text, strlen(text), &p, &err), -EINVAL);
	if (!strstr(err.text, says))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, says);
}

/* A CreateContainerRequest with something of everything. */
struct request {
	Grpc__CreateContainerRequest m;
	Grpc__Spec spec;
	Grpc__Process process;
	Grpc__User user;
	Grpc__Storage storage[2], *storages[2];
	Grpc__Spec__AnnotationsEntry note, *notes[1];
	char *args[2];
	uint32_t gids[2];
};

static void make(struct request *r)
{
	memset(r, 0, sizeof(*r));
	r->m = (Grpc__CreateContainerRequest)GRPC__CREATE_CONTAINER_REQUEST__INIT;
	r->spec = (Grpc__Spec)GRPC__SPEC__INIT;
	r->process = (Grpc__Process)GRPC__PROCESS__INIT;
	r->user = (Grpc__User)GRPC__USER__INIT;
	r->note = (Grpc__Spec__AnnotationsEntry)GRPC__SPEC__ANNOTATIONS_ENTRY__INIT;
	r->m.container_id = (char *)"web";
	r->m.oci = &r->spec;
	r->spec.process = &r->process;
	r->process.user = &r->user;
	r->process.oomscoreadj = -5;
	r->process.nonewprivileges = true;
	r->user.uid = 1000;
	r->gids[0] = 10;
	r->gids[1] = 20;
	r->user.additionalgids = r->gids;
	r->user.n_additionalgids = 2;
	r->args[0] = (char *)"/bin/web";
	r->args[1] = (char *)"--port=80";
	r->process.args = r->args;
	r->process.n_args = 2;
	for (int i = 0; i < 2; i++) {
		r->storage[i] = (Grpc__Storage)GRPC__STORAGE__INIT;
		r->storage[i].driver = (char *)(i ? "ephemeral" : "image_guest_pull");
		r->storage[i].source = (char *)(i ? "tmpfs" : "registry.example/web@sha256:1");
		r->storages[i] = &r->storage[i];
	}
	r->m.storages = r->storages;
	r->m.n_storages = 2;
	r->note.key = (char *)"io.example/level";
	r->note.value = (char *)"3";
	r->notes[0] = &r->note;
	r->spec.annotations = r->notes;
	r->spec.n_annotations = 1;
}

/* Does a rule with this one condition hold? */
static bool holds(const char *condition)
{
	char text[512];
	struct request r;
	struct policy *p;
	bool ok;

	make(&r);
	snprintf(text, sizeof(text),
	         "{\"schema\":1,\"allow\":{\"CreateContainerRequest\":[{\"name\":\"r\",\"where\":{%"
	         "s}}]}}",
	         condition);
	p = parse(text);
	ok = policy_check(p, AGENT, &r.m.base, NULL) == 0;
	policy_free(p);
	return ok;
}

TEST(fields)
{
	check(holds("\"container_id\": \"web\""));
	check(!holds("\"container_id\": \"we\""));
	check(!holds("\"container_id\": 3"));
	check(holds("\"OCI/Process/User/UID\": 1000"));
	check(!holds("\"OCI/Process/User/UID\": 0"));
	check(holds("\"OCI/Process/OOMScoreAdj\": -5"));
	check(holds("\"OCI/Process/NoNewPrivileges\": true"));
	check(!holds("\"OCI/Process/NoNewPrivileges\": false"));
	check(holds("\"OCI/Process/Terminal\": false"));
	check(holds(""));
}

TEST(lists)
{
	check(holds("\"OCI/Process/Args\": [\"/bin/web\", \"--port=80\"]"));
	check(!holds("\"OCI/Process/Args\": [\"/bin/web\"]"));
	check(!holds("\"OCI/Process/Args\": [\"--port=80\", \"/bin/web\"]"));
	check(holds("\"OCI/Process/Args/0\": \"/bin/web\""));
	check(!holds("\"OCI/Process/Args/2\": \"/bin/web\""));
	check(holds("\"OCI/Process/Args/2\": {\"absent\": true}"));
	check(holds("\"OCI/Process/Args\": {\"max\": 2}"));
	check(!holds("\"OCI/Process/Args\": {\"max\": 1}"));
	check(
	    holds("\"OCI/Process/Args\": {\"one_of\": [[\"a\"], [\"/bin/web\", \"--port=80\"]]}"));
	check(holds("\"OCI/Process/User/AdditionalGids\": [10, 20]"));
	check(!holds("\"OCI/Process/User/AdditionalGids\": [10, 21]"));
	check(holds("\"storages/0/source\": {\"prefix\": \"registry.example/\"}"));
	check(!holds("\"storages/*/source\": {\"prefix\": \"registry.example/\"}"));
	check(holds("\"storages/*/driver\": {\"one_of\": [\"ephemeral\", \"image_guest_pull\"]}"));
	check(holds("\"devices\": {\"absent\": true}"));
	check(!holds("\"storages\": {\"absent\": true}"));
	check(holds("\"devices/*/type\": \"blk\"")); /* of none, all are */
}

TEST(maps_and_absence)
{
	check(holds("\"OCI/Annotations/io.example\": {\"absent\": true}"));
	check(!holds("\"OCI/Hooks/Prestart\": [\"x\"]"));
	check(holds("\"OCI/Hooks/Prestart\": {\"absent\": true}"));
	check(holds("\"OCI/Hooks\": {\"absent\": true}"));
	check(!holds("\"OCI/Process\": {\"absent\": true}"));
	check(holds("\"OCI/Process/User\": {\"any\": true}"));
	check(!holds("\"OCI/Process/User\": \"root\""));
	check(holds("\"OCI/Process/Rlimits/0/Hard\": {\"absent\": true}"));
}

TEST(map_keys)
{
	struct request r;
	struct policy *p =
	    parse("{\"schema\":1,\"allow\":{\"CreateContainerRequest\":[{\"name\":\"r\","
	          "\"where\":{\"OCI/Annotations/level\":\"3\"}}]}}");

	make(&r);
	r.note.key = (char *)"level";
	check_int(policy_check(p, AGENT, &r.m.base, NULL), 0);
	r.note.value = (char *)"4";
	check_int(policy_check(p, AGENT, &r.m.base, NULL), -EPERM);
	policy_free(p);
}

TEST(entries_and_what_is_said)
{
	struct policy *p = parse(
	    "{\"schema\":1,\"allow\":{\"ReadStreamRequest\":true,\"ExecProcessRequest\":"
	    "false,\"CreateContainerRequest\":[{\"name\":\"small\",\"where\":{\"container_id\":"
	    "\"x\"}},{\"name\":\"web only\",\"where\":{\"OCI/Process/Args/0\":\"/bin/sh\"}}],"
	    "\"SetPolicyRequest\":[]}}");
	Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
	Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__SetPolicyRequest set = GRPC__SET_POLICY_REQUEST__INIT;
	Grpc__CheckRequest health = GRPC__CHECK_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct request r;

	make(&r);
	check_int(policy_check(p, AGENT, &read.base, &err), 0);
	check_int(policy_check(p, AGENT, &exec.base, &err), -EPERM);
	check_int(policy_check(p, AGENT, &start.base, &err), -EPERM);
	check_str(err.text, "StartContainerRequest is blocked by policy: it is not in the list");
	check_int(policy_check(p, AGENT, &set.base, &err), -EPERM);
	check_int(policy_check(p, "grpc.Health", &health.base, &err), 0);
	check_int(policy_check(p, AGENT, &r.m.base, &err), -EPERM);
	check_str(err.text, "CreateContainerRequest is blocked by policy: rule \"web only\": "
	                    "OCI/Process/Args/0 does not match");
	policy_free(p);
	check_int(policy_check(NULL, AGENT, &start.base, &err), 0);
	p = policy_deny_all("because");
	check_int(policy_check(p, AGENT, &read.base, &err), -EPERM);
	check_str(err.text, "ReadStreamRequest is blocked by policy: because");
	check_int(policy_check(p, "grpc.Health", &health.base, &err), 0);
	policy_free(p);
}

TEST(no_policy)
{
	refuse("package agent_policy\ndefault AllowRequestsFailingPolicy := false\n", "Rego");
	refuse("# a comment\n\npackage agent_policy\n", "Rego");
	refuse("", "JSON");
	refuse("{", "JSON");
	refuse("[]", "");
	refuse("{\"schema\":2,\"allow\":{}}", "schema");
	refuse("{\"allow\":{}}", "schema");
	refuse("{\"schema\":1}", "schema");
	refuse("{\"schema\":1,\"allow\":{},\"deny\":{}}", "nothing else");
	refuse("{\"schema\":1,\"allow\":{\"NoSuchRequest\":true}}", "NoSuchRequest");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":1}}", "ReadStreamRequest");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"where\":{}}]}}", "name");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"name\":\"x\",\"where\":{"
	       "\"nofield\":1}}]}}",
	       "nofield");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"name\":\"x\",\"where\":{\"len/"
	       "x\":1}}]}}",
	       "len/x");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"name\":\"x\",\"where\":{\"len\":"
	       "null}}]}}",
	       "expected");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"name\":\"x\",\"where\":{\"len\":"
	       "{\"min\":1}}}]}}",
	       "expected");
	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":[{\"name\":\"x\",\"where\":{\"len\":"
	       "{}}}]}}",
	       "expected");
}

/* A rule about CreateContainer with this condition is no rule. */
static void refuse_condition(const char *condition, const char *says)
{
	char text[1024];

	snprintf(text, sizeof(text),
	         "{\"schema\":1,\"allow\":{\"CreateContainerRequest\":[{\"name\":\"r\",\"where\":{%"
	         "s}}]}}",
	         condition);
	refuse(text, says);
}

TEST(what_could_be_read_in_two_ways_is_refused)
{
	char key[400] = "\"OCI/Annotations/";

	refuse("{\"schema\":1,\"allow\":{\"ReadStreamRequest\":false,\"ReadStreamRequest\":true}}",
	       "twice");
	refuse("{\"schema\":1,\"allow\":{},\"allow\":{\"ReadStreamRequest\":true}}",
	       "nothing else");
	refuse("{\"schema\":1,\"allow\":{}}{}", "behind its end");
	refuse("{\"schema\":1,\"allow\":{\"readstreamrequest\":true}}", "there is no request");
	refuse_condition("\"container_id\":\"a\",\"container_id\":\"b\"", "twice");
	refuse_condition("\"container_id\":\"a\\u0000b\"", "NUL");
	refuse_condition("\"OCI/Process/User/UID\":9007199254740993", "2^53");
	refuse_condition("\"OCI/Process/Args\":{\"max\":1e300}", "2^53");
	refuse_condition("\"OCI/Process/User/AdditionalGids\":[1,-9007199254740993]", "2^53");
	refuse_condition("\"OCI/Process/Args\":[{\"prefix\":\"/bin/\"}]", "expected");
	refuse_condition("\"OCI/Process/Args\":[null]", "expected");
	refuse_condition("\"container_id\":{\"one_of\":[{\"prefix\":\"w\"}]}", "expected");
	refuse_condition("\"container_id\":{\"prefix\":\"w\",\"max\":1}", "expected");
	refuse_condition("\"container_id\":{\"absent\":false}", "expected");
	refuse_condition("\"storages/first/source\":\"x\"", "there is no field");
	refuse_condition("\"storages/-1/source\":\"x\"", "there is no field");
	refuse_condition("\"storages//source\":\"x\"", "there is no field");
	refuse_condition("\"\":1", "there is no field");
	refuse_condition("\"OCI/\":1", "there is no field");
	refuse_condition("\"container_id/x\":\"web\"", "there is no field");
	memset(key + strlen(key), 'k', 300);
	strcat(key, "\":\"3\"");
	refuse_condition(key, "there is no field");
}

TEST(keys_with_slashes)
{
	check(holds("\"OCI/Annotations/io.example~1level\": \"3\""));
	check(!holds("\"OCI/Annotations/io.example~1level\": \"4\""));
	check(!holds("\"OCI/Annotations/io.example~0level\": \"3\""));
}

/* A path that leaves what it begins with is not below it. */
TEST(prefixes_of_paths)
{
	struct policy *p = parse("{\"schema\":1,\"allow\":{\"CopyFileRequest\":[{\"name\":\"r\","
	                         "\"where\":{\"path\":{\"prefix\":\"/run/shared/\"}}}]}}");
	static const struct {
		const char *path;
		int result;
	} cases[] = {
	    {"/run/shared/a", 0},         {"/run/shared/..a/b..", 0},
	    {"/run/shared/", 0},          {"/run/shared", -EPERM},
	    {"/run/sharedx", -EPERM},     {"/run/shared/../etc/x", -EPERM},
	    {"/run/shared/..", -EPERM},   {"/run/shared/a/../../../etc", -EPERM},
	    {"/run/shared/a/..", -EPERM}, {"", -EPERM},
	};
	Grpc__CopyFileRequest copy = GRPC__COPY_FILE_REQUEST__INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		copy.path = (char *)cases[i].path;
		check_int(policy_check(p, AGENT, &copy.base, NULL), cases[i].result);
	}
	policy_free(p);
}

TEST(traces_are_asked_about_too)
{
	Kihon__StartTraceRequest start = KIHON__START_TRACE_REQUEST__INIT;
	Kihon__ReadTraceRequest read = KIHON__READ_TRACE_REQUEST__INIT;
	struct policy *p = parse("{\"schema\":1,\"allow\":{\"ReadTraceRequest\":true,"
	                         "\"StartTraceRequest\":[{\"name\":\"execs of web\",\"where\":{"
	                         "\"container_id\":\"web\",\"kinds\":[\"exec\"]}}]}}");
	char *kinds[] = {(char *)"exec", (char *)"open"};
	struct error err = ERROR_INIT;

	start.container_id = (char *)"web";
	start.kinds = kinds;
	start.n_kinds = 1;
	check_int(policy_check(p, "kihon.Trace", &start.base, &err), 0);
	check_int(policy_check(p, "kihon.Trace", &read.base, &err), 0);
	start.n_kinds = 2;
	check_int(policy_check(p, "kihon.Trace", &start.base, &err), -EPERM);
	check_str(err.text, "StartTraceRequest is blocked by policy: rule \"execs of web\": kinds "
	                    "does not match");
	policy_free(p);
	p = parse("{\"schema\":1,\"allow\":{}}");
	check_int(policy_check(p, "kihon.Trace", &read.base, &err), -EPERM);
	check_str(err.text, "ReadTraceRequest is blocked by policy: it is not in the list");
	policy_free(p);
	refuse("{\"schema\":1,\"allow\":{\"StartTraceRequest\":[{\"name\":\"x\",\"where\":{"
	       "\"container\":\"web\"}}]}}",
	       "container");
}

TEST_MAIN()
