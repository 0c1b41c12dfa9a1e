/* SPDX-License-Identifier: Apache-2.0 */
/* guest: a guest as the command line describes it, from its image to its end. */
#include "guest.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "host-shim/hypervisor/passt.h"
#include "lib/base/str.h"
#include "lib/guestimg/boot_words.h"

/* The only guest on its device: any id that is not reserved will do. */
#define GUEST_CID 3

#define DEFAULT_MEMORY (512ull << 20)

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct guest {
	struct loop *loop;
	struct hypervisor *hv;
	struct image_dir image;
	struct runtime_dir dir;
	struct accel_choice accel;
	struct guest_net net;
	struct guest_events events;
	struct loop_source *signal_src[N_SIGNALS], *timer;
	struct confidential *confidential; /* NULL: an ordinary guest */
	char *cmdline;
	uint64_t timeout;
	int signal;
	bool timed_out;
};

void guest_options_default(struct guest_options *o)
{
	o->cpus = 1;
	o->memory = DEFAULT_MEMORY;
	guest_devices_default(&o->devices);
}

void guest_options_free(struct guest_options *o)
{
	guest_devices_free(&o->devices);
}

void cli_say(const char *fmt, ...)
{
	va_list ap;
	char text[1024];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "kihon: %s\n", text);
}

int cli_fail(const struct error *err)
{
	cli_say("%s", err->text[0] ? err->text : "failed");
	return err->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_OURS;
}

static void on_signal(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct guest *g = data;
	int signo = (int)si->ssi_signo;

	if (g->events.signalled) {
		g->events.signalled(g->events.data, signo);
		return;
	}
	g->signal = signo;
	hypervisor_stop(g->hv);
}

static void on_timeout(struct loop_source *src, void *data)
{
	struct guest *g = data;

	g->timed_out = true;
	hypervisor_stop(g->hv);
}

static int watch_signals(struct guest *g, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < N_SIGNALS && r == 0; i++)
		r = loop_add_signal(g->loop, signals[i], on_signal, g, &g->signal_src[i], err);
	return r;
}

static enum accel accel_of(const char *name)
{
	if (name && strcmp(name, "kvm") == 0)
		return ACCEL_KVM;
	return name && strcmp(name, "tcg") == 0 ? ACCEL_TCG : ACCEL_AUTO;
}

static char *make_cmdline(const struct guest *g, const struct guest_options *o)
{
	/* The console is a matter of this guest, as what is appended is. */
	const struct boot_words own = {.image = guest_devices_word(&o->devices),
	                               .append = o->append};
	_cleanup_free_ char *append = boot_words_join(&own);
	const struct boot_words words = {.level = o->verbose ? NULL : BOOT_WORDS_QUIET,
	                                 .image = g->image.cmdline,
	                                 .append = append};

	return append ? boot_words_join(&words) : NULL;
}

/* The built-in monitor where nothing is missed that it has not. */
static const char *choose_vmm(const struct guest *g, const struct guest_options *o)
{
	bool can = g->accel.accel == ACCEL_KVM && !g->accel.pvm && !o->machine &&
	           !g->confidential && !g->image.confidential &&
	           (g->net.kind != GUEST_NET_USER || passt_found());

	if (o->vmm)
		return o->vmm;
	return can ? "builtin" : "qemu";
}

static const char *choose_kernel(const struct guest *g, const struct guest_setup *s)
{
	if (s->kernel)
		return s->kernel;
	return g->confidential ? g->image.bzimage : g->image.kernel;
}

/* Whether KVM can do that is found out with what else a confidential guest takes. */
static int choose_accel(struct guest *g, const struct guest_options *o, bool describe,
                        struct error *err)
{
	enum accel wanted = accel_of(o->accel);

	if (!g->confidential)
		return accel_choose(wanted, "", &g->accel, err);
	if (wanted == ACCEL_TCG)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--accel tcg: a confidential guest cannot be emulated");
	if (describe) {
		g->accel = (struct accel_choice){.accel = ACCEL_KVM};
		return 0;
	}
	return accel_choose(wanted, "", &g->accel, err);
}

static int read_confidential(struct guest *g, const struct guest_options *o, struct error *err)
{
	int r = o->confidential ? confidential_parse(o->confidential, &g->confidential, err) : 0;

	if (r < 0)
		return r;
	if (!g->confidential && g->image.confidential && o->vmm && strcmp(o->vmm, "builtin") == 0)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "%s is an image for confidential guests, for which --vmm "
		                      "builtin has no private memory: use --vmm qemu",
		                      g->image.path);
	if (g->confidential && !g->image.bzimage)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s has no bzImage, the kernel that a firmware starts",
		                      g->image.path);
	return 0;
}

static void say_note(void *data, const char *text)
{
	cli_say("%s", text);
}

