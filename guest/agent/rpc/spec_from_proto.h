/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_from_proto: the protocol's OCI messages as the runtime specification's structure.
 *
 * The result points into the message, which must outlive it; what has to be made is made
 * in the specification's arena. proto3 has no absence: a zero number or an empty string
 * that means nothing in config.json is taken as absent.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"
#include "lib/rpc/proto/oci.pb-c.h"

/* -EINVAL for what is missing or cannot be, -ENOMEM. *out is the caller's. */
int spec_from_proto(const Grpc__Spec *in, struct oci_spec **out, struct error *err);
/* One process, for ExecProcess: out->process is set, nothing else. */
int spec_from_process(const Grpc__Process *in, struct oci_spec **out, struct error *err);
/* For UpdateContainer: out->linux_.resources is set. */
int spec_from_resources(const Grpc__LinuxResources *in, struct oci_spec **out, struct error *err);
