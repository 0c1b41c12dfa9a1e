/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_volumes: devices that are put into a guest's empty slots while it runs. */
#include "host-shim/hypervisor/builtin_volumes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/pmem.h"

struct volume {
	char id[CONTROL_ID_MAX + 1];
	enum control_kind kind;
	bool readonly;
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

static struct volume *find(struct builtin_volumes *vs, const char *id)
{
	for (unsigned int i = 0; i < vs->n; i++)
		if (strcmp(vs->v[i].id, id) == 0)
			return &vs->v[i];
	return NULL;
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

static int (*const makers[CONTROL_KINDS])(struct monitor *m, struct volume *v,
                                          struct error *err) = {
    [CONTROL_DISK] = make_disk,
    [CONTROL_PMEM] = make_pmem,
    [CONTROL_FS] = make_fs,
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

int builtin_volumes_attach(struct builtin_volumes *vs, const struct control_request *req, int *fd,
                           uint64_t *slot, struct error *err)
{
	struct volume v = {.kind = (enum control_kind)req->kind,
	                   .readonly = req->flags & CONTROL_READONLY};
	int r = control_check_id(req->id, err);

	if (r < 0)
		return r;
	if (*fd < 0 || req->kind >= CONTROL_KINDS)
		return error_set(err, EINVAL, "a volume of kind %u, with%s a file", req->kind,
		                 *fd < 0 ? "out" : "");
	if (find(vs, req->id))
		return error_set_kind(err, ERROR_USAGE, EEXIST, "the guest has a volume %s already",
		                      req->id);
	memcpy(v.id, req->id, strlen(req->id) + 1);
	v.fd = steal_fd(fd);
	r = makers[v.kind](vs->m, &v, err);
	if (r == 0)
		r = vm_plug(vs->m->vm, v.dev, &v.slot, err);
	if (r < 0) {
		clear(vs->m, &v);
		return r == -ENOSPC ? error_hint(err, r, "; guests have as many as --slots says")
		                    : r;
	}
	vs->v[vs->n++] = v; /* there are no more slots than places here */
	*slot = v.slot;
	return 0;
}

static int no_volume(const char *id, struct error *err)
{
	return error_set_kind(err, ERROR_USAGE, ENOENT, "the guest has no volume '%.*s'",
	                      CONTROL_ID_MAX, id);
}

int builtin_volumes_detach(struct builtin_volumes *vs, const struct control_request *req,
                           struct error *err)
{
	struct volume *v = find(vs, req->id);
	int r = v ? 0 : no_volume(req->id, err);

	if (r == 0)
		r = vm_unplug(vs->m->vm, v->dev, req->flags & CONTROL_FORCE, err);
	if (r < 0)
		return r;
	clear(vs->m, v);
	*v = vs->v[--vs->n];
	return 0;
}

int builtin_volumes_find(struct builtin_volumes *vs, const char *id, uint64_t *slot,
                         struct error *err)
{
	const struct volume *v = find(vs, id);

	if (!v)
		return no_volume(id, err);
	*slot = v->slot;
	return 0;
}

void builtin_volumes_list(const struct builtin_volumes *vs, struct buffer *text)
{
	for (unsigned int i = 0; i < vs->n; i++)
		buffer_printf(text, "%s %s %u%s\n", vs->v[i].id, control_kind_name(vs->v[i].kind),
		              vs->v[i].slot, vs->v[i].readonly ? " read-only" : "");
}
