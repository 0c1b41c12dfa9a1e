/* SPDX-License-Identifier: Apache-2.0 */
/* huge_pages: counts what is promised already, and adds to nr_hugepages what is missing. */
#include "guest/agent/storage/huge_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "guest/agent/container/mountinfo.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define POOLS       "/sys/kernel/mm/hugepages"
#define MAX_VOLUMES 256 /* that are told apart; more are counted as often as they are mounted */

static void pool_file(uint64_t page_size, const char *name, char out[128])
{
	snprintf(out, 128, POOLS "/hugepages-%" PRIu64 "kB/%s", page_size / 1024, name);
}

static int pool_number(uint64_t page_size, const char *name, uint64_t *out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char path[128];
	int r;

	pool_file(page_size, name, path);
	r = fs_read_file(AT_FDCWD, path, 64, &text, err);
	if (r < 0)
		return r;
	*out = strtoull(buffer_cstr(&text), NULL, 10);
	return 0;
}

static int set_pages(uint64_t page_size, uint64_t pages, struct error *err)
{
	char path[128], number[32];

	pool_file(page_size, "nr_hugepages", path);
	snprintf(number, sizeof(number), "%" PRIu64, pages);
	return fs_write_string(AT_FDCWD, path, number, err);
}

static bool seen_before(dev_t dev, dev_t seen[MAX_VOLUMES], size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (seen[i] == dev)
			return true;
	if (*n < MAX_VOLUMES)
		seen[(*n)++] = dev;
	return false;
}

/* Pages that the other volumes of this page size may still take. */
static int promised(const char *but, uint64_t page_size, uint64_t *out, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	dev_t seen[MAX_VOLUMES];
	struct mountinfo_entry e;
	size_t n = 0;
	int r = mountinfo_open(&m, err);

	*out = 0;
	while (r == 0 && mountinfo_next(&m, &e)) {
		struct statfs s;
		struct stat st;

		if (strcmp(e.type, "hugetlbfs") != 0 || strcmp(e.point, but) == 0 ||
		    statfs(e.point, &s) < 0 || s.f_type != HUGETLBFS_MAGIC ||
		    (uint64_t)s.f_bsize != page_size || stat(e.point, &st) < 0 ||
		    seen_before(st.st_dev, seen, &n))
			continue;
		*out += s.f_bfree; /* 0 of one without a size */
	}
	return r;
}

static int missing_pages(const char *mount_point, uint64_t page_size, uint64_t want, uint64_t *out,
                         struct error *err)
{
	uint64_t unused = 0, reserved = 0, others = 0;
	int r = pool_number(page_size, "free_hugepages", &unused, err);

	if (r == 0)
		r = pool_number(page_size, "resv_hugepages", &reserved, err);
	if (r == 0)
		r = promised(mount_point, page_size, &others, err);
	if (r == 0 && __builtin_add_overflow(want, reserved + others, &want))
		return error_set(err, ENOMEM, "more huge pages are asked for than can be counted");
	*out = want > unused ? want - unused : 0;
	return r;
}

int huge_pages_reserve(struct huge_pages *h, const char *mount_point, uint64_t page_size,
                       uint64_t bytes, struct error *err)
{
	uint64_t missing = 0, got = 0, want;
	char pool[128];
	int r;

	*h = HUGE_PAGES_NONE;
	h->page_size = page_size;
	pool_file(page_size, "", pool);
	if (page_size < 1024 || !fs_exists(pool))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "this kernel has no huge pages of %" PRIu64 " bytes",
		                      page_size);
	h->lock = open(POOLS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->lock < 0 || flock(h->lock, LOCK_EX) < 0)
		r = error_errno(err, errno, "locking " POOLS);
	else
		r = pool_number(page_size, "nr_hugepages", &h->before, err);
	if (r == 0)
		r = missing_pages(mount_point, page_size, bytes / page_size, &missing, err);
	if (r == 0 && missing > 0) {
		if (__builtin_add_overflow(h->before, missing, &want))
			want = UINT64_MAX;
		h->raised = true;
		r = set_pages(page_size, want, err);
		if (r == 0)
			r = pool_number(page_size, "nr_hugepages", &got, err);
		if (r == 0 && got < want)
			r = error_set(err, ENOMEM,
			              "the guest has memory for %" PRIu64
			              " more huge pages of %" PRIu64
			              " bytes only, not for %" PRIu64,
			              got > h->before ? got - h->before : 0, page_size, missing);
	}
	if (r < 0)
		huge_pages_end(h, false);
	return r;
}

void huge_pages_end(struct huge_pages *h, bool kept)
{
	if (h->lock >= 0) {
		if (!kept && h->raised)
			set_pages(h->page_size, h->before, NULL);
		close(h->lock);
	}
	*h = HUGE_PAGES_NONE;
}
