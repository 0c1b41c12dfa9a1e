/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_confidential: the part of QEMU's command line that makes a guest a confidential one (QEMU,
 * docs/system/i386/amd-memory-encryption.rst, tdx.rst; qapi/qom.json).
 *
 * QEMU itself takes private memory (guest_memfd) beside the memory back end for SEV-SNP and TDX,
 * and has virtio devices use the shared part only.
 */
#include "host-shim/hypervisor/qemu_confidential.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

#define ID "cgs"

char *qemu_quote(const char *value)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	for (; *value; value++) {
		if (*value == ',')
			buffer_append(&b, ",", 1);
		buffer_append(&b, value, 1);
	}
	return buffer_steal(&b);
}

const char *qemu_confidential_machine(const struct confidential *c)
{
	if (!c)
		return "";
	/* A TDX guest's interrupts may not come from KVM's own IO-APIC. */
	return c->kind == CONFIDENTIAL_TDX ? ",kernel-irqchip=split,confidential-guest-support=" ID
	                                   : ",confidential-guest-support=" ID;
}

/* Where there is a value. */
static void add_value(struct buffer *b, const char *name, const char *value)
{
	_cleanup_free_ char *quoted = value ? qemu_quote(value) : NULL;

	if (value)
		buffer_printf(b, ",%s=%s", name, quoted ? quoted : "");
	b->failed |= value && !quoted;
}

static void add_sev(struct buffer *b, const struct confidential *c)
{
	buffer_printf(b, ",cbitpos=%u,reduced-phys-bits=%u,policy=0x%" PRIx64 ",kernel-hashes=%s",
	              confidential_cbitpos(c), c->reduced_phys_bits, c->policy,
	              c->no_hashes ? "off" : "on");
	add_value(b, "session-file", c->session);
	add_value(b, "dh-cert-file", c->dh_cert);
	add_value(b, "host-data", c->host_data);
	add_value(b, "id-block", c->id_block);
	add_value(b, "id-auth", c->id_auth);
	if (c->author_key)
		add_value(b, "author-key-enabled", "on");
}

/* "vsock:CID:PORT" or "unix:PATH", which has been checked. */
static void add_quote_socket(struct buffer *b, const char *socket)
{
	const char *rest = strchr(socket, ':') + 1, *port = strchr(rest, ':');

	if (str_starts(socket, "unix:")) {
		add_value(b, "quote-generation-socket.type", "unix");
		add_value(b, "quote-generation-socket.path", rest);
		return;
	}
	buffer_printf(b,
	              ",quote-generation-socket.type=vsock,quote-generation-socket.cid=%.*s"
	              ",quote-generation-socket.port=%s",
	              (int)(port - rest), rest, port + 1);
}

static void add_tdx(struct buffer *b, const struct confidential *c)
{
	if (c->policy)
		buffer_printf(b, ",attributes=0x%" PRIx64, c->policy);
	add_value(b, "mrconfigid", c->mrconfigid);
	add_value(b, "mrowner", c->mrowner);
	add_value(b, "mrownerconfig", c->mrownerconfig);
	if (c->quote_socket)
		add_quote_socket(b, c->quote_socket);
}

static const struct {
	const char *object;
	void (*add)(struct buffer *b, const struct confidential *c);
} kinds[] = {
    [CONFIDENTIAL_SEV] = {"sev-guest", add_sev},
    [CONFIDENTIAL_SEV_SNP] = {"sev-snp-guest", add_sev},
    [CONFIDENTIAL_TDX] = {"tdx-guest", add_tdx},
};

int qemu_confidential_add(struct strv *args, const struct confidential *c)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	if (!c)
		return 0;
	buffer_printf(&b, "%s,id=" ID, kinds[c->kind].object);
	kinds[c->kind].add(&b, c);
	/* No flash: SEV-SNP and TDX launch from memory, and a variable store would not be
	 * measured. */
	return strv_add(args, "-bios") < 0 || strv_add(args, c->firmware) < 0 ||
	       strv_add(args, "-object") < 0 || strv_add_take(args, buffer_steal(&b)) < 0;
}
