/* SPDX-License-Identifier: Apache-2.0 */
/* publish: pushes an image to a registry, with its SBOM and its provenance. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/contents.h"
#include "image-tool/guest_artifact.h"
#include "image-tool/image_cache.h"
#include "image-tool/progress.h"
#include "image-tool/provenance.h"
#include "image-tool/report.h"
#include "image-tool/spdx.h"
#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/image/artifact.h"
#include "lib/image/hash.h"
#include "lib/image/push.h"
#include "lib/image/remote.h"

struct publish_options {
	struct remote_options remote;
	const char *builder;
	bool json, quiet;
};

struct publish {
	const struct publish_options *o;
	const char *dir;
	int dirfd;
	struct guestimg *img;
	struct contents contents;
	struct remote remote;
	struct progress progress;
	atomic_uint_fast64_t uploaded; /* of the file at hand, bytes */
	struct artifact image;
	struct image_descriptor manifest; /* of the image */
	struct digest sbom, provenance;   /* of their manifests */
	uint64_t sent;                    /* bytes */
	size_t blobs, manifests;          /* sent */
};

static void publish_clear(struct publish *p)
{
	progress_end(&p->progress);
	artifact_clear(&p->image);
	remote_close(&p->remote);
	contents_free(&p->contents);
	guestimg_free(p->img);
	close_fd(&p->dirfd);
}

/* ---- what is pushed */

static const char *const companions[] = GUEST_COMPANIONS;
#define N_COMPANIONS (sizeof(companions) / sizeof(*companions))

static int add_file(struct artifact *a, const char *name, const char *media_type,
                    const char *sha256, uint64_t size, struct error *err)
{
	struct artifact_file *f = &a->files[a->n_files++];
	_cleanup_free_ char *text = str_printf("sha256:%s", sha256);

	*f = (struct artifact_file){
	    .name = arena_strdup(&a->arena, name), .media_type = media_type, .size = size};
	if (!text || !f->name)
		return error_set(err, ENOMEM, "no memory for the manifest");
	return digest_parse(text, name, &f->digest, err);
}

/* The signature of image.json and the lock file, when they are there. */
static int add_companions(struct publish *p, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_COMPANIONS; i++) {
		char sha256[65];
		uint64_t size;

		if (faccessat(p->dirfd, companions[i], F_OK, 0) < 0 && errno == ENOENT)
			continue;
		r = measure_file(p->dirfd, companions[i], sha256, &size, err);
		if (r == 0)
			r = add_file(&p->image, companions[i], GUEST_IMAGE_FILE, sha256, size, err);
	}
	return r;
}

static int list_files(struct publish *p, struct error *err)
{
	const struct contents *c = &p->contents;
	struct artifact *a = &p->image;
	int r = 0;

	if (c->n_files + N_COMPANIONS > ARTIFACT_MAX_FILES)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%s has more than %d files: too many for one manifest",
		                      p->dir, ARTIFACT_MAX_FILES - (int)N_COMPANIONS);
	a->type = GUEST_ARTIFACT_TYPE;
	a->files = arena_new_array(&a->arena, c->n_files + N_COMPANIONS, struct artifact_file);
	if (!a->files)
		return error_set(err, ENOMEM, "no memory for the manifest");
	for (size_t i = 0; r == 0 && i < c->n_files; i++)
		r = add_file(a, c->files[i].name,
		             i + 1 < c->n_files ? GUEST_IMAGE_FILE : GUEST_IMAGE_JSON,
		             c->files[i].sha256, c->files[i].size, err);
	return r < 0 ? r : add_companions(p, err);
}

static int describe(const struct buffer *json, struct image_descriptor *out, struct error *err)
{
	if (json->failed)
		return error_set(err, ENOMEM, "no memory for the manifest");
	*out = (struct image_descriptor){.size = json->size};
	snprintf(out->media_type, sizeof(out->media_type), ARTIFACT_MANIFEST_TYPE);
	return hash_bytes(DIGEST_SHA256, json->data, json->size, &out->digest, err);
}

/* Nobody publishes what nobody can fetch: a file that has the name of another, say. */
static int check_manifest(const struct publish *p, const struct buffer *json, struct error *err)
{
	_cleanup_artifact_ struct artifact again = {0};
	int r = artifact_parse(json->data, json->size, &again, err);

	if (r == 0 && artifact_find(&again, IMAGE_CACHE_MANIFEST))
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "a file of an image cannot be called " IMAGE_CACHE_MANIFEST);
	return r < 0 ? error_prefix(err, r, "%s", p->dir) : 0;
}

