/* SPDX-License-Identifier: Apache-2.0 */
/* capability: the table of names, capset and prctl. */
#include "guest/agent/container/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the order of linux/capability.h: the index is the number. */
static const char *const names[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

#define N_NAMES (int)(sizeof(names) / sizeof(names[0]))
_Static_assert(sizeof(names) / sizeof(names[0]) == CAP_CHECKPOINT_RESTORE + 1,
               "one name for each capability");

const char *capability_name(int number)
{
	return number >= 0 && number < N_NAMES ? names[number] : NULL;
}

int capability_number(const char *name)
{
	for (int i = 0; i < N_NAMES; i++)
		if (strcasecmp(names[i], name) == 0)
			return i;
	return -1;
}

/* The kernel's highest, which may be below or above what we were compiled with. */
static int last_capability(void)
{
	int low = 0, high = 63;

	while (low < high) {
		int middle = (low + high + 1) / 2;

		if (prctl(PR_CAPBSET_READ, middle, 0, 0, 0) >= 0)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static int parse_set(const struct oci_strings *list, uint64_t known, uint64_t *out,
                     struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		int n = capability_number(list->v[i]);

		if (n < 0)
			return error_set_kind(err, ERROR_INPUT, EINVAL, "unknown capability \"%s\"",
			                      list->v[i]);
		*out |= 1ull << n & known;
	}
	return 0;
}

int capability_sets_parse(const struct oci_capabilities *c, struct capability_sets *out,
                          struct error *err)
{
	uint64_t known = ~0ull >> (63 - last_capability());
	int r;

	memset(out, 0, sizeof(*out));
	if (!c)
		return 0;
	r = parse_set(&c->bounding, known, &out->bounding, err);
	if (r == 0)
		r = parse_set(&c->effective, known, &out->effective, err);
	if (r == 0)
		r = parse_set(&c->inheritable, known, &out->inheritable, err);
	if (r == 0)
		r = parse_set(&c->permitted, known, &out->permitted, err);
	if (r == 0)
		r = parse_set(&c->ambient, known, &out->ambient, err);
	return r;
}

int capability_drop_bounding(const struct capability_sets *sets, struct error *err)
{
	int last = last_capability();

	for (int i = 0; i <= last; i++) {
		if (sets->bounding & 1ull << i || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		/* Who may not drop may all the same be without. */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
			return error_errno(err, errno, "dropping %s from the bounding set",
			                   i < N_NAMES ? names[i] : "a capability");
	}
	return 0;
}

int capability_keep(struct error *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "keeping capabilities over the change of user");
	return 0;
}

static int set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	const struct __user_cap_data_struct data[2] = {
	    {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
	    {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
	     (uint32_t)(inheritable >> 32)},
	};

	return (int)syscall(SYS_capset, &head, data);
}

int capability_regain(struct error *err)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) == 0) {
		data[0].effective = data[0].permitted;
		data[1].effective = data[1].permitted;
		if (syscall(SYS_capset, &head, data) == 0)
			return 0;
	}
	return error_errno(err, errno, "regaining capabilities after the change of user");
}

int capability_apply(const struct capability_sets *sets, struct error *err)
{
	if (set(sets->effective, sets->permitted, sets->inheritable) < 0)
		return error_errno(err, errno, "setting the capabilities of the process");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(err, errno, "clearing the ambient capabilities");
	for (int i = 0; i < 64; i++) {
		if (!(sets->ambient & 1ull << i))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return error_errno(err, errno, "raising %s as an ambient capability",
			                   i < N_NAMES ? names[i] : "a capability");
	}
	return 0;
}
