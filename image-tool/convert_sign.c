/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert_sign: signatures of images, over a payload that names the manifest's digest and what the
 * image goes by ("simple signing", containers/image docs/containers-signature.5.md).
 *
 * cosign's layout: an image manifest under the tag sha256-<hex>.sig, with the payload as a layer
 * and the signature as its annotation. GPG: an OpenPGP message with the payload inside, in a
 * folder, as NAME@sha256=<hex>/signature-1.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/convert.h"
#include "image-tool/sign.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"
#include "lib/image/base64.h"
#include "lib/oci/reference.h"

#define COSIGN_PAYLOAD    "application/vnd.dev.cosign.simplesigning.v1+json"
#define COSIGN_ANNOTATION "dev.cosignproject.cosign/signature"
#define GPG_OUT_MAX       65536
#define STORE_IN_LAYOUT   "signatures"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static void put_payload(struct buffer *out, const char *identity, const struct digest *manifest,
                        const char *type, const char *optional)
{
	buffer_str(out, "{\"critical\":{\"identity\":{\"docker-reference\":");
	buffer_json_string(out, identity);
	buffer_printf(out, "},\"image\":{\"docker-manifest-digest\":\"%s\"},\"type\":\"%s\"}",
	              manifest->text, type);
	buffer_printf(out, ",\"optional\":%s}", optional);
}

/* ---- cosign */

/* cosign signs for a repository: no tag, no digest. */
static void repository_of(const char *identity, struct buffer *out)
{
	size_t n = strcspn(identity, "@");
	const char *slash = memrchr(identity, '/', n);
	const char *colon = memchr(slash ? slash : identity, ':',
	                           n - (size_t)((slash ? slash : identity) - identity));

	buffer_append(out, identity, colon ? (size_t)(colon - identity) : n);
}

/* A config as cosign writes it: nothing to run, the payload as the only layer. */
static int add_config(const struct convert *c, const struct digest *payload,
                      struct image_descriptor *desc, struct error *err)
{
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;

	buffer_printf(&json,
	              "{\"architecture\":\"\",\"created\":\"0001-01-01T00:00:00Z\",\"history\":[{"
	              "\"created\":\"0001-01-01T00:00:00Z\"}],\"os\":\"\",\"rootfs\":{\"type\":"
	              "\"layers\",\"diff_ids\":[\"%s\"]},\"config\":{}}",
	              payload->text);
	*desc = (struct image_descriptor){.media_type = IMAGE_TYPE_CONFIG};
	return json.failed ? no_memory(err)
	                   : oci_dest_bytes(c->dest, json.data, json.size, desc, err);
}

static void put_descriptor(struct buffer *out, const struct image_descriptor *d)
{
	buffer_printf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu", d->media_type,
	              d->digest.text, (unsigned long long)d->size);
}

static int add_cosign_manifest(const struct convert *c, const struct image_descriptor *payload,
                               const struct buffer *signature, struct convert_signature *out,
                               struct error *err)
{
	struct image_descriptor config, manifest = {.media_type = IMAGE_TYPE_MANIFEST};
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	int r = add_config(c, &payload->digest, &config, err);

	if (r)
		return r;
	buffer_str(&json,
	           "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_TYPE_MANIFEST "\",\"config\":");
	put_descriptor(&json, &config);
	buffer_str(&json, "},\"layers\":[");
	put_descriptor(&json, payload);
	buffer_str(&json, ",\"annotations\":{\"" COSIGN_ANNOTATION "\":\"");
	base64_encode(&json, signature->data, signature->size);
	buffer_str(&json, "\"}}]}");
	if (json.failed)
		return no_memory(err);
	r = oci_dest_manifest(c->dest, out->place, json.data, json.size, NULL, &manifest, err);
	out->manifest = manifest.digest;
	return r;
}

static int sign_cosign(const struct convert *c, const struct convert_signing *s,
                       const struct digest *manifest, struct convert_signature *out,
                       struct error *err)
{
	struct image_descriptor desc = {.media_type = COSIGN_PAYLOAD};
	_cleanup_buffer_ struct buffer repository = BUFFER_INIT, payload = BUFFER_INIT,
	                               signature = BUFFER_INIT;
	int r;

	repository_of(s->identity, &repository);
	put_payload(&payload, buffer_cstr(&repository), manifest,
	            "cosign container image signature", "null");
	if (repository.failed || payload.failed)
		return no_memory(err);
	r = sign_sigstore(s->key, payload.data, payload.size, &signature, err);
	if (!r)
		r = oci_dest_bytes(c->dest, payload.data, payload.size, &desc, err);
	out->cosign = true;
	snprintf(out->place, sizeof(out->place), "sha256-%.64s.sig",
	         manifest->text + strlen("sha256:"));
	return r ? r : add_cosign_manifest(c, &desc, &signature, out, err);
}

/* ---- GPG */

