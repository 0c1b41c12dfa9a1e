/* SPDX-License-Identifier: Apache-2.0 */
/* boot: boots an image and waits for its end. */
#include "boot.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/cli/clone.h"
#include "host-shim/cli/describe.h"
#include "host-shim/cli/fetch.h"
#include "host-shim/cli/guest.h"
#include "host-shim/cli/hello.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

struct boot_data {
	struct guest_options guest;
	struct remote_options remote;
	const char *kernel, *initrd, *stats, *template;
	bool dry_run;
};

struct boot {
	struct loop *loop;
	struct guest *guest;
	struct clone clone;
	struct hello *hello; /* of a clone */
	bool verbose, broken;
	size_t matched; /* bytes of the sign that have come */
	int status;
};

/* What kihon-init writes before it hands the console over to its program (docs/init.md). */
static const char sign[] = "kihon: program\n";

static bool is_started(const struct boot *b)
{
	return b->matched == sizeof(sign) - 1;
}

/* Of an image with one program the console is the program's, once firmware and kernel are done. */
static void on_console(void *data, const uint8_t *bytes, size_t size)
{
	struct boot *b = data;

	if (!b->verbose && !guest_program(b->guest))
		return;
	/* Its first letter comes once only: a mismatch can begin anew with this byte at most. */
	while (!b->verbose && !is_started(b) && size > 0) {
		char c = (char)*bytes++;

		size--;
		b->matched = c == sign[b->matched] ? b->matched + 1 : c == sign[0];
	}
	fs_write_all(STDOUT_FILENO, bytes, size);
}

/* A program whose end nobody told has failed, whatever became of the machine. */
static int unreported(struct boot *b)
{
	const char *last = hypervisor_console_tail(guest_hypervisor(b->guest), 1);

	cli_say("the guest ended without the exit status of %s%s%s", guest_program(b->guest),
	        *last && !is_started(b) ? "; its console ends with: " : "",
	        is_started(b) ? "" : last);
	return EXIT_OURS;
}

static int status_of(struct boot *b, const struct hypervisor_end *end)
{
	const char *panic;

	if (b->broken)
		return EXIT_OURS;
	if (guest_timed_out(b->guest)) {
		cli_say("the guest did not end in time and was stopped");
		return EXIT_OURS;
	}
	if (guest_signal(b->guest))
		return 128 + guest_signal(b->guest);
	if (end->failed) {
		cli_say("%s", end->text);
		return EXIT_OURS;
	}
	if (end->exit_status >= 0)
		return end->exit_status;
	panic = guest_panic(b->guest);
	if (panic) {
		cli_say("the guest's kernel panicked: %s", panic);
		return EXIT_OURS;
	}
	return guest_program(b->guest) ? unreported(b) : 0;
}

static void on_end(void *data, const struct hypervisor_end *end)
{
	struct boot *b = data;

	b->status = status_of(b, end);
	loop_exit(b->loop, 0);
}

/* A clone that still has the template's random numbers must not go on. */
static void on_hello(void *data, int result, const char *why)
{
	struct boot *b = data;

	if (result >= 0) {
		process_trim_stack();
		return;
	}
	cli_say("the clone's agent: %s", why);
	b->broken = true;
	hypervisor_stop(guest_hypervisor(b->guest));
}

static int boot(struct boot *b, const struct boot_data *d, const char *dir, struct error *err)
{
	struct guest_setup setup = {.image_dir = dir,
	                            .kernel = d->kernel,
	                            .initrd = d->initrd,
	                            .exit_port = true,
	                            .stats = d->stats,
	                            .describe = d->dry_run,
	                            .name = "kihon-boot"};
	struct guest_events events = {on_console, on_end, NULL, b};
	struct guest_options o = d->guest;
	int r;

	/* A clone of this verb, which nobody asks to pull, is as its template's guest was. */
	if (d->template && !o.net.net)
		o.net.net = "none";
	r = d->template ? clone_open(&b->clone, d->template, &o, &setup, err) : 0;
	if (r == 0)
		r = guest_new(&b->guest, b->loop, &o, &setup, &events, err);
	if (r == 0 && d->dry_run)
		return describe_guest(guest_hypervisor(b->guest), err);
	if (r == 0)
		r = guest_start(b->guest, err);
	if (r == 0 && d->template)
		r = hello_start(&b->hello, b->loop, guest_hypervisor(b->guest),
		                guest_network(b->guest), on_hello, b, err);
	return r < 0 ? r : loop_run(b->loop, err);
}

