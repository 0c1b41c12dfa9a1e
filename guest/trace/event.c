/* SPDX-License-Identifier: Apache-2.0 */
/* event: a row of the table for each kind says what its line has besides what all have. */
#include "guest/trace/event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "guest/trace/kinds.h"

#define NS_PER_S 1000000000u

/* ---- what lines begin and end with */

static void write_begin(uint64_t ns, const char *event, struct buffer *out)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	buffer_printf(out, "{\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06uZ\",\"event\":\"%s\"",
	              tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	              tm.tm_sec, (unsigned int)(ns % NS_PER_S / 1000), event);
}

static void write_end(struct buffer *out)
{
	buffer_str(out, "}\n");
}

/* "name":"the n bytes up to a NUL" */
static void write_text(struct buffer *out, const char *name, const void *text, size_t n)
{
	buffer_printf(out, ",\"%s\":\"", name);
	buffer_json_escape(out, text, strnlen(text, n));
	buffer_str(out, "\"");
}

/* Of system calls: a descriptor or 0, or the error as a negative number and in words. */
static void write_result(const struct trace_record *r, struct buffer *out)
{
	buffer_printf(out, ",\"result\":%" PRId64, (int64_t)r->result);
	if (r->result < 0 && r->result >= -4095) {
		buffer_str(out, ",\"error\":");
		buffer_json_string(out, strerror((int)-r->result));
	}
}

/* ---- kinds */

static void write_nothing(const struct trace_record *r, struct buffer *out)
{
}

static void write_fork(const struct trace_record *r, struct buffer *out)
{
	buffer_printf(out, ",\"guest_child\":%u", r->child);
}

static void write_path(const struct trace_record *r, struct buffer *out)
{
	write_text(out, "path", r->data, r->size);
}

static void write_exit(const struct trace_record *r, struct buffer *out)
{
	unsigned int value = (unsigned int)r->result & 0xff;

	if (!(r->result & TRACE_SIGNALLED))
		buffer_printf(out, ",\"status\":%u", value);
	else if (value)
		buffer_printf(out, ",\"signal\":%u", value);
}

static void write_open(const struct trace_record *r, struct buffer *out)
{
	write_path(r, out);
	if (r->dirfd != AT_FDCWD && (r->size == 0 || r->data[0] != '/'))
		buffer_printf(out, ",\"dirfd\":%d", r->dirfd);
	buffer_printf(out, ",\"flags\":%" PRIu64, (uint64_t)r->flags);
	write_result(r, out);
}

/* unix(7): a path may lack its NUL; a name that begins with one is abstract, all its bytes count.
 */
static void write_unix(const struct trace_record *r, struct buffer *out)
{
	char path[TRACE_SOCKADDR];
	size_t n = r->size - offsetof(struct sockaddr_un, sun_path);

	buffer_str(out, ",\"family\":\"unix\"");
	if (n == 0)
		return;
	memcpy(path, r->data + offsetof(struct sockaddr_un, sun_path), n);
	if (!path[0])
		for (size_t i = 0; i < n; i++)
			path[i] = path[i] ? path[i] : '@';
	write_text(out, "path", path, n);
}

static void write_inet(const char *family, int af, const void *address, uint16_t port,
                       struct buffer *out)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(af, address, text, sizeof(text));
	buffer_printf(out, ",\"family\":\"%s\",\"address\":\"%s\",\"port\":%u", family, text,
	              ntohs(port));
}

static void write_address(const struct trace_record *r, struct buffer *out)
{
	struct sockaddr_storage ss;
	sa_family_t family;

	if (r->size < sizeof(family) || r->size > sizeof(ss))
		return;
	memset(&ss, 0, sizeof(ss));
	memcpy(&ss, r->data, r->size);
	family = ss.ss_family;
	if (family == AF_INET && r->size >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *in = (const void *)&ss;

		write_inet("inet", AF_INET, &in->sin_addr, in->sin_port, out);
	} else if (family == AF_INET6 && r->size >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		const struct sockaddr_in6 *in6 = (const void *)&ss;

		write_inet("inet6", AF_INET6, &in6->sin6_addr, in6->sin6_port, out);
	} else if (family == AF_UNIX) {
		write_unix(r, out);
	} else {
		buffer_printf(out, ",\"family\":%u", family);
	}
}

static void write_socket(const struct trace_record *r, struct buffer *out)
{
	write_address(r, out);
	write_result(r, out);
}

static void (*const writers[TRACE_N_KINDS])(const struct trace_record *r, struct buffer *out) = {
    [TRACE_FORK] = write_fork,     [TRACE_EXEC] = write_path, [TRACE_EXIT] = write_exit,
    [TRACE_OOM] = write_nothing,   [TRACE_OPEN] = write_open, [TRACE_CONNECT] = write_socket,
    [TRACE_ACCEPT] = write_socket,
};

/* ---- lines */

int trace_event_write(const uint8_t *record, size_t size, int64_t real_offset_ns,
                      struct buffer *out, struct error *err)
{
	struct trace_record r;

	if (size < TRACE_HEAD || size > sizeof(r))
		return error_set(err, EBADMSG, "a record of %zu bytes", size);
	memset(&r, 0, sizeof(r));
	memcpy(&r, record, size);
	if (r.kind >= TRACE_N_KINDS)
		return error_set(err, EBADMSG, "a record of kind %u", r.kind);
	/* A ring buffer's records are whole multiples of eight bytes. */
	if (r.size > size - TRACE_HEAD)
		return error_set(err, EBADMSG, "a record of %zu bytes with %u of data", size,
		                 r.size);
	write_begin(r.time + (uint64_t)real_offset_ns, trace_kind_name(r.kind), out);
	if (r.inner_pid)
		buffer_printf(out, ",\"pid\":%u", r.inner_pid);
	buffer_printf(out, ",\"guest_pid\":%u", r.pid);
	if (r.tid != r.pid)
		buffer_printf(out, ",\"guest_tid\":%u", r.tid);
	buffer_printf(out, ",\"uid\":%u", r.uid);
	write_text(out, "comm", r.comm, sizeof(r.comm));
	writers[r.kind](&r, out);
	write_end(out);
	return 0;
}

void trace_start_write(uint64_t now_ns, uint32_t kinds, struct buffer *out)
{
	const char *separator = "";

	write_begin(now_ns, "start", out);
	buffer_str(out, ",\"kinds\":[");
	for (unsigned int i = 0; i < TRACE_N_KINDS; i++) {
		if (!(kinds & 1u << i))
			continue;
		buffer_printf(out, "%s\"%s\"", separator, trace_kind_name(i));
		separator = ",";
	}
	buffer_str(out, "]");
	write_end(out);
}

void trace_lost_write(uint64_t now_ns, uint64_t count, struct buffer *out)
{
	write_begin(now_ns, "lost", out);
	buffer_printf(out, ",\"count\":%" PRIu64, count);
	write_end(out);
}

void trace_end_write(uint64_t now_ns, struct buffer *out)
{
	write_begin(now_ns, "end", out);
	write_end(out);
}
