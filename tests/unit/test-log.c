/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/log: each record is one valid JSON line, whatever is in it. */
#include "lib/base/log.h"

#include "tests/unit/check.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static cJSON *logged(const char *msg)
{
	static char line[4096];
	int p[2];
	ssize_t n;

	check(pipe(p) == 0);
	log_setup("test\"er", LOG_INFO, p[1], LOG_JSON);
	log_set_sandbox("s1");
	log_info("%s", msg);
	close(p[1]);
	n = read(p[0], line, sizeof(line) - 1);
	close(p[0]);
	check(n > 0 && n <= LOG_LINE_MAX && line[n - 1] == '\n');
	line[n] = 0;
	check(strchr(line, '\n') == line + n - 1);
	return cJSON_Parse(line);
}

TEST(record_is_json)
{
	cJSON *v = logged("a \"quoted\"\nline\\");

	check(v);
	check_str(cJSON_GetObjectItem(v, "msg")->valuestring, "a \"quoted\"\nline\\");
	check_str(cJSON_GetObjectItem(v, "source")->valuestring, "test\"er");
	check_str(cJSON_GetObjectItem(v, "sandbox")->valuestring, "s1");
	check_str(cJSON_GetObjectItem(v, "level")->valuestring, "info");
	check_int(strlen(cJSON_GetObjectItem(v, "ts")->valuestring), 24);
	cJSON_Delete(v);
}

TEST(long_record_is_cut_and_valid)
{
	char big[5000];
	cJSON *v;

	memset(big, '"', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	v = logged(big);
	check(v);
	cJSON_Delete(v);
}

/* A guest's console is a terminal; its log port is not. */
TEST(format_follows_the_descriptor)
{
	int p[2], tty = posix_openpt(O_RDWR | O_NOCTTY);
	char line[256] = "";

	if (tty < 0)
		check_skip("no pseudo terminals: %s", strerror(errno));
	check(pipe(p) == 0);
	log_setup("tester", LOG_INFO, tty, LOG_AUTO);
	log_set_fd(p[1]);
	log_info("to a pipe");
	check(read(p[0], line, sizeof(line) - 1) > 0);
	check_int(line[0], '{');
	log_setup("tester", LOG_INFO, tty, LOG_TEXT);
	log_set_fd(p[1]);
	log_info("text");
	memset(line, 0, sizeof(line));
	check(read(p[0], line, sizeof(line) - 1) > 0);
	check_str(line, "tester: text\n");
	close(p[0]);
	close(p[1]);
	close(tty);
}

TEST(levels)
{
	enum log_level l;

	check_int(log_level_parse("debug", &l), 0);
	check_int(l, LOG_DEBUG);
	check_int(log_level_parse("loud", &l), -EINVAL);
	log_set_level(LOG_ERROR);
	check(!log_enabled(LOG_WARN) && log_enabled(LOG_CRITICAL));
}

TEST_MAIN()
