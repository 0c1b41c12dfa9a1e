/* SPDX-License-Identifier: Apache-2.0 */
/* plug: puts devices into the empty slots of a guest that runs, and takes them out again. */
#include "host-shim/cli/plug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/cli/agent_dial.h"
#include "host-shim/cli/guest.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/device.pb-c.h"

#define DIAL_TIMEOUT 3000u /* ms: an agent that listens answers at once */
#define CALL_TIMEOUT 20000u

/* ---- the guest's monitor */

static struct control_request make_request(enum control_verb verb, const char *id)
{
	struct control_request req = {.version = CONTROL_VERSION, .verb = verb};

	snprintf(req.id, sizeof(req.id), "%s", id);
	return req;
}

/* The name after the last slash, as far as it may be an id. */
static void default_id(const char *name, char id[CONTROL_ID_MAX + 1])
{
	const char *slash = strrchr(name, '/');
	size_t n = 0;

	for (const char *c = slash ? slash + 1 : name; *c && n < CONTROL_ID_MAX; c++) {
		const char one[] = {'x', *c, '\0'};

		id[n] = control_check_id(one, NULL) < 0 || (n == 0 && *c == '.') ? '_' : *c;
		n++;
	}
	id[n] = '\0';
}

int plug_request(struct control_request *req, const char *id, const char *name, struct error *err)
{
	char made[CONTROL_ID_MAX + 1];

	if (!id)
		default_id(name, made);
	*req = make_request(CONTROL_ATTACH, id ? id : made);
	return control_check_id(id ? id : made, err);
}

static int ask(const char *dir, const struct control_request *req, int fd, uint32_t *slot,
               struct error *err)
{
	struct control_answer answer;
	int r = control_ask(dir, req, fd, &answer, err);

	if (r == 0 && slot)
		*slot = (uint32_t)answer.value;
	return r;
}

/* ---- the guest's agent */

int plug_call(int agent, const ProtobufCServiceDescriptor *service, const char *method,
              const ProtobufCMessage *request, struct rpc_reply *reply, struct error *err)
{
	uint32_t stream = 0;

	return rpc_call_wait_ok(agent, &stream, service, method, request, CALL_TIMEOUT, reply, err);
}

static int probe(int agent, uint32_t slot, struct strv *names, struct error *err)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	Kihon__ProbeDevicesRequest req = KIHON__PROBE_DEVICES_REQUEST__INIT;
	const Kihon__ProbeDevicesResponse *m;
	int r, bad = 0;

	req.slot = slot;
	r = plug_call(agent, &kihon__devices__descriptor, "Probe", &req.base, &reply, err);
	if (r < 0)
		return r;
	m = (const void *)reply.message;
	for (size_t i = 0; i < m->n_names; i++)
		/* A guest's word, for somebody's terminal. */
		if (!m->names[i][strspn(m->names[i], good)])
			bad |= strv_add(names, m->names[i]) < 0;
	return bad ? error_set(err, ENOMEM, "no memory for an answer") : 0;
}

static int release(int agent, uint32_t slot, struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	Kihon__ReleaseDevicesRequest req = KIHON__RELEASE_DEVICES_REQUEST__INIT;

	req.slot = slot;
	return plug_call(agent, &kihon__devices__descriptor, "Release", &req.base, &reply, err);
}

/* ---- attach */

static int tell(int agent, uint32_t slot, const char *id, plug_told_fn told, void *data,
                struct error *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	int r = probe(agent, slot, &names, err);

	if (r == 0 && told)
		r = told(agent, names.v, names.n, data, err);
	if (r < 0)
		return error_prefix(err, r, "the guest's agent");
	printf("%s", id);
	for (size_t i = 0; i < names.n; i++)
		printf(" %s", names.v[i]);
	printf("\n");
	return 0;
}

