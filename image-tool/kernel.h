/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: gets the guest kernel of an image, from kernel-config/build-kernel (which keeps
 * what it built) or from a folder that holds one.
 */
#pragma once

#include <stdbool.h>

#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

struct kernel_request {
	const struct locations *where;
	const char *profile;
	const char *dir;            /* take vmlinux (and bzImage) from here; NULL: build */
	const char *source;         /* NULL: Debian's */
	const struct strv *configs; /* further fragments */
	bool offline;
	bool quiet;
};

/* Puts vmlinux, and bzImage where there is one, into the stage, and fills img->kernel and
 * *package (from kernel.json; without that file the version is read from the kernel itself and
 * package->name stays NULL). Strings are the arena's of img. */
int kernel_get(const struct kernel_request *req, struct stage *stage, struct guestimg *img,
               struct guestimg_package *package, struct error *err);

/* What kernel_get() will build it from, or was built from: *package and the compiler in
 * img->kernel. package->name is NULL where nobody says. Builds nothing, but fetches the source. */
int kernel_identify(const struct kernel_request *req, struct stage *stage, struct guestimg *img,
                    struct guestimg_package *package, struct error *err);

/* Only runs build-kernel: vmlinux, bzImage, kernel.config and kernel.json into the folder `out`. */
int kernel_build(const struct kernel_request *req, const char *out, struct stage *stage,
                 struct error *err);
