/* SPDX-License-Identifier: Apache-2.0 */
/* clone: a guest that begins where a template's was. */
#include "host-shim/cli/clone.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

static int refuse(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "%s does not go with --template: the guest is the template's", what);
}

/* Devices are the template's, and its memory is a private mapping of a file. */
static int take_devices(const struct guest_devices *d, struct error *err)
{
	const struct {
		const char *option;
		bool given;
	} all[] = {
	    {"--memory-max", d->memory_max > 0}, {"--balloon", d->balloon},
	    {"--huge-pages", d->huge_pages},     {"--prefault", d->prefault},
	    {"--share", d->shares.n > 0},        {"--slots", d->slots != GUEST_SLOTS_DEFAULT},
	    {"--console", d->console},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].given)
			return refuse(err, all[i].option);
	return 0;
}

/* Options that have a value whether they were given or not: their default is no contradiction. */
static int take_sizes(const struct vm_template *t, struct guest_options *o, struct error *err)
{
	struct guest_options defaults = {0};

	guest_options_default(&defaults);
	if (o->cpus != defaults.cpus && o->cpus != t->cpus)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--cpus %" PRIu32 ": the template's guest has %" PRIu32,
		                      o->cpus, t->cpus);
	if (o->memory != defaults.memory && o->memory != t->memory)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--memory: the template's guest has %" PRIu64 " MiB",
		                      t->memory >> 20);
	o->cpus = t->cpus;
	o->memory = t->memory;
	return 0;
}

/* "host" is what was the host then: the processor's features are compared when it is loaded. */
static int take_options(const struct vm_template *t, struct guest_options *o, struct error *err)
{
	int r = o->append ? refuse(err, "--append") : take_devices(&o->devices, err);

	if (r < 0)
		return r;
	if (o->vmm && strcmp(o->vmm, "builtin") != 0)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "--template is for the built-in monitor: --vmm builtin");
	if (o->cpu && strcmp(o->cpu, t->cpu) != 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--cpu %s: the template's guest has %s", o->cpu, t->cpu);
	o->vmm = "builtin";
	o->cpu = t->cpu;
	return take_sizes(t, o, err);
}

/* Once: it is what the guest is made with. */
static int open_image(struct clone *c, struct guest_setup *s, struct error *err)
{
	int r = c->t.lacks == TEMPLATE_LACKS_UNKNOWN
	            ? image_dir_open(&c->image, s->image_dir, err)
	            : image_dir_open_known(&c->image, s->image_dir, c->t.lacks, err);

	s->image = &c->image;
	return r < 0 ? r : template_check_image(&c->t, c->image.json, s->image_dir, err);
}

int clone_open(struct clone *c, const char *dir, struct guest_options *o, struct guest_setup *s,
               struct error *err)
{
	bool net = !o->net.net || strcmp(o->net.net, "none") != 0;
	int r;

	if (s->kernel || s->initrd)
		return refuse(err, s->kernel ? "--kernel" : "--initrd");
	r = template_open(dir, geteuid(), &c->t, &c->files, err);
	if (r == 0)
		r = take_options(&c->t, o, err);
	if (r < 0)
		return r;
	if (!s->image_dir)
		s->image_dir = c->t.image;
	s->exit_port = false;
	s->from = &c->files;
	s->slots = c->t.slots;
	r = open_image(c, s, err);
	if (r == 0 && net && c->t.slots < HYPERVISOR_SLOTS)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "it has no room for a network and a disk of the clone's: make "
		                   "the template again");
	return r < 0 ? error_prefix(err, r, "template %s", dir) : 0;
}

void clone_close(struct clone *c)
{
	template_files_close(&c->files);
	image_dir_free(&c->image);
}
