/* SPDX-License-Identifier: Apache-2.0 */
/* template.json and the folder of a template: what is taken, and what is refused and why. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "host-shim/hypervisor/template.h"
#include "host-shim/vmm/x86_64/cpuid_covers.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Each member is a row, so that a test can replace or leave out one. */
static const char *const rows[] = {
    "\"schema\":1",
    "\"version\":\"0.1.0\"",
    "\"arch\":\"x86_64\"",
    "\"image\":\"/images/container\"",
    "\"kernel_sha256\":\"" DIGEST_A "\"",
    "\"root_sha256\":\"" DIGEST_B "\"",
    "\"cpu\":\"host\"",
    "\"net\":\"none\"",
    "\"cpus\":2",
    "\"memory\":134217728",
    "\"uid\":1000",
    "\"state_size\":6",
    "\"memory_size\":7",
    "\"memory_id\":\"1 2.3\"",
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* The rows, with `other` in place of the one at `at`; NULL: without it. */
static char *make(size_t at, const char *other)
{
	char *text = str_printf("{"), *longer;

	for (size_t i = 0; i < N_ROWS; i++) {
		const char *row = i == at ? other : rows[i];

		if (!row)
			continue;
		longer = str_printf("%s%s%s", text, text[1] ? "," : "", row);
		free(text);
		text = longer;
	}
	longer = str_printf("%s}\n", text);
	free(text);
	return longer;
}

static int parse(size_t at, const char *other, struct vm_template *t, struct error *err)
{
	char *text = make(at, other);
	int r = template_parse(text, strlen(text), t, err);

	free(text);
	return r;
}

TEST(a_template_is_read)
{
	struct vm_template t;
	struct error err = ERROR_INIT;

	check_ok(parse(N_ROWS, NULL, &t, &err), &err);
	check_str(t.image, "/images/container");
	check_str(t.kernel_sha256, DIGEST_A);
	check_str(t.root_sha256, DIGEST_B);
	check_str(t.cpu, "host");
	check_int(t.cpus, 2);
	check_int(t.memory, 128 << 20);
	check_int(t.uid, 1000);
	check_int(t.state_size, 6);
	check_int(t.memory_size, 7);
}

TEST(what_the_kernel_lacks_need_not_be_said)
{
	struct vm_template t;
	struct error err = ERROR_INIT;

	check_ok(parse(N_ROWS, NULL, &t, &err), &err);
	check_int(t.lacks, TEMPLATE_LACKS_UNKNOWN);
	check_int(t.slots, 0);
	check_ok(parse(8, "\"cpus\":2,\"lacks\":5,\"slots\":2", &t, &err), &err);
	check_int(t.lacks, 5);
	check_int(t.slots, 2);
}

TEST(every_member_is_needed)
{
	struct vm_template t;

	for (size_t i = 0; i < N_ROWS; i++) {
		struct error err = ERROR_INIT;

		check(parse(i, NULL, &t, &err) < 0);
		check(err.text[0]);
	}
}

TEST(wrong_values_are_refused)
{
	static const struct {
		size_t at;
		const char *row, *why;
	} wrong[] = {
	    {0, "\"schema\":2", "newer Kihon (0.1.0, schema 2)"},
	    {0, "\"schema\":0", "unknown"},
	    {2, "\"arch\":\"aarch64\"", "made on aarch64"},
	    {3, "\"image\":\"images\"", "no absolute path"},
	    {4, "\"kernel_sha256\":\"" DIGEST_A "0\"", "kernel_sha256"},
	    {5, "\"root_sha256\":\"xyz\"", "no digest"},
	    {8, "\"cpus\":0", "0 processors"},
	    {8, "\"cpus\":33", "33 processors"},
	    {8, "\"cpus\":4294967297", "too large"},
	    {9, "\"memory\":1000", "MiB"},
	    {9, "\"memory\":-1", "memory"},
	    {10, "\"uid\":\"0\"", "uid"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct vm_template t;
		struct error err = ERROR_INIT;

		check(parse(wrong[i].at, wrong[i].row, &t, &err) < 0);
		check_int(err.kind, ERROR_INPUT);
		check(strstr(err.text, wrong[i].why));
	}
	check_int(template_parse("[]", 2, &(struct vm_template){0}, &(struct error){0}), -EINVAL);
}

TEST(what_is_written_is_read)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct vm_template t, again;
	struct error err = ERROR_INIT;

	check_ok(parse(N_ROWS, NULL, &t, &err), &err);
	template_format(&t, &text);
	check_ok(template_parse((const char *)text.data, text.size, &again, &err), &err);
	check(memcmp(&t, &again, sizeof(t)) == 0);
}

/* ---- the folder */

/* A template with the files' sizes; its path. */
static char *make_folder(struct vm_template *t)
{
	char *dir = str_printf("%s/t", check_tmpdir()), *staged = NULL;
	struct template_files f = TEMPLATE_FILES_INIT;
	struct error err = ERROR_INIT;

	check_ok(parse(N_ROWS, NULL, t, &err), &err);
	t->uid = geteuid();
	check_ok(template_create(dir, &staged, &f, &err), &err);
	check(!fs_exists(dir));
	check_int(write(f.state, "state!", 6), 6);
	check_int(write(f.memory, "memory!", 7), 7);
	check_ok(template_commit(staged, dir, t, &f, &err), &err);
	check(!fs_exists(staged));
	template_files_close(&f);
	free(staged);
	return dir;
}

static bool untouched; /* what the latest reopen() found */

static int reopen(const char *dir, uid_t uid, struct error *err)
{
	struct template_files f = TEMPLATE_FILES_INIT;
	struct vm_template t;
	int r = template_open(dir, uid, &t, &f, err);

	check(r < 0 || (f.state >= 0 && f.memory >= 0));
	untouched = f.untouched;
	template_files_close(&f);
	return r;
}

TEST(a_folder_is_opened_by_its_maker_alone)
{
	struct vm_template t;
	struct error err = ERROR_INIT;
	char *dir = make_folder(&t), *file = str_printf("%s/" TEMPLATE_MEMORY, dir);

	check_ok(reopen(dir, geteuid(), &err), &err);
	check_int(reopen(dir, geteuid() + 1, &err), -EPERM);
	check(strstr(err.text, "belongs to user"));
	check_int(chmod(dir, 0777), 0);
	check_int(reopen(dir, geteuid(), &err), -EPERM);
	check(strstr(err.text, "others"));
	check_int(chmod(dir, 0755), 0);
	check_int(chmod(file, 0622), 0);
	check_int(reopen(dir, geteuid(), &err), -EPERM);
	check_int(chmod(file, 0600), 0);
	check_int(truncate(file, 3), 0);
	check_int(reopen(dir, geteuid(), &err), -EINVAL);
	check(strstr(err.text, "cut short"));
	check_int(unlink(file), 0);
	check_int(symlink("/dev/zero", file), 0);
	check(reopen(dir, geteuid(), &err) < 0);
	free(file);
	free(dir);
}

TEST(memory_that_was_written_to_is_not_untouched)
{
	struct vm_template t;
	struct error err = ERROR_INIT;
	char *dir = make_folder(&t), *file = str_printf("%s/" TEMPLATE_MEMORY, dir);
	int fd;

	check_ok(reopen(dir, geteuid(), &err), &err);
	check(untouched);
	/* The kernel's clock for files ticks each 10 ms at most. */
	usleep(20000);
	check_int(chmod(file, 0600), 0);
	fd = open(file, O_WRONLY);
	check_int(write(fd, "X", 1), 1);
	close(fd);
	check_ok(reopen(dir, geteuid(), &err), &err);
	check(!untouched);
	free(file);
	free(dir);
}

TEST(a_folder_that_is_there_is_left_alone)
{
	char *staged = NULL;
	struct template_files f = TEMPLATE_FILES_INIT;
	struct error err = ERROR_INIT;

	check_int(template_create(check_tmpdir(), &staged, &f, &err), -EEXIST);
	check(!staged);
}

/* ---- the processor */

TEST(a_processor_that_lacks_a_feature_is_named)
{
	struct kvm_cpuid_entry2 want[] = {{.function = 1, .ecx = 1u << 20 | 1u << 27, .edx = 1},
	                                  {.function = 7, .ebx = 1u << 5}};
	struct kvm_cpuid_entry2 have[] = {{.function = 1, .ecx = 1u << 20, .edx = 3},
	                                  {.function = 7, .ebx = 1u << 5 | 1u << 16}};
	struct error err = ERROR_INIT;

	/* OSXSAVE is the guest's own doing. */
	check_ok(cpuid_covers(have, 2, want, 2, &err), &err);
	check_int(cpuid_covers(have, 1, want, 2, &err), -ENOTSUP);
	check(strstr(err.text, "CPUID 0x7.0 EBX 0x20"));
	have[0].ecx = 0;
	check_int(cpuid_covers(have, 2, want, 2, &err), -ENOTSUP);
	check(strstr(err.text, "CPUID 0x1.0 ECX 0x100000"));
}

TEST_MAIN()
