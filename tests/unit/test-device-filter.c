/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-device-filter: the programs that decide about devices, run by a small interpreter and
 * compared with the rules read one by one: for each access the last rule that speaks of it decides.
 */
#include "check.h"

#include <linux/bpf.h>

#include "guest/agent/container/device_filter.h"
#include "lib/base/cleanup.h"

#define ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

/* ---- the kernel's side (include/uapi/linux/bpf.h, Documentation/bpf/standardization) ---- */

static uint64_t operate(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_MOV:
		return b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_LSH:
		return a << b;
	case BPF_RSH:
		return a >> b;
	default:
		check_fail(__FILE__, __LINE__, "operation 0x%x", op);
	}
}

static bool jumps(const struct bpf_insn *i, const uint64_t *r)
{
	uint64_t a = r[i->dst_reg], b = (uint64_t)(int64_t)i->imm;

	if (BPF_CLASS(i->code) == BPF_JMP32) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return true;
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	default:
		check_fail(__FILE__, __LINE__, "jump 0x%x", i->code);
	}
}

/* Only forward jumps, so it ends. */
static bool run(const struct device_filter *f, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = {0};

	for (size_t pc = 0;; pc++) {
		const struct bpf_insn *i;

		check(pc < f->n);
		i = &f->insns[pc];
		if (i->code == (BPF_LDX | BPF_MEM | BPF_W)) {
			uint32_t value;

			check(i->off >= 0 && (size_t)i->off + 4 <= sizeof(*ctx));
			memcpy(&value, (const char *)ctx + i->off, 4);
			r[i->dst_reg] = value;
		} else if (i->code == (BPF_JMP | BPF_EXIT)) {
			return r[0];
		} else if (BPF_CLASS(i->code) == BPF_JMP || BPF_CLASS(i->code) == BPF_JMP32) {
			check(i->off >= 0);
			pc += jumps(i, r) ? (size_t)i->off : 0;
		} else {
			check_int(BPF_CLASS(i->code), BPF_ALU64);
			r[i->dst_reg] = operate(
			    BPF_OP(i->code), r[i->dst_reg],
			    BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm);
		}
	}
}

/* ---- what config-linux.md says ---- */

struct model {
	bool allow;
	char type; /* a b c */
	int64_t major, minor;
	uint32_t access;
};

/* config-linux.md, "Default Devices", and what every container may make. */
static const struct model standard[] = {
    {true, 'c', -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, 'b', -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, 'c', 1, 3, ALL},
    {true, 'c', 1, 5, ALL},
    {true, 'c', 1, 7, ALL},
    {true, 'c', 1, 8, ALL},
    {true, 'c', 1, 9, ALL},
    {true, 'c', 5, 0, ALL},
    {true, 'c', 5, 1, ALL},
    {true, 'c', 5, 2, ALL},
    {true, 'c', 136, -1, ALL},
};

static bool expect(const struct model *rules, size_t n, char type, uint32_t major, uint32_t minor,
                   uint32_t access)
{
	for (uint32_t bit = 1; bit <= ALL; bit <<= 1) {
		bool allowed = false;

		for (size_t i = 0; i < n; i++) {
			const struct model *m = &rules[i];

			if (m->access & bit && (m->type == 'a' || m->type == type) &&
			    (m->major < 0 || m->major == major) &&
			    (m->minor < 0 || m->minor == minor))
				allowed = m->allow;
		}
		if (access & bit && !allowed)
			return false;
	}
	return true;
}

static bool ask(const struct device_filter *f, char type, uint32_t major, uint32_t minor,
                uint32_t access)
{
	const struct bpf_cgroup_dev_ctx ctx = {
	    .access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
	    .major = major,
	    .minor = minor};

	return run(f, &ctx);
}

/* ---- tests ---- */

TEST(default_devices_only)
{
	struct error err = ERROR_INIT;
	struct device_filter f;

	check_ok(device_filter_build(NULL, NULL, 0, &f, &err), &err);
	check(ask(&f, 'c', 1, 3, ALL));
	check(ask(&f, 'c', 136, 77, BPF_DEVCG_ACC_READ));
	check(ask(&f, 'c', 10, 229, BPF_DEVCG_ACC_MKNOD));
	check(!ask(&f, 'c', 10, 229, BPF_DEVCG_ACC_READ));
	check(!ask(&f, 'c', 1, 1, BPF_DEVCG_ACC_READ));
	check(!ask(&f, 'b', 1, 3, BPF_DEVCG_ACC_READ));
	check(!ask(&f, 'b', 8, 0, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_MKNOD));
	check(!ask(&f, 'c', 3, 1, BPF_DEVCG_ACC_READ));
	device_filter_free(&f);
}