/* What gpg says last, which is what went wrong. */
static int gpg_failed(const char *key, struct buffer *text, struct error *err)
{
	const char *last;

	while (text->size && text->data[text->size - 1] == '\n')
		text->data[--text->size] = '\0';
	last = strrchr(buffer_cstr(text), '\n');
	last = last ? last + 1 : buffer_cstr(text);
	for (char *p = (char *)last; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	return error_set_kind(
	    err, ERROR_ENVIRONMENT, ENOKEY,
	    "cannot sign with the key \"%.100s\" (no file of that name, so one of "
	    "gpg's): %.200s",
	    key, *last ? last : "gpg failed");
}

static int run_gpg(const char *key, const char *payload, struct buffer *out, struct error *err)
{
	char *const argv[] = {"gpg",           "--batch",   "--yes",          "--no-tty",
	                      "--local-user",  (char *)key, "--set-filename", "",
	                      "--output",      "-",         "--sign",         "--",
	                      (char *)payload, NULL};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int status = 0, r = process_run(argv, out, &text, GPG_OUT_MAX, &status, err);

	if (r) {
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	return process_exit_code(status) || !out->size ? gpg_failed(key, &text, err) : 0;
}

static int place_signature(const struct convert_signing *s, const struct digest *manifest,
                           struct convert_signature *out, struct error *err)
{
	struct reference ref;
	int r = reference_parse(s->identity, &ref, err);

	if (!r)
		snprintf(out->place, sizeof(out->place), "%s@sha256=%.64s/signature-1",
		         ref.repository, manifest->text + strlen("sha256:"));
	return r;
}

static int sign_gpg(const struct convert *c, const struct convert_signing *s,
                    const struct digest *manifest, struct convert_signature *out, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = BUFFER_INIT;
	struct oci_blob blob = OCI_BLOB_INIT; /* gpg wants a file */
	_cleanup_free_ char *path = NULL, *place = NULL;
	int r = place_signature(s, manifest, out, err);

	if (r)
		return r;
	put_payload(&payload, s->identity, manifest, "atomic container signature",
	            "{\"creator\":\"" TOOL_NAME "\"}");
	r = oci_blob_new(c->dest, &blob, err);
	if (r)
		return r;
	r = payload.failed ? -ENOMEM : fs_write_all(blob.fd, payload.data, payload.size);
	oci_blob_keep(&blob);
	path = oci_blob_path(c->dest, &blob);
	if (r || !path)
		return error_errno(err, r ? -r : ENOMEM, "cannot write what is to be signed");
	r = run_gpg(s->key, path, &out->bytes, err);
	if (r || s->store)
		return r;
	place = str_printf(STORE_IN_LAYOUT "/%s", out->place);
	if (!place)
		return no_memory(err);
	return oci_dest_file(c->dest, place, out->bytes.data, out->bytes.size, err);
}

int convert_store_signature(const struct convert_signing *s, const struct convert_signature *sig,
                            struct fs_temp *out, struct error *err)
{
	_cleanup_free_ char *path = NULL, *dir = NULL;
	int r;

	if (sig->cosign || !s->store)
		return 0;
	path = str_printf("%s/%s", s->store, sig->place);
	dir = path ? strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
	if (!dir)
		return no_memory(err);
	r = fs_mkdir_p(dir, 0755, err);
	if (!r)
		r = fs_temp_open(out, path, 0644, err);
	if (!r) {
		r = fs_write_all(out->fd, sig->bytes.data, sig->bytes.size);
		r = r ? error_errno(err, -r, "cannot write %s", path) : 0;
	}
	if (r && err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

/* Whether gpg has the secret key, or the card that it is on. */
static int check_gpg(const char *key, struct error *err)
{
	char *const argv[] = {"gpg", "--batch",   "--no-tty", "--with-colons", "--list-secret-keys",
	                      "--",  (char *)key, NULL};
	_cleanup_buffer_ struct buffer list = BUFFER_INIT, text = BUFFER_INIT;
	int status = 0, r = process_run(argv, &list, &text, GPG_OUT_MAX, &status, err);

	if (r && err)
		err->kind = ERROR_ENVIRONMENT;
	return !r && process_exit_code(status) ? gpg_failed(key, &text, err) : r;
}

int convert_check_key(const char *key, const char *store, const struct oci_dest *dest,
                      struct error *err)
{
	if (str_empty(key))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--sign: a key is missing: give a file, or a key of gpg");
	if (fs_exists(key))
		return sign_ready(key, err);
	if (strchr(key, '/') || str_ends(key, ".pem") || str_ends(key, ".key"))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "there is no key file %.200s to sign with", key);
	if (!store && !oci_dest_is_folder(dest))
		return error_set_kind(
		    err, ERROR_USAGE, EINVAL,
		    "GPG signatures are files: say where with --signature-store DIR");
	return check_gpg(key, err);
}

int convert_sign(const struct convert *c, const struct convert_signing *s,
                 const struct image_descriptor *manifest, struct convert_signature *out,
                 struct error *err)
{
	return fs_exists(s->key) ? sign_cosign(c, s, &manifest->digest, out, err)
	                         : sign_gpg(c, s, &manifest->digest, out, err);
}
