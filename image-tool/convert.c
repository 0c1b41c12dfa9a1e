/* SPDX-License-Identifier: Apache-2.0 */
/* convert: an OCI image becomes one whose layers are EROFS images that a guest maps. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/convert.h"
#include "image-tool/progress.h"
#include "image-tool/report.h"
#include "image-tool/tool.h"
#include "lib/base/str.h"
#include "lib/oci/image_index.h"

struct convert_options {
	const char *layers, *platform, *sign, *identity, *store;
	struct strv encrypt;
	struct remote_options remote;
	bool verity, dedupe, json, quiet;
};

/* ---- what it is told */

static int read_recipients(const struct convert_options *o, struct recipients **out,
                           struct error *err)
{
	int r = o->encrypt.n ? recipients_new(out, err) : 0;

	for (size_t i = 0; !r && i < o->encrypt.n; i++)
		r = recipients_add(*out, o->encrypt.v[i], err);
	return r;
}

/* What the image is called: as asked, else where it goes to, or comes from. */
static int find_identity(const struct convert_options *o, const struct convert *c, const char *dst,
                         const char *tag, char out[REFERENCE_TEXT_MAX], struct error *err)
{
	const char *repository = oci_dest_repository(c->dest);
	const char *source = oci_source_tag(c->source);
	struct reference ref;
	const char *base;

	if (o->identity)
		snprintf(out, REFERENCE_TEXT_MAX, "%s", o->identity);
	else if (repository)
		snprintf(out, REFERENCE_TEXT_MAX, "%s:%s", repository, tag);
	else if (source && !reference_parse(source, &ref, NULL) && ref.host_given)
		snprintf(out, REFERENCE_TEXT_MAX, "%s", source);
	else if (!reference_parse(tag, &ref, NULL) && ref.host_given)
		snprintf(out, REFERENCE_TEXT_MAX, "%s", tag);
	else {
		base = strrchr(dst, '/');
		base = base ? base + 1 : dst;
		snprintf(out, REFERENCE_TEXT_MAX, "localhost/%.*s:%s", (int)strcspn(base, ":."),
		         base, tag);
	}
	if (!reference_parse(out, &ref, err))
		return 0;
	if (o->identity)
		return error_prefix(err, -EINVAL, "--identity");
	/* A folder's name need not be one that a registry would take. */
	error_clear(err);
	snprintf(out, REFERENCE_TEXT_MAX, "localhost/image:latest");
	return 0;
}

/* The tag of the result: as given, else the source's, else "latest". */
static const char *result_tag(const struct convert *c, char buf[130])
{
	const char *tag = oci_dest_tag(c->dest), *from = oci_source_tag(c->source);
	struct reference ref;

	if (tag)
		return tag;
	if (from && !strcmp(oci_source_kind(c->source), "docker")) {
		if (reference_parse(from, &ref, NULL) || !ref.tag[0])
			return "latest";
		snprintf(buf, 130, "%s", ref.tag);
		return buf;
	}
	return from && !strchr(from, '@') && !str_starts(from, "sha256:") ? from : "latest";
}

/* An image may have a name that a layout's or an archive's entries must not. */
static int check_tag(const char *tag, struct error *err)
{
	return image_ref_name_ok(tag)
	           ? 0
	           : error_set_kind(err, ERROR_INPUT, EINVAL,
	                            "\"%.100s\", which SRC is called, is no name for an image: "
	                            "give one, as in DST:TAG",
	                            tag);
}

/* ---- what it says */

static void report_layer(struct report *r, const struct convert_layer *l)
{
	char hex[2 * VERITY_DIGEST_SIZE + 1];

	report_item(r, "%.19s -> %.19s %12" PRIu64, l->source->digest.text, l->desc.digest.text,
	            l->desc.size);
	report_string(r, "source", l->source->digest.text);
	report_number(r, "source_size", l->source->size);
	report_string(r, "digest", l->desc.digest.text);
	report_number(r, "size", l->desc.size);
	report_string(r, "media_type", l->desc.media_type);
	report_string(r, "diff_id", l->diff_id.text);
	if (l->has_verity) {
		verity_hex(l->verity.root, sizeof(l->verity.root), hex);
		report_object(r, "verity");
		report_string(r, "root_hash", hex);
		report_number(r, "hash_offset", l->data_size);
		report_end(r);
	}
	report_end(r);
}

struct outcome {
	const char *dst, *tag;
	struct image_descriptor config, manifest;
	const struct convert_signing *signing;
	const struct convert_signature *signature; /* NULL: none */
};

static int tell(const struct convert_options *o, const struct convert *c, const struct outcome *out,
                struct error *err)
{
	_cleanup_report_ struct report r = {0};