static int make_hypervisor(struct guest *g, const struct guest_options *o,
                           const struct guest_setup *s, struct error *err)
{
	const char *vmm = choose_vmm(g, o);
	struct hypervisor_config c = {
	    .name = s->name,
	    .runtime_dir = g->dir.path,
	    .machine = o->machine,
	    .cpu_model = o->cpu && strcmp(o->cpu, "host") != 0 ? o->cpu : NULL,
	    .no_jail = o->no_jail,
	    .accel = g->accel.accel,
	    .pvm = g->accel.pvm,
	    .cpus = o->cpus,
	    .memory = o->memory,
	    .memory_min = g->image.memory_min,
	    /* Another kernel than the image's is given everything. */
	    .lacks = s->kernel ? 0 : g->image.lacks,
	    .kernel = choose_kernel(g, s),
	    .initrd = s->initrd ? s->initrd : g->image.initrd,
	    .rootfs = s->initrd ? NULL : g->image.rootfs,
	    .root_words_blk = g->image.words_blk,
	    .root_words_pmem = g->image.words_pmem,
	    .cmdline = g->cmdline,
	    .net = g->net,
	    .exit_port = s->exit_port,
	    .no_vsock = s->no_vsock,
	    .stats = s->stats,
	    .guest_cid = GUEST_CID,
	    .save_to = s->save_to,
	    .from = s->from,
	    .confidential = g->confidential,
	    .describe = s->describe,
	    .slots = s->slots,
	};
	struct hypervisor_events e = {g->events.console, g->events.ended, say_note, g->events.data};
	int r;

	if (!c.rootfs && !c.initrd)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s has neither rootfs.erofs nor rootfs.initrd",
		                      g->image.path);
	r = guest_devices_config(&o->devices, g->image.program, &c, err);
	return r < 0 ? r : hypervisor_new(&g->hv, g->loop, vmm, &c, &e, err);
}

static int take_image(struct guest *g, const struct guest_setup *setup, struct error *err)
{
	if (!setup->image)
		return image_dir_open(&g->image, setup->image_dir, err);
	g->image = *setup->image;
	*setup->image = (struct image_dir){0};
	return 0;
}

int guest_new(struct guest **out, struct loop *loop, const struct guest_options *o,
              const struct guest_setup *setup, const struct guest_events *events, struct error *err)
{
	_cleanup_guest_ struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return error_set(err, ENOMEM, "no memory for a guest");
	g->dir = (struct runtime_dir)RUNTIME_DIR_INIT;
	g->loop = loop;
	g->events = *events;
	g->timeout = o->timeout;
	r = guest_net_parse(&g->net, &o->net, err);
	if (r == 0)
		r = take_image(g, setup, err);
	if (r == 0 && g->image.program && !setup->exit_port)
		r = error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "%s is an image of one program (%s) without an agent: use 'kihon "
		    "boot %s'",
		    g->image.path, g->image.program, g->image.path);
	if (r == 0)
		r = read_confidential(g, o, err);
	if (r == 0)
		r = choose_accel(g, o, setup->describe, err);
	if (r == 0)
		r = runtime_dir_new(&g->dir, err);
	if (r < 0)
		return r;
	g->cmdline = make_cmdline(g, o);
	if (!g->cmdline)
		return error_set(err, ENOMEM, "no memory for the kernel command line");
	r = make_hypervisor(g, o, setup, err);
	if (r == 0)
		r = watch_signals(g, err);
	if (r == 0 && !setup->describe)
		r = hypervisor_prepare(g->hv, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&g);
	return 0;
}

int guest_start(struct guest *g, struct error *err)
{
	int r;

	if (g->accel.why[0])
		cli_say("this host's KVM cannot run Linux at speed (%s): emulating; slower, and "
		        "not a security boundary",
		        g->accel.why);
	else if (g->accel.accel == ACCEL_TCG)
		cli_say("emulating, as asked; slower, and not a security boundary");
	r = hypervisor_start(g->hv, err);
	if (r == 0 && g->timeout)
		r = loop_add_timer(g->loop, g->timeout, on_timeout, g, &g->timer, err);
	return r;
}

void guest_free(struct guest *g)
{
	if (!g)
		return;
	hypervisor_free(g->hv);
	for (size_t i = 0; i < N_SIGNALS; i++)
		loop_source_free(g->signal_src[i]);
	loop_source_free(g->timer);
	runtime_dir_free(&g->dir);
	image_dir_free(&g->image);
	confidential_free(g->confidential);
	free(g->cmdline);
	free(g);
}

const char *guest_program(const struct guest *g)
{
	return g->image.program;
}

struct hypervisor *guest_hypervisor(struct guest *g)
{
	return g->hv;
}

const struct runtime_dir *guest_runtime(const struct guest *g)
{
	return &g->dir;
}

const struct guest_net *guest_network(const struct guest *g)
{
	return &g->net;
}

const char *guest_panic(struct guest *g)
{
	static const char sign[] = "Kernel panic - not syncing: ";
	const char *text = hypervisor_console_tail(g->hv, 200);
	char *at = strstr(text, sign), *end;

	if (!at)
		return NULL;
	end = strchr(at, '\n');
	if (end)
		*end = '\0';
	return at + sizeof(sign) - 1;
}

int guest_signal(const struct guest *g)
{
	return g->signal;
}

bool guest_timed_out(const struct guest *g)
{
	return g->timed_out;
}
