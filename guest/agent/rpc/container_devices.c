/* SPDX-License-Identifier: Apache-2.0 */
/* container_devices: a table of device types, a step for each device or option. */
#include "guest/agent/rpc/container_devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/agent/device/device_find.h"
#include "guest/agent/device/vfio.h"
#include "guest/agent/rpc/container_spec.h"
#include "lib/base/helper.h"
#include "lib/base/str.h"

#define BIND_MS     30000u
#define OPTIONS_MAX 256u /* PCI functions of one device of the request */

struct adding {
	struct sandbox *sandbox;
	struct sandbox_container *container;
	Grpc__Device *const *v;
	size_t n, next;
	bool cancelled;
	struct oci_spec *spec;
	/* Of the VFIO device that is being added. */
	size_t next_option;
	uint32_t group;
	char address[PCI_ADDRESS_SIZE];
	container_devices_fn done;
	void *data;
};

static int next_step(struct adding *a, struct error *err);

static void finish(struct adding *a, int result, const struct error *err)
{
	container_devices_fn done = a->done;
	void *data = a->data;

	a->container->adding = NULL;
	free(a);
	done(result, err, data);
}

/* Ends what a callback began: with the next step, or all of it. */
static void go_on(struct adding *a, int result, struct error *err)
{
	if (result == 0)
		result = next_step(a, err);
	if (result != 0)
		finish(a, result < 0 ? result : 0, err);
}

static int wait_for(struct adding *a, const struct uevent_matcher *m, const struct device_key *key,
                    uevent_done_fn done, struct error *err)
{
	if (a->cancelled)
		return error_set(err, ECANCELED, "cancelled");
	if (!a->sandbox->uevents)
		return error_set(err, ENODEV, "no devices can be added here");
	return uevents_wait(a->sandbox->uevents, m, key, sizeof(*key),
	                    a->sandbox->config->hotplug_timeout_ms, done, a, NULL, err);
}

static int did_not_appear(const struct adding *a, int result, struct error *err)
{
	const Grpc__Device *dev = a->v[a->next];

	return error_set(err, -result, "device \"%s\" (%s) did not appear", dev->id, dev->vm_path);
}

/* ---- the specification */

/* new_path: the container has it by the guest's name, not the host's; NULL otherwise. */
static int enter(struct adding *a, const char *node, const char *new_path, struct error *err)
{
	const Grpc__Device *dev = a->v[a->next];
	struct stat st;

	if (stat(node, &st) < 0)
		return error_errno(err, errno, "device %s", node);
	if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no device", node);
	return container_spec_device(a->spec, dev->container_path, new_path, st.st_rdev,
	                             S_ISBLK(st.st_mode) ? 'b' : 'c', err);
}

/* ---- disks */

static void on_disk(int result, const char *name, void *data)
{
	struct adding *a = data;
	struct error err = ERROR_INIT;
	char node[64];
	int r;

	snprintf(node, sizeof(node), "/dev/%s", name ? name : "");
	r = result < 0 ? did_not_appear(a, result, &err) : enter(a, node, NULL, &err);
	a->next++;
	go_on(a, r, &err);
}

static int add_scsi(struct adding *a, struct error *err)
{
	struct device_key key;
	int r;

	memset(&key, 0, sizeof(key));
	r = device_scsi_parse(a->v[a->next]->id, &key, err);
	if (r == 0)
		r = device_scsi_check_host("/sys", err);
	return r < 0 ? r : wait_for(a, &device_scsi_block, &key, on_disk, err);
}

/* By its name in the guest, or by where it is plugged in. */
static int add_disk(struct adding *a, struct error *err)
{
	const Grpc__Device *dev = a->v[a->next];
	const char *name = str_starts(dev->vm_path, "/dev/") ? dev->vm_path + 5 : NULL;
	struct device_key key;
	int r;

	memset(&key, 0, sizeof(key));
	if (strcmp(dev->type, "blk") == 0 && !name) {
		r = pci_path_parse(&key.pci, dev->id, err);
		return r < 0 ? r : wait_for(a, &device_pci_block, &key, on_disk, err);
	}
	if (!name || strlen(name) >= sizeof(key.name) || strchr(name, '/'))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "device \"%s\": no device node",
		                      dev->vm_path);
	strcpy(key.name, name);
	return wait_for(a, &device_block, &key, on_disk, err);
}

/* ---- PCI devices */

static bool is_for_container(const struct adding *a)
{
	return strcmp(a->v[a->next]->type, "vfio-pci") == 0;
}

static int bind_in_helper(void *data, void *out, struct error *err)
{
	const struct adding *a = data;
	uint32_t group = 0;
	int r = vfio_bind("/sys", a->address, &group, err);

	memcpy(out, &group, sizeof(group));
	return r;
}

static void on_bound(int result, const void *out, const struct error *err, void *data)
{
	struct adding *a = data;
	struct error e = *err;
	uint32_t group;

	memcpy(&group, out, sizeof(group));
	if (result == 0 && a->next_option > 0 && group != a->group)
		result = error_set_kind(&e, ERROR_INPUT, EINVAL,
		                        "PCI device %s is in IOMMU group %" PRIu32
		                        ", what came before it is in %" PRIu32,
		                        a->address, group, a->group);
	a->group = group;
	a->next_option++;
	go_on(a, result, &e);
}

