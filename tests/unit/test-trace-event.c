/* SPDX-License-Identifier: Apache-2.0 */
/* trace-event: records as lines: golden ones, hostile strings, records that are none, names of
 * kinds. */
#include "guest/trace/event.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest/trace/kinds.h"
#include "lib/base/json.h"
#include "tests/unit/check.h"

#define REAL_OFFSET 1790000000000000000 /* 2026-09-21T14:13:20Z */
#define BEGIN(event)                                                                               \
	"{\"ts\":\"2026-09-21T14:13:21.500000Z\",\"event\":\"" event                               \
	"\",\"pid\":7,\"guest_pid\":70,\"uid\":1000,\"comm\":\"cat\""

static struct trace_record record(uint32_t kind, const void *data, size_t size)
{
	struct trace_record r = {
	    .time = 1500000000,
	    .kind = kind,
	    .pid = 70,
	    .tid = 70,
	    .inner_pid = 7,
	    .uid = 1000,
	    .size = (uint32_t)size,
	    .comm = "cat",
	};

	memcpy(r.data, data, size);
	return r;
}

/* The line, valid until the next one. */
static const char *line(const struct trace_record *r)
{
	static struct buffer b;
	struct error err = ERROR_INIT;

	buffer_free(&b);
	if (trace_event_write((const uint8_t *)r, TRACE_HEAD + r->size, REAL_OFFSET, &b, &err) < 0)
		check_fail(__FILE__, __LINE__, "%s", err.text);
	return buffer_cstr(&b);
}

static void check_record(struct trace_record r, const char *want)
{
	check_str(line(&r), want);
}

TEST(golden_processes)
{
	struct trace_record r = record(TRACE_FORK, "", 0);

	r.child = 71;
	r.tid = 72;
	check_record(r, "{\"ts\":\"2026-09-21T14:13:21.500000Z\",\"event\":\"fork\",\"pid\":7,"
	                "\"guest_pid\":70,\"guest_tid\":72,\"uid\":1000,\"comm\":\"cat\","
	                "\"guest_child\":71}\n");
	check_record(record(TRACE_EXEC, "/bin/cat", 9), BEGIN("exec") ",\"path\":\"/bin/cat\"}\n");
	check_record(record(TRACE_OOM, "", 0), BEGIN("oom") "}\n");
	r = record(TRACE_EXIT, "", 0);
	r.result = 3;
	check_record(r, BEGIN("exit") ",\"status\":3}\n");
	r.result = TRACE_SIGNALLED | 15;
	check_record(r, BEGIN("exit") ",\"signal\":15}\n");
	r.result = TRACE_SIGNALLED;
	check_record(r, BEGIN("exit") "}\n");
	r.result = TRACE_SIGNALLED | 15;
	r.inner_pid = 0;
	check_record(r, "{\"ts\":\"2026-09-21T14:13:21.500000Z\",\"event\":\"exit\","
	                "\"guest_pid\":70,\"uid\":1000,\"comm\":\"cat\",\"signal\":15}\n");
}

TEST(golden_files)
{
	struct trace_record r = record(TRACE_OPEN, "etc/passwd", 11);

	r.dirfd = AT_FDCWD;
	r.flags = 0x80000;
	r.result = 3;
	check_record(r, BEGIN("open") ",\"path\":\"etc/passwd\",\"flags\":524288,\"result\":3}\n");
	r.dirfd = 5;
	r.result = -ENOENT;
	check_record(r, BEGIN("open") ",\"path\":\"etc/passwd\",\"dirfd\":5,\"flags\":524288,"
	                              "\"result\":-2,\"error\":\"No such file or directory\"}\n");
	r = record(TRACE_OPEN, "/a", 3);
	r.dirfd = 5;
	check_record(r, BEGIN("open") ",\"path\":\"/a\",\"flags\":0,\"result\":0}\n");
}

TEST(golden_sockets)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct trace_record r;
	sa_family_t odd = 40;

	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	r = record(TRACE_CONNECT, &in, sizeof(in));
	r.result = -ECONNREFUSED;
	check_record(r,
	             BEGIN("connect") ",\"family\":\"inet\",\"address\":\"192.0.2.1\",\"port\":80,"
	                              "\"result\":-111,\"error\":\"Connection refused\"}\n");
	r = record(TRACE_ACCEPT, &in6, sizeof(in6));
	r.result = 9;
	check_record(r, BEGIN("accept") ",\"family\":\"inet6\",\"address\":\"2001:db8::1\","
	                                "\"port\":443,\"result\":9}\n");
	strcpy(un.sun_path, "/run/x");
	check_record(record(TRACE_CONNECT, &un, sizeof(un)),
	             BEGIN("connect") ",\"family\":\"unix\",\"path\":\"/run/x\",\"result\":0}\n");
	memcpy(un.sun_path, "\0a\0b", 4);
	check_record(record(TRACE_CONNECT, &un, offsetof(struct sockaddr_un, sun_path) + 4),
	             BEGIN("connect") ",\"family\":\"unix\",\"path\":\"@a@b\",\"result\":0}\n");
	check_record(record(TRACE_ACCEPT, &un, sizeof(odd)),
	             BEGIN("accept") ",\"family\":\"unix\",\"result\":0}\n");
	check_record(record(TRACE_CONNECT, &odd, sizeof(odd)),
	             BEGIN("connect") ",\"family\":40,\"result\":0}\n");
	/* Cut short, or none at all. */
	check_record(record(TRACE_CONNECT, &in, 4),
	             BEGIN("connect") ",\"family\":2,\"result\":0}\n");
	check_record(record(TRACE_ACCEPT, &in, 0), BEGIN("accept") ",\"result\":0}\n");
}

