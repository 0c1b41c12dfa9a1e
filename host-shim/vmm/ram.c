/* SPDX-License-Identifier: Apache-2.0 */
/* ram: the memory of a guest. */
#include "ram.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/cleanup.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MIB       ((uint64_t)1048576)
#define HUGE_PAGE (2 * MIB)

static int check_config(const struct ram_config *c, struct error *err)
{
	uint64_t unit = c->huge_pages ? HUGE_PAGE : MIB;

	if (c->size >= RAM_MIN && c->size <= RAM_MAX && c->size % unit == 0)
		return 0;
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "%" PRIu64 " bytes of guest memory: it has whole %" PRIu64
	                      " MiB, at least %" PRIu64 " MiB and at most %" PRIu64 " GiB",
	                      c->size, unit / MIB, (uint64_t)(RAM_MIN / MIB),
	                      (uint64_t)(RAM_MAX >> 30));
}

static int make_file(const struct ram_config *c, struct error *err)
{
	unsigned int flags = MFD_CLOEXEC | (c->huge_pages ? MFD_HUGETLB : 0);
	_cleanup_close_ int fd = (int)syscall(SYS_memfd_create, "kihon-ram", flags);

	if (fd < 0 || ftruncate(fd, (off_t)c->size) < 0)
		return error_errno(err, errno, "making a file of %" PRIu64 " MiB for guest memory",
		                   c->size / MIB);
	return steal_fd(&fd);
}

static void *map_file(const struct ram_config *c, int fd)
{
	/* Huge pages are reserved now: a guest that comes to one that is not there is lost. */
	int flags = c->huge_pages ? 0 : MAP_NORESERVE;

	flags |= fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	if (fd < 0 && c->huge_pages)
		flags |= MAP_HUGETLB;
	return mmap(NULL, c->size, PROT_READ | PROT_WRITE, flags, fd, 0);
}

/* Begins on a huge page, as guest-physical addresses do: KVM then maps huge pages as such. */
static void *map_private(const struct ram_config *c)
{
	uint64_t room = c->size + HUGE_PAGE, skip;
	uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return p;
	skip = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (skip)
		munmap(p, skip);
	munmap(p + skip + c->size, HUGE_PAGE - skip);
	return p + skip;
}

/* The first of the whole huge pages; NULL: there are none, or no asking. */
static uint8_t *advise_huge_pages(uint8_t *at, uint64_t size)
{
	uint8_t *first = at + (-(uintptr_t)at & (HUGE_PAGE - 1));

	if (size < (uint64_t)(first - at) + HUGE_PAGE)
		return NULL;
	size = (size - (uint64_t)(first - at)) & ~(HUGE_PAGE - 1);
	return madvise(first, size, MADV_HUGEPAGE) < 0 ? NULL : first;
}

void ram_hint_huge_pages(uint8_t *at, uint64_t size)
{
	advise_huge_pages(at, size);
}

bool ram_ask_huge_pages(uint8_t *at, uint64_t size)
{
	uint8_t *first = advise_huge_pages(at, size);
	unsigned char resident = 0;

	if (!first)
		return false;
	/* Resident, although nobody has touched it: it came with its neighbour. */
	*(volatile uint8_t *)first = 0;
	return mincore(first + LAYOUT_PAGE, LAYOUT_PAGE, &resident) == 0 && (resident & 1);
}

/* One mapping is two regions when it does not fit below the gap; the first one owns it. */
static int add_regions(struct guest_memory *m, uint8_t *host, uint64_t size, struct error *err)
{
	uint64_t low = size < LAYOUT_GAP ? size : LAYOUT_GAP;
	int r = guest_memory_add(m, 0, low, host, false, err);

	if (r == 0 && size > low)
		r = guest_memory_add(m, LAYOUT_GAP_END, size - low, host + low, false, err);
	if (r < 0)
		return r;
	m->regions[0].map = host;
	m->regions[0].map_size = size;
	return 0;
}

int ram_map(uint8_t **out, const struct ram_config *config, int *out_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint8_t *host;
	int r;

	if (config->shared && (fd = make_file(config, err)) < 0)
		return fd;
	host = fd < 0 && !config->huge_pages ? map_private(config) : map_file(config, fd);
	if (host == MAP_FAILED)
		return error_errno(err, errno, "mapping %" PRIu64 " MiB of guest memory%s",
		                   config->size / MIB,
		                   config->huge_pages ? " (are there free huge pages?)" : "");
	/* A core dump of the monitor is not to hold the guest's secrets. */
	madvise(host, config->size, MADV_DONTDUMP);
	if (config->prefault && madvise(host, config->size, MADV_POPULATE_WRITE) < 0) {
		r = error_errno(err, errno, "touching %" PRIu64 " MiB of guest memory",
		                config->size / MIB);
		munmap(host, config->size);
		return r;
	}
	*out = host;
	*out_fd = steal_fd(&fd);
	return 0;
}

int ram_allocate(struct guest_memory *m, const struct ram_config *config, int *out,
                 struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint8_t *host;
	int r = check_config(config, err);

	if (r == 0)
		r = ram_map(&host, config, &fd, err);
	if (r < 0)
		return r;
	r = add_regions(m, host, config->size, err);
	if (r < 0) {
		munmap(host, config->size);
		return r;
	}
	*out = steal_fd(&fd);
	return 0;
}
