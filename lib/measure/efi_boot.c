/* SPDX-License-Identifier: Apache-2.0 */
/* efi_boot: the events of a boot through OVMF and the EFI stub. */
#include "lib/measure/efi_boot.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/measure/authenticode.h"
#include "lib/measure/linux_image.h"

#define INITRD_WORD "initrd=initrd"

/* How an event's digest is made: of its text, or by a function. */
struct event {
	const char *what;
	struct blob text;
	int (*digest)(const struct efi_boot *boot, enum sha_alg alg, uint8_t *out,
	              struct error *err); /* 1: this boot does not have it */
};

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

static int image_digest(const struct efi_boot *boot, enum sha_alg alg, uint8_t *out,
                        struct error *err)
{
	return authenticode_digest(&boot->kernel, alg, out, err);
}

/* A byte becomes a character of 16 bits, as edk2's "%a" has it. */
static void widen(struct buffer *out, const char *s)
{
	for (; *s; s++)
		buffer_le16(out, (uint8_t)*s);
}

static int options_digest(const struct efi_boot *boot, enum sha_alg alg, uint8_t *out,
                          struct error *err)
{
	bool initrd = boot->initrd.size > 0;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct blob part;

	if (!initrd && !*boot->cmdline)
		return 1;
	if (initrd && boot->initrd_word_first)
		widen(&text, INITRD_WORD " ");
	widen(&text, boot->cmdline);
	if (initrd && !boot->initrd_word_first)
		widen(&text, " " INITRD_WORD);
	buffer_le16(&text, 0);
	if (text.failed)
		return error_set(err, ENOMEM, "no memory for the command line");
	part = (struct blob){text.data, text.size};
	return sha_of(alg, &part, 1, out, err);
}

static int initrd_digest(const struct efi_boot *boot, enum sha_alg alg, uint8_t *out,
                         struct error *err)
{
	return boot->initrd.size > 0 ? sha_of(alg, &boot->initrd, 1, out, err) : 1;
}

/* The texts: TCG PC Client Platform Firmware Profile, table "EV_EFI_ACTION event strings"; a
 * separator is four bytes of zero. */
static const struct event table[] = {
    [EFI_EVENT_IMAGE] = {"kernel, Authenticode digest", {NULL, 0}, image_digest},
    [EFI_EVENT_CALLING] = {"Calling EFI Application from Boot Option",
                           TEXT("Calling EFI Application from Boot Option"), NULL},
    [EFI_EVENT_SEPARATOR] = {"separator", TEXT("\0\0\0\0"), NULL},
    [EFI_EVENT_OPTIONS] = {"command line, UTF-16", {NULL, 0}, options_digest},
    [EFI_EVENT_INITRD] = {"initrd", {NULL, 0}, initrd_digest},
    [EFI_EVENT_EXIT] = {"Exit Boot Services Invocation", TEXT("Exit Boot Services Invocation"),
                        NULL},
    [EFI_EVENT_EXITED] = {"Exit Boot Services Returned with Success",
                          TEXT("Exit Boot Services Returned with Success"), NULL},
};

int efi_boot_extend(struct measure_register *reg, const struct efi_boot *boot,
                    const enum efi_event *events, const struct measure_trace *t, struct error *err)
{
	uint8_t digest[SHA_MAX_SIZE];
	int r = 0;

	for (; r >= 0 && *events != EFI_EVENT_END; events++) {
		const struct event *e = &table[*events];

		r = e->digest ? e->digest(boot, reg->alg, digest, err)
		              : sha_of(reg->alg, &e->text, 1, digest, err);
		if (r == 0)
			r = measure_extend(reg, digest, t, e->what, err);
	}
	return r < 0 ? r : 0;
}

int efi_boot_check(const struct efi_boot *boot, struct error *err)
{
	size_t length = strlen(boot->cmdline);
	int r = linux_image_check(&boot->kernel, err);

	if (r < 0)
		return r;
	if (!authenticode_is_pe(&boot->kernel))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the kernel has no EFI stub, so no firmware starts and "
		                      "measures it: build one with CONFIG_EFI_STUB=y");
	if (boot->initrd.size > 0)
		length += strlen(" " INITRD_WORD);
	return length <= LINUX_CMDLINE_MAX
	           ? 0
	           : error_set_kind(err, ERROR_INPUT, E2BIG,
	                            "the kernel takes %d bytes of command line, not %zu: what is "
	                            "behind them would be measured and ignored",
	                            LINUX_CMDLINE_MAX, length);
}
