/* SPDX-License-Identifier: Apache-2.0 */
/* error: messages made where something failed, in a fixed buffer. */
#include "error.h"

#include <stdio.h>
#include <string.h>

static void set_text(struct error *err, const char *fmt, va_list ap)
{
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	/* One line: what peers and files put in must not break it. */
	for (char *p = err->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

int error_set(struct error *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -errnum;
	err->code = -errnum;
	err->kind = ERROR_FAILED;
	va_start(ap, fmt);
	set_text(err, fmt, ap);
	va_end(ap);
	return -errnum;
}

int error_set_kind(struct error *err, enum error_kind kind, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -errnum;
	err->code = -errnum;
	err->kind = kind;
	va_start(ap, fmt);
	set_text(err, fmt, ap);
	va_end(ap);
	return -errnum;
}

int error_errno(struct error *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!err)
		return -errnum;
	err->code = -errnum;
	err->kind = ERROR_ENVIRONMENT;
	va_start(ap, fmt);
	set_text(err, fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(errnum));
	return -errnum;
}

int error_prefix(struct error *err, int code, const char *fmt, ...)
{
	char old[ERROR_TEXT_MAX];
	size_t n;
	va_list ap;

	if (!err)
		return code;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	set_text(err, fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	if (n + 2 < sizeof(err->text)) {
		size_t room = sizeof(err->text) - n - 3, len = strnlen(old, sizeof(old) - 1);

		memcpy(err->text + n, ": ", 2);
		if (len > room)
			len = room;
		memcpy(err->text + n + 2, old, len);
		err->text[n + 2 + len] = '\0';
	}
	return code;
}

int error_hint(struct error *err, int code, const char *fmt, ...)
{
	size_t n;
	va_list ap;

	if (!err)
		return code;
	n = strlen(err->text);
	if (n + 2 >= sizeof(err->text))
		return code;
	memcpy(err->text + n, "; ", 3);
	va_start(ap, fmt);
	vsnprintf(err->text + n + 2, sizeof(err->text) - n - 2, fmt, ap);
	va_end(ap);
	return code;
}

void error_clear(struct error *err)
{
	if (err)
		*err = (struct error)ERROR_INIT;
}
