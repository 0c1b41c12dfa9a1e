/* SPDX-License-Identifier: Apache-2.0 */
/* firmware: the tables at the end of OVMF and TDVF. */
#include "lib/measure/firmware.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/measure/guid.h"

/* edk2: OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm */
#define GUID_TABLE_FOOTER  "96b582de-1fb2-45f7-baea-a366c55a082d"
#define GUID_SEV_METADATA  "dc886566-984a-4798-a75e-5585a7bf67cc"
#define GUID_SEV_RESET     "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
#define GUID_SEV_HASHES    "7255371f-3a3b-4b04-927b-1da6efa8d454"
#define GUID_TDX_METADATA  "e47a6535-984a-4798-865e-4685a7bf8ec2"
#define AFTER_TABLE        32u /* bytes of the reset vector behind the table */
#define ENTRY_TAIL         18u /* length (2), GUID (16) */
#define METADATA_HEADER    16u /* signature, length, version, count */
#define SEV_DESCRIPTOR     12u
#define TDX_DESCRIPTOR     32u
#define METADATA_VERSION_1 1u

#define broken(err, ...) error_set_kind((err), ERROR_INPUT, EINVAL, "firmware: " __VA_ARGS__)

/*
 * The table is read from its end: each entry is its data, two bytes with the length of all of
 * it, and its GUID; the last one, the footer, has the length of the table. 0 found, 1 not there.
 */
static int find_entry(const struct blob *fw, const char *guid, struct blob *out, struct error *err)
{
	size_t end, left, length;

	if (fw->size < AFTER_TABLE + ENTRY_TAIL)
		return 1;
	end = fw->size - AFTER_TABLE - ENTRY_TAIL;
	if (!guid_is(fw->data + end + 2, GUID_TABLE_FOOTER))
		return 1;
	left = get_le16(fw->data + end);
	if (left < ENTRY_TAIL || left - ENTRY_TAIL > end)
		return broken(err, "its table of GUIDs cannot be %zu bytes long", left);
	for (left -= ENTRY_TAIL; left >= ENTRY_TAIL; left -= length, end -= length) {
		length = get_le16(fw->data + end - ENTRY_TAIL);
		if (length < ENTRY_TAIL || length > left)
			return broken(
			    err, "an entry of its table of GUIDs cannot be %zu bytes long", length);
		if (guid_is(fw->data + end - GUID_SIZE, guid)) {
			*out = (struct blob){fw->data + end - length, length - ENTRY_TAIL};
			return 0;
		}
	}
	return 1;
}

/* The list that an entry leads to: a reader on its descriptors. 0 found, 1 not there. */
static int find_metadata(const struct blob *fw, const char *guid, const char *signature,
                         size_t descriptor, struct reader *out, size_t *n, struct error *err)
{
	struct blob entry;
	struct reader r;
	uint32_t offset, length, version, count;
	const uint8_t *sig;
	int found = find_entry(fw, guid, &entry, err);

	if (found != 0)
		return found;
	offset = entry.size >= 4 ? get_le32(entry.data) : 0;
	if (offset < METADATA_HEADER || offset > fw->size)
		return broken(err, "its metadata cannot be %" PRIu32 " bytes before its end",
		              offset);
	r = reader_init(fw->data + fw->size - offset, offset);
	sig = reader_bytes(&r, 4);
	length = reader_le32(&r);
	version = reader_le32(&r);
	count = reader_le32(&r);
	if (!sig || memcmp(sig, signature, 4) != 0)
		return broken(err, "its metadata does not begin with %s", signature);
	if (version != METADATA_VERSION_1)
		return broken(err, "its %s metadata is of version %" PRIu32 ", not 1", signature,
		              version);
	if (count == 0 || count > FIRMWARE_MAX_SECTIONS)
		return broken(err, "its %s metadata cannot have %" PRIu32 " sections (1 to %d)",
		              signature, count, FIRMWARE_MAX_SECTIONS);
	if (length != METADATA_HEADER + count * descriptor || length > offset)
		return broken(err, "its %s metadata cannot be %" PRIu32 " bytes long", signature,
		              length);
	*out = reader_init(r.p, count * descriptor);
	*n = count;
	return 0;
}

static int check_place(uint64_t gpa, uint64_t size, uint64_t *total, size_t i, struct error *err)
{
	uint64_t end;

	if (gpa % FIRMWARE_PAGE || size % FIRMWARE_PAGE || size == 0)
		return broken(err,
		              "section %zu (0x%" PRIx64 ", 0x%" PRIx64 " bytes) is not whole pages",
		              i, gpa, size);
	if (__builtin_add_overflow(gpa, size, &end) || end > 1ull << 52)
		return broken(err, "section %zu ends beyond any address", i);
	if (size > FIRMWARE_MAX_MEMORY || (*total += size) > FIRMWARE_MAX_MEMORY)
		return broken(err, "its sections have more than %u MiB of memory",
		              FIRMWARE_MAX_MEMORY >> 20);
	return 0;
}

