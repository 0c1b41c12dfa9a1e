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

#include "lib/base/bytes.h"
#include "lib/base/log.h"

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

	if (prctl(PR_CAPBSET_READ, N_NAMES - 1, 0, 0, 0) >= 0 &&
	    prctl(PR_CAPBSET_READ, N_NAMES, 0, 0, 0) < 0)
		return N_NAMES - 1;
	while (low < high) {
		int middle = (low + high + 1) / 2;

		if (prctl(PR_CAPBSET_READ, middle, 0, 0, 0) >= 0)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static bool lists(const struct oci_strings *list, const char *name)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return false;
}

/* What `said` lists too was warned about there. */
static uint64_t parse_set(const struct oci_strings *list, uint64_t known,
                          const struct oci_strings *said, bool warn)
{
	uint64_t set = 0;

	for (size_t i = 0; i < list->n; i++) {
		int n = capability_number(list->v[i]);

		if (n >= 0 && known & 1ull << n)
			set |= 1ull << n;
		else if (warn && !lists(said, list->v[i]))
			log_warn("capability \"%s\" is left out: it is not known here", list->v[i]);
	}
	return set;
}

/* What the sets themselves make impossible (capabilities(7), "Ambient"), told in one line: engines
 * ask for a dozen such at once. */
static void leave_out_ambient(struct capability_sets *sets, bool warn)
{
	uint64_t possible = sets->permitted & sets->inheritable;
	_cleanup_buffer_ struct buffer left = BUFFER_INIT;

	for (int i = 0; i < N_NAMES && warn; i++)
		if (sets->ambient & ~possible & 1ull << i)
			buffer_printf(&left, " %s", names[i]);
	if (left.size > 0)
		log_warn("what is not both permitted and inheritable is left out of the ambient "
		         "set:%s",
		         buffer_cstr(&left));
	sets->ambient &= possible;
}

void capability_sets_parse(const struct oci_capabilities *c, bool warn, struct capability_sets *out)
{
	uint64_t known = ~0ull >> (63 - last_capability());

	memset(out, 0, sizeof(*out));
	if (!c)
		return;
	out->bounding = parse_set(&c->bounding, known, NULL, warn);
	out->effective = parse_set(&c->effective, known, &c->bounding, warn);
	out->inheritable = parse_set(&c->inheritable, known, &c->bounding, warn);
	out->permitted = parse_set(&c->permitted, known, &c->bounding, warn);
	out->ambient = parse_set(&c->ambient, known, &c->bounding, warn);
	leave_out_ambient(out, warn);
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

/* What cannot be granted is left out (config.md, "capabilities": a runtime should not fail where it
 * has fewer itself). */
static int set_possible(const struct capability_sets *sets)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	uint64_t permitted, inheritable;

	if (set(sets->effective, sets->permitted, sets->inheritable) == 0)
		return 0;
	if (errno != EPERM || syscall(SYS_capget, &head, data) < 0)
		return -1;
	permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return set(sets->effective & sets->permitted & permitted, sets->permitted & permitted,
	           sets->inheritable & (permitted | inheritable));
}

int capability_apply(const struct capability_sets *sets, struct error *err)
{
	if (set_possible(sets) < 0)
		return error_errno(err, errno, "setting the capabilities of the process");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(err, errno, "clearing the ambient capabilities");
	for (int i = 0; i < 64; i++) {
		if (!(sets->ambient & 1ull << i))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0 && errno != EPERM)
			return error_errno(err, errno, "raising %s as an ambient capability",
			                   i < N_NAMES ? names[i] : "a capability");
	}
	return 0;
}
