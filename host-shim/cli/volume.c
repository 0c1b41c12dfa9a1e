/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume: puts disks into the empty slots of a guest that runs, and takes them out again: the
 * guest's monitor gets the descriptor, its agent is told to look, or to let go.
 */
#include "host-shim/cli/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/cli/agent_dial.h"
#include "host-shim/cli/guest.h"
#include "host-shim/hypervisor/control.h"
#include "host-shim/hypervisor/shares.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/device.pb-c.h"

#define DIAL_TIMEOUT 3000u /* ms: an agent that listens answers at once */
#define CALL_TIMEOUT 20000u

struct volume_data {
	const char *id;
	bool readonly, pmem, force;
};

/* ---- the guest's monitor */

static struct control_request make_request(enum control_verb verb, const char *id)
{
	struct control_request req = {.version = CONTROL_VERSION, .verb = verb};

	snprintf(req.id, sizeof(req.id), "%s", id);
	return req;
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

static int call_agent(int fd, const char *method, const ProtobufCMessage *request,
                      struct rpc_reply *reply, struct error *err)
{
	uint32_t stream = 0;

	return rpc_call_wait_ok(fd, &stream, &kihon__devices__descriptor, method, request,
	                        CALL_TIMEOUT, reply, err);
}

/* "vdb pmem1" into fresh memory. */
static int probe(int agent, uint32_t slot, char **names, struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	Kihon__ProbeDevicesRequest req = KIHON__PROBE_DEVICES_REQUEST__INIT;
	const Kihon__ProbeDevicesResponse *m;
	int r;

	req.slot = slot;
	r = call_agent(agent, "Probe", &req.base, &reply, err);
	if (r < 0)
		return r;
	m = (const void *)reply.message;
	for (size_t i = 0; i < m->n_names; i++)
		/* A guest's word, for somebody's terminal. */
		if (!m->names[i][strspn(m->names[i], "abcdefghijklmnopqrstuvwxyz0123456789")])
			buffer_printf(&b, " %s", m->names[i]);
	*names = strdup(b.size ? buffer_cstr(&b) : "");
	return *names ? 0 : error_set(err, ENOMEM, "no memory for an answer");
}

static int release(int agent, uint32_t slot, struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	Kihon__ReleaseDevicesRequest req = KIHON__RELEASE_DEVICES_REQUEST__INIT;

	req.slot = slot;
	return call_agent(agent, "Release", &req.base, &reply, err);
}

/* ---- attach */

/* Whoever has it attached holds the lock, for as long as the guest's monitor has the descriptor. */
static int open_file(const char *path, bool readonly, struct error *err)
{
	_cleanup_close_ int fd =
	    open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is neither a file nor a block device", path);
	if (flock(fd, (readonly ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "%s is locked: another guest has it%s", path,
		                      readonly ? " to write to" : "");
	return steal_fd(&fd);
}

/* The file's name, as far as it may be an id. */
static void default_id(const char *path, char id[CONTROL_ID_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	size_t n = 0;

	for (const char *c = slash ? slash + 1 : path; *c && n < CONTROL_ID_MAX; c++) {
		const char one[] = {'x', *c, '\0'};

		id[n] = control_check_id(one, NULL) < 0 || (n == 0 && *c == '.') ? '_' : *c;
		n++;
	}
	id[n] = '\0';
}

/* The agent is not everybody's: a guest without one finds the disk by other means. */
static int tell_attached(const char *dir, const struct control_request *attached, uint32_t slot,
                         struct error *err)
{
	struct control_request back = make_request(CONTROL_DETACH, attached->id);
	_cleanup_close_ int agent = agent_dial(dir, DIAL_TIMEOUT, err);
	_cleanup_free_ char *names = NULL;
	int r;

	if (agent < 0) {
		error_clear(err);
		cli_say("%s is in slot %u; no agent answers in the guest, which is not told",
		        attached->id, slot);
		printf("%s\n", attached->id);
		return 0;
	}
	r = probe(agent, slot, &names, err);
	if (r < 0) {
		ask(dir, &back, -1, NULL, NULL);
		return error_prefix(err, r, "the guest's agent");
	}
	printf("%s%s\n", attached->id, names);
	return 0;
}

static int open_what(const struct volume_data *d, const char *dir, const char *path,
                     struct control_request *req, int *fd, struct error *err)
{
	struct stat st;
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	req->kind = folder ? CONTROL_FS : d->pmem ? CONTROL_PMEM : CONTROL_DISK;
	req->flags = d->readonly || d->pmem ? CONTROL_READONLY : 0;
	if (folder && req->flags)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%s is a folder, which is neither --read-only nor --pmem",
		                      path);
	if (folder)
		return share_leave(dir, path, fd, err);
	*fd = open_file(path, req->flags & CONTROL_READONLY, err);
	return *fd < 0 ? *fd : 0;
}

static int attach(const struct volume_data *d, const char *dir, const char *path, struct error *err)
{
	struct control_request req = make_request(CONTROL_ATTACH, "");
	_cleanup_close_ int fd = -1;
	uint32_t slot = 0;
	int r;

	if (d->id)
		snprintf(req.id, sizeof(req.id), "%s", d->id);
	else
		default_id(path, req.id);
	r = control_check_id(d->id ? d->id : req.id, err);
	if (r < 0)
		return r;
	r = open_what(d, dir, path, &req, &fd, err);
	if (r < 0)
		return r;
	r = ask(dir, &req, fd, &slot, err);
	return r < 0 ? r : tell_attached(dir, &req, slot, err);
}

/* ---- detach */

static int detach(const struct volume_data *d, const char *dir, const char *id, struct error *err)
{
	struct control_request req = make_request(CONTROL_FIND, id);
	_cleanup_close_ int agent = -1;
	uint32_t slot = 0;
	int r = control_check_id(id, err);

	if (r == 0)
		r = ask(dir, &req, -1, &slot, err);
	if (r < 0)
		return r;
	agent = agent_dial(dir, DIAL_TIMEOUT, NULL);
	r = agent >= 0 ? release(agent, slot, err) : 0;
	if (r < 0 && !d->force)
		return error_prefix(err, r, "the guest's agent");
	error_clear(err);
	req.verb = CONTROL_DETACH;
	req.flags = d->force ? CONTROL_FORCE : 0;
	return ask(dir, &req, -1, NULL, err);
}

static int list(const struct volume_data *d, const char *dir, const char *none, struct error *err)
{
	struct control_request req = make_request(CONTROL_LIST, "");
	struct control_answer answer;
	int r = control_ask(dir, &req, -1, &answer, err);

	if (r == 0)
		fputs(answer.text, stdout);
	return r;
}

/* ---- the verb */

static const struct {
	const char *name;
	int n_args; /* beside the guest's name */
	int (*run)(const struct volume_data *d, const char *dir, const char *what,
	           struct error *err);
	const char *usage;
} actions[] = {
    {"attach", 1, attach, "attach NAME FILE"},
    {"detach", 1, detach, "detach NAME ID"},
    {"ls", 0, list, "ls NAME"},
};

static int run_action(int argc, char **argv, const struct volume_data *d, struct error *err)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		_cleanup_free_ char *dir = NULL;
		int r;

		if (strcmp(argv[0], actions[i].name) != 0)
			continue;
		if (argc != actions[i].n_args + 2)
			return error_set_kind(err, ERROR_USAGE, EINVAL, "usage: kihon volume %s",
			                      actions[i].usage);
		r = runtime_dir_find(argv[1], &dir, err);
		return r < 0 ? r : actions[i].run(d, dir, argc > 2 ? argv[2] : NULL, err);
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "volume %s: there are attach, detach and ls", argv[0]);
}

static int run(int argc, char **argv, void *data)
{
	struct error err = ERROR_INIT;
	int r = run_action(argc, argv, data, &err);

	return r < 0 ? cli_fail(&err) : 0;
}

#define AT(m) offsetof(struct volume_data, m)

static const struct option options[] = {
    {"id", 0, OPTION_STRING, AT(id), "ID", NULL,
     "what to call the volume, and the disk's serial number in the guest: up to 20\n"
     "letters, digits, '-', '_' and '.' (default: from the file's name)"},
    {"read-only", 'r', OPTION_FLAG, AT(readonly), NULL, NULL, "the guest may only read it"},
    {"pmem", 0, OPTION_FLAG, AT(pmem), NULL, NULL,
     "as persistent memory, read-only, mapped without a copy (DAX)"},
    {"force", 'f', OPTION_FLAG, AT(force), NULL, NULL,
     "detach what the guest uses: whoever waits for it there waits for ever"},
    {0},
};

const struct verb volume_verb = {
    .name = "volume",
    .args = "attach NAME FILE | detach NAME ID | ls NAME",
    .summary = "give a guest that runs a disk or a folder, or take it away",
    .details =
        "NAME is the id of a guest of the built-in monitor: the name of its folder below\n"
        "$XDG_RUNTIME_DIR/kihon or /run/kihon. A volume takes one of the guest's empty slots\n"
        "(--slots of 'kihon boot' and 'kihon run'). FILE is an image or a block device, which\n"
        "is locked while it is attached (flock(2)); or a folder, served by virtiofsd(1), for a\n"
        "guest that was started with --shared-memory: it is mounted there by its id, as\n"
        "'mount -t virtiofs ID /mnt', and goes although it is mounted.\n"
        "\n"
        "attach prints the volume's id and the names that the guest's kernel gave the disk and\n"
        "its partitions. Nothing is mounted: the disk is there, as /dev/vdb, for whoever asks\n"
        "the agent to use it. Where no agent answers, the guest is not told; see docs/vmm.md.\n"
        "detach has the agent let go first, which refuses while the disk is mounted.\n"
        "\n"
        "Exit status: 0; 125 when it could not be done; 2 for a wrong command line.\n",
    .options = options,
    .min_args = 2,
    .max_args = 3,
    .run = run,
    .data_size = sizeof(struct volume_data),
};
