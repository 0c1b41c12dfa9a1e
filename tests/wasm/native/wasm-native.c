/* SPDX-License-Identifier: Apache-2.0 */
/* wasm-native MODULE PROGRAM: what kata-image-tool pack does to a module, without an image. */
#include <fcntl.h>
#include <stdio.h>

#include "image-tool/wasm.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/options.h"

static int compile(const char *module, int fd, struct error *err)
{
	_cleanup_locations_ struct locations where = LOCATIONS_INIT;
	_cleanup_buffer_ struct buffer data = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, module, WASM_MODULE_MAX, &data, err);

	if (r == 0)
		r = locations_find(&where, err);
	if (r == 0) {
		const struct wasm_request rq = {
		    .data = data.data,
		    .size = data.size,
		    .name = module,
		    .where = &where,
		};
		struct wasm_needs needs;

		r = wasm_compile(&rq, fd, &needs, err);
		if (r == 0 && needs.sockets)
			puts("needs sockets");
	}
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_fs_temp_ struct fs_temp out = FS_TEMP_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: wasm-native MODULE PROGRAM\n");
		return 2;
	}
	r = fs_temp_open(&out, argv[2], 0755, &err);
	if (r == 0)
		r = compile(argv[1], out.fd, &err);
	if (r == 0)
		r = fs_temp_commit(&out, &err);
	return r < 0 ? program_fail("wasm-native", &err) : 0;
}