/* cJSON is the reader that did not write it. */
static void check_path(const void *path, size_t size, const char *want)
{
	struct trace_record r = record(TRACE_EXEC, path, size);
	struct error err = ERROR_INIT;
	const char *text = line(&r), *got = NULL;
	cJSON *doc = NULL;

	check(strchr(text, '\n') == text + strlen(text) - 1);
	check(strlen(text) <= TRACE_LINE_MAX);
	if (json_parse(text, strlen(text), TRACE_LINE_MAX, "line", &doc, &err) < 0)
		check_fail(__FILE__, __LINE__, "%s", err.text);
	check_int(json_string(doc, "path", true, &got, "line", NULL), 0);
	check_str(got, want);
	cJSON_Delete(doc);
}

TEST(hostile_strings)
{
	char longest[TRACE_PATH] = "";

#define PATH(text, want) check_path(text, sizeof(text), want)
	PATH("/a\"b\\c", "/a\"b\\c");
	PATH("/a\nb\tc\r\x01\x7f", "/a\nb\tc\r\x01\x7f");
	PATH("\",\"event\":\"exit\"}\n{", "\",\"event\":\"exit\"}\n{");
	PATH("/gr\xc3\xbc\xc3\x9f", "/gr\xc3\xbc\xc3\x9f");
	PATH("/\xff\xfe", "/\xef\xbf\xbd\xef\xbf\xbd");
	PATH("", "");
	check_path("/no end", 7, "/no end");
	memset(longest, 1, sizeof(longest) - 1);
	check_path(longest, sizeof(longest), longest);
}

TEST(hostile_comm)
{
	struct trace_record r = record(TRACE_OOM, "", 0);

	memcpy(r.comm, "\"}\n{\x80\xc3_16_bytes_", TRACE_COMM);
	check_str(strstr(line(&r), "\"comm\""),
	          "\"comm\":\"\\\"}\\u000a{\\ufffd\\ufffd_16_bytes_\"}\n");
}

TEST(records_that_are_none)
{
	struct trace_record r = record(TRACE_EXEC, "/x", 3);
	struct buffer b = BUFFER_INIT;
	const uint8_t *bytes = (const uint8_t *)&r;

	check_int(trace_event_write(bytes, 0, 0, &b, NULL), -EBADMSG);
	check_int(trace_event_write(bytes, TRACE_HEAD - 1, 0, &b, NULL), -EBADMSG);
	check_int(trace_event_write(bytes, TRACE_HEAD + 2, 0, &b, NULL), -EBADMSG);
	check_int(trace_event_write(bytes, sizeof(r) + 1, 0, &b, NULL), -EBADMSG);
	r.kind = TRACE_N_KINDS;
	check_int(trace_event_write(bytes, TRACE_HEAD + 3, 0, &b, NULL), -EBADMSG);
	check_int(b.size, 0);
	r.kind = TRACE_EXEC;
	r.time = UINT64_MAX; /* any time is a line */
	check_int(trace_event_write(bytes, TRACE_HEAD + 3, INT64_MAX, &b, NULL), 0);
	buffer_free(&b);
}

TEST(lines_of_our_own)
{
	struct buffer b = BUFFER_INIT;

	trace_start_write(REAL_OFFSET, 1u << TRACE_EXEC | 1u << TRACE_OOM, &b);
	trace_lost_write(REAL_OFFSET + 1000, 12, &b);
	trace_end_write(REAL_OFFSET + 2000, &b);
	check_str(buffer_cstr(&b),
	          "{\"ts\":\"2026-09-21T14:13:20.000000Z\",\"event\":\"start\","
	          "\"kinds\":[\"exec\",\"oom\"]}\n"
	          "{\"ts\":\"2026-09-21T14:13:20.000001Z\",\"event\":\"lost\",\"count\":12}\n"
	          "{\"ts\":\"2026-09-21T14:13:20.000002Z\",\"event\":\"end\"}\n");
	buffer_free(&b);
}

TEST(names_of_kinds)
{
	static const char *const wrong[] = {"",      ",",   "exec,", "exec,,exit", "Exec",
	                                    "execx", "exe", "al",    "exec exit",  "open,nope"};
	struct error err = ERROR_INIT;
	uint32_t bits = 0;

	check_int(trace_kinds_parse("exec,exit", &bits, NULL), 0);
	check_int(bits, 1 << TRACE_EXEC | 1 << TRACE_EXIT);
	check_int(trace_kinds_parse("all", &bits, NULL), 0);
	check_int(bits, TRACE_ALL_KINDS);
	for (unsigned int i = 0; i < TRACE_N_KINDS; i++) {
		check_int(trace_kinds_parse(trace_kind_name(i), &bits, NULL), 0);
		check_int(bits, 1 << i);
	}
	check(!trace_kind_name(TRACE_N_KINDS));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		check_int(trace_kinds_parse(wrong[i], &bits, &err), -EINVAL);
	check(strstr(err.text, "'nope'"));
}

TEST_MAIN()