	report_init(&r, o->json);
	report_string(&r, "destination", out->dst);
	report_string(&r, "tag", out->tag);
	report_string(&r, "source_manifest", c->image->desc.digest.text);
	report_string(&r, "manifest", out->manifest.digest.text);
	report_string(&r, "config", out->config.digest.text);
	report_list(&r, "layers");
	for (size_t i = 0; i < c->image->manifest.n_layers; i++)
		report_layer(&r, &c->layers[i]);
	report_end(&r);
	if (out->signature) {
		report_object(&r, "signature");
		report_string(&r, "type", out->signature->cosign ? "cosign" : "gpg");
		report_string(&r, "identity", out->signing->identity);
		report_string(&r, "place", out->signature->place);
		if (out->signature->cosign)
			report_string(&r, "manifest", out->signature->manifest.text);
		report_end(&r);
	}
	return report_print(&r, err);
}

/* ---- the work */

static int put_config(const struct convert *c, struct image_descriptor *config, struct error *err)
{
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	int r = convert_config(c, &json, err);

	*config = (struct image_descriptor){.media_type = IMAGE_TYPE_CONFIG};
	return r ? r : oci_dest_bytes(c->dest, json.data, json.size, config, err);
}

static int put_manifest(const struct convert *c, const char *tag,
                        const struct image_descriptor *config, struct image_descriptor *manifest,
                        struct error *err)
{
	_cleanup_buffer_ struct buffer json = BUFFER_INIT, platform = BUFFER_INIT;
	int r = convert_manifest(c, config, &json, err);

	*manifest = (struct image_descriptor){.media_type = IMAGE_TYPE_MANIFEST};
	if (!r)
		r = convert_platform(c, &platform, err);
	return r ? r
	         : oci_dest_manifest(c->dest, tag, json.data, json.size, buffer_cstr(&platform),
	                             manifest, err);
}

static void begin_progress(struct progress *p, const struct convert *c)
{
	const struct stage files = {.path = oci_dest_stage(c->dest), .lock_fd = -1};
	uint64_t expected = 0;
	char text[64];

	/* Archives shrink to some two fifths. */
	for (size_t i = 0; i < c->image->manifest.n_layers; i++)
		expected += c->image->manifest.layers[i].size / 2 * 5;
	snprintf(text, sizeof(text), "%zu layer%s", c->image->manifest.n_layers,
	         c->image->manifest.n_layers == 1 ? "" : "s");
	progress_step(p, "convert", text, &files, expected);
}

static int write_image(const struct convert_options *o, struct convert *c, struct outcome *out,
                       struct error *err)
{
	char tag[130], identity[REFERENCE_TEXT_MAX];
	struct convert_signing signing = {o->sign, identity, o->store};
	_cleanup_fs_temp_ struct fs_temp stored = FS_TEMP_INIT;
	struct convert_signature signature = {0};
	struct progress progress;
	int r = check_tag(out->tag = result_tag(c, tag), err);

	if (r)
		return r;
	progress_init(&progress, o->quiet);
	begin_progress(&progress, c);
	r = convert_layers(c, err);
	progress_end(&progress);
	if (!r)
		r = put_config(c, &out->config, err);
	if (!r)
		r = put_manifest(c, out->tag, &out->config, &out->manifest, err);
	if (!r && o->sign)
		r = find_identity(o, c, out->dst, out->tag, identity, err);
	if (!r && o->sign)
		r = convert_sign(c, &signing, &out->manifest, &signature, err);
	if (!r && o->sign)
		r = convert_store_signature(&signing, &signature, &stored, err);
	if (!r)
		r = oci_dest_commit(c->dest, err);
	if (!r && stored.path)
		r = fs_temp_commit(&stored, err);
	out->signing = &signing;
	out->signature = o->sign ? &signature : NULL;
	if (!r && (!o->quiet || o->json))
		r = tell(o, c, out, err);
	buffer_free(&signature.bytes);
	return r;
}

static int convert(const struct convert_options *o, const char *src, const char *dst,
                   struct error *err)
{
	_cleanup_recipients_ struct recipients *recipients = NULL;
	_cleanup_oci_source_ struct oci_source *source = NULL;
	_cleanup_oci_image_ struct oci_image image = {0};
	_cleanup_oci_dest_ struct oci_dest *dest = NULL;
	struct convert c = {
	    .verity = o->verity, .dedupe = o->dedupe, .stop = tool_stop(), .image = &image};
	struct outcome out = {.dst = dst};
	struct image_platform platform;
	int r = o->platform ? image_platform_parse(o->platform, &platform, err) : 0;

	if (!r)
		r = read_recipients(o, &recipients, err);
	if (!r)
		r = oci_source_open(src, &o->remote, tool_stop(), &source, err);
	if (!r)
		r = oci_source_image(source, o->platform ? &platform : NULL, &image, err);
	if (!r)
		r = oci_dest_open(dst, &o->remote, tool_stop(), &dest, err);
	if (!r && o->sign)
		r = convert_check_key(o->sign, o->store, dest, err);
	if (r)
		return r;
	c.recipients = recipients;
	c.source = source;
	c.dest = dest;
	r = write_image(o, &c, &out, err);
	convert_layers_clear(c.layers, image.manifest.n_layers);
	return r;
}

