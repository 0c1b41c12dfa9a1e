/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locate: where Kihon's data is, in the build tree and when installed.
 *
 *	            build tree               installed
 *	program     build/host/bin/X         PREFIX/bin/X
 *	data        .                        PREFIX/share/kihon
 *	guest       build/guest              PREFIX/lib/kihon/guest
 *	images      build/image              PREFIX/lib/kihon/image
 *
 * "data" holds kernel-config/ and rootfs/; "guest" bin/, licences/ and packages.json;
 * "images" a guest image a profile. $KIHON_DATA takes the place of "data" and is then looked
 * at for guest/ and image/ first.
 */
#pragma once

#include "lib/base/error.h"

struct locations {
	char *data; /* absolute; owned, as are the others */
	char *guest;
	char *images;
};

#define LOCATIONS_INIT                                                                             \
	{                                                                                          \
		0                                                                                  \
	}

/* -ENOENT (kind environment) when there is no data folder. guest and images need not exist. */
int locations_find(struct locations *out, struct error *err);
void locations_free(struct locations *l);
#define _cleanup_locations_ __attribute__((cleanup(locations_free)))
