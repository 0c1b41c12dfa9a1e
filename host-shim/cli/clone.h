/* SPDX-License-Identifier: Apache-2.0 */
/* clone: a guest that begins where a template's was: `kihon boot` and `kihon run --template`. */
#pragma once

#include "host-shim/cli/guest.h"
#include "host-shim/cli/image_dir.h"
#include "host-shim/hypervisor/template.h"

struct clone {
	struct vm_template t;
	struct template_files files; /* the guest reads them as long as it lives */
	struct image_dir image;      /* until the guest has it */
};

#define CLONE_OPTION_ROW(type, member)                                                             \
	{                                                                                          \
		"template", 0, OPTION_STRING, offsetof(type, member), "DIR", NULL,                 \
		    "begin where the guest of this template was (kihon template create): its "     \
		    "image,\n"                                                                     \
		    "processors and memory"                                                        \
	}

/* The guest's name of a clone's network: its template's had none. */
#define CLONE_INTERFACE "eth0"

/* Opens the template in dir and makes o and s those of a guest from it. What they say beside it is
 * refused, of kind usage. The network is the clone's own, which its agent is to be told of. */
int clone_open(struct clone *c, const char *dir, struct guest_options *o, struct guest_setup *s,
               struct error *err);
void clone_close(struct clone *c);
