/* SPDX-License-Identifier: Apache-2.0 */
/* device_calls: kihon.Devices, what is put into a guest's slots and taken out while it runs. */
#include <errno.h>
#include <string.h>

#include "guest/agent/device/mmio_slots.h"
#include "guest/agent/rpc/answer_by_helper.h"
#include "guest/agent/rpc/handlers.h"
#include "lib/base/bytes.h"
#include "lib/rpc/proto/device.pb-c.h"

/* The kernel reads a new disk's partitions, and waits for what is under way on an old one. */
#define SLOT_MS   30000u
#define NAMES_MAX 16u

static int fill_slot(const ProtobufCMessage *request, void *out, struct error *err)
{
	const Kihon__ProbeDevicesRequest *req = (const void *)request;
	_cleanup_buffer_ struct buffer names = BUFFER_INIT;
	int r = mmio_slots_fill("/sys", "/dev", req->slot, &names, err);

	if (r == 0 && names.size >= HELPER_OUT_MAX)
		r = error_set(err, E2BIG, "slot %u: too many disks", req->slot);
	if (r == 0 && names.size > 0)
		memcpy(out, names.data, names.size);
	return r;
}

static void answer_names(struct rpc_call *call, const void *out)
{
	Kihon__ProbeDevicesResponse m = KIHON__PROBE_DEVICES_RESPONSE__INIT;
	char text[HELPER_OUT_MAX], *names[NAMES_MAX], *save = NULL;

	memcpy(text, out, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (char *n = strtok_r(text, "\n", &save); n && m.n_names < NAMES_MAX;
	     n = strtok_r(NULL, "\n", &save))
		names[m.n_names++] = n;
	m.names = names;
	rpc_call_reply(call, &m.base);
}

void rpc_probe_devices(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, fill_slot, answer_names, SLOT_MS);
}

static int clear_slot(const ProtobufCMessage *request, void *out, struct error *err)
{
	const Kihon__ReleaseDevicesRequest *req = (const void *)request;

	return mmio_slots_clear("/sys", "/dev", req->slot, err);
}

void rpc_release_devices(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, clear_slot, NULL, SLOT_MS);
}
