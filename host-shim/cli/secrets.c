/* SPDX-License-Identifier: Apache-2.0 */
/* secrets: certificate authority, credentials and policies for the guest. */
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
static int ca_table(const char *what, const char *path, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer pem = BUFFER_INIT;
	int r = read_named(what, path, &pem, err);

	if (r < 0)
		return r;
	if (!strstr(buffer_cstr(&pem), "-----BEGIN CERTIFICATE-----"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s %s: there is no PEM certificate in it", what, path);
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

#define FILES_MAX 4

/* Content of the disk's files, forgotten afterwards. */
struct contents {
	struct buffer files[FILES_MAX];
};

static void forget_all(struct contents *c)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		forget(&c->files[i]);
}

static int build(const struct secrets_options *o, struct buffer *disk, struct error *err)
{
	const struct {
		const char *path, *name, *what;
		int (*read)(const char *what, const char *path, struct buffer *out,
		            struct error *err);
	} files[FILES_MAX] = {
	    {o->ca, "cdh.toml", "--ca", ca_table},
	    {o->authfile, "auth.json", "--authfile", read_named},
	    {o->policy, "policy.json", "--policy", read_named},
	    {o->agent_policy, INITDATA_AGENT_POLICY, "--agent-policy", read_named},
	};
	__attribute__((cleanup(forget_all))) struct contents c = {0};
	struct initdata_entry entries[FILES_MAX];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < FILES_MAX; i++) {
		struct buffer *b = &c.files[i];

		if (!files[i].path)
			continue;
		r = files[i].read(files[i].what, files[i].path, b, err);
		if (r < 0)
			return r;
		entries[n++] = (struct initdata_entry){files[i].name, b->data, b->size};
	}
	if (n == 0)
		return 1;
	r = initdata_build(disk, entries, n, err);
	return r < 0 ? error_prefix(err, r, "init-data") : 0;
}

int secrets_disk(const struct secrets_options *o, const struct runtime_dir *dir, int *fd,
                 struct error *err)
{
	__attribute__((cleanup(forget))) struct buffer disk = BUFFER_INIT;
	int r = build(o, &disk, err);

	*fd = -1;
	if (r != 0)
		return r;
	*fd = runtime_dir_unnamed_file(dir, disk.data, disk.size, err);
	return *fd < 0 ? *fd : 0;
}
