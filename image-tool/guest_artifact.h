/* SPDX-License-Identifier: Apache-2.0 */
/* guest_artifact: how a guest image lies in a registry: what `publish` pushes and `fetch` takes. */
#pragma once

#include "image-tool/lock.h"
#include "lib/guestimg/guestimg.h"

#define GUEST_ARTIFACT_TYPE "application/vnd.kihon.guest-image.v1+json"
#define GUEST_IMAGE_JSON    "application/vnd.kihon.guest-image.description.v1+json"
#define GUEST_IMAGE_FILE    "application/vnd.kihon.guest-image.file.v1"

/* Files beside image.json that it does not name; either may be missing. */
#define GUEST_SIGNATURE GUESTIMG_FILE ".sig"
#define GUEST_COMPANIONS                                                                           \
	{                                                                                          \
		GUEST_SIGNATURE, LOCK_FILE                                                         \
	}

/* What refers to it. */
#define SBOM_ARTIFACT_TYPE       "application/spdx+json"
#define PROVENANCE_ARTIFACT_TYPE "application/vnd.in-toto+json"
