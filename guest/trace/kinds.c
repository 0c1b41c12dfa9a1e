/* SPDX-License-Identifier: Apache-2.0 */
/* kinds: one table of names. */
#include "guest/trace/kinds.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const names[TRACE_N_KINDS] = {
    [TRACE_FORK] = "fork",     [TRACE_EXEC] = "exec", [TRACE_EXIT] = "exit",
    [TRACE_OOM] = "oom",       [TRACE_OPEN] = "open", [TRACE_CONNECT] = "connect",
    [TRACE_ACCEPT] = "accept",
};

const char *trace_kind_name(unsigned int kind)
{
	return kind < TRACE_N_KINDS ? names[kind] : NULL;
}

/* The bits of one name of n bytes; 0: there is none. */
static uint32_t find(const char *name, size_t n)
{
	if (n == 3 && memcmp(name, "all", n) == 0)
		return TRACE_ALL_KINDS;
	for (unsigned int i = 0; i < TRACE_N_KINDS; i++)
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return 1u << i;
	return 0;
}

int trace_kinds_parse(const char *list, uint32_t *bits, struct error *err)
{
	uint32_t all = 0;

	for (const char *c = list;; c++) {
		size_t n = strcspn(c, ",");
		uint32_t found = find(c, n);

		if (!found)
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "there is no kind of event '%.*s': all, fork, exec, "
			                      "exit, oom, open, connect or accept",
			                      n < 32 ? (int)n : 32, c);
		all |= found;
		c += n;
		if (!*c)
			break;
	}
	*bits = all;
	return 0;
}