static int make_manifest(struct publish *p, struct buffer *json, struct error *err)
{
	char created[SPDX_TIME_MAX];
	const struct artifact_annotation notes[] = {
	    {"org.opencontainers.image.title", p->img->name},
	    {"org.opencontainers.image.version", p->img->version},
	    {"org.opencontainers.image.created", created},
	};
	const struct reference *ref = &p->remote.ref;
	int r = list_files(p, err);

	if (r < 0)
		return r;
	spdx_time(p->img->timestamp, created);
	p->image.annotations = notes;
	p->image.n_annotations = sizeof(notes) / sizeof(*notes);
	artifact_format(&p->image, json);
	p->image.n_annotations = 0;
	r = describe(json, &p->manifest, err);
	if (r == 0)
		r = check_manifest(p, json, err);
	if (r == 0 && ref->digest.text[0] && !digest_equal(&ref->digest, &p->manifest.digest))
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s is the artifact %s, not %s: publish it under a tag",
		                      p->dir, p->manifest.digest.text, ref->digest.text);
	return r;
}

/* ---- pushing */

static int send_blob(struct publish *p, const struct digest *digest,
                     const struct http_source *bytes, const char *name, struct error *err)
{
	int r;

	atomic_store(&p->uploaded, 0);
	progress_count(&p->progress, "PUSH", name, &p->uploaded, bytes->size);
	r = push_blob(p->remote.registry, p->remote.http, digest, bytes, err);
	if (r < 0)
		return error_prefix(err, r, "%s", name);
	if (r == 0) {
		p->sent += bytes->size;
		p->blobs++;
	}
	return 0;
}

static int send_file(struct publish *p, const struct artifact_file *f, struct error *err)
{
	_cleanup_close_ int fd =
	    openat(p->dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const struct http_source bytes = {.fd = fd, .size = f->size};

	if (fd < 0)
		return error_errno(err, errno, "cannot read %s/%s", p->dir, f->name);
	return send_blob(p, &f->digest, &bytes, f->name, err);
}

static int send_empty(struct publish *p, struct error *err)
{
	const struct http_source empty = PUSH_EMPTY;
	struct digest digest;
	int r = digest_parse(PUSH_EMPTY_DIGEST, "the empty config", &digest, err);

	if (r == 0)
		r = push_blob(p->remote.registry, p->remote.http, &digest, &empty, err);
	if (r == 0) {
		p->sent += empty.size;
		p->blobs++;
	}
	return r < 0 ? r : 0;
}

/* By digest (tag NULL) or under the tag. */
static int send_manifest(struct publish *p, const char *tag, const struct buffer *json,
                         struct error *err)
{
	int r = push_manifest(p->remote.registry, p->remote.http, tag, ARTIFACT_MANIFEST_TYPE,
	                      json->data, json->size, NULL, err);

	if (r == 0)
		p->manifests++;
	return r < 0 ? error_prefix(err, r, "the image's manifest") : 0;
}

/* A document about the image: one blob, and a manifest that refers to the image's. */
static int attach(struct publish *p, const char *name, struct artifact *a,
                  const struct buffer *text, struct digest *digest, struct error *err)
{
	const struct http_source bytes = {.data = text->data, .size = text->size};
	struct artifact_file f = {.name = name, .media_type = a->type, .size = text->size};
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	int r = text->failed ? error_set(err, ENOMEM, "no memory for %s", name)
	                     : hash_bytes(DIGEST_SHA256, text->data, text->size, &f.digest, err);

	if (r == 0)
		r = send_blob(p, &f.digest, &bytes, name, err);
	if (r < 0)
		return r;
	a->files = &f;
	a->n_files = 1;
	a->subject = &p->manifest;
	artifact_format(a, &json);
	if (json.failed)
		return error_set(err, ENOMEM, "no memory for %s", name);
	r = push_referrer(p->remote.registry, p->remote.http, json.data, json.size, digest, err);
	if (r == 0)
		p->manifests++;
	return r < 0 ? error_prefix(err, r, "the manifest of %s", name) : 0;
}

static int attach_all(struct publish *p, struct error *err)
{
	const struct artifact_annotation note = {"in-toto.io/predicate-type", PROVENANCE_TYPE};
	struct artifact sbom = {.type = SBOM_ARTIFACT_TYPE};
	struct artifact provenance = {
	    .type = PROVENANCE_ARTIFACT_TYPE, .annotations = &note, .n_annotations = 1};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, statement = BUFFER_INIT;
	const struct artifact_file *lock;
	int r = spdx_format(p->img, &p->contents, &text, err);

	if (r == 0)
		r = attach(p, "sbom.spdx.json", &sbom, &text, &p->sbom, err);
	if (r < 0)
		return r;
	lock = artifact_find(&p->image, LOCK_FILE);
	provenance_format(p->img, &p->manifest.digest, lock ? &lock->digest : NULL,
	                  p->o->builder ?: PROVENANCE_BUILDER, &statement);
	return attach(p, "provenance.intoto.json", &provenance, &statement, &p->provenance, err);
}

/* The tag comes last: it never leads to something that is not all there. */
static int push_all(struct publish *p, const struct buffer *manifest, struct error *err)
{
	const char *tag = p->remote.ref.tag;
	int r = send_empty(p, err);

	for (size_t i = 0; r == 0 && i < p->image.n_files; i++)
		r = send_file(p, &p->image.files[i], err);
	if (r == 0)
		r = send_manifest(p, NULL, manifest, err);
	if (r == 0)
		r = attach_all(p, err);
	if (r == 0 && tag[0])
		r = send_manifest(p, tag, manifest, err);
	return r;
}

/* ---- the verb */

static int print(const struct publish *p, struct error *err)
{
	const struct reference *ref = &p->remote.ref;
	_cleanup_report_ struct report r;

	report_init(&r, p->o->json);
	report_stringf(&r, "reference", "%s/%s%s%s@%s", ref->host, ref->repository,
	               ref->tag[0] ? ":" : "", ref->tag, p->manifest.digest.text);
	report_string(&r, "digest", p->manifest.digest.text);
	report_string(&r, "sbom", p->sbom.text);
	report_string(&r, "provenance", p->provenance.text);
	report_number(&r, "blobs_sent", p->blobs);
	report_number(&r, "manifests_sent", p->manifests);
	report_number(&r, "bytes_sent", p->sent);
	return report_print(&r, err);
}

/* A scheme and something behind it (RFC 3986 section 3): SLSA wants a URI. */
static int check_builder(const char *id, struct error *err)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
	bool ok = n > 0 && id[n] == ':' && id[n + 1] && (id[0] | 0x20) >= 'a';

	for (const char *p = id; *p; p++)
		ok = ok && *p > ' ' && *p <= '~';
	return ok ? 0
	          : error_set_kind(err, ERROR_USAGE, EINVAL, "--builder-id \"%.100s\" is no URI",
	                           id);
}

