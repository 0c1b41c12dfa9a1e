/* SPDX-License-Identifier: Apache-2.0 */
/* init_data: `kihon-pull init-data`, which unpacks what the host handed over on a block device. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/pull/sandbox.h"
#include "guest/pull/verbs.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/image/initdata.h"

#define HEAD (8 + 8) /* magic and length */

struct init_data_options {
	const char *out;
};

static const struct option options[] = {
    {"out", 0, OPTION_STRING, offsetof(struct init_data_options, out), "DIR", NULL,
     "Folder to write to (made when needed)."},
    {0},
};

/* The device up to the end of what its head says; a device does not end there. */
static int read_device(struct buffer *out, struct error *err)
{
	size_t want = HEAD;

	out->limit = HEAD + INITDATA_MAX_GZIP;
	while (out->size < want) {
		uint8_t *room = buffer_reserve(out, want - out->size);
		ssize_t n = room ? read(STDIN_FILENO, room, want - out->size) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "init-data: cannot read the device");
		if (n == 0)
			break; /* too short: the reader of it says so */
		out->size += (size_t)n;
		if (out->size == HEAD && get_le64(out->data + 8) <= INITDATA_MAX_GZIP)
			want = HEAD + (size_t)get_le64(out->data + 8);
	}
	return 0;
}

static int write_file(void *data, const char *key, const void *text, size_t size, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", (const char *)data, key);

	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	return fs_write_file_atomic(path, text, size, 0400, err);
}

static int unpack(const char *dir, struct error *err)
{
	const struct sandbox sandbox = {
	    .write_dir = dir,
	    .max_file = INITDATA_MAX_TOML,
	    .max_memory = 256u << 20,
	};
	_cleanup_buffer_ struct buffer device = BUFFER_INIT, toml = BUFFER_INIT;
	int r = fs_mkdir_p(dir, 0700, err);

	if (!r)
		r = sandbox_enter(&sandbox, err);
	if (!r)
		r = read_device(&device, err);
	if (!r)
		r = initdata_unwrap(device.data, device.size, &toml, err);
	if (!r)
		r = initdata_each(buffer_cstr(&toml), toml.size, write_file, (void *)dir, err);
	return r ? r : write_file((void *)dir, "initdata.toml", toml.data, toml.size, err);
}

static int run(int argc, char **argv, void *data)
{
	const struct init_data_options *o = data;
	struct error err = ERROR_INIT;

	if (!o->out) {
		error_set_kind(&err, ERROR_USAGE, EINVAL, "init-data: --out DIR is missing");
		return program_fail(PROGRAM, &err);
	}
	return unpack(o->out, &err) ? program_fail(PROGRAM, &err) : 0;
}

const struct verb verb_init_data = {
    .name = "init-data",
    .args = "",
    .summary = "unpack the init-data block device on standard input",
    .details = "Reads a device (or file) that begins with \"initdata\", the length and a gzip\n"
               "stream of TOML, and writes initdata.toml and every key of its [data] table as a\n"
               "file of mode 0400. Nothing is written unless all of it is sound.",
    .options = options,
    .run = run,
    .data_size = sizeof(struct init_data_options),
};
