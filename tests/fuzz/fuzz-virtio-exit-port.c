/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the exit port: the input is a guest's messages, lines and ring contents. */
#include "host-shim/vmm/devices/exit_port.h"
#include "tests/fuzz/virtio_fuzz.h"

static void told(void *data, unsigned int status)
{
	if (status > 255)
		abort();
}

static void make(struct vbench *b, struct reader *in)
{
	if (exit_port_device_new(&b->dev, b->loop, told, NULL, NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(&(struct vfuzz){.make = make}, data, size);
}