/* ---- the verb */

static const struct option options[] = {
    {"layers", 0, OPTION_ENUM, offsetof(struct convert_options, layers), "FORMAT", "erofs",
     "What layers become: erofs (also without this option)."},
    {"verity", 0, OPTION_FLAG, offsetof(struct convert_options, verity), NULL, NULL,
     "Append a dm-verity hash tree to each layer, with its superblock; root hash\n"
     "and place are annotations of the layer (org.erofs.dmverity.*)."},
    {"dedupe", 0, OPTION_FLAG, offsetof(struct convert_options, dedupe), NULL, NULL,
     "Store what files of a layer have in common once: whole files, and pieces of\n"
     "64 KiB from a file's beginning. Files that share pieces only are chunked, which\n"
     "DAX maps in pages of 4 KiB."},
    {"encrypt", 0, OPTION_LIST, offsetof(struct convert_options, encrypt), "KEY", NULL,
     "Encrypt all layers for KEY (repeatable): FILE or jwe:FILE, a public key in\n"
     "PEM (RSA, or EC on P-256, P-384, P-521); or kbs:///REPO/TYPE/TAG=FILE, the\n"
     "32 bytes that a key broker has under that name. Any of the keys decrypts."},
    {"sign", 0, OPTION_STRING, offsetof(struct convert_options, sign), "KEY", NULL,
     "Sign the manifest: with a private key in PEM (a file: Ed25519, or ECDSA on P-256\n"
     "or P-384, with SHA-256), in cosign's layout under the tag sha256-DIGEST.sig,\n"
     "where it replaces another; or with a key of gpg."},
    {"identity", 0, OPTION_STRING, offsetof(struct convert_options, identity), "REF", NULL,
     "What the signature says the image is called. Default: DST, or SRC, when it is\n"
     "a registry's; else localhost/NAME:TAG."},
    {"signature-store", 0, OPTION_STRING, offsetof(struct convert_options, store), "DIR", NULL,
     "Where GPG signatures go, as REPOSITORY@sha256=DIGEST/signature-1. Default:\n"
     "DST/signatures, when DST is a folder."},
    {"platform", 0, OPTION_STRING, offsetof(struct convert_options, platform), "OS/ARCH", NULL,
     "Which image of an index, as in linux/arm64. Default: this machine's, or the\n"
     "only one that there is."},
    {"json", 0, OPTION_FLAG, offsetof(struct convert_options, json), NULL, NULL,
     "Print digests and sizes as JSON."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct convert_options, quiet), NULL, NULL,
     "Print nothing but errors (and what --json asks for)."},
    REMOTE_OPTION_ROWS(struct convert_options, remote),
    {0},
};

static void release(void *data)
{
	struct convert_options *o = data;

	strv_free(&o->encrypt);
	remote_options_free(&o->remote);
}

static int run_convert(int argc, char **argv, void *data)
{
	const struct convert_options *o = data;
	struct error err = ERROR_INIT;

	tool_catch_signals();
	return convert(o, argv[0], argv[1], &err) < 0 ? tool_fail(&err) : 0;
}

const struct verb verb_convert = {
    .name = "convert",
    .args = "SRC DST",
    .summary = "Makes an image's layers EROFS images that a guest mounts as they are.",
    .details =
        "SRC is a folder with an OCI image layout (DIR, DIR:TAG, oci:DIR), an archive of one\n"
        "(FILE, oci-archive:FILE) or of \"docker save\" (FILE, docker-archive:FILE), or an\n"
        "image in a registry (HOST/REPOSITORY:TAG, docker://...). DST is a folder (made, or\n"
        "an image layout that is added to), FILE.tar, or a registry's. TAG is SRC's when DST\n"
        "has none, else \"latest\"; in a registry always that.\n"
        "\n"
        "Each layer becomes one of type application/vnd.erofs.layer.v1: uncompressed, files\n"
        "on 4 KiB blocks, those of 2 MiB and more on 2 MiB boundaries, so that DAX maps them.\n"
        "Whiteouts have overlayfs's form (devices 0:0, trusted.overlay.opaque). Mounted one\n"
        "over the other they show what unpacking the layers of SRC would give. The config is\n"
        "SRC's with new diff_ids, and \"erofs\" among its os.features. Layers that are such\n"
        "images already are checked and taken as they are.\n"
        "\n"
        "The same SRC and options give the same digests, but with --encrypt, whose keys are\n"
        "new each time, and --sign with ECDSA. DST is written when all is well, or not at\n"
        "all. Digests of SRC that do not hold end in exit status 5.",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .run = run_convert,
    .release = release,
    .data_size = sizeof(struct convert_options),
};