TEST(devices_of_the_specification)
{
	const struct oci_device devices[] = {
	    {.path = "/dev/fuse", .type = "c", .major = 10, .minor = 229},
	    {.path = "/dev/sda", .type = "b", .major = 8, .minor = 0},
	    {.path = "/dev/pipe", .type = "p"},
	    {.path = "/dev/odd", .type = "u", .major = 4095, .minor = 0xfffff},
	};
	struct error err = ERROR_INIT;
	struct device_filter f;

	check_ok(device_filter_build(NULL, devices, 4, &f, &err), &err);
	check(ask(&f, 'c', 10, 229, ALL));
	check(ask(&f, 'b', 8, 0, ALL));
	check(!ask(&f, 'b', 8, 1, BPF_DEVCG_ACC_READ));
	check(!ask(&f, 'c', 8, 0, BPF_DEVCG_ACC_READ));
	check(!ask(&f, 'c', 0, 0, BPF_DEVCG_ACC_READ));
	check(ask(&f, 'c', 4095, 0xfffff, ALL));
	check(ask(&f, 'c', 1, 3, ALL));
	device_filter_free(&f);
}

TEST(rules_that_make_no_sense)
{
	struct oci_device_rule rule = {.allow = true, .type = "z"};
	const struct oci_resources res = {.n_devices = 1, .devices = &rule};
	struct error err = ERROR_INIT;
	struct device_filter f;

	check_int(device_filter_build(&res, NULL, 0, &f, &err), -EINVAL);
	rule = (struct oci_device_rule){.allow = true, .access = "rx"};
	error_clear(&err);
	check_int(device_filter_build(&res, NULL, 0, &f, &err), -EINVAL);
	rule = (struct oci_device_rule){.type = "c", .major = {true, 1ll << 33}};
	error_clear(&err);
	check_int(device_filter_build(&res, NULL, 0, &f, &err), -EINVAL);
	error_clear(&err);
	check_int(device_filter_build(NULL, NULL, DEVICE_FILTER_MAX_RULES, &f, &err), -E2BIG);
}

/* ---- many rules ---- */

#define RULES 12

static uint32_t draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static struct model draw_rule(uint32_t *s)
{
	static const int64_t majors[] = {-1, 1, 5, 8, 10, 136, 4095, 4096};
	static const int64_t minors[] = {-1, 0, 1, 3, 229, 0xfffff, 0x100000};
	struct model m = {.allow = draw(s, 2),
	                  .type = "abc"[draw(s, 3)],
	                  .major = majors[draw(s, 8)],
	                  .minor = minors[draw(s, 7)],
	                  .access = draw(s, 3) ? 1 + draw(s, 7) : ALL};

	if (m.type == 'a') /* it means every device */
		m.major = m.minor = -1;
	return m;
}

static void to_rule(const struct model *m, char letters[4], struct oci_device_rule *out)
{
	size_t n = 0;

	if (m->access & BPF_DEVCG_ACC_READ)
		letters[n++] = 'r';
	if (m->access & BPF_DEVCG_ACC_WRITE)
		letters[n++] = 'w';
	if (m->access & BPF_DEVCG_ACC_MKNOD)
		letters[n++] = 'm';
	letters[n] = 0;
	*out = (struct oci_device_rule){.allow = m->allow,
	                                .type = m->type == 'a'   ? "a"
	                                        : m->type == 'b' ? "b"
	                                                         : "c",
	                                .major = {m->major >= 0, m->major},
	                                .minor = {m->minor >= 0, m->minor},
	                                .access = letters};
}

static void compare(const struct device_filter *f, const struct model *rules, size_t n, uint32_t *s)
{
	static const uint32_t majors[] = {0, 1, 5, 8, 10, 136, 4095};
	static const uint32_t minors[] = {0, 1, 2, 3, 7, 229, 0xfffff};

	for (int i = 0; i < 60; i++) {
		char type = "bc"[draw(s, 2)];
		uint32_t major = majors[draw(s, 7)], minor = minors[draw(s, 7)];
		uint32_t access = 1 + draw(s, 7);

		if (ask(f, type, major, minor, access) !=
		    expect(rules, n, type, major, minor, access))
			check_fail(__FILE__, __LINE__, "%c %u:%u access %u", type, major, minor,
			           access);
	}
}

TEST(as_the_rules_say)
{
	const size_t n_standard = sizeof(standard) / sizeof(standard[0]);
	uint32_t s = 1;

	for (int round = 0; round < 1500; round++) {
		struct model models[RULES + sizeof(standard) / sizeof(standard[0])];
		struct oci_device_rule rules[RULES];
		char letters[RULES][4];
		size_t n = draw(&s, RULES + 1);
		const struct oci_resources res = {.n_devices = n, .devices = rules};
		struct error err = ERROR_INIT;
		struct device_filter f;

		for (size_t i = 0; i < n; i++) {
			models[i] = draw_rule(&s);
			to_rule(&models[i], letters[i], &rules[i]);
		}
		memcpy(models + n, standard, sizeof(standard));
		check_ok(device_filter_build(&res, NULL, 0, &f, &err), &err);
		compare(&f, models, n + n_standard, &s);
		device_filter_free(&f);
	}
}

TEST_MAIN()
