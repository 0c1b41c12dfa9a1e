/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_template: what the process of a guest does with a template's files. */
#include "host-shim/hypervisor/builtin_template.h"

#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_memory.h"

/* What is mapped privately is read long after: a page that is damaged would be found by nobody. */
static int check(const struct template_files *from, struct error *err)
{
	_cleanup_snapshot_ struct snapshot *s = NULL;
	int r = snapshot_read(&s, from->state, err);

	return r < 0 || from->untouched ? r : snapshot_memory_check(s, from->memory, err);
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

int builtin_template_save(struct vm *vm, const struct template_files *to, struct error *err)
{
	int r = vm_pause(vm, err);

	return r < 0 ? r : vm_save(vm, to->state, to->memory, err);
}
