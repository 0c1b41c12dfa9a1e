/* SPDX-License-Identifier: Apache-2.0 */
/* device_filter: a small emitter of BPF instructions, and bpf(2). */
#include "guest/agent/container/device_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/agent/container/device.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"

#define ALL_ACCESS   (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define INSNS_A_RULE 8
#define MAX_ATTACHED 64

struct rule {
	bool allow;
	uint32_t type; /* BPF_DEVCG_DEV_*, 0: any */
	int64_t major; /* -1: any */
	int64_t minor;
	uint32_t access;
};

/* ---- rules ---- */

static int read_rule(const struct oci_device_rule *d, struct rule *out, struct error *err)
{
	const char *type = str_empty(d->type) ? "a" : d->type;

	*out = (struct rule){.allow = d->allow, .major = -1, .minor = -1};
	if (strcmp(type, "b") == 0)
		out->type = BPF_DEVCG_DEV_BLOCK;
	else if (strcmp(type, "c") == 0)
		out->type = BPF_DEVCG_DEV_CHAR;
	else if (strcmp(type, "a") != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "linux.resources.devices type \"%s\" is not a, b or c", type);
	/* "a" means every device, whatever numbers are beside it, as in cgroup v1. */
	if (out->type && d->major.set)
		out->major = d->major.value;
	if (out->type && d->minor.set)
		out->minor = d->minor.value;
	if (out->major > INT32_MAX || out->minor > INT32_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "linux.resources.devices has a device number that is too "
		                      "large");
	for (const char *p = str_empty(d->access) ? "rwm" : d->access; *p; p++) {
		if (*p == 'r')
			out->access |= BPF_DEVCG_ACC_READ;
		else if (*p == 'w')
			out->access |= BPF_DEVCG_ACC_WRITE;
		else if (*p == 'm')
			out->access |= BPF_DEVCG_ACC_MKNOD;
		else
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "linux.resources.devices access \"%s\" is not of r, "
			                      "w, m",
			                      d->access);
	}
	return 0;
}

static struct rule allow(uint32_t type, int64_t major, int64_t minor, uint32_t access)
{
	return (struct rule){true, type, major, minor, access};
}

static struct rule allow_device(const struct oci_device *d)
{
	return allow(d->type[0] == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, d->major,
	             d->minor, ALL_ACCESS);
}

static size_t add_standard(struct rule *rules, size_t n)
{
	rules[n++] = allow(BPF_DEVCG_DEV_CHAR, -1, -1, BPF_DEVCG_ACC_MKNOD);
	rules[n++] = allow(BPF_DEVCG_DEV_BLOCK, -1, -1, BPF_DEVCG_ACC_MKNOD);
	for (size_t i = 0; i < n_default_devices; i++)
		rules[n++] = allow_device(&default_devices[i]);
	rules[n++] = allow(BPF_DEVCG_DEV_CHAR, 5, 1, ALL_ACCESS);    /* console */
	rules[n++] = allow(BPF_DEVCG_DEV_CHAR, 5, 2, ALL_ACCESS);    /* ptmx */
	rules[n++] = allow(BPF_DEVCG_DEV_CHAR, 136, -1, ALL_ACCESS); /* pts */
	return n;
}

static int collect(const struct oci_resources *res, const struct oci_device *devices,
                   size_t n_devices, struct rule *rules, size_t *n_out, struct error *err)
{
	size_t n = 0, n_rules = res ? res->n_devices : 0;

	if (n_rules + n_devices + 16 > DEVICE_FILTER_MAX_RULES)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "more than %d device rules",
		                      DEVICE_FILTER_MAX_RULES);
	for (size_t i = 0; i < n_rules; i++) {
		int r = read_rule(&res->devices[i], &rules[n++], err);

		if (r < 0)
			return r;
	}
	n = add_standard(rules, n);
	for (size_t i = 0; i < n_devices; i++)
		if (devices[i].type[0] != 'p')
			rules[n++] = allow_device(&devices[i]);
	*n_out = n;
	return 0;
}

