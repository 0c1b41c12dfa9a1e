/* SPDX-License-Identifier: Apache-2.0 */
/* Named processor models, against the lists of the System V ABI (AMD64 supplement, table 3.1). */
#include "host-shim/vmm/x86_64/cpuid_model.h"
#include "tests/unit/check.h"
#include <stdlib.h>

#define ENTRIES 8

static struct kvm_cpuid2 *all_features(void)
{
	static const struct kvm_cpuid_entry2 leaves[ENTRIES] = {
	    {.function = 0, .eax = 0x1f},
	    {.function = 1, .ecx = ~0u, .edx = ~0u},
	    {.function = 7, .eax = 2, .ebx = ~0u, .ecx = ~0u, .edx = 0xac000400},
	    {.function = 0xd, .eax = 0x2e7, .ebx = 0xa88, .ecx = 0xa88},
	    {.function = 0xd, .index = 1, .eax = 0xf},
	    {.function = 0xd, .index = 2, .eax = 256, .ebx = 576},
	    {.function = 0xd, .index = 5, .eax = 64, .ebx = 0x440},
	    {.function = 0x80000001, .ecx = ~0u, .edx = ~0u},
	};
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + sizeof(leaves));

	check(c);
	c->nent = ENTRIES;
	memcpy(c->entries, leaves, sizeof(leaves));
	return c;
}

static void expect(uint32_t reg, const int *has, size_t n_has, const int * not, size_t n_not)
{
	for (size_t i = 0; i < n_has; i++)
		check_int(reg >> has[i] & 1, 1);
	for (size_t i = 0; i < n_not; i++)
		check_int(reg >> not [i] & 1, 0);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

TEST(level_2_is_that_and_no_more)
{
	/* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT; not FMA, MOVBE, AVX, F16C, VMX. */
	static const int has[] = {0, 9, 13, 19, 20, 23}, not [] = {5, 12, 22, 26, 27, 28, 29};
	static const int not_7[] = {3, 5, 8, 16, 17, 28, 29, 30, 31};
	struct kvm_cpuid2 *c = all_features();
	struct error err = ERROR_INIT;

	check_ok(cpuid_model_apply(cpuid_model_find("x86-64-v2"), c, &err), &err);
	expect(c->entries[1].ecx, has, COUNT(has), not, COUNT(not ));
	expect(c->entries[2].ebx, NULL, 0, not_7, COUNT(not_7));
	check_int(c->entries[2].ecx, 0);
	check_int(c->entries[2].edx, 0xac000400); /* speculation stays */
	check_int(c->entries[3].eax, 0);
	check_int(c->entries[5].eax, 0);
	check_int(c->entries[7].ecx & 1, 1); /* LAHF */
	check_int(c->entries[7].ecx & 4, 0); /* SVM */
	free(c);
}

TEST(level_3_is_that_and_no_more)
{
	static const int has[] = {0, 9, 12, 13, 19, 20, 22, 23, 26, 27, 28, 29}, not [] = {5};
	static const int has_7[] = {3, 5, 8}, not_7[] = {16, 17, 28, 29, 30, 31};
	struct kvm_cpuid2 *c = all_features();
	struct error err = ERROR_INIT;

	check_ok(cpuid_model_apply(cpuid_model_find("x86-64-v3"), c, &err), &err);
	expect(c->entries[1].ecx, has, COUNT(has), not, COUNT(not ));
	expect(c->entries[2].ebx, has_7, COUNT(has_7), not_7, COUNT(not_7));
	check_int(c->entries[3].eax, 7);
	check_int(c->entries[3].ecx, 832);
	check_int(c->entries[4].eax, 0);
	check_int(c->entries[5].eax, 256);
	check_int(c->entries[6].eax, 0);
	check_int(c->entries[7].ecx >> 5 & 1, 1); /* LZCNT */
	free(c);
}

TEST(a_host_that_lacks_something_is_refused)
{
	struct kvm_cpuid2 *c = all_features();
	struct error err = ERROR_INIT;

	c->entries[2].ebx &= ~(1u << 5);
	check_ok(cpuid_model_apply(cpuid_model_find("x86-64-v2"), c, &err), &err);
	check_int(cpuid_model_apply(cpuid_model_find("x86-64-v3"), c, &err), -ENOTSUP);
	free(c);
	c = all_features();
	c->nent = 1; /* not even the leaf */
	check_int(cpuid_model_apply(cpuid_model_find("x86-64-v2"), c, &err), -ENOTSUP);
	check(strstr(err.text, "x86-64-v2") && strstr(err.text, "leaf 0x1"));
	free(c);
}

TEST(there_are_no_other_models)
{
	check(!cpuid_model_find("x86-64-v1"));
	check(!cpuid_model_find(""));
	check(!cpuid_model_find("host"));
}

TEST_MAIN()
