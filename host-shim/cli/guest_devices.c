/* SPDX-License-Identifier: Apache-2.0 */
/* guest_devices: what `boot` and `run` may give a guest beside what every guest has. */
#include "host-shim/cli/guest_devices.h"

#include <errno.h>
#include <string.h>

void guest_devices_default(struct guest_devices *d)
{
	d->slots = GUEST_SLOTS_DEFAULT;
}

void guest_devices_free(struct guest_devices *d)
{
	strv_free(&d->shares);
}

static bool is_virtio_console(const struct guest_devices *d)
{
	return d->console && strcmp(d->console, "hvc0") == 0;
}

const char *guest_devices_word(const struct guest_devices *d)
{
	return is_virtio_console(d) ? "console=hvc0" : NULL;
}

/* "DIR:TAG", at the last colon, which the list's string loses. */
static int add_share(char *text, struct hypervisor_config *c, struct error *err)
{
	char *colon = strrchr(text, ':');

	if (!colon || colon == text || !colon[1])
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--share %s: a folder and a tag are wanted, as in "
		                      "--share /srv/data:data",
		                      text);
	if (c->n_shares == HYPERVISOR_SHARES_MAX)
		return error_set_kind(err, ERROR_USAGE, ENOSPC, "--share: a guest has at most %d",
		                      HYPERVISOR_SHARES_MAX);
	*colon = '\0';
	c->shares[c->n_shares++] = (struct hypervisor_share){.path = text, .tag = colon + 1};
	return 0;
}

int guest_devices_config(const struct guest_devices *d, bool program, struct hypervisor_config *c,
                         struct error *err)
{
	int r = 0;

	c->memory_max = d->memory_max;
	c->balloon = d->balloon;
	c->huge_pages = d->huge_pages;
	c->prefault = d->prefault;
	c->shared_memory = d->shared_memory;
	c->virtio_console = is_virtio_console(d);
	c->slots_asked = d->slots != GUEST_SLOTS_DEFAULT;
	if (c->slots_asked)
		c->slots = d->slots;
	else if (!c->save_to && !c->from)
		c->slots = program ? 0 : HYPERVISOR_SLOTS;
	for (size_t i = 0; i < d->shares.n && r == 0; i++)
		r = add_share(d->shares.v[i], c, err);
	return r;
}
