/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor: one interface to whatever runs a guest. */
#include "hypervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/hypervisor/backend.h"

static const struct hypervisor_ops *const back_ends[] = {&qemu_backend, &builtin_backend};

static const struct hypervisor_ops *find_back_end(const char *name)
{
	for (size_t i = 0; i < sizeof(back_ends) / sizeof(back_ends[0]); i++)
		if (!name || strcmp(back_ends[i]->name, name) == 0)
			return back_ends[i];
	return NULL;
}

static int check_config(const struct hypervisor_config *c, struct error *err)
{
	uint64_t least = c->memory_min ? c->memory_min : HYPERVISOR_MEMORY_MIN;

	if (c->cpus < 1 || c->cpus > HYPERVISOR_CPUS_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "%u CPUs: a guest has 1 to %d",
		                      c->cpus, HYPERVISOR_CPUS_MAX);
	if (c->memory < least || c->memory % (1u << 20))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%" PRIu64 " bytes of memory: %s has whole MiB, at least "
		                      "%" PRIu64,
		                      c->memory, c->memory_min ? "this guest" : "a guest",
		                      least >> 20);
	if (!c->kernel)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "no kernel is named");
	if (!c->no_vsock && c->guest_cid < 3)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "vsock id %u is reserved",
		                      c->guest_cid);
	return 0;
}

/* Memory that this host cannot read is not to be saved by it, either. */
static int check_confidential(const struct hypervisor_config *c, const struct hypervisor_ops *ops,
                              struct error *err)
{
	if (!c->confidential)
		return 0;
	if (c->save_to || c->from)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "a confidential guest has no templates: its memory and its "
		                      "processors are closed to this host");
	if (!ops->takes_confidential)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "%s guests are not for --vmm %s, which has no private memory "
		                      "for them: use --vmm qemu",
		                      confidential_name(c->confidential), ops->name);
	return 0;
}

/* What a guest may be given beside what every guest has. */
static const struct {
	const char *option;
	size_t offset, size; /* of the member that is not zero when it is wanted */
	uint32_t lacks;
	const char *driver; /* that the kernel then needs */
	bool plug;          /* takes a back end that can */
} extras[] = {
#define MEMBER(m) offsetof(struct hypervisor_config, m), sizeof(((struct hypervisor_config *)0)->m)
    {"--memory-max", MEMBER(memory_max), HYPERVISOR_LACKS_MEM, "VIRTIO_MEM", true},
    {"--balloon", MEMBER(balloon), HYPERVISOR_LACKS_BALLOON, "VIRTIO_BALLOON", false},
    {"--share", MEMBER(n_shares), HYPERVISOR_LACKS_FS, "VIRTIO_FS", false},
    {"--console hvc0", MEMBER(virtio_console), HYPERVISOR_LACKS_CONSOLE, "VIRTIO_CONSOLE", false},
    {"--huge-pages", MEMBER(huge_pages), 0, NULL, false},
    {"--prefault", MEMBER(prefault), 0, NULL, false},
    {"--shared-memory", MEMBER(shared_memory), HYPERVISOR_LACKS_FS, "VIRTIO_FS", true},
    {"--slots", MEMBER(slots_asked), 0, NULL, true},
#undef MEMBER
};

static bool is_wanted(const struct hypervisor_config *c, size_t i)
{
	static const uint8_t zeros[sizeof(uint64_t)];

	return memcmp((const uint8_t *)c + extras[i].offset, zeros, extras[i].size) != 0;
}

/* The options that would need more than what is there are refused, each in one line. */
static int check_extras(const struct hypervisor_config *c, const struct hypervisor_ops *ops,
                        struct error *err)
{
	for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
		if (!is_wanted(c, i))
			continue;
		if (extras[i].plug && !ops->can_plug)
			return error_set_kind(err, ERROR_USAGE, ENOTSUP,
			                      "%s has no %s: use --vmm builtin", ops->name,
			                      extras[i].option);
		if (c->lacks & extras[i].lacks)
			return error_set_kind(err, ERROR_USAGE, ENOTSUP,
			                      "%s: the image's kernel has no driver for it "
			                      "(CONFIG_%s)",
			                      extras[i].option, extras[i].driver);
		if (c->save_to || c->from)
			return error_set_kind(err, ERROR_USAGE, ENOTSUP,
			                      "%s does not go with a template", extras[i].option);
		if (c->confidential)
			return error_set_kind(err, ERROR_USAGE, ENOTSUP,
			                      "%s does not go with a confidential guest",
			                      extras[i].option);
	}
	if (c->slots > HYPERVISOR_SLOTS_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--slots %u: at most %d", c->slots,
		                      HYPERVISOR_SLOTS_MAX);
	return 0;
}

/* Who asks for none in particular has the user network where the kernel has one. */
static int check_net(const struct hypervisor_config *c, struct error *err)
{
	const char *tap = c->net.tap;

	if (c->net.kind != GUEST_NET_TAP)
		return 0;
	if (c->lacks & HYPERVISOR_LACKS_NET)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "--net tap=%s: the image's kernel has no driver for it "
		                      "(CONFIG_VIRTIO_NET)",
		                      tap);
	if (c->from && c->net.dhcp)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--net tap=%s: " GUEST_NET_NO_DHCP,
		                      tap);
	return 0;
}

int hypervisor_new(struct hypervisor **out, struct loop *loop, const char *back_end,
                   const struct hypervisor_config *config, const struct hypervisor_events *events,
                   struct error *err)
{
	const struct hypervisor_ops *ops = find_back_end(back_end);
	_cleanup_hypervisor_ struct hypervisor *hv = NULL;
	int r;

