/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line a record, text on a terminal, JSON elsewhere.
 *
 * JSON schema (docs/logging.md): {"ts":"2026-01-02T03:04:05.678Z","level":
 * "info","source":"agent","sandbox":"id","msg":"..."}; "sandbox" only when
 * set, further string members as given by the _kv calls. A record is written
 * with one write(2), never through stdio, and is cut at LOG_LINE_MAX bytes.
 * Secrets are the caller's business: never pass one.
 */
#pragma once

#include <stdbool.h>

#define LOG_LINE_MAX 2048

enum log_level { LOG_CRITICAL, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_format {
	LOG_AUTO, /* text when the descriptor is a terminal, else JSON */
	LOG_TEXT,
	LOG_JSON,
};

/* Starts as source "kihon", level info, descriptor 2, LOG_AUTO. Strings are
 * copied (and cut at 63 bytes). */
void log_setup(const char *source, enum log_level level, int fd, enum log_format format);
void log_set_level(enum log_level level);
void log_set_fd(int fd); /* LOG_AUTO is decided anew */
void log_set_sandbox(const char *id);
/* "critical" ... "trace"; -EINVAL otherwise. */
int log_level_parse(const char *s, enum log_level *out);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_critical(...) log_write(LOG_CRITICAL, __VA_ARGS__)
#define log_error(...)    log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)     log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)     log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)    log_write(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...)    log_write(LOG_TRACE, __VA_ARGS__)
