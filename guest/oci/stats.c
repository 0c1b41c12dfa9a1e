/* SPDX-License-Identifier: Apache-2.0 */
/* stats: flat-keyed and single-value files of a cgroup (cgroup-v2.rst) into members. */
#include "guest/oci/stats.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

#define FILE_MAX 65536

/* The value of a file of one number; "max" is UINT64_MAX. */
static bool read_number(int dir, const char *file, uint64_t *out)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	*out = 0;
	if (fs_read_file(dir, file, FILE_MAX, &text, NULL) < 0 || text.size == 0)
		return false;
	text.data[text.size - 1] = 0;
	if (strcmp(buffer_cstr(&text), "max") == 0)
		*out = UINT64_MAX;
	else if (parse_u64(buffer_cstr(&text), out) < 0)
		return false;
	return true;
}

static uint64_t find_key(const struct buffer *text, const char *key)
{
	const char *p = buffer_cstr(text);
	size_t n = strlen(key);
	uint64_t value = 0;

	while (*p) {
		if (strncmp(p, key, n) == 0 && p[n] == ' ') {
			char digits[24] = "";
			size_t k = strspn(p + n + 1, "0123456789");

			if (k < sizeof(digits)) {
				memcpy(digits, p + n + 1, k);
				(void)parse_u64(digits, &value);
			}
			return value;
		}
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return 0;
}

static void write_cpu(int dir, struct buffer *out)
{
	_cleanup_buffer_ struct buffer t = BUFFER_INIT;

	if (fs_read_file(dir, "cpu.stat", FILE_MAX, &t, NULL) < 0)
		return;
	/* Microseconds there, nanoseconds here. */
	buffer_printf(out,
	              "\"cpu\":{\"usage\":{\"total\":%" PRIu64 ",\"kernel\":%" PRIu64
	              ",\"user\":%" PRIu64 "},\"throttling\":{\"periods\":%" PRIu64
	              ",\"throttledPeriods\":%" PRIu64 ",\"throttledTime\":%" PRIu64 "}},",
	              find_key(&t, "usage_usec") * 1000, find_key(&t, "system_usec") * 1000,
	              find_key(&t, "user_usec") * 1000, find_key(&t, "nr_periods"),
	              find_key(&t, "nr_throttled"), find_key(&t, "throttled_usec") * 1000);
}

static void write_usage(int dir, const char *name, const char *current, const char *max,
                        const char *peak, uint64_t failures, struct buffer *out)
{
	uint64_t usage, limit, top;

	if (!read_number(dir, current, &usage))
		return;
	read_number(dir, max, &limit);
	if (!read_number(dir, peak, &top))
		top = usage;
	buffer_printf(out,
	              "\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64
	              ",\"failcnt\":%" PRIu64 "},",
	              name, limit, usage, top, failures);
}

static void write_raw(const struct buffer *t, struct buffer *out)
{
	const char *p = buffer_cstr(t);
	bool first = true;

	while (*p) {
		size_t line = strcspn(p, "\n"), key = strcspn(p, " \n");

		if (key < line) {
			buffer_printf(out, "%s\"%.*s\":%.*s", first ? "" : ",", (int)key, p,
			              (int)(line - key - 1), p + key + 1);
			first = false;
		}
		p += line;
		p += *p == '\n';
	}
}

static void write_memory(int dir, struct buffer *out)
{
	_cleanup_buffer_ struct buffer t = BUFFER_INIT, events = BUFFER_INIT;

	if (fs_read_file(dir, "memory.stat", FILE_MAX, &t, NULL) < 0)
		return;
	(void)fs_read_file(dir, "memory.events", FILE_MAX, &events, NULL);
	buffer_printf(out, "\"memory\":{\"cache\":%" PRIu64 ",", find_key(&t, "file"));
	write_usage(dir, "usage", "memory.current", "memory.max", "memory.peak",
	            find_key(&events, "max"), out);
	write_usage(dir, "swap", "memory.swap.current", "memory.swap.max", "memory.swap.peak", 0,
	            out);
	buffer_str(out, "\"raw\":{");
	write_raw(&t, out);
	buffer_str(out, "}},");
}

uint64_t stats_oom_kills(int dir)
{
	_cleanup_buffer_ struct buffer t = BUFFER_INIT;

	return fs_read_file(dir, "memory.events", FILE_MAX, &t, NULL) < 0
	           ? 0
	           : find_key(&t, "oom_kill");
}

void stats_write(int dir, struct buffer *out)
{
	uint64_t current, limit;

	buffer_str(out, "{");
	write_cpu(dir, out);
	write_memory(dir, out);
	if (read_number(dir, "pids.current", &current)) {
		read_number(dir, "pids.max", &limit);
		buffer_printf(out, "\"pids\":{\"current\":%" PRIu64 ",\"limit\":%" PRIu64 "},",
		              current, limit == UINT64_MAX ? 0 : limit);
	}
	if (out->size && out->data[out->size - 1] == ',')
		out->data[--out->size] = 0;
	buffer_str(out, "}");
}
