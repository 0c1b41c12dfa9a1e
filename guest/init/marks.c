/* SPDX-License-Identifier: Apache-2.0 */
/* marks: one console line a mark, written past every buffer and log. */
#include "marks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* Set once at boot and never again: a mark may sit anywhere, so it cannot be handed a context. */
static bool marks_on;

static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

struct boot_stamp boot_stamp_now(void)
{
	struct boot_stamp s = {.ticks = ticks()};
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == 0)
		s.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return s;
}

void boot_marks_enable(bool on)
{
	marks_on = on;
}

void boot_mark(const char *name)
{
	if (marks_on)
		boot_mark_at(name, boot_stamp_now());
}

void boot_mark_at(const char *name, struct boot_stamp stamp)
{
	_cleanup_close_ int fd = -1;
	char line[128];
	int n;

	if (!marks_on)
		return;
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	n = snprintf(line, sizeof(line), "kihon-mark %.32s %" PRIu64 " %" PRIu64 "\n", name,
	             stamp.ticks, stamp.ns);
	/* A mark that cannot be written is seen to be missing by whoever counts. */
	if (fd >= 0 && n > 0 && (size_t)n < sizeof(line) && write(fd, line, (size_t)n) < 0)
		return;
}
