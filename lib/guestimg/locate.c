/* SPDX-License-Identifier: Apache-2.0 */
/* locate: finds Kihon's data from the program's own place or $KIHON_DATA. */
#include "lib/guestimg/locate.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

/* One way that the folders may lie, all from the data folder. */
struct arrangement {
	const char *guest;
	const char *images;
};

static const struct arrangement arrangements[] = {
    {"build/guest", "build/image"},
    {"../../lib/kihon/guest", "../../lib/kihon/image"},
    {"guest", "image"}, /* last: the source tree has a guest/ of another kind */
};

/* From the folder of the program. */
static const char *const data_places[] = {"../../..", "../share/kihon"};

static char *absolute(const char *dir, const char *below)
{
	_cleanup_free_ char *path = str_printf("%s/%s", dir, below);

	return path ? realpath(path, NULL) : NULL;
}

static bool is_data(const char *dir)
{
	_cleanup_free_ char *probe = str_printf("%s/rootfs/profiles", dir);

	return probe && fs_exists(probe);
}

static int find_data(char **out, struct error *err)
{
	const char *given = getenv("KIHON_DATA");
	char exe[PATH_MAX];
	ssize_t n;

	if (!str_empty(given)) {
		*out = realpath(given, NULL);
		if (*out && is_data(*out))
			return 0;
		free(steal_ptr(out));
		return error_set_kind(
		    err, ERROR_ENVIRONMENT, ENOENT,
		    "KIHON_DATA=%s does not hold Kihon's data (rootfs/profiles is missing)", given);
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = 0;
		const char *dir = dirname(exe);

		for (size_t i = 0; i < sizeof(data_places) / sizeof(*data_places); i++) {
			*out = absolute(dir, data_places[i]);
			if (*out && is_data(*out))
				return 0;
			free(steal_ptr(out));
		}
	}
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "Kihon's data (rootfs/profiles) is neither beside the program nor in "
	                      "share/kihon; set KIHON_DATA to its folder");
}

int locations_find(struct locations *out, struct error *err)
{
	_cleanup_locations_ struct locations l = LOCATIONS_INIT;
	const struct arrangement *a = arrangements;
	int r = find_data(&l.data, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(arrangements) / sizeof(*arrangements) && !l.guest; i++) {
		a = &arrangements[i];
		l.guest = absolute(l.data, a->guest);
	}
	/* Without guest programs: where the build would put them. */
	if (!l.guest)
		a = &arrangements[0];
	if (!l.guest)
		l.guest = str_printf("%s/%s", l.data, a->guest);
	l.images = str_printf("%s/%s", l.data, a->images);
	if (!l.guest || !l.images)
		return error_set(err, ENOMEM, "no memory to find Kihon's data");
	*out = l;
	l = (struct locations)LOCATIONS_INIT;
	return 0;
}

void locations_free(struct locations *l)
{
	free(l->data);
	free(l->guest);
	free(l->images);
	*l = (struct locations)LOCATIONS_INIT;
}
