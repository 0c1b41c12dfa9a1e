/* SPDX-License-Identifier: Apache-2.0 */
/* former: an image that was built before, to be built again or compared with. */
#pragma once

#include "image-tool/build.h"
#include "image-tool/lock.h"
#include "lib/guestimg/guestimg.h"

struct former {
	struct guestimg *img; /* owned; NULL: there is only a lock, or nothing */
	struct lock lock;
	bool has_lock;
};

void former_free(struct former *f);
#define _cleanup_former_ __attribute__((cleanup(former_free)))

/* `path` is an image's folder or its image.json; image.lock beside it is read where there is one.
 */
int former_load(struct former *f, const char *path, struct error *err);

/* Puts into the options what the image says and nobody else has said. Strings are the image's. */
void former_options(const struct former *f, struct build_options *o);

/* Calls fn with a line for each difference, causes before what they caused: kernel, compiler,
 * libraries, inputs, then the image's own words and files. A non-zero return ends it. */
int former_diff(const struct former *f, const struct guestimg *img, const struct lock *lock,
                lock_diff_fn fn, void *data);
