/* SPDX-License-Identifier: Apache-2.0 */
/* log: one write(2) a record, text for people, JSON for machines. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

static const char *const level_names[] = {"critical", "error", "warn", "info", "debug", "trace"};

/* The one piece of process-wide state: where records go. Set up by main(). */
static struct {
	char source[64];
	char sandbox[64];
	enum log_level level;
	enum log_format asked, format; /* asked: of log_setup(); format: never LOG_AUTO after it */
	int fd;
} logger = {"kihon", "", LOG_INFO, LOG_AUTO, LOG_AUTO, 2};

static void copy_name(char *dst, size_t room, const char *src)
{
	snprintf(dst, room, "%s", src);
}

void log_setup(const char *source, enum log_level level, int fd, enum log_format format)
{
	copy_name(logger.source, sizeof(logger.source), source);
	logger.level = level;
	logger.asked = format;
	log_set_fd(fd);
}

void log_set_level(enum log_level level)
{
	logger.level = level;
}

void log_set_fd(int fd)
{
	logger.fd = fd;
	logger.format = logger.asked;
	if (logger.asked == LOG_AUTO)
		logger.format = isatty(fd) ? LOG_TEXT : LOG_JSON;
}

void log_set_sandbox(const char *id)
{
	copy_name(logger.sandbox, sizeof(logger.sandbox), id);
}

int log_level_parse(const char *s, enum log_level *out)
{
	for (unsigned int i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_enabled(enum log_level level)
{
	return level <= logger.level;
}

/* Fixed memory, so that a record can be written when there is none left. */
struct line {
	char text[LOG_LINE_MAX];
	size_t n;
};

static void put(struct line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->text) - 4 - l->n; /* keeps room for `"}\n` */

	if (n > room)
		n = room;
	memcpy(l->text + l->n, s, n);
	l->n += n;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void put_escaped(struct line *l, const char *s)
{
	char hex[8];

	for (; *s && l->n + 12 < sizeof(l->text); s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			put(l, "\\", 1);
			put(l, s, 1);
		} else if (c < 0x20 || c == 0x7f) {
			snprintf(hex, sizeof(hex), "\\u%04x", c);
			put_str(l, hex);
		} else {
			put(l, s, 1);
		}
	}
}

static void put_json(struct line *l, enum log_level level, const char *msg)
{
	char ts[48];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(ts, sizeof(ts), "{\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\"",
	         (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	         tm.tm_sec, now.tv_nsec / 1000000 % 1000);
	put_str(l, ts);
	put_str(l, ",\"level\":\"");
	put_str(l, level_names[level]);
	put_str(l, "\",\"source\":\"");
	put_escaped(l, logger.source);
	if (logger.sandbox[0]) {
		put_str(l, "\",\"sandbox\":\"");
		put_escaped(l, logger.sandbox);
	}
	put_str(l, "\",\"msg\":\"");
	put_escaped(l, msg);
	memcpy(l->text + l->n, "\"}\n", 3);
	l->n += 3;
}

static void put_text(struct line *l, enum log_level level, const char *msg)
{
	put_str(l, logger.source);
	put_str(l, ": ");
	if (level != LOG_INFO) {
		put_str(l, level_names[level]);
		put_str(l, ": ");
	}
	put_str(l, msg);
	memcpy(l->text + l->n, "\n", 1);
	l->n += 1;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char msg[LOG_LINE_MAX];
	struct line l = {.n = 0};
	int saved = errno;
	va_list ap;
	ssize_t r;

	if (!log_enabled(level) || logger.fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (logger.format == LOG_TEXT)
		put_text(&l, level, msg);
	else
		put_json(&l, level, msg);
	do
		r = write(logger.fd, l.text, l.n);
	while (r < 0 && errno == EINTR);
	errno = saved;
}
