/* SPDX-License-Identifier: Apache-2.0 */
/* settings: see the header. */
#include "lib/image/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/toml.h"
#include "lib/image/registry_config.h"

#define CDH_MAX   (1024 * 1024)
#define CA_MAX    (8 * 1024 * 1024)
#define CDH       "cdh.toml"
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

/* Where a file comes from: the folder, or anywhere. */
struct folder {
	const char *path;
	int fd;
};

void settings_clear(struct settings *s)
{
	buffer_free(&s->ca);
	auth_file_free(s->auth);
	policy_free(s->policy);
	cJSON_Delete(s->cdh);
	cJSON_Delete(s->registries_file);
	*s = (struct settings){0};
}

/* 1: there is no such file. Symbolic links do not lead out of the folder. */
static int read_inside(const struct folder *f, const char *name, size_t max, struct buffer *out,
                       struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (f->fd < 0)
		return 1;
	fd = fs_open_in_root(f->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ENOENT)
		return 1;
	r = fd < 0 ? fd : fs_read_fd(fd, max, out);
	if (r < 0)
		return error_errno(err, -r, "cannot read %s/%s", f->path, name);
	return 0;
}

static const char *skip_prefix(const char *s, const char *prefix)
{
	return str_starts(s, prefix) ? s + strlen(prefix) : NULL;
}

/* What a URI of the configuration names; that it is not there is an error. */
static int read_uri(const struct folder *f, const char *uri, const char *key, size_t max,
                    struct buffer *out, struct error *err)
{
	const char *path = skip_prefix(uri, "file://"), *inside;
	int r;

	if (!path || *path != '/')
		return error_set_kind(err, ERROR_INPUT, EPROTONOSUPPORT,
		                      CDH ": %s: \"%.100s\" is not supported, only file:///...",
		                      key, uri);
	inside = skip_prefix(path, f->path);
	r = read_inside(f, inside && *inside == '/' ? inside : path, max, out, err);
	if (r == 1)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      CDH ": %s: there is no \"%.100s\" in %s", key, uri, f->path);
	return r;
}

static int read_path(const char *path, size_t max, struct buffer *out, struct error *err)
{
	return fs_read_file(AT_FDCWD, path, max, out, err);
}

/* ---- certificates */

static int add_pem(struct settings *s, const char *pem, const char *from, struct error *err)
{
	if (!strstr(pem, PEM_BEGIN))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s holds no certificate (PEM, \"" PEM_BEGIN "\")", from);
	buffer_str(&s->ca, pem);
	buffer_str(&s->ca, "\n");
	return s->ca.failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int add_ca_file(struct settings *s, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer pem = BUFFER_INIT;
	int r = read_path(path, CA_MAX, &pem, err);

	return r ? r : add_pem(s, buffer_cstr(&pem), path, err);
}

/* The first bundle that a distribution has. */
static void add_system_ca(struct settings *s)
{
	const char *const bundles[] = {
	    getenv("SSL_CERT_FILE"),
	    "/etc/ssl/certs/ca-certificates.crt",
	    "/etc/pki/tls/certs/ca-bundle.crt",
	    "/etc/ssl/cert.pem",
	};

	for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++)
		if (bundles[i] && !add_ca_file(s, bundles[i], NULL))
			return;
}

static int add_extra_ca(struct settings *s, const cJSON *image, struct error *err)
{
	const cJSON *list = NULL, *pem;
	int r = json_array(image, "extra_root_certificates", false, &list, CDH, err);

	if (r < 0)
		return r;
	cJSON_ArrayForEach(pem, list)
	{
		r = add_pem(s, cJSON_IsString(pem) ? pem->valuestring : "",
		            CDH ": an entry of extra_root_certificates", err);
		if (r)
			return r;
	}
	return 0;
}

/* ---- cdh.toml */

static int parse_cdh(const struct folder *f, struct settings *s, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;
	int r = read_inside(f, CDH, CDH_MAX, &text, err);

	if (r)
		return r < 0 ? r : 0;
	p = buffer_cstr(&text);
	if (p[strspn(p, " \t\r\n")] == '{')
		return json_parse(p, text.size, CDH_MAX, CDH, &s->cdh, err);
	return toml_parse(p, text.size, CDH_MAX, CDH, &s->cdh, err);
}

static int read_proxy(struct settings *s, const cJSON *image, struct error *err)
{
	const cJSON *proxy = NULL;
	int r = json_object(image, "image_pull_proxy", false, &proxy, CDH, err);

	if (r >= 0)
		r = json_string(proxy, "https_proxy", false, &s->https_proxy, CDH, err);
	if (r >= 0)
		r = json_string(proxy, "http_proxy", false, &s->http_proxy, CDH, err);
	if (r >= 0)
		r = json_string(proxy, "no_proxy", false, &s->no_proxy, CDH, err);
	return r < 0 ? r : 0;
}

