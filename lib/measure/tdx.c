/* SPDX-License-Identifier: Apache-2.0 */
/* tdx: the build of a TDX guest, and the events of its boot. */
#include "lib/measure/tdx.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"

#define EVENT_SIZE 128u /* an operation and its address */
#define EVENT_GPA  16u
#define CHUNK      256u

static int add_event(struct sha_stream *s, const char *name, uint64_t gpa, struct error *err)
{
	uint8_t event[EVENT_SIZE] = {0};

	memcpy(event, name, strlen(name));
	put_le64(event + EVENT_GPA, gpa);
	return sha_add(s, event, sizeof(event), err);
}

/* content NULL: zeros. */
static int add_page(struct sha_stream *s, const uint8_t *content, uint64_t gpa, bool extend,
                    struct error *err)
{
	static const uint8_t zeros[FIRMWARE_PAGE];
	int r = add_event(s, "MEM.PAGE.ADD", gpa, err);

	for (uint32_t at = 0; r == 0 && extend && at < FIRMWARE_PAGE; at += CHUNK) {
		r = add_event(s, "MR.EXTEND", gpa + at, err);
		if (r == 0)
			r = sha_add(s, (content ? content : zeros) + at, CHUNK, err);
	}
	return r;
}

static int add_section(struct sha_stream *s, const struct blob *fw, const struct tdx_section *sec,
                       struct error *err)
{
	bool extend = sec->attributes & TDX_SECTION_EXTEND;
	const uint8_t *content = sec->raw_size > 0 ? fw->data + sec->offset : NULL;
	int r = 0;

	if (sec->attributes & TDX_SECTION_AUG)
		return 0;
	for (uint64_t at = 0; r == 0 && at < sec->size; at += FIRMWARE_PAGE)
		r = add_page(s, content ? content + at : NULL, sec->gpa + at, extend, err);
	return r;
}

static void told(const struct measure_trace *t, const struct tdx_section *s)
{
	static const char *const names[] = {
	    [TDX_SECTION_BFV] = "boot firmware volume",
	    [TDX_SECTION_CFV] = "configuration firmware volume",
	    [TDX_SECTION_TD_HOB] = "hand-off block",
	    [TDX_SECTION_TEMP_MEM] = "memory",
	};

	static const char *const how[] = {"addresses only", "with their content", "not at launch"};

	measure_step(t, "MRTD", NULL, NULL, "%s: %" PRIu64 " pages at 0x%" PRIx64 ", %s",
	             names[s->type], s->size / FIRMWARE_PAGE, s->gpa, how[s->attributes]);
}

int tdx_mrtd(const struct blob *firmware, const struct measure_trace *t,
             uint8_t out[TDX_DIGEST_SIZE], struct error *err)
{
	_cleanup_sha_ struct sha_stream s = {0};
	const struct blob value = {out, TDX_DIGEST_SIZE};
	struct tdx_firmware fw;
	int r;

	if (firmware->size > FIRMWARE_MAX_SIZE)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "firmware: more than %u MiB",
		                      FIRMWARE_MAX_SIZE >> 20);
	r = firmware_tdx(firmware, &fw, err);
	if (r == 0)
		r = sha_open(&s, SHA_ALG_384, err);
	for (size_t i = 0; r == 0 && i < fw.n_sections; i++) {
		r = add_section(&s, firmware, &fw.sections[i], err);
		told(t, &fw.sections[i]);
	}
	if (r == 0)
		r = sha_close(&s, out, err);
	if (r == 0)
		measure_step(t, "MRTD", NULL, &value, "all of it");
	return r;
}

/* edk2, OvmfPkg/Tcg/TdTcg2Dxe: PCRs 1 and 7 are RTMR[0], 2 to 6 RTMR[1], 8 to 15 RTMR[2]. */
static const enum efi_event rtmr1[] = {
    EFI_EVENT_IMAGE, EFI_EVENT_CALLING, EFI_EVENT_SEPARATOR,
    EFI_EVENT_EXIT,  EFI_EVENT_EXITED,  EFI_EVENT_END,
};
static const enum efi_event rtmr2[] = {EFI_EVENT_OPTIONS, EFI_EVENT_INITRD, EFI_EVENT_END};
/* For what runs in the guest later. */
static const enum efi_event rtmr3[] = {EFI_EVENT_END};

int tdx_rtmrs(const struct efi_boot *boot, const struct measure_trace *t,
              struct measure_register out[TDX_RTMR_COUNT], struct error *err)
{
	const enum efi_event *const events[TDX_RTMR_COUNT] = {rtmr1, rtmr2, rtmr3};
	int r = efi_boot_check(boot, err);

	for (size_t i = 0; r == 0 && i < TDX_RTMR_COUNT; i++) {
		measure_register_init(&out[i], SHA_ALG_384, "RTMR[%zu]", TDX_RTMR_FIRST + i);
		r = efi_boot_extend(&out[i], boot, events[i], t, err);
	}
	return r;
}
