/* SPDX-License-Identifier: Apache-2.0 */
/* inputs: the pins of a build (lock.h), from what it was given and what it found. */
#pragma once

#include "image-tool/lock.h"
#include "image-tool/profile.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

/* This Kihon, lists, files, fragments: what is known before the kernel is. */
int inputs_add_sources(struct lock *lock, const struct profile *p, const struct strv *fragments,
                       struct error *err);
/* The sources of kernel and libraries, of an image whose packages are known but that is not made
 * yet. */
int inputs_add_known(struct lock *lock, const struct guestimg *img, const struct locations *where,
                     struct error *err);
/* Kernel and libraries, of an image that is described (its packages and files are known). */
int inputs_add_made(struct lock *lock, const struct guestimg *img, const struct locations *where,
                    struct error *err);