/* A folder of the name wins over a registry. */
static int find_image(const struct boot_data *d, const char *argument, char **dir,
                      struct error *err)
{
	if (argument && fetch_is_reference(argument))
		return fetch_image(argument, &d->remote, dir, err);
	*dir = argument ? strdup(argument) : NULL;
	return argument && !*dir ? error_set(err, ENOMEM, "no memory to boot %s", argument) : 0;
}

/* A line, to standard output for "-". */
static int write_stats(struct boot *b, const char *path, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	const char *text = hypervisor_stats(guest_hypervisor(b->guest));
	int r;

	if (!*text) {
		cli_say("no statistics: the guest was stopped before it ended");
		return 0;
	}
	line = str_printf("%s\n", text);
	if (!line)
		return error_set(err, ENOMEM, "no memory for the statistics");
	if (strcmp(path, "-") != 0)
		return fs_write_file_atomic(path, line, strlen(line), 0644, err);
	r = fs_write_all(STDOUT_FILENO, line, strlen(line));
	return r < 0 ? error_errno(err, -r, "standard output") : 0;
}

static int run_boot(int argc, char **argv, void *data)
{
	const struct boot_data *d = data;
	_cleanup_free_ char *dir = NULL;
	struct boot b = {.verbose = d->guest.verbose, .clone.files = TEMPLATE_FILES_INIT};
	struct error err = ERROR_INIT;
	int r = find_image(d, argc > 0 ? argv[0] : NULL, &dir, &err);

	if (r == 0)
		r = loop_new(&b.loop, &err);
	if (r == 0)
		r = boot(&b, d, dir, &err);
	if (r >= 0 && d->stats && !d->dry_run) {
		int w = write_stats(&b, d->stats, &err);

		r = w < 0 ? w : r;
	}
	hello_free(b.hello);
	guest_free(b.guest);
	clone_close(&b.clone);
	loop_free(b.loop);
	return r < 0 ? cli_fail(&err) : b.status;
}

static void defaults(void *data)
{
	struct boot_data *d = data;

	guest_options_default(&d->guest);
}

static void release(void *data)
{
	struct boot_data *d = data;

	guest_options_free(&d->guest);
	remote_options_free(&d->remote);
}

static const struct option options[] = {
    GUEST_OPTION_ROWS(struct boot_data, guest),
    NET_ADDRESS_ROWS(struct boot_data, guest.net),
    GUEST_DEVICE_ROWS(struct boot_data, guest.devices),
    REMOTE_OPTION_ROWS(struct boot_data, remote),
    {"kernel", 0, OPTION_STRING, offsetof(struct boot_data, kernel), "FILE", NULL,
     "another kernel than the image's (ELF vmlinux with a PVH entry, or bzImage)"},
    {"initrd", 0, OPTION_STRING, offsetof(struct boot_data, initrd), "FILE", NULL,
     "boot this initial ramdisk instead of the image's root"},
    CLONE_OPTION_ROW(struct boot_data, template),
    {"dry-run", 0, OPTION_FLAG, offsetof(struct boot_data, dry_run), NULL, NULL,
     "print the command that would run the guest in QEMU, for a shell, and start nothing;\n"
     "with --confidential, of a host that has such guests"},
    {"stats", 0, OPTION_STRING, offsetof(struct boot_data, stats), "FILE", NULL,
     "at the end, write what the built-in monitor counted, as JSON; - is standard output"},
    {NULL},
};

const struct verb boot_verb = {
    .name = "boot",
    .args = "[DIR|REGISTRY/REF]",
    .summary = "boot a guest image and wait until it powers off",
    .details =
        "DIR is a folder made by 'kata-image-tool build'; without it the image that --image-dir\n"
        "of 'kihon run' would take is booted. When there is no such folder, REGISTRY/REF is an\n"
        "image that 'kata-image-tool publish' pushed: it is fetched into the cache, by tag or\n"
        "digest, and every digest is checked at each boot.\n"
        "\n"
        "The guest's console goes to standard output with --verbose; of an image by\n"
        "'kata-image-tool pack' the program's output alone does without. Ctrl-C stops the\n"
        "guest.\n"
        "\n"
        "Exit status: the one that a single-application image reports for its program, else 0\n"
        "when the guest powered off; 125 when it could not be booted, panicked or ran out of\n"
        "time; 128 + signal when a signal stopped it; 2 for a wrong command line.\n",
    .options = options,
    .max_args = 1,
    .run = run_boot,
    .defaults = defaults,
    .release = release,
    .data_size = sizeof(struct boot_data),
};
