/* SPDX-License-Identifier: Apache-2.0 */
/* template: boots a guest until its agent answers, saves it, and ends it. */
#include "host-shim/cli/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/cli/guest.h"
#include "host-shim/cli/hello.h"
#include "host-shim/hypervisor/template.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

/* The line that a failure to come up ends with. */
#define TAIL_LINES 3

struct template_data {
	struct guest_options guest;
	const char *output;
};

struct making {
	struct loop *loop;
	struct guest *guest;
	struct hello *hello, *rehearsal;
	bool verbose, clone, saved;
	int status; /* what kihon returns */
};

static void __attribute__((format(printf, 2, 3))) fail(struct making *m, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '|';
	if (m->status == 0)
		cli_say("%s", text);
	m->status = EXIT_OURS;
	hypervisor_stop(guest_hypervisor(m->guest));
}

static void on_end(void *data, const struct hypervisor_end *end)
{
	struct making *m = data;
	const char *panic = guest_panic(m->guest);

	m->saved = end->saved;
	if (guest_signal(m->guest) && !m->saved)
		m->status = 128 + guest_signal(m->guest);
	else if (guest_timed_out(m->guest) && !m->saved)
		fail(m, "the guest did not come up in time; its console: %s",
		     hypervisor_console_tail(guest_hypervisor(m->guest), TAIL_LINES));
	else if (end->failed)
		fail(m, "%s", end->text);
	else if (!m->saved && panic)
		fail(m, "the guest's kernel panicked: %s", panic);
	else if (!m->saved)
		fail(m, "the guest ended too early; its console: %s",
		     hypervisor_console_tail(guest_hypervisor(m->guest), TAIL_LINES));
	loop_exit(m->loop, 0);
}

static void on_console(void *data, const uint8_t *bytes, size_t size)
{
	struct making *m = data;

	if (m->verbose)
		fs_write_all(STDERR_FILENO, bytes, size);
}

/* Whatever came of it: clones make these calls again. */
static void on_rehearsed(void *data, int result, const char *why)
{
}

/* The monitor tells the guest, before it saves it, what it tells a clone. Calls come at the same
 * time, as to a clone: what the guest's kernel makes for that is there in all of them. */
static void save(struct making *m, struct error *err)
{
	if (hypervisor_save(guest_hypervisor(m->guest), err) < 0)
		fail(m, "%s", err->text);
	else if (!m->clone)
		hello_start(&m->rehearsal, m->loop, guest_hypervisor(m->guest),
		            guest_network(m->guest), on_rehearsed, m, err);
}

/* The connection is closed by now. */
static void on_hello(void *data, int result, const char *why)
{
	struct making *m = data;
	struct error err = ERROR_INIT;

	if (result < 0)
		fail(m, "the guest's agent: %s; its console: %s", why,
		     hypervisor_console_tail(guest_hypervisor(m->guest), TAIL_LINES));
	else
		save(m, &err);
}

/* Has one guest come up and be saved. */
static int run_guest(struct making *m, const struct guest_options *o,
                     const struct guest_setup *setup, struct error *err)
{
	struct guest_events events = {on_console, on_end, NULL, m};
	int r = loop_new(&m->loop, err);

	m->saved = false;
	m->clone = setup->from;
	if (r == 0)
		r = guest_new(&m->guest, m->loop, o, setup, &events, err);
	if (r == 0)
		r = guest_start(m->guest, err);
	if (r == 0)
		r = hello_start(&m->hello, m->loop, guest_hypervisor(m->guest),
		                m->clone ? guest_network(m->guest) : NULL, on_hello, m, err);
	return r < 0 ? r : loop_run(m->loop, err);
}

static void release_guest(struct making *m)
{
	hello_free(m->hello);
	hello_free(m->rehearsal);
	guest_free(m->guest);
	loop_free(m->loop);
	m->hello = NULL;
	m->rehearsal = NULL;
	m->guest = NULL;
	m->loop = NULL;
}

/* Boots the guest and saves it to the files; then a first clone, which shows that there can be one,
 * for the pages that all of them touch. */
static int make(struct making *m, const struct guest_options *o, const char *image,
                struct template_files *files, struct error *err)
{
	struct guest_setup setup = {.image_dir = image,
	                            .save_to = files,
	                            .slots = HYPERVISOR_SLOTS,
	                            .name = "kihon-template"};
	int r = run_guest(m, o, &setup, err);