/* Whether the guest's driver has let go or not. */
static void take_back(const char *dir, int agent, uint32_t slot, const struct control_request *req)
{
	struct control_request back = make_request(CONTROL_DETACH, req->id);

	release(agent, slot, NULL);
	back.flags = CONTROL_FORCE;
	if (req->kind == CONTROL_USER || req->kind == CONTROL_TAP)
		back.flags |= CONTROL_NETWORKS;
	ask(dir, &back, -1, NULL, NULL);
}

int plug_attach(const char *dir, const struct control_request *req, int fd, plug_told_fn told,
                void *data, struct error *err)
{
	_cleanup_close_ int agent = -1;
	uint32_t slot = 0;
	int r = ask(dir, req, fd, &slot, err);

	if (r < 0)
		return r;
	agent = agent_dial(dir, DIAL_TIMEOUT, NULL);
	if (agent < 0) {
		cli_say("%s is in slot %u; no agent answers in the guest, which is not told",
		        req->id, slot);
		printf("%s\n", req->id);
		return 0;
	}
	r = tell(agent, slot, req->id, told, data, err);
	if (r < 0)
		take_back(dir, agent, slot, req);
	return r;
}

/* ---- detach, list */

static int detach(const char *dir, const char *id, const struct plug_class *c, bool force,
                  struct error *err)
{
	struct control_request req = make_request(CONTROL_FIND, id);
	_cleanup_close_ int agent = -1;
	uint32_t slot = 0;
	int r = control_check_id(id, err);

	req.flags = c->flags;
	if (r == 0)
		r = ask(dir, &req, -1, &slot, err);
	if (r < 0)
		return r;
	agent = agent_dial(dir, DIAL_TIMEOUT, NULL);
	r = agent >= 0 ? release(agent, slot, err) : 0;
	if (r < 0 && !force)
		return error_prefix(err, r, "the guest's agent");
	error_clear(err);
	req.verb = CONTROL_DETACH;
	req.flags |= force ? CONTROL_FORCE : 0;
	return ask(dir, &req, -1, NULL, err);
}

static int list(const char *dir, const struct plug_class *c, struct error *err)
{
	struct control_request req = make_request(CONTROL_LIST, "");
	struct control_answer answer;
	int r;

	req.flags = c->flags;
	r = control_ask(dir, &req, -1, &answer, err);
	if (r == 0)
		fputs(answer.text, stdout);
	return r;
}

/* ---- the verb */

enum { ATTACH, DETACH, LIST };

static int parse_action(int argc, char **argv, const struct plug_class *c, struct error *err)
{
	const struct {
		const char *name, *usage;
		int n_args;
	} actions[] = {
	    [ATTACH] = {"attach", c->attach_usage, 2 + c->attach_what},
	    [DETACH] = {"detach", "detach NAME ID", 3},
	    [LIST] = {"ls", "ls NAME", 2},
	};

	for (int i = 0; i < (int)(sizeof(actions) / sizeof(actions[0])); i++) {
		if (strcmp(argv[0], actions[i].name) != 0)
			continue;
		if (argc != actions[i].n_args)
			return error_set_kind(err, ERROR_USAGE, EINVAL, "usage: kihon %s %s",
			                      c->verb, actions[i].usage);
		return i;
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL, "%s %s: there are attach, detach and ls",
	                      c->verb, argv[0]);
}

static int run_action(int argc, char **argv, const struct plug_class *c, bool force,
                      const void *data, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	int action = parse_action(argc, argv, c, err);
	int r = action < 0 ? action : runtime_dir_find(argv[1], &dir, err);

	if (r < 0)
		return r;
	if (action == ATTACH)
		return c->attach(data, dir, c->attach_what ? argv[2] : NULL, err);
	return action == DETACH ? detach(dir, argv[2], c, force, err) : list(dir, c, err);
}

int plug_run(int argc, char **argv, const struct plug_class *c, bool force, const void *data)
{
	struct error err = ERROR_INIT;
	int r = run_action(argc, argv, c, force, data, &err);

	return r < 0 ? cli_fail(&err) : 0;
}
