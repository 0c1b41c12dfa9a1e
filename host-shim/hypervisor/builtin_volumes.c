/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_volumes: devices that are put into a guest's empty slots while it runs. */
#include "host-shim/hypervisor/builtin_volumes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/net.h"
#include "host-shim/vmm/devices/pmem.h"

struct volume {
	char id[CONTROL_ID_MAX + 1];
	enum control_kind kind;
	bool readonly;
	struct guest_net net; /* of a network */
	unsigned int slot;
	int fd; /* -1: the device has it */
	struct virtio_device *dev;
	struct pmem_backing backing;
	uint64_t gpa;
};

struct builtin_volumes {
	struct monitor *m;
	struct volume v[VM_DEVICES_MAX];
	unsigned int n;
};

int builtin_volumes_new(struct builtin_volumes **out, struct monitor *m, struct error *err)
{
	struct builtin_volumes *vs = calloc(1, sizeof(*vs));

	if (!vs)
		return error_set(err, ENOMEM, "no memory for volumes");
	vs->m = m;
	*out = vs;
	return 0;
}

static bool is_network(const struct volume *v)
{
	return v->kind == CONTROL_USER || v->kind == CONTROL_TAP;
}

static struct volume *find_id(struct builtin_volumes *vs, const char *id)
{
	for (unsigned int i = 0; i < vs->n; i++)
		if (strcmp(vs->v[i].id, id) == 0)
			return &vs->v[i];
	return NULL;
}

/* Of the class that is asked for. */
static struct volume *find(struct builtin_volumes *vs, const struct control_request *req,
                           struct error *err)
{
	bool networks = req->flags & CONTROL_NETWORKS;
	struct volume *v = find_id(vs, req->id);

	if (v && is_network(v) == networks)
		return v;
	error_set_kind(err, ERROR_USAGE, ENOENT, "the guest has no %s '%.*s'",
	               networks ? "network" : "volume", CONTROL_ID_MAX, req->id);
	return NULL;
}

/* All user networks are one: the same addresses, the same host. */
static bool has_user_network(const struct builtin_volumes *vs)
{
	for (unsigned int i = 0; i < vs->n; i++)
		if (vs->v[i].kind == CONTROL_USER)
			return true;
	return vs->m->config->net.kind == GUEST_NET_USER;
}

/* ---- the kinds */

static int make_disk(struct monitor *m, struct volume *v, struct error *err)
{
	const struct blk_config c = {.fd = v->fd, .readonly = v->readonly, .serial = v->id};

	return blk_device_new(&v->dev, m->loop, m->pool, &c, err);
}

static int make_pmem(struct monitor *m, struct volume *v, struct error *err)
{
	struct pmem_config c = {.fd = v->fd, .readonly = true};
	int r = pmem_backing_map(&v->backing, v->fd, true, err);

	v->readonly = true;
	if (r < 0)
		return r;
	c.size = v->backing.size;
	r = vm_add_memory(m->vm, v->backing.host, c.size, true, &v->gpa, err);
	c.gpa = v->gpa;
	return r < 0 ? r : pmem_device_new(&v->dev, m->loop, m->pool, &c, err);
}

static int make_fs(struct monitor *m, struct volume *v, struct error *err)
{
	int r;

	if (!builtin_memory_is_shared(m->config))
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "the guest's memory is not shared, as folders want it: start "
		                      "it with --shared-memory or --share");
	r = builtin_fs_new(&v->dev, m, v->fd, v->id, err);
	if (r == 0)
		v->fd = -1;
	return r;
}

static int make_net(struct monitor *m, struct volume *v, struct error *err)
{
	return builtin_net_new(&v->dev, m, &v->net, v->fd, err);
}

static int (*const makers[CONTROL_KINDS])(struct monitor *m, struct volume *v,
                                          struct error *err) = {
    [CONTROL_DISK] = make_disk, [CONTROL_PMEM] = make_pmem, [CONTROL_FS] = make_fs,
    [CONTROL_USER] = make_net,  [CONTROL_TAP] = make_net,
};

