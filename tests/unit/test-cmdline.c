/* SPDX-License-Identifier: Apache-2.0 */
/* test-cmdline: words as the kernel cuts them, and init.conf. */
#include "guest/init/app_config.h"
#include "guest/init/cmdline.h"
#include "check.h"

static struct cmdline c;

static void parse(const char *text)
{
	cmdline_parse(&c, (const uint8_t *)text, strlen(text));
}

TEST(words_and_values)
{
	parse("  ro root=/dev/vda\tconsole= a=b=c \n");
	check_int(c.n, 4);
	check_str(c.words[0].key, "ro");
	check(c.words[0].value == NULL);
	check_str(c.words[1].value, "/dev/vda");
	check_str(c.words[2].value, "");
	check_str(c.words[3].value, "b=c");
	check(!c.truncated);
}

/* The same cases as in the kernel's next_arg(): quotes round the value, round the whole word, in
 * the middle (kept), and one that is never closed. */
TEST(quotes)
{
	parse("dyndbg=\"file a.c +p\" \"key=a b\" x=a\"b c\"d y=\"open end");
	check_int(c.n, 4);
	check_str(c.words[0].value, "file a.c +p");
	check_str(c.words[1].key, "key");
	check_str(c.words[1].value, "a b");
	check_str(c.words[2].value, "a\"b c\"d");
	check_str(c.words[3].value, "open end");
}

TEST(keys_take_dash_for_underscore)
{
	parse("dm-mod.create=1 agent.log_vport=2 agent.log=x agent.log=debug");
	check_str(cmdline_value(&c, "dm_mod.create"), "1");
	check_str(cmdline_value(&c, "agent.log-vport"), "2");
	check_str(cmdline_value(&c, "agent.log"), "debug");
	check(cmdline_find(&c, "agent") == NULL);
	check(cmdline_find(&c, "agent.logs") == NULL);
}

TEST(numbers_and_booleans)
{
	uint64_t v = 7;
	bool b = false;

	parse("a=3 b c=false d=0 e=x f=1 g= h=18446744073709551616");
	check_int(cmdline_u64(&c, "a", &v), 0);
	check_int(v, 3);
	check_int(cmdline_u64(&c, "zz", &v), 1);
	check_int(cmdline_u64(&c, "b", &v), -EINVAL);
	check_int(cmdline_u64(&c, "h", &v), -ERANGE);
	check_int(cmdline_bool(&c, "b", &b), 0);
	check(b);
	check_int(cmdline_bool(&c, "c", &b), 0);
	check(!b);
	check_int(cmdline_bool(&c, "f", &b), 0);
	check(b);
	check_int(cmdline_bool(&c, "d", &b), 0);
	check(!b);
	check_int(cmdline_bool(&c, "g", &b), 0);
	check(b);
	check_int(cmdline_bool(&c, "e", &b), -EINVAL);
	check_int(cmdline_bool(&c, "zz", &b), 1);
}

TEST(bounds)
{
	uint8_t big[CMDLINE_MAX + 10];

	memset(big, 'x', sizeof(big));
	cmdline_parse(&c, big, sizeof(big));
	check(c.truncated);
	check_int(strlen(c.words[0].key), CMDLINE_MAX);
	for (size_t i = 1; i < sizeof(big); i += 2)
		big[i] = ' ';
	cmdline_parse(&c, big, sizeof(big));
	check(c.truncated);
	check_int(c.n, CMDLINE_MAX_WORDS);
	cmdline_parse(&c, (const uint8_t *)"a\0b", 3);
	check_int(c.n, 1);
}

static int conf(struct app_config *a, const char *text, struct error *err)
{
	app_config_free(a);
	return app_config_parse(a, text, strlen(text), err);
}

TEST(config_file)
{
	_cleanup_app_config_ struct app_config a = APP_CONFIG_INIT;
	struct error err = ERROR_INIT;

	check_ok(
	    conf(&a,
	         "# comment\n\nexec /bin/app\narg  two blanks \narg a\\nb\\\\c\narg\nenv A=b c\n"
	         "cwd /srv\nuser 10:20",
	         &err),
	    &err);
	check_int(a.argv.n, 4);
	check_str(a.argv.v[0], "/bin/app");
	check_str(a.argv.v[1], " two blanks ");
	check_str(a.argv.v[2], "a\nb\\c");
	check_str(a.argv.v[3], "");
	check_str(a.env.v[0], "A=b c");
	check_str(a.cwd, "/srv");
	check(a.has_user && a.uid == 10 && a.gid == 20);

	parse("kihon.exec=/bin/b kihon.arg=1 kihon.arg=\"2 3\" kihon.env=B=2");
	check_ok(app_config_words(&a, &c, &err), &err);
	check_int(a.argv.n, 3);
	check_str(a.argv.v[0], "/bin/b");
	check_str(a.argv.v[2], "2 3");
	check_int(a.env.n, 2);
}

TEST(config_refuses)
{
	static const char *const bad[] = {
	    "exec app",   "arg x",     "exec /a\nenv =x",   "exec /a\nenv X", "cwd srv",
	    "user 1",     "user a:b",  "user 4294967295:1", "user 1:",        "what 1",
	    "exec /a\\x", "exec /a\\", "user 1:4294967296", "user 1 : 1",
	};
	_cleanup_app_config_ struct app_config a = APP_CONFIG_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;

		check(conf(&a, bad[i], &err) < 0);
		check(strncmp(err.text, "line ", 5) == 0);
	}
	check_int(app_config_parse(&a, "exec /a\0b", 9, NULL), -EINVAL);
}

TEST_MAIN()
