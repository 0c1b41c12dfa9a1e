/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confidential: what a guest whose memory the host cannot read is launched with.
 *
 * A person writes it as one text, KIND[,KEY=VALUE...]: "sev-snp,firmware=OVMF.fd,cpu=EPYC-Milan".
 * A comma in a value is doubled. Kinds, and which keys go with which: docs/confidential.md. Keys
 * that do not change a kind of launch are refused with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

enum confidential_kind { CONFIDENTIAL_SEV, CONFIDENTIAL_SEV_SNP, CONFIDENTIAL_TDX };

/* Strings are owned; NULL where none was given, or the kind has none. */
struct confidential {
	enum confidential_kind kind;
	char *firmware;   /* path; always there: it is what is measured first */
	char *cpu;        /* QEMU's model; sev-snp: measured, "EPYC-v4" when not given */
	bool no_hashes;   /* sev, sev-snp: kernel, initrd and words are not measured */
	uint64_t policy;  /* sev: 0x1, sev-snp: 0x30000 when not given; tdx: the attributes, or 0 */
	uint32_t cbitpos; /* of the encryption bit; 0: the processor's own */
	uint32_t reduced_phys_bits;
	/* Base64, as QEMU takes them. */
	char *host_data;                            /* sev-snp: 32 bytes */
	char *id_block, *id_auth;                   /* sev-snp: 96 and 4096 bytes */
	bool author_key;                            /* sev-snp: id_auth has an author's key */
	char *mrconfigid, *mrowner, *mrownerconfig; /* tdx: 48 bytes each */
	char *session, *dh_cert;                    /* sev: paths of files, base64 in them */
	char *quote_socket;                         /* tdx: "vsock:CID:PORT" or "unix:PATH" */
};

/* -EINVAL (kind usage) for a text that is none, one line that names the key; other errors are of
 * the files that it names, which are read. */
int confidential_parse(const char *text, struct confidential **out, struct error *err);
void confidential_free(struct confidential *c);
DEFINE_CLEANUP(struct confidential, confidential, confidential_free)
#define _cleanup_confidential_ _cleanup_(cleanup_confidential)

/* "sev", "sev-snp", "tdx". */
const char *confidential_name(const struct confidential *c);

/* The firmware can start such a guest and, unless no_hashes, vouch for its kernel; the kernel is
 * one that a firmware can start. Of kind input. */
int confidential_check_files(const struct confidential *c, const char *kernel, struct error *err);

/* -ENOTSUP (kind environment) when the host whose files are below `root` ("" for this one) has no
 * such guests, with what is missing. */
int confidential_check_host(const struct confidential *c, const char *root, struct error *err);

/* c->cbitpos, or what this processor says; 51, as of AMD's from Milan on, when it says nothing. */
uint32_t confidential_cbitpos(const struct confidential *c);
