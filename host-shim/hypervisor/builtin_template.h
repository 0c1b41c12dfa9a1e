/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_template: what the process of a guest does with a template's files, from within its jail.
 */
#pragma once

#include "host-shim/hypervisor/template.h"
#include "host-shim/vmm/virtio/device.h"
#include "host-shim/vmm/vm.h"

/* In place of vm_boot(). All of both files is checked first, the
 * memory unless it is untouched. Connections of the template's guest
 * are gone; vsock NULL: it has none. */
int builtin_template_restore(struct vm *vm, struct virtio_device *vsock,
                             const struct template_files *from, struct error *err);
/* Has the guest, which runs, do what each clone of it will have to: it is told of a new generation
 * id and that all connections have gone. */
int builtin_template_rehearse(struct vm *vm, struct virtio_device *vsock, struct error *err);
/* The machine runs; afterwards it is paused. */
int builtin_template_save(struct vm *vm, const struct template_files *to, struct error *err);
/* The same of a clone, whose pages that it touched go to to->pages; pagemap: this process's. */
int builtin_template_record(struct vm *vm, int pagemap, const struct template_files *to,
                            struct error *err);
