/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_template: what the process of a guest does with a template's files. */
#include "host-shim/hypervisor/builtin_template.h"

#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "host-shim/vmm/snapshot_pages.h"

/* What is mapped privately is read long after: a page that is damaged would be found by nobody. */
static int check(const struct template_files *from, struct error *err)
{
	_cleanup_snapshot_ struct snapshot *s = NULL;
	int r = from->untouched ? 1 : snapshot_read(&s, from->state, err);

	return r == 0 ? snapshot_memory_check(s, from->memory, err) : r < 0 ? r : 0;
}

int builtin_template_restore(struct vm *vm, struct virtio_device *vsock,
                             const struct template_files *from, struct error *err)
{
	int r = check(from, err);

	if (r == 0)
		r = vm_restore(vm, from->state, from->memory, err);
	if (r < 0)
		return error_prefix(err, r, "the template");
	if (vsock)
		vsock_device_transport_reset(vsock);
	return 0;
}

int builtin_template_rehearse(struct vm *vm, struct virtio_device *vsock, struct error *err)
{
	int r = vm_renew_generation(vm, err);

	if (r == 0 && vsock)
		vsock_device_transport_reset(vsock);
	return r;
}

int builtin_template_save(struct vm *vm, const struct template_files *to, struct error *err)
{
	int r = vm_pause(vm, err);

	return r < 0 ? r : vm_save(vm, to->state, to->memory, err);
}

int builtin_template_record(struct vm *vm, int pagemap, const struct template_files *to,
                            struct error *err)
{
	_cleanup_snapshot_ struct snapshot *s = NULL;
	uint8_t id[SNAPSHOT_ID_SIZE];
	int r = vm_pause(vm, err);

	if (r == 0)
		r = snapshot_read(&s, to->state, err);
	if (r == 0)
		r = snapshot_memory_id(s, id, err);
	return r < 0 ? r : snapshot_pages_save(vm_memory(vm), pagemap, id, to->pages, err);
}
