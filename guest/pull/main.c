/* SPDX-License-Identifier: Apache-2.0 */
/* main: kihon-pull, the one program that faces registries and archives. */
#include <stddef.h>

#include "guest/pull/verbs.h"

static const struct verb *const all[] = {&verb_pull, &verb_init_data};

int main(int argc, char **argv)
{
	struct verb verbs[sizeof(all) / sizeof(all[0]) + 1] = {{0}};
	const struct program program = {
	    .name = "kihon-pull",
	    .summary = "pull an image into a store of EROFS layers",
	    .details =
	        "Fetches container images from registries, checks every digest, and writes one\n"
	        "EROFS file a layer, for overlayfs to stack. It mounts nothing and needs no\n"
	        "privileges: it gives up those it has, and confines itself to its store and the\n"
	        "network before it reads a byte from outside.\n"
	        "\n"
	        "Exit status: 0 done, 1 failed, 2 usage, 3 the image or an input is wrong, 4\n"
	        "something is missing or forbidden (network, room, login), 5 a digest, "
	        "certificate\n"
	        "or policy does not hold.",
	    .verbs = verbs,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		verbs[i] = *all[i];
	return program_main(&program, argc, argv);
}
