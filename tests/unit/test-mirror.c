/* SPDX-License-Identifier: Apache-2.0 */
/* A small directory and its copy, compared by diff(1) and find(1): a volume of Kubernetes, changes
 * of every kind, what is too large, what inotify(7) tells. */
#include "check.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "guest/agent/storage/mirror.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"

static char from[300], to[300];

/* In the shell, with $F and $T the two directories. */
static void shell(const char *script)
{
	_cleanup_free_ char *line = str_printf("F=%s; T=%s; %s", from, to, script);

	check(line);
	if (system(line) != 0)
		check_fail(__FILE__, __LINE__, "%s", script);
}

static void start(void)
{
	snprintf(from, sizeof(from), "%s/from", check_tmpdir());
	snprintf(to, sizeof(to), "%s/to", check_tmpdir());
	check(mkdir(from, 0755) == 0 && mkdir(to, 0700) == 0);
}

/* Files with their time to the nanosecond, directories and links without. */
#define LISTING                                                                                    \
	"find . -type f -printf '%P %m %U %G %s %T@\\n' -o -type d ! -name . -printf '%P/ %m %U "  \
	"%G\\n' "                                                                                  \
	"-o -type l -printf '%P %U %G %l\\n' | sort"

static void synced(void)
{
	struct error err = ERROR_INIT;

	check_ok(mirror_sync(from, to, &err), &err);
	shell("diff -r --no-dereference $F $T && (cd $F && " LISTING
	      ") >$F.list && (cd $T && " LISTING ") | diff $F.list -");
}

TEST(a_volume_of_kubernetes_turns_at_once)
{
	start();
	shell("mkdir $F/..1; echo one >$F/..1/key; ln -s ..1 $F/..data; ln -s ..data/key $F/key");
	synced();
	shell("[ $(cat $T/key) = one ]");
	shell("mkdir $F/..2; echo two >$F/..2/key; ln -s ..2 $F/.new; mv -T $F/.new $F/..data; rm "
	      "-r $F/..1");
	synced();
	shell("[ $(cat $T/key) = two ] && [ ! -e $T/..1 ]");
}

TEST(changes_of_every_kind)
{
	start();
	shell("echo a >$F/a; echo b >$F/b; mkdir $F/d; echo c >$F/d/c; ln -s a $F/l; chmod 640 "
	      "$F/a; chmod 750 $F/d");
	synced();
	shell("echo aa >$F/a; rm $F/b; mkdir $F/b; echo x >$F/b/x; rm -r $F/d; echo d >$F/d; ln "
	      "-sfn b $F/l");
	synced();
	shell("rm $F/l; mkdir -p $F/l/m; chmod 600 $F/a; touch -d '2001-02-03 04:05:06.789' $F/d");
	synced();
	shell("rm -r $F/*");
	synced();
	shell("[ -z \"$(ls -A $T)\" ]");
}

TEST(what_is_no_file_is_left_out)
{
	start();
	shell("mkfifo $F/fifo; echo a >$F/a");
	check_int(mirror_sync(from, to, NULL), 0);
	shell("[ \"$(ls -A $T)\" = a ]");
}

TEST(what_is_too_large_changes_nothing)
{
	start();
	shell("for i in $(seq 17); do echo $i >$F/$i; done");
	check_int(mirror_sync(from, to, NULL), 1);
	shell("[ -z \"$(ls -A $T)\" ]; rm $F/17");
	synced();
	shell("truncate -s 1048577 $F/1");
	check_int(mirror_sync(from, to, NULL), 1);
	shell("[ $(cat $T/1) = 1 ]; truncate -s 1040000 $F/1");
	synced();
}

TEST(what_a_cut_off_copy_left_is_taken_away)
{
	start();
	shell("echo a >$F/a; echo junk >$T/.kihon-mirror; mkdir $T/junk; echo x >$T/junk/x");
	synced();
}

/* Was that name moved in? */
static bool moved_in(int fd, const char *name)
{
	char events[4096] __attribute__((aligned(8)));
	ssize_t n = read(fd, events, sizeof(events));
	bool found = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);

		found |= (e->mask & IN_MOVED_TO) && strcmp(e->name, name) == 0;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return found;
}

TEST(inotify_tells_what_changed_and_nothing_else)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char c;

	start();
	shell("echo a >$F/a; echo b >$F/b");
	synced();
	check(inotify_add_watch(fd, to, IN_MOVED_TO | IN_DELETE | IN_MODIFY) >= 0);
	synced();
	check(read(fd, &c, 1) < 0 && errno == EAGAIN);
	shell("echo new >$F/a");
	synced();
	check(moved_in(fd, "a"));
}

TEST(a_missing_directory_is_told)
{
	struct error err = ERROR_INIT;

	start();
	check_int(mirror_sync("/nowhere/at/all", to, &err), -ENOENT);
	check(strstr(err.text, "/nowhere/at/all"));
}

TEST_MAIN()