/* ---- emitting ---- */

/* r2: the accesses not yet allowed, r3: type, r4: major, r5: minor, r6: scratch, r7: r4 and r5 as
 * the kernel's own number of a device (kdev_t.h: 12 and 20 bits). */
enum { R0, R1, R2, R3, R4, R5, R6, R7 };

#define MINOR_BITS 20
#define MAJOR_BITS 12

static void emit(struct device_filter *f, uint8_t code, unsigned int dst, unsigned int src,
                 int16_t off, int32_t imm)
{
	f->insns[f->n++] = (struct bpf_insn){
	    .code = code, .dst_reg = dst & 0xfu, .src_reg = src & 0xfu, .off = off, .imm = imm};
}

static void emit_return(struct device_filter *f, int value)
{
	emit(f, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, value);
	emit(f, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_start(struct device_filter *f)
{
	const int access_type = offsetof(struct bpf_cgroup_dev_ctx, access_type);

	emit(f, BPF_LDX | BPF_MEM | BPF_W, R2, R1, (int16_t)access_type, 0);
	emit(f, BPF_ALU64 | BPF_MOV | BPF_X, R3, R2, 0, 0);
	emit(f, BPF_ALU64 | BPF_AND | BPF_K, R3, 0, 0, 0xffff);
	emit(f, BPF_ALU64 | BPF_RSH | BPF_K, R2, 0, 0, 16);
	emit(f, BPF_LDX | BPF_MEM | BPF_W, R4, R1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(f, BPF_LDX | BPF_MEM | BPF_W, R5, R1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	emit(f, BPF_ALU64 | BPF_MOV | BPF_X, R7, R4, 0, 0);
	emit(f, BPF_ALU64 | BPF_LSH | BPF_K, R7, 0, 0, MINOR_BITS);
	emit(f, BPF_ALU64 | BPF_OR | BPF_X, R7, R5, 0, 0);
}

/* Everything of one device is allowed: a single comparison, which the kernel checks fast. */
static bool is_exact(const struct rule *r)
{
	return r->allow && r->type && r->access == ALL_ACCESS && r->major >= 0 &&
	       r->major < 1 << MAJOR_BITS && r->minor >= 0 && r->minor < 1 << MINOR_BITS;
}

/* The rules before `n` that are exact and of one type: how many were taken. */
static size_t emit_exact_rules(struct device_filter *f, const struct rule *rules, size_t n)
{
	size_t skip = f->n, taken = 0, from;

	emit(f, BPF_JMP | BPF_JNE | BPF_K, R3, 0, 0, (int32_t)rules[n - 1].type);
	from = f->n;
	while (taken < n && is_exact(&rules[n - taken - 1]) &&
	       rules[n - taken - 1].type == rules[n - 1].type) {
		const struct rule *r = &rules[n - ++taken];

		emit(f, BPF_JMP32 | BPF_JEQ | BPF_K, R7, 0, 0,
		     (int32_t)((uint32_t)r->major << MINOR_BITS | (uint32_t)r->minor));
	}
	/* None of them: past the return that they jump to. */
	emit(f, BPF_JMP | BPF_JA, 0, 0, 2, 0);
	for (size_t i = from; i < f->n - 1; i++)
		f->insns[i].off = (int16_t)(f->n - i - 1);
	emit_return(f, 1);
	f->insns[skip].off = (int16_t)(f->n - skip - 1);
	return taken;
}

/* True when the rule decides always, so that nothing after it can be reached. */
static bool emit_rule(struct device_filter *f, const struct rule *r)
{
	size_t jumps[4], n = 0;

	if (r->type) {
		jumps[n++] = f->n;
		emit(f, BPF_JMP | BPF_JNE | BPF_K, R3, 0, 0, (int32_t)r->type);
	}
	if (r->major >= 0) {
		jumps[n++] = f->n;
		emit(f, BPF_JMP | BPF_JNE | BPF_K, R4, 0, 0, (int32_t)r->major);
	}
	if (r->minor >= 0) {
		jumps[n++] = f->n;
		emit(f, BPF_JMP | BPF_JNE | BPF_K, R5, 0, 0, (int32_t)r->minor);
	}
	if (r->access != ALL_ACCESS && r->allow) {
		emit(f, BPF_ALU64 | BPF_AND | BPF_K, R2, 0, 0, (int32_t)(ALL_ACCESS & ~r->access));
		jumps[n++] = f->n;
		emit(f, BPF_JMP | BPF_JNE | BPF_K, R2, 0, 0, 0);
	} else if (r->access != ALL_ACCESS) {
		emit(f, BPF_ALU64 | BPF_MOV | BPF_X, R6, R2, 0, 0);
		emit(f, BPF_ALU64 | BPF_AND | BPF_K, R6, 0, 0, (int32_t)r->access);
		jumps[n++] = f->n;
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, R6, 0, 0, 0);
	}
	emit_return(f, r->allow);
	for (size_t i = 0; i < n; i++)
		f->insns[jumps[i]].off = (int16_t)(f->n - jumps[i] - 1);
	return n == 0;
}

int device_filter_build(const struct oci_resources *res, const struct oci_device *devices,
                        size_t n_devices, struct device_filter *out, struct error *err)
{
	struct rule rules[DEVICE_FILTER_MAX_RULES];
	bool decided = false;
	size_t n = 0;
	int r = collect(res, devices, n_devices, rules, &n, err);

	memset(out, 0, sizeof(*out));
	if (r < 0)
		return r;
	out->insns = malloc((n + 3) * INSNS_A_RULE * sizeof(*out->insns));
	if (!out->insns)
		return error_set(err, ENOMEM, "making the device filter: no memory");
	emit_start(out);
	while (n > 0 && !decided) {
		if (is_exact(&rules[n - 1]))
			n -= emit_exact_rules(out, rules, n);
		else
			decided = emit_rule(out, &rules[--n]);
	}
	if (!decided)
		emit_return(out, 0);
	return 0;
}

void device_filter_free(struct device_filter *f)
{
	free(f->insns);
	memset(f, 0, sizeof(*f));
}

/* ---- attaching ---- */

static int call_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load(const struct device_filter *f)
{
	static const char license[] = "Apache-2.0";
	union bpf_attr attr = {
	    .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
	    .insns = (uint64_t)(uintptr_t)f->insns,
	    .insn_cnt = (uint32_t)f->n,
	    .license = (uint64_t)(uintptr_t)license,
	};
	int fd;

	memcpy(attr.prog_name, "kihon_devices", 13);
	fd = call_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int attached(int cgroup_fd, uint32_t *ids, uint32_t *n)
{
	union bpf_attr attr = {0};

	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = MAX_ATTACHED;
	if (call_bpf(BPF_PROG_QUERY, &attr) < 0)
		return -errno;
	*n = attr.query.prog_cnt;
	return 0;
}

static void detach(int cgroup_fd, uint32_t id)
{
	union bpf_attr get = {.prog_id = id}, attr = {0};
	_cleanup_close_ int fd = call_bpf(BPF_PROG_GET_FD_BY_ID, &get);

	if (fd < 0)
		return;
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	call_bpf(BPF_PROG_DETACH, &attr);
}

int device_filter_attach(const struct device_filter *f, int cgroup_fd, struct error *err)
{
	_cleanup_close_ int dir = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int prog = -1;
	union bpf_attr attr = {0};
	uint32_t old[MAX_ATTACHED], n_old = 0;

	if (dir < 0)
		return error_errno(err, errno, "opening the cgroup for the device filter");
	prog = load(f);
	if (prog < 0)
		return error_errno(err, errno, "loading the device filter");
	if (attached(dir, old, &n_old) < 0)
		n_old = 0;
	/* Both hold for a moment: what either denies is denied. */
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (call_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return error_errno(err, errno, "attaching the device filter");
	for (uint32_t i = 0; i < n_old; i++)
		detach(dir, old[i]);
	return 0;
}
