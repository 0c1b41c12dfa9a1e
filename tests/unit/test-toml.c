/* SPDX-License-Identifier: Apache-2.0 */
/* toml: every kind of word, what may not be said twice, and what is refused. */
#include "check.h"

#include "lib/base/bytes.h"
#include "lib/base/toml.h"
#include "lib/base/utf8.h"

/* The document as compact JSON, or the error's text. The caller frees it. */
static char *as_json(const char *text)
{
	struct error err = ERROR_INIT;
	_cleanup_cjson_ cJSON *root = NULL;

	if (toml_parse(text, strlen(text), 1 << 20, "t", &root, &err))
		return strdup(err.text);
	return cJSON_PrintUnformatted(root);
}

static void gives(const char *text, const char *want)
{
	_cleanup_free_ char *got = as_json(text);

	check_str(got, want);
}

TEST(keys_and_strings)
{
	gives("", "{}");
	gives("# only a comment", "{}");
	gives("a = 'x' # c\r\nb=\"y\"", "{\"a\":\"x\",\"b\":\"y\"}");
	gives("\"a b\" = ''\n'' = 1\n1-_ = 2", "{\"a b\":\"\",\"\":1,\"1-_\":2}");
	gives("a = \"\\t\\\"\\\\ \\u00e9\\U0001F600\"",
	      "{\"a\":\"\\t\\\"\\\\ \xc3\xa9\xf0\x9f\x98\x80\"}");
	gives("a = '''\nx\n'y''''", "{\"a\":\"x\\n'y'\"}");
	gives("a = \"\"\"\nx \\\n\n   y\"\"\"", "{\"a\":\"x y\"}");
	gives("a.b . 'c d' = 1\na.e = 2", "{\"a\":{\"b\":{\"c d\":1},\"e\":2}}");
}

TEST(numbers_booleans_dates)
{
	gives("a=1\nb=-1_000\nc=0x1F\nd=0o17\ne=0b101\nf=+2",
	      "{\"a\":1,\"b\":-1000,\"c\":31,\"d\":15,\"e\":5,\"f\":2}");
	gives("a=1.5\nb=1e3\nc=-2.5e-1", "{\"a\":1.5,\"b\":1000,\"c\":-0.25}");
	gives("a=true\nb=false", "{\"a\":true,\"b\":false}");
	gives("a=1979-05-27T07:32:00Z\nb=1979-05-27 07:32:00.5+01:00\nc=07:32:00\nd=1979-05-27",
	      "{\"a\":\"1979-05-27T07:32:00Z\",\"b\":\"1979-05-27 07:32:00.5+01:00\",\"c\":"
	      "\"07:32:00\",\"d\":\"1979-05-27\"}");
}

TEST(tables_and_arrays)
{
	gives("[a]\nx=1\n[a.b]\ny=2\n[c.d]\n[c]\nz=3",
	      "{\"a\":{\"x\":1,\"b\":{\"y\":2}},\"c\":{\"d\":{},\"z\":3}}");
	gives("[[r]]\nl='a'\n[[r.m]]\nl='b'\n[[r.m]]\nl='c'\n[[r]]\nl='d'",
	      "{\"r\":[{\"l\":\"a\",\"m\":[{\"l\":\"b\"},{\"l\":\"c\"}]},{\"l\":\"d\"}]}");
	gives("a = [ 1, # one\n [2, 3],\n {x.y = 1, z = []},\n]",
	      "{\"a\":[1,[2,3],{\"x\":{\"y\":1},\"z\":[]}]}");
	gives("a = {}\nb = []\nc = [[],[{}]]", "{\"a\":{},\"b\":[],\"c\":[[],[{}]]}");
}