static int publish(struct publish *p, const char *reference, struct error *err)
{
	_cleanup_buffer_ struct buffer manifest = BUFFER_INIT;
	struct remote_options from = p->o->remote;
	int r = p->o->builder ? check_builder(p->o->builder, err) : 0;

	if (r == 0)
		r = guestimg_load(p->dir, &p->img, err);
	from.uploaded = &p->uploaded;
	progress_init(&p->progress, p->o->quiet || p->o->json);
	if (r == 0)
		r = remote_open(&p->remote, reference, &from, tool_stop(), err);
	if (r == 0)
		r = contents_read(&p->contents, p->dir, p->img, err);
	if (r < 0)
		return r;
	p->dirfd = open(p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = p->dirfd < 0 ? error_errno(err, errno, "cannot read %s", p->dir)
	                 : make_manifest(p, &manifest, err);
	if (r < 0)
		return r;
	r = push_all(p, &manifest, err);
	progress_end(&p->progress);
	if (r < 0)
		return error_prefix(err, r, "%s", reference);
	return p->o->quiet && !p->o->json ? 0 : print(p, err);
}

static int run_publish(int argc, char **argv, void *data)
{
	_cleanup_(publish_clear) struct publish p = {.o = data, .dir = argv[0], .dirfd = -1};
	struct error err = ERROR_INIT;

	tool_catch_signals();
	return publish(&p, argv[1], &err) < 0 ? tool_fail(&err) : 0;
}

static void release(void *data)
{
	remote_options_free(&((struct publish_options *)data)->remote);
}

static const struct option options[] = {
    REMOTE_OPTION_ROWS(struct publish_options, remote),
    {"builder-id", 0, OPTION_STRING, offsetof(struct publish_options, builder), "URI", NULL,
     "Who built the image, for the provenance statement: the URI of a CI system, say.\n"
     "Default: " PROVENANCE_BUILDER "."},
    {"json", 0, OPTION_FLAG, offsetof(struct publish_options, json), NULL, NULL,
     "Print the result as one JSON object."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct publish_options, quiet), NULL, NULL,
     "Say nothing."},
    {NULL},
};

const struct verb verb_publish = {
    .name = "publish",
    .args = "DIR REGISTRY/REF",
    .summary = "Pushes an image to a registry.",
    .details =
        "The image becomes an OCI artifact (" GUEST_ARTIFACT_TYPE "):\n"
        "each file of it, image.json, its signature and image.lock are a layer as they are, so\n"
        "that other tools get the folder back. Beside it go an SPDX document (see 'sbom') and\n"
        "an in-toto statement with SLSA provenance, as referrers; in a registry without the\n"
        "referrers API they are entered in the index with the tag sha256-DIGEST. The tag is\n"
        "moved when all is there. 'kihon boot REGISTRY/REF' boots what was published, 'fetch'\n"
        "fetches it.\n"
        "\n"
        "The same image gives the same digests; what the registry has is not sent again. An\n"
        "image whose files are not those of its image.json is refused (status 5). Only HTTPS\n"
        "is spoken unless a registry is named with --plain-http. Passwords are taken from\n"
        "files only.\n"
        "\n"
        "Example: kata-image-tool publish build/image/container registry.example/guest:1.0 \\\n"
        "             --authfile ~/.docker/config.json",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .run = run_publish,
    .release = release,
    .data_size = sizeof(struct publish_options),
};
