/* SPDX-License-Identifier: Apache-2.0 */
/* container_spec: what the agent itself changes in a specification before the engine gets it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "guest/agent/device/vfio.h"
#include "guest/agent/image/puller.h"
#include "guest/agent/sandbox.h"
#include "lib/oci/runtime_spec.h"

/* Annotation of ours, "true": what the process of the specification leaves open comes from the
 * image, as podman does it: entrypoint before the arguments, cmd without any, environment,
 * working directory, user. */
#define ANNOTATION_IMAGE_DEFAULTS "io.kihon.image-defaults"

int container_spec_image_defaults(struct oci_spec *spec, const struct image_info *image,
                                  struct error *err);

/* ipc and uts are the sandbox's, pid is new or (shared_pid) the first container's, cgroup is
 * always a new one. A host name that belongs to a shared namespace is dropped. */
int container_spec_namespaces(struct oci_spec *spec, const struct sandbox *s, bool shared_pid,
                              struct error *err);

/* Adds the guest's own hooks: every executable file in PATH/prestart, PATH/poststart and
 * PATH/poststop, in the order of their names, after those of the specification. What is not there
 * is not run. */
int container_spec_guest_hooks(struct oci_spec *spec, const char *path, struct error *err);

/* The host's number of a device is not the guest's: the entry of linux.devices with this path, and
 * the rules with its old number, get the new one; the container may use it. With new_path the entry
 * gets that path, too, and is made where there is none. */
int container_spec_device(struct oci_spec *spec, const char *container_path, const char *new_path,
                          dev_t dev, char type, struct error *err);

/* Translates the addresses in the process's variables PCIDEVICE_*, lists with commas, as device
 * plugins of Kubernetes set them; not those that end in _INFO, which are JSON. */
int container_spec_pci_names(struct oci_spec *spec, const struct pci_name *names, size_t n,
                             struct error *err);

/* Where the guest sees the file of the container's termination message: the source of the mount
 * over the path that Kubernetes named; NULL without one. The specification's. */
#define ANNOTATION_TERMINATION_PATH "io.kubernetes.container.terminationMessagePath"
const char *container_spec_termination_log(const struct oci_spec *spec);
