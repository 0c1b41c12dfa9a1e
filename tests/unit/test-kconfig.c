/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/guestimg/kconfig: configurations as Kconfig writes them, compared, and bad lines. */
#include "lib/guestimg/kconfig.h"

#include <fcntl.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "tests/unit/check.h"

static struct kconfig *parse(const char *text)
{
	struct error err = ERROR_INIT;
	struct kconfig *config = NULL;

	check_ok(kconfig_parse(text, strlen(text), "a.config", &config, &err), &err);
	return config;
}

static const char sample[] = "#\n# Automatically generated file; DO NOT EDIT.\n#\n"
                             "CONFIG_NET=y\n# CONFIG_MODULES is not set\nCONFIG_NR_CPUS=64\n"
                             "CONFIG_LOCALVERSION=\"-a=b #c\"\nCONFIG_PHYSICAL_START=0x200000\n"
                             "\nCONFIG_SHIFT=-5\n# CONFIG_X is a word\nCONFIG_A=m\n";

TEST(values_are_found_with_and_without_the_prefix)
{
	_cleanup_kconfig_ struct kconfig *c = parse(sample);

	check_int(c->n, 6);
	check_str(kconfig_value(c, "NET"), "y");
	check_str(kconfig_value(c, "CONFIG_NET"), "y");
	check_str(kconfig_value(c, "NR_CPUS"), "64");
	check_str(kconfig_value(c, "LOCALVERSION"), "\"-a=b #c\"");
	check_str(kconfig_value(c, "PHYSICAL_START"), "0x200000");
	check_str(kconfig_value(c, "SHIFT"), "-5");
	check_str(kconfig_value(c, "MODULES"), "n");
	check_str(kconfig_value(c, "NEVER_HEARD_OF"), "n");
	check_str(kconfig_value(c, ""), "n");
}

TEST(the_last_line_of_a_symbol_counts)
{
	_cleanup_kconfig_ struct kconfig *c =
	    parse("CONFIG_A=y\nCONFIG_B=1\n# CONFIG_A is not set\nCONFIG_B=2\n");

	check_int(c->n, 1);
	check_str(kconfig_value(c, "A"), "n");
	check_str(kconfig_value(c, "B"), "2");
}

static int note(const char *name, const char *a, const char *b, void *data)
{
	buffer_printf(data, "%s %s %s,", name, a, b);
	return 0;
}

TEST(differences_are_sorted)
{
	_cleanup_kconfig_ struct kconfig *a = parse("CONFIG_Z=y\nCONFIG_B=1\nCONFIG_C=y\n");
	_cleanup_kconfig_ struct kconfig *b =
	    parse("CONFIG_A=y\nCONFIG_B=2\nCONFIG_C=y\n# CONFIG_Z is not set\n");
	_cleanup_kconfig_ struct kconfig *none = parse("");
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	check_int(kconfig_diff(a, b, note, &out), 0);
	check_str(buffer_cstr(&out), "A n y,B 1 2,Z y n,");
	buffer_clear(&out);
	check_int(kconfig_diff(none, none, note, &out), 0);
	check_str(buffer_cstr(&out), "");
}

TEST(other_lines_are_refused_with_their_number)
{
	static const char *const bad[] = {
	    "CONFIG_A=y\nhello",        "CONFIG_A=y\nCONFIG_B = y", "CONFIG_A=y\nCONFIG_=y",
	    "CONFIG_A=y\nCONFIG_B=",    "CONFIG_A=y\nCONFIG_B=\"x", "CONFIG_A=y\nCONFIG_B=0x",
	    "CONFIG_A=y\nCONFIG_B=yes",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;
		struct kconfig *c = NULL;

		check_int(kconfig_parse(bad[i], strlen(bad[i]), "a.config", &c, &err), -EINVAL);
		check_int(err.kind, ERROR_INPUT);
		check(str_starts(err.text, "a.config line 2:"));
	}
}

static int look_up(const char *text, size_t size, struct kconfig_wanted *wanted, size_t n,
                   struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/kernel.config", check_tmpdir());

	check_ok(fs_write_file_atomic(path, text, size, 0600, err), err);
	return kconfig_look_up(AT_FDCWD, path, wanted, n, err);
}

TEST(a_few_symbols_are_looked_up)
{
	struct kconfig_wanted w[] = {{"NET", false},      {"MODULES", true}, {"A", true},
	                             {"NR_CPUS", true},   {"NOTHING", true}, {"TWICE", false},
	                             {"TAKEN_BACK", true}};
	_cleanup_free_ char *text =
	    str_printf("%sCONFIG_TWICE=m\nCONFIG_TWICE=y\nCONFIG_TAKEN_BACK=y\n"
	               "# CONFIG_TAKEN_BACK is not set\n",
	               sample);
	struct error err = ERROR_INIT;

	w[4].built_in = false;
	check_ok(look_up(text, strlen(text), w, sizeof(w) / sizeof(w[0]), &err), &err);
	check(w[0].built_in && w[5].built_in);
	check(!w[1].built_in && !w[2].built_in && !w[3].built_in && !w[4].built_in);
	check(!w[6].built_in);
	check_int(look_up("CONFIG_NET=y\nnonsense\n", 22, w, 1, &err), -EINVAL);
	check(strstr(err.text, "line 2: 'nonsense'"));
	check_int(look_up("CONFIG_NET=y\0\n", 14, w, 1, &err), -EINVAL);
	check_int(kconfig_look_up(AT_FDCWD, "/nowhere/kernel.config", w, 1, &err), -ENOENT);
}

TEST(bytes_that_are_no_text_are_refused)
{
	struct error err = ERROR_INIT;
	struct kconfig *c = NULL;

	check_int(kconfig_parse("CONFIG_A=y\n\0\n", 13, "a.config", &c, &err), -EINVAL);
}

TEST_MAIN()