static int check_sev_section(const struct sev_section *s, uint64_t *total, size_t i,
                             struct error *err)
{
	int r = check_place(s->gpa, s->size, total, i, err);

	if (r < 0)
		return r;
	switch (s->type) {
	case SEV_SECTION_MEMORY:
	case SEV_SECTION_SVSM_CAA:
		return 0;
	case SEV_SECTION_SECRETS:
	case SEV_SECTION_CPUID:
	case SEV_SECTION_KERNEL_HASHES:
		return s->size == FIRMWARE_PAGE
		           ? 0
		           : broken(err, "section %zu, of type %" PRIu32 ", is not one page", i,
		                    s->type);
	default:
		return broken(err, "section %zu is of unknown type %" PRIu32, i, s->type);
	}
}

/* The two entries beside the list. */
static int read_sev_entries(const struct blob *fw, struct sev_firmware *out, struct error *err)
{
	struct blob entry;
	int r = find_entry(fw, GUID_SEV_RESET, &entry, err);

	if (r < 0)
		return r;
	if (r > 0 || entry.size < 4)
		return broken(err, "it does not say where further processors begin");
	out->reset_eip = get_le32(entry.data);
	r = find_entry(fw, GUID_SEV_HASHES, &entry, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (entry.size < 8)
		return broken(err, "its place for digests of the kernel has no size");
	out->hash_table = get_le32(entry.data);
	out->hash_table_size = get_le32(entry.data + 4);
	out->has_hash_table = out->hash_table != 0;
	return 0;
}

int firmware_sev(const struct blob *fw, struct sev_firmware *out, struct error *err)
{
	struct reader list;
	uint64_t total = 0;
	int r = find_metadata(fw, GUID_SEV_METADATA, "ASEV", SEV_DESCRIPTOR, &list,
	                      &out->n_sections, err);

	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "this firmware has no SEV metadata: it cannot start an "
		                      "SEV-SNP guest (edk2's OvmfPkg/AmdSev can)");
	out->has_hash_table = false;
	for (size_t i = 0; r == 0 && i < out->n_sections; i++) {
		struct sev_section *s = &out->sections[i];

		s->gpa = reader_le32(&list);
		s->size = reader_le32(&list);
		s->type = reader_le32(&list);
		r = check_sev_section(s, &total, i, err);
	}
	return r < 0 ? r : read_sev_entries(fw, out, err);
}

static int check_tdx_section(const struct blob *fw, const struct tdx_section *s, uint64_t *total,
                             size_t i, struct error *err)
{
	bool file = s->type == TDX_SECTION_BFV || s->type == TDX_SECTION_CFV;
	int r = check_place(s->gpa, s->size, total, i, err);

	if (r < 0)
		return r;
	if (s->type > TDX_SECTION_TEMP_MEM)
		return broken(err, "section %zu is of type %" PRIu32 ", which QEMU does not take",
		              i, s->type);
	if (s->attributes > TDX_SECTION_AUG)
		return broken(err, "section %zu cannot have attributes 0x%" PRIx32, i,
		              s->attributes);
	if (!file && s->raw_size > 0)
		return broken(err, "section %zu, of type %" PRIu32 ", has content", i, s->type);
	if (file &&
	    (s->raw_size != s->size || s->offset > fw->size || s->raw_size > fw->size - s->offset))
		return broken(err, "section %zu has no content of its size in the file", i);
	if (s->type == TDX_SECTION_TD_HOB && s->attributes == TDX_SECTION_EXTEND)
		return broken(err, "section %zu measures the hand-off block at launch", i);
	return 0;
}

int firmware_tdx(const struct blob *fw, struct tdx_firmware *out, struct error *err)
{
	struct reader list;
	uint64_t total = 0;
	int r = find_metadata(fw, GUID_TDX_METADATA, "TDVF", TDX_DESCRIPTOR, &list,
	                      &out->n_sections, err);

	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "this firmware has no TDX metadata: it cannot start a TDX "
		                      "guest (edk2's OvmfPkg/IntelTdx can)");
	for (size_t i = 0; r == 0 && i < out->n_sections; i++) {
		struct tdx_section *s = &out->sections[i];

		s->offset = reader_le32(&list);
		s->raw_size = reader_le32(&list);
		s->gpa = reader_le64(&list);
		s->size = reader_le64(&list);
		s->type = reader_le32(&list);
		s->attributes = reader_le32(&list);
		r = check_tdx_section(fw, s, &total, i, err);
	}
	return r;
}