	if (!ops)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "there is no hypervisor \"%s\"",
		                      back_end);
	r = check_config(config, err);
	if (r < 0)
		return r;
	r = check_confidential(config, ops, err);
	if (r < 0)
		return r;
	r = check_extras(config, ops, err);
	if (r == 0)
		r = check_net(config, err);
	if (r < 0)
		return r;
	if (config->stats && !ops->has_stats)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "%s keeps no statistics: use --vmm builtin", ops->name);
	if ((config->save_to || config->from) && !ops->save)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "%s has no templates: use --vmm builtin", ops->name);
	hv = calloc(1, ops->size);
	if (!hv)
		return error_set(err, ENOMEM, "no memory for the hypervisor");
	hv->ops = ops;
	hv->loop = loop;
	hv->config = *config;
	if (config->lacks & HYPERVISOR_LACKS_NET)
		hv->config.net = (struct guest_net){.kind = GUEST_NET_NONE};
	if (config->lacks & HYPERVISOR_LACKS_VSOCK)
		hv->config.no_vsock = true;
	hv->events = *events;
	hv->exit_status = -1;
	r = ops->check(hv, err);
	if (r == 0)
		r = shares_check(hv, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&hv);
	return 0;
}

int hypervisor_command(struct hypervisor *hv, struct strv *out, struct error *err)
{
	if (!hv->ops->command)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "--vmm %s runs no other program: there is no command to show",
		                      hv->ops->name);
	return hv->ops->command(hv, out, err);
}

int hypervisor_prepare(struct hypervisor *hv, struct error *err)
{
	int r = 0;

	if (!hv->prepared)
		r = shares_start(hv, err);
	if (r == 0 && !hv->prepared)
		r = hv->ops->prepare(hv, err);
	hv->prepared = r == 0;
	return r;
}

int hypervisor_add_disk(struct hypervisor *hv, const struct hypervisor_disk *disk,
                        struct error *err)
{
	if (hv->config.n_disks == HYPERVISOR_DISKS_MAX)
		return error_set(err, ENOSPC, "a guest has at most %d disks", HYPERVISOR_DISKS_MAX);
	hv->config.disks[hv->config.n_disks++] = *disk;
	return 0;
}

int hypervisor_start(struct hypervisor *hv, struct error *err)
{
	int r = hypervisor_prepare(hv, err);

	if (r == 0)
		r = hv->ops->start(hv, err);
	hv->started = r == 0;
	return r;
}

int hypervisor_save(struct hypervisor *hv, struct error *err)
{
	const struct hypervisor_config *c = &hv->config;

	if (!(c->save_to || (c->from && c->from->record)) || !hv->started || hv->ended)
		return error_set(err, EINVAL, "a guest that does not run cannot be saved");
	return hv->ops->save(hv, err);
}

void hypervisor_stop(struct hypervisor *hv)
{
	hv->asked = true;
	if (hv->started && !hv->ended)
		hv->ops->stop(hv);
}

void hypervisor_free(struct hypervisor *hv)
{
	if (!hv)
		return;
	hv->ops->release(hv);
	shares_stop(hv);
	buffer_free(&hv->console);
	buffer_free(&hv->tail);
	buffer_free(&hv->stats);
	free(hv);
}

int hypervisor_vsock_connect(struct hypervisor *hv, uint32_t port, struct error *err)
{
	return hv->ops->vsock_connect(hv, port, err);
}

const char *hypervisor_stats(struct hypervisor *hv)
{
	return buffer_cstr(&hv->stats);
}

void hypervisor_take_console(struct hypervisor *hv, const uint8_t *bytes, size_t size)
{
	struct buffer *b = &hv->console;

	if (hv->events.console)
		hv->events.console(hv->events.data, bytes, size);
	if (size > CONSOLE_KEPT) {
		bytes += size - CONSOLE_KEPT;
		size = CONSOLE_KEPT;
	}
	if (b->size + size > 2 * CONSOLE_KEPT) {
		memmove(b->data, b->data + b->size - CONSOLE_KEPT, CONSOLE_KEPT);
		b->size = CONSOLE_KEPT;
	}
	buffer_append(b, bytes, size);
}

void hypervisor_take_note(struct hypervisor *hv, const char *text)
{
	if (hv->events.note)
		hv->events.note(hv->events.data, text);
}

void hypervisor_take_end(struct hypervisor *hv, bool failed, const char *text)
{
	struct hypervisor_end end = {.asked = hv->asked,
	                             .failed = failed,
	                             .saved = hv->saved,
	                             .exit_status = hv->exit_status,
	                             .text = text};

	if (hv->ended)
		return;
	hv->ended = true;
	hv->events.ended(hv->events.data, &end);
}

/* Control characters but newline and tab would play with the terminal they are shown on. */
static void append_printable(struct buffer *out, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] == '\n' || bytes[i] == '\t' || (bytes[i] >= ' ' && bytes[i] != 0x7f))
			buffer_append(out, &bytes[i], 1);
}

const char *hypervisor_console_tail(struct hypervisor *hv, unsigned int lines)
{
	const struct buffer *b = &hv->console;
	size_t end = b->size, at;

	while (end > 0 && (b->data[end - 1] == '\n' || b->data[end - 1] == '\r'))
		end--;
	for (at = end; at > 0; at--)
		if (b->data[at - 1] == '\n' && --lines == 0)
			break;
	buffer_clear(&hv->tail);
	if (end > at)
		append_printable(&hv->tail, b->data + at, end - at);
	return buffer_cstr(&hv->tail);
}
