/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-agent-request: the first byte chooses a method, the rest is its request: decoded in bounded
 * memory, held against a policy, and, where it carries a specification, taken as far as the
 * engine's validation. The puller's JSON comes in as method 255, those of traces and of devices
 * just below.
 */
#include <stdio.h>
#include <stdlib.h>

#include "guest/agent/image/pause.h"
#include "guest/agent/image/puller.h"
#include "guest/agent/policy.h"
#include "guest/agent/rpc/container_spec.h"
#include "guest/agent/rpc/spec_from_proto.h"
#include "guest/agent/storage/layer_group.h"
#include "guest/agent/storage/storage_driver.h"
#include "guest/agent/storage/storage_options.h"
#include "lib/base/json.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/device.pb-c.h"
#include "lib/rpc/proto/trace.pb-c.h"
#include "lib/rpc/ttrpc.h"

#define IMAGE_INFO   255u
#define FIRST_TRACE  252u
#define FIRST_DEVICE 250u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written as config.json is JSON, whatever strings there are. */
static void write_spec(const struct oci_spec *spec)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;

	if (oci_spec_format(spec, &text, NULL) == 0 &&
	    json_parse(buffer_cstr(&text), text.size, SIZE_MAX / 2, "it", &doc, NULL) < 0)
		abort();
}

static void use_spec(const Grpc__Spec *in)
{
	static const struct pci_name name = {"0000:00:01.0", "0000:00:02.0"};
	static const struct image_info image = {
	    .manifest_digest = "", .working_dir = "", .user = ""};
	struct sandbox sandbox = {.pidns_fd = -1, .has_namespaces = true};
	struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;

	if (spec_from_proto(in, &spec, &err) < 0) {
		if (err.code == 0 || !err.text[0])
			abort(); /* an error says what it is */
		return;
	}
	if (container_spec_namespaces(spec, &sandbox, false, &err) == 0 &&
	    container_spec_device(spec, "/dev/x", NULL, 0x1234, 'b', &err) == 0 &&
	    container_spec_device(spec, "/dev/y", "/dev/vfio/1", 0x1234, 'c', &err) == 0 &&
	    container_spec_pci_names(spec, &name, 1, &err) == 0 &&
	    container_spec_image_defaults(spec, &image, &err) == 0)
		oci_spec_validate(spec, &err);
	write_spec(spec);
	oci_spec_free(spec);
}

/* Split a second time the words stay as they are. */
static void split_options(Grpc__Storage *const *list, size_t n)
{
	struct arena arena = arena_init(RPC_ARENA_LIMIT);

	for (size_t i = 0; i < n; i++) {
		if (storage_options_split(&list[i], 1, &arena, NULL) < 0)
			continue;
		size_t words = list[i]->n_options;

		for (size_t j = 0; j < words; j++)
			if (!list[i]->options[j])
				abort();
		if (storage_options_split(&list[i], 1, &arena, NULL) == 0 &&
		    list[i]->n_options != words)
			abort();
	}
	/* What points into the arena goes with it. */
	for (size_t i = 0; i < n; i++)
		list[i]->n_options = 0;
	arena_free(&arena);
}

/* Storages as far as they go without devices. */
static void use_storages(Grpc__Storage *const *list, size_t n)
{
	struct layer_group *g = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct storage_driver *d = storage_driver_find(list[i]->driver);
		const struct uevent_matcher *matcher = NULL;
		struct device_key key = {0};

		if (d && d->device)
			d->device(list[i], &key, &matcher, NULL);
		pause_wanted(list[i]);
	}
	if (layer_group_new(list, n, "c1", 0, &g, NULL) == 0 &&
	    (g->n_lower == 0 || g->n_lower > LAYER_GROUP_MAX || g->n != g->n_lower + g->has_upper))
		abort();
	layer_group_free(g);
	split_options(list, n);
}

static void use_create(const Grpc__CreateContainerRequest *req)
{
	use_spec(req->oci);
	use_storages(req->storages, req->n_storages);
}

/* Every field of every message can be named; a refusal says what it is. */
static void use_policy(const ProtobufCMessage *m)
{
	static const char rules[] =
	    "{\"schema\": 1, \"allow\": {"
	    "\"CreateContainerRequest\": [{\"name\": \"a\", \"where\": {"
	    "\"OCI/Process/Args\": [\"x\"], \"storages/*/source\": {\"prefix\": \"y\"},"
	    "\"OCI/Annotations/k\": \"v\", \"OCI/Linux/Resources/CPU/Shares\": 7}}],"
	    "\"ExecProcessRequest\": [{\"name\": \"b\", \"where\": {\"process/User/UID\": 0}}],"
	    "\"CopyFileRequest\": [{\"name\": \"c\", \"where\": {\"path\": {\"prefix\": \"/\"}}}],"
	    "\"UpdateRoutesRequest\": [{\"name\": \"d\","
	    " \"where\": {\"routes/Routes/*/dest\": {\"absent\": true}}}],"
	    "\"WaitProcessRequest\": true}}";
	static struct policy *policy;
	struct error err = ERROR_INIT;

	if (!policy && policy_parse(rules, sizeof(rules) - 1, &policy, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	if (policy_check(policy, "grpc.AgentService", m, &err) < 0 && !err.text[0])
		abort();
}

static void use_request(const ProtobufCMessage *m)
{
	struct oci_spec *spec = NULL;

	use_policy(m);
	if (m->descriptor == &grpc__create_container_request__descriptor)
		use_create((const Grpc__CreateContainerRequest *)m);
	else if (m->descriptor == &grpc__exec_process_request__descriptor &&
	         spec_from_process(((const Grpc__ExecProcessRequest *)m)->process, &spec, NULL) ==
	             0)
		oci_process_validate(spec->process, NULL);
	else if (m->descriptor == &grpc__update_container_request__descriptor)
		spec_from_resources(((const Grpc__UpdateContainerRequest *)m)->resources, &spec,
		                    NULL);
	oci_spec_free(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	struct image_info info;
	ProtobufCMessage *m;

	if (size == 0)
		return 0;
	if (data[0] >= FIRST_TRACE)
		service = &kihon__trace__descriptor;
	else if (data[0] >= FIRST_DEVICE)
		service = &kihon__devices__descriptor;
	if (data[0] == IMAGE_INFO) {
		image_info_parse((const char *)data + 1, size - 1, &arena, &info, NULL);
	} else {
		m = rpc_unpack(service->methods[data[0] % service->n_methods].input, &arena,
		               data + 1, size - 1);
		if (m)
			use_request(m);
	}
	arena_free(&arena);
	return 0;
}