	if (r < 0 || !m->saved)
		return r;
	release_guest(m);
	setup.save_to = NULL;
	setup.from = files;
	files->record = files->untouched = true;
	return run_guest(m, o, &setup, err);
}

static int take(struct vm_template *t, const struct guest_options *o, const struct image_dir *image,
                struct error *err)
{
	snprintf(t->cpu, sizeof(t->cpu), "%s", o->cpu ? o->cpu : "host");
	snprintf(t->net, sizeof(t->net), "%s", o->net.net);
	t->cpus = o->cpus;
	t->slots = HYPERVISOR_SLOTS;
	t->memory = o->memory;
	t->uid = geteuid();
	t->lacks = image->lacks;
	return template_take_image(t, image->json, image->path, err);
}

static int create(const struct template_data *d, const char *image, struct making *m,
                  struct error *err)
{
	_cleanup_template_files_ struct template_files files = TEMPLATE_FILES_INIT;
	_cleanup_image_dir_ struct image_dir found = {0};
	struct guest_options o = d->guest;
	struct vm_template t = {0};
	char *staged = NULL;
	int r = image_dir_open(&found, image, err);

	o.vmm = o.vmm ? o.vmm : "builtin";
	if (r == 0 && o.net.net && strcmp(o.net.net, "none") != 0)
		r = error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                   "--net %s: the guest of a template has no network, its clones "
		                   "may have one each",
		                   o.net.net);
	o.net = (struct guest_net_words){.net = "none"};
	if (r == 0)
		r = take(&t, &o, &found, err);
	if (r == 0)
		r = template_create(d->output, &staged, &files, err);
	if (r == 0)
		r = make(m, &o, found.path, &files, err);
	if (r >= 0 && m->saved)
		r = template_commit(staged, d->output, &t, &files, err);
	if (staged && (r < 0 || !m->saved))
		fs_remove_tree(AT_FDCWD, staged, NULL);
	free(staged);
	return r;
}

static int run_template(int argc, char **argv, void *data)
{
	const struct template_data *d = data;
	struct making m = {.verbose = d->guest.verbose};
	struct error err = ERROR_INIT;
	int r;

	if (strcmp(argv[0], "create") != 0)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL,
		                   "template %s: there is only 'template create'", argv[0]);
	else if (!d->output)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL,
		                   "template create: name the new folder with --output DIR");
	else
		r = create(d, argc > 1 ? argv[1] : NULL, &m, &err);
	release_guest(&m);
	return r < 0 ? cli_fail(&err) : m.status;
}

static void defaults(void *data)
{
	guest_options_default(&((struct template_data *)data)->guest);
}

static const struct option options[] = {
    {"output", 'o', OPTION_STRING, offsetof(struct template_data, output), "DIR", NULL,
     "the template: a new folder"},
    GUEST_OPTION_ROWS(struct template_data, guest),
    {NULL},
};

const struct verb template_verb = {
    .name = "template",
    .args = "create [IMAGE]",
    .summary = "save a guest whose agent answers, for others to begin from",
    .details =
        "Boots the guest image in the folder IMAGE (else the one that 'kihon run' would take) in\n"
        "the built-in monitor until its agent answers, and saves processors, devices and memory\n"
        "to the folder that --output names, which appears whole or not at all. A first clone\n"
        "shows which pages all of them touch. 'kihon run' and 'kihon boot' with --template DIR\n"
        "begin there: each clone maps the memory privately, is given random numbers and the time\n"
        "anew, and has no connection of the template's. Those of 'kihon run' get a network and\n"
        "init-data of their own.\n"
        "\n"
        "A template is for the user alone who made it: its guests share what its memory held. It\n"
        "belongs to the image that it was made of, has no network, and goes on where the\n"
        "processor has all that the guest was told of; --cpu x86-64-v2 makes it good for more\n"
        "hosts than this one. A file that is damaged, or of a newer Kihon, is refused.\n"
        "\n"
        "Exit status: 0; 125 when it could not be made; 128 + signal; 2 for a wrong command\n"
        "line.\n",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .run = run_template,
    .defaults = defaults,
    .data_size = sizeof(struct template_data),
};