TEST(refused)
{
	gives("a = 1\nb", "t: line 2: no '=' after the key \"b\"");
	gives("a = ", "t: line 1: no value where one should be");
	gives("a = 1 b = 2", "t: line 1: something follows the value");
	gives("a = 1\na = 2", "t: line 2: the key \"a\" is given twice");
	gives("[a]\n[a]", "t: line 2: the table \"a\" is given twice");
	gives("a.b = 1\n[a]", "t: line 2: the table \"a\" is given twice");
	gives("a = {b = 1}\na.c = 2", "t: line 2: the key \"a\" cannot be added to");
	gives("a = [1]\n[[a]]", "t: line 2: the key \"a\" is given twice");
	gives("a = {b = {c = 1}}\n[a.b]", "t: line 2: the key \"a\" is not a table");
	gives("[a]\n[[a]]", "t: line 2: the key \"a\" is given twice");
	gives("a = {b = 1,}", "t: line 1: no key where one should be");
	gives("a = [1", "t: line 1: an array does not end in ']'");
	gives("a = {b = 1\n}", "t: line 1: an inline table does not end in '}'");
	gives("a = \"x", "t: line 1: a string does not end");
	gives("a = \"x\ny\"", "t: line 1: a string does not end");
	gives("a = \"\\q\"", "t: line 1: an unknown escape in a string");
	gives("a = \"\\u0000\"", "t: line 1: a NUL character in a string");
	gives("a = \"\\ud800\"", "t: line 1: a \\u that is no character in a string");
	gives("a = \"\xff\"", "t: line 1: a string that is not UTF-8");
	gives("a = \"\x01\"", "t: line 1: a control character in a string");
	gives("a = 01", "t: line 1: \"01\" is no value (strings need quotes)");
	gives("a = 1__0", "t: line 1: \"1__0\" is no value (strings need quotes)");
	gives("a = inf", "t: line 1: \"inf\" is no value (strings need quotes)");
	gives("a = 0x", "t: line 1: \"0x\" is no value (strings need quotes)");
	gives("a = 9007199254740993",
	      "t: line 1: \"9007199254740993\" is no value (strings need quotes)");
	gives("a = 90071992547409920",
	      "t: line 1: \"90071992547409920\" is no value (strings need quotes)");
	gives("a = yes", "t: line 1: \"yes\" is no value (strings need quotes)");
	gives("[a", "t: line 1: a table's header does not end in ']'");
	gives("[]", "t: line 1: no key where one should be");
}

TEST(limits)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	cJSON *root = NULL;

	check_int(toml_parse("a=1", 3, 2, "t", &root, &err), -EFBIG);
	buffer_str(&b, "a=");
	buffer_fill(&b, '[', 100000);
	check_int(toml_parse((char *)b.data, b.size, 1 << 20, "t", &root, &err), -EINVAL);
	check_str(err.text, "t: line 1: nested deeper than 32");
	buffer_clear(&b);
	for (int i = 0; i < 5000; i++)
		buffer_printf(&b, "k%d=1\n", i);
	check_int(toml_parse((char *)b.data, b.size, 1 << 20, "t", &root, &err), -EFBIG);
	buffer_clear(&b);
	for (int i = 0; i < 40; i++)
		buffer_printf(&b, "%sa", i ? "." : "");
	buffer_str(&b, "=1");
	check_int(toml_parse((char *)b.data, b.size, 1 << 20, "t", &root, &err), -EINVAL);
}

TEST(quote_reads_back)
{
	static const char text[] = "a \"quoted\" \\ line\nand\ttab \x7f \xc3\xa9\r\n";
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_cjson_ cJSON *root = NULL;
	struct error err = ERROR_INIT;
	const char *got = NULL;

	buffer_str(&b, "k = ");
	check_int(toml_quote(&b, text, strlen(text)), 0);
	check_ok(toml_parse((char *)b.data, b.size, 1000, "t", &root, &err), &err);
	check_ok(json_string(root, "k", true, &got, "t", &err), &err);
	check_str(got, text);
	check_int(toml_quote(&b, "a\0b", 3), -EINVAL);
	check_int(toml_quote(&b, "\xff", 1), -EINVAL);
}

TEST(what_is_no_utf8_is_replaced)
{
	char text[] = "a\xff\xc3\xbc\xed\xa0\x80 \xf0\x9f\x98";

	utf8_clean(text);
	check_str(text, "a?\xc3\xbc??? ???");
	utf8_clean(strcpy(text, ""));
	check_str(text, "");
}

TEST(utf8)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	check(utf8_valid("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xe0\xa0\x80", 10));
	check(!utf8_valid("\xf4\x90\x80\x80", 4));
	check(!utf8_valid("\xc0\xaf", 2));
	check(!utf8_valid("\xed\xa0\x80", 3));
	check(!utf8_valid("\xe2\x82", 2));
	check_int(utf8_append(&b, 0x7f), 0);
	check_int(utf8_append(&b, 0x7ff), 0);
	check_int(utf8_append(&b, 0xffff), 0);
	check_int(utf8_append(&b, 0x10ffff), 0);
	check_str(buffer_cstr(&b), "\x7f\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf");
	check_int(utf8_append(&b, 0x110000), -EINVAL);
}

TEST_MAIN()
