/* SPDX-License-Identifier: Apache-2.0 */
/* secrets: certificate authority, credentials and policy for the guest. */
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/image/initdata.h"

#define FILE_MAX (1u << 20)

static int read_named(const char *what, const char *path, struct buffer *out, struct error *err)
{
	int r = fs_read_file(AT_FDCWD, path, FILE_MAX, out, err);

	return r < 0 ? error_prefix(err, r, "%s", what) : 0;
}

/* The [image] table of cdh.toml with the certificates. JSON's escapes are a subset of those
 * of TOML's basic strings. */
static int ca_table(const char *path, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer pem = BUFFER_INIT;
	int r = read_named("--ca", path, &pem, err);

	if (r < 0)
		return r;
	if (!strstr(buffer_cstr(&pem), "-----BEGIN CERTIFICATE-----"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "--ca %s: there is no PEM certificate in it", path);
	buffer_str(out, "[image]\nextra_root_certificates = [");
	buffer_json_string(out, buffer_cstr(&pem));
	buffer_str(out, "]\n");
	return 0;
}

static void forget(struct buffer *b)
{
	if (b->data)
		explicit_bzero(b->data, b->size);
	buffer_free(b);
}

int secrets_disk(const struct secrets_options *o, const struct runtime_dir *dir, int *fd,
                 struct error *err)
{
	__attribute__((cleanup(forget))) struct buffer cdh = BUFFER_INIT, auth = BUFFER_INIT,
	                                               policy = BUFFER_INIT, disk = BUFFER_INIT;
	struct initdata_entry entries[3];
	size_t n = 0;
	int r = 0;

	*fd = -1;
	if (o->ca) {
		r = ca_table(o->ca, &cdh, err);
		entries[n++] = (struct initdata_entry){"cdh.toml", cdh.data, cdh.size};
	}
	if (r == 0 && o->authfile) {
		r = read_named("--authfile", o->authfile, &auth, err);
		entries[n++] = (struct initdata_entry){"auth.json", auth.data, auth.size};
	}
	if (r == 0 && o->policy) {
		r = read_named("--policy", o->policy, &policy, err);
		entries[n++] = (struct initdata_entry){"policy.json", policy.data, policy.size};
	}
	if (r < 0 || n == 0)
		return r < 0 ? r : 1;
	r = initdata_build(&disk, entries, n, err);
	if (r < 0)
		return error_prefix(err, r, "init-data");
	*fd = runtime_dir_unnamed_file(dir, disk.data, disk.size, err);
	return *fd < 0 ? *fd : 0;
}