static int read_registries(const struct folder *f, struct settings *s, const cJSON *image,
                           struct error *err)
{
	static const char key[] = "registry_configuration_uri";
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *uri = NULL;
	int r = json_object(image, "registry_config", false, &s->registries, CDH, err);

	if (r >= 0)
		r = json_string(image, key, false, &uri, CDH, err);
	if (r < 0)
		return r;
	if (uri) {
		r = read_uri(f, uri, key, CDH_MAX, &text, err);
		if (!r)
			r = toml_parse(buffer_cstr(&text), text.size, CDH_MAX, uri,
			               &s->registries_file, err);
		if (r)
			return r;
		s->registries = s->registries_file;
	}
	return s->registries ? registry_config_check(s->registries, err) : 0;
}

static int read_downloads(struct settings *s, const cJSON *image, struct error *err)
{
	uint64_t n = SETTINGS_DOWNLOADS;
	int r = json_u64(image, "max_concurrent_layer_downloads_per_image", false, &n, CDH, err);

	if (r < 0)
		return r;
	s->downloads = n < 1                        ? 1
	               : n > SETTINGS_DOWNLOADS_MAX ? SETTINGS_DOWNLOADS_MAX
	                                            : (uint32_t)n;
	return 0;
}

/* The text of a file that is named on the command line, by a URI, or lies in the folder;
 * 1: none of these. */
static int find_text(const struct folder *f, const char *path, const cJSON *image,
                     const char *uri_key, const char *name, size_t max, struct buffer *out,
                     struct error *err)
{
	const char *uri = NULL;
	int r;

	if (path)
		return read_path(path, max, out, err);
	r = json_string(image, uri_key, false, &uri, CDH, err);
	if (r < 0)
		return r;
	return uri ? read_uri(f, uri, uri_key, max, out, err) : read_inside(f, name, max, out, err);
}

static int read_auth(const struct folder *f, const struct settings_from *from, struct settings *s,
                     const cJSON *image, struct error *err)
{
	_cleanup_secret_ struct buffer text = BUFFER_INIT;
	int r = find_text(f, from->auth_file, image, "authenticated_registry_credentials_uri",
	                  "auth.json", AUTH_MAX_FILE, &text, err);

	if (r)
		return r < 0 ? r : 0;
	return auth_file_parse(buffer_cstr(&text), text.size, &s->auth, err);
}

static int read_policy(const struct folder *f, const struct settings_from *from, struct settings *s,
                       const cJSON *image, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *uri = NULL, *inline_text = NULL;
	int r = json_string(image, "image_security_policy", false, &inline_text, CDH, err);

	if (r >= 0)
		r = json_string(image, "image_security_policy_uri", false, &uri, CDH, err);
	if (r < 0)
		return r;
	if (inline_text && !uri && !from->policy_file)
		return policy_parse(inline_text, strlen(inline_text), &s->policy, err);
	r = find_text(f, from->policy_file, image, "image_security_policy_uri", "policy.json",
	              POLICY_MAX_FILE, &text, err);
	if (r)
		return r < 0 ? r : 0;
	return policy_parse(buffer_cstr(&text), text.size, &s->policy, err);
}

static int load(const struct folder *f, const struct settings_from *from, struct settings *s,
                struct error *err)
{
	const cJSON *image = NULL;
	int r = parse_cdh(f, s, err);

	if (!r)
		r = json_object(s->cdh, "image", false, &image, CDH, err);
	if (r >= 0)
		r = read_proxy(s, image, err);
	if (!r)
		r = read_registries(f, s, image, err);
	if (!r)
		r = read_downloads(s, image, err);
	if (!r)
		r = read_auth(f, from, s, image, err);
	if (!r)
		r = read_policy(f, from, s, image, err);
	if (!r && from->system_ca)
		add_system_ca(s);
	if (!r && from->ca_file)
		r = add_ca_file(s, from->ca_file, err);
	return r ? r : add_extra_ca(s, image, err);
}

int settings_load(const struct settings_from *from, struct settings *out, struct error *err)
{
	_cleanup_settings_ struct settings s = {0};
	_cleanup_close_ int fd = -1;
	struct folder f = {from->config_dir, -1};
	int r;

	if (f.path) {
		fd = f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return error_errno(err, errno, "cannot open the configuration %s", f.path);
	}
	r = load(&f, from, &s, err);
	if (r)
		return r;
	*out = s;
	s = (struct settings){0};
	return 0;
}