static int remember_name(struct adding *a, const char *host, const char *guest, struct error *err)
{
	struct sandbox_container *c = a->container;
	struct pci_name *v = realloc(c->pci_names, (c->n_pci_names + 1) * sizeof(*v));

	if (!v)
		return error_set(err, ENOMEM, "out of memory for devices");
	c->pci_names = v;
	snprintf(v[c->n_pci_names].host, sizeof(v->host), "%s", host);
	snprintf(v[c->n_pci_names].guest, sizeof(v->guest), "%s", guest);
	c->n_pci_names++;
	return 0;
}

static void on_pci(int result, const char *name, void *data)
{
	struct adding *a = data;
	const char *text = a->v[a->next]->options[a->next_option];
	struct error err = ERROR_INIT;
	struct vfio_option option;
	struct device_key key;
	int r = result;

	memset(&key, 0, sizeof(key));
	if (r == 0)
		r = vfio_option_parse(&option, text, &err);
	/* An event tells no address: sysfs does. */
	if (r == 0) {
		key.pci = option.path;
		r = device_pci.lookup(&key, "/sys", a->address, sizeof(a->address));
	}
	if (r < 0)
		r = error_set(&err, -r, "PCI device \"%s\" did not appear", text);
	if (r == 0)
		r = remember_name(a, option.host, a->address, &err);
	if (r == 0 && is_for_container(a)) {
		r = helper_run(a->sandbox->loop, "binding a device", bind_in_helper, a, BIND_MS,
		               on_bound, a, &err);
		if (r == 0)
			return;
	}
	a->next_option++;
	go_on(a, r, &err);
}

static void on_group(int result, const char *name, void *data)
{
	struct adding *a = data;
	struct error err = ERROR_INIT;
	char node[64];
	int r;

	snprintf(node, sizeof(node), "/dev/vfio/%" PRIu32, a->group);
	r = result < 0 ? did_not_appear(a, result, &err) : enter(a, node, node, &err);
	a->next++;
	a->next_option = 0;
	go_on(a, r, &err);
}

static int add_pci(struct adding *a, struct error *err)
{
	const Grpc__Device *dev = a->v[a->next];
	struct vfio_option option;
	struct device_key key;
	int r;

	memset(&key, 0, sizeof(key));
	if (dev->n_options > OPTIONS_MAX || (dev->n_options == 0 && is_for_container(a)))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "device \"%s\" names %zu PCI devices, not 1 to %u", dev->id,
		                      dev->n_options, OPTIONS_MAX);
	if (a->next_option < dev->n_options) {
		r = vfio_option_parse(&option, dev->options[a->next_option], err);
		key.pci = option.path;
		return r < 0 ? r : wait_for(a, &device_pci, &key, on_pci, err);
	}
	if (is_for_container(a)) {
		snprintf(key.name, sizeof(key.name), "%" PRIu32, a->group);
		return wait_for(a, &device_vfio_group, &key, on_group, err);
	}
	a->next++;
	a->next_option = 0;
	return 1;
}

/* ---- the table */

/* 0: a callback follows; 1: the device is done. */
static const struct device_type {
	const char *name;
	int (*add)(struct adding *a, struct error *err);
} types[] = {
    {"blk", add_disk},  {"mmioblk", add_disk}, {"nvdimm", add_disk},
    {"scsi", add_scsi}, {"vfio-pci", add_pci}, {"vfio-pci-gk", add_pci},
};

static int add_device(struct adding *a, struct error *err)
{
	const Grpc__Device *dev = a->v[a->next];

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(dev->type, types[i].name) != 0)
			continue;
		if (!*dev->container_path || (!*dev->id && !*dev->vm_path))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "a device needs container_path, and id or vm_path");
		return types[i].add(a, err);
	}
	return error_set(err, EOPNOTSUPP, "devices of type \"%s\" are not supported", dev->type);
}

/* 1: that was all. */
static int next_step(struct adding *a, struct error *err)
{
	int r;

	while (a->next < a->n) {
		r = add_device(a, err);
		if (r <= 0)
			return r;
	}
	r = container_spec_pci_names(a->spec, a->container->pci_names, a->container->n_pci_names,
	                             err);
	return r < 0 ? r : 1;
}

int container_devices_add(struct sandbox_container *c, Grpc__Device *const *v, size_t n,
                          struct oci_spec *spec, container_devices_fn done, void *data,
                          struct error *err)
{
	struct adding *a = n ? calloc(1, sizeof(*a)) : NULL;
	int r;

	if (n == 0)
		return 1;
	if (!a)
		return error_set(err, ENOMEM, "out of memory for devices");
	a->sandbox = c->sandbox;
	a->container = c;
	a->v = v;
	a->n = n;
	a->spec = spec;
	a->done = done;
	a->data = data;
	r = next_step(a, err);
	if (r != 0)
		free(a);
	else
		c->adding = a;
	return r;
}

void container_devices_cancel(struct sandbox_container *c)
{
	struct adding *a = c->adding;

	if (!a)
		return;
	a->cancelled = true;
	if (a->sandbox->uevents)
		uevents_hurry(a->sandbox->uevents, a);
}
