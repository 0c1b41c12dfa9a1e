/* SPDX-License-Identifier: Apache-2.0 */
/* provenance: see the header. */
#include "image-tool/provenance.h"

#include <inttypes.h>
#include <string.h>

#include "image-tool/lock.h"
#include "image-tool/spdx.h"

/* What a verifier takes the parameters' meaning from. */
#define BUILD_TYPE "pkg:generic/kihon#kata-image-tool/build/v1"

/* {"name":...,"digest":{"sha256":...} of a list. */
static void resource(struct buffer *out, const char *separator, const char *name,
                     const char *sha256)
{
	buffer_printf(out, "%s\n  {\"name\":", separator);
	buffer_json_string(out, name);
	if (sha256)
		buffer_printf(out, ",\"digest\":{\"sha256\":\"%s\"}", sha256);
}

static void subjects(const struct guestimg *img, const struct digest *manifest, struct buffer *out)
{
	buffer_str(out, " \"subject\":[");
	resource(out, "", img->name, manifest->text + strlen("sha256:"));
	buffer_str(out, "}");
	for (size_t i = 0; i < img->n_files; i++) {
		resource(out, ",", img->files[i].name, img->files[i].sha256);
		buffer_str(out, "}");
	}
	buffer_str(out, "],\n");
}

static void parameter(struct buffer *out, const char *key, const char *value)
{
	if (!value)
		return;
	buffer_printf(out, "\"%s\":", key);
	buffer_json_string(out, value);
	buffer_str(out, ",");
}

static void parameters(const struct guestimg *img, struct buffer *out)
{
	buffer_str(out, "\"externalParameters\":{");
	parameter(out, "profile", img->profile);
	parameter(out, "arch", img->arch);
	parameter(out, "format", img->rootfs.format);
	parameter(out, "root-fs", img->rootfs.type);
	parameter(out, "kernel-config-sha256", img->kernel.config_sha256);
	buffer_printf(out, "\"verity\":%s,\"SOURCE_DATE_EPOCH\":%" PRIu64 "},\n",
	              img->verity.root_hash ? "true" : "false", img->timestamp);
}

static void materials(const struct guestimg *img, const struct digest *lock, struct buffer *out)
{
	buffer_str(out, "  \"resolvedDependencies\":[");
	for (size_t i = 0; i < img->n_packages; i++) {
		_cleanup_buffer_ struct buffer purl = BUFFER_INIT;

		spdx_purl(&img->packages[i], &purl);
		resource(out, i ? "," : "", img->packages[i].name, img->packages[i].sha256);
		buffer_str(out, ",\"uri\":");
		buffer_json_string(out, buffer_cstr(&purl));
		buffer_str(out, "}");
	}
	if (lock) {
		resource(out, img->n_packages ? "," : "", LOCK_FILE,
		         lock->text + strlen("sha256:"));
		buffer_str(out, "}");
	}
	buffer_str(out, "]},\n");
}

void provenance_format(const struct guestimg *img, const struct digest *manifest,
                       const struct digest *lock, const char *builder, struct buffer *out)
{
	buffer_str(out, "{\"_type\":\"https://in-toto.io/Statement/v1\",\n");
	subjects(img, manifest, out);
	buffer_str(out, " \"predicateType\":\"" PROVENANCE_TYPE "\",\n \"predicate\":{"
	                "\"buildDefinition\":{\"buildType\":\"" BUILD_TYPE "\",\n  ");
	parameters(img, out);
	materials(img, lock, out);
	buffer_str(out, "  \"runDetails\":{\"builder\":{\"id\":");
	buffer_json_string(out, builder);
	buffer_str(out, ",\"version\":{\"kihon\":");
	buffer_json_string(out, img->version);
	buffer_str(out, "}}}}}\n");
}