/* What is not in a slot any more, or never was. */
static void clear(struct monitor *m, struct volume *v)
{
	virtio_device_free(v->dev);
	/* Memory that KVM does not let go of stays. */
	if (!v->gpa || vm_remove_memory(m->vm, v->gpa, NULL) == 0)
		pmem_backing_unmap(&v->backing);
	close_fd(&v->fd);
}

/* ---- requests */

static int check_new(struct builtin_volumes *vs, const struct control_request *req, int fd,
                     struct error *err)
{
	const struct volume *same = find_id(vs, req->id);
	int r = control_check_id(req->id, err);

	if (r < 0)
		return r;
	if (fd < 0 || req->kind >= CONTROL_KINDS)
		return error_set(err, EINVAL, "a device of kind %u, with%s a file", req->kind,
		                 fd < 0 ? "out" : "");
	if (same)
		return error_set_kind(err, ERROR_USAGE, EEXIST, "the guest has a %s %s already",
		                      is_network(same) ? "network" : "volume", req->id);
	if (req->kind == CONTROL_USER && has_user_network(vs))
		return error_set_kind(err, ERROR_USAGE, EEXIST,
		                      "the guest has the user network already");
	return 0;
}

int builtin_volumes_attach(struct builtin_volumes *vs, const struct control_request *req, int *fd,
                           uint64_t *slot, struct error *err)
{
	struct volume v = {.kind = (enum control_kind)req->kind,
	                   .readonly = req->flags & CONTROL_READONLY};
	int r = check_new(vs, req, *fd, err);

	if (r < 0)
		return r;
	v.net.kind = v.kind == CONTROL_TAP ? GUEST_NET_TAP : GUEST_NET_USER;
	v.net.mtu = req->mtu;
	memcpy(v.net.mac, req->mac, sizeof(v.net.mac));
	memcpy(v.id, req->id, strlen(req->id) + 1);
	v.fd = steal_fd(fd);
	r = makers[v.kind](vs->m, &v, err);
	if (r == 0)
		r = vm_plug(vs->m->vm, v.dev, &v.slot, err);
	if (r < 0) {
		clear(vs->m, &v);
		return r == -ENOSPC ? error_hint(err, r, "guests have as many as --slots says") : r;
	}
	vs->v[vs->n++] = v; /* there are no more slots than places here */
	*slot = v.slot;
	return 0;
}

int builtin_volumes_detach(struct builtin_volumes *vs, const struct control_request *req,
                           struct error *err)
{
	struct volume *v = find(vs, req, err);
	int r = -ENOENT;

	if (v)
		r = vm_unplug(vs->m->vm, v->dev, req->flags & CONTROL_FORCE, err);
	if (r < 0)
		return r;
	clear(vs->m, v);
	*v = vs->v[--vs->n];
	return 0;
}

int builtin_volumes_find(struct builtin_volumes *vs, const struct control_request *req,
                         uint64_t *slot, struct error *err)
{
	const struct volume *v = find(vs, req, err);

	if (!v)
		return -ENOENT;
	*slot = v->slot;
	return 0;
}

static const char *state(const struct volume *v)
{
	if (is_network(v))
		return net_device_is_up(v->dev) ? "" : " down";
	return v->readonly ? " read-only" : "";
}

void builtin_volumes_list(const struct builtin_volumes *vs, const struct control_request *req,
                          struct buffer *text)
{
	bool networks = req->flags & CONTROL_NETWORKS;

	for (unsigned int i = 0; i < vs->n; i++)
		if (is_network(&vs->v[i]) == networks)
			buffer_printf(text, "%s %s %u%s\n", vs->v[i].id,
			              control_kind_name(vs->v[i].kind), vs->v[i].slot,
			              state(&vs->v[i]));
}
