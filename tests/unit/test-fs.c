/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/fs. */
#include "lib/base/fs.h"

#include "tests/unit/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"

static char *in_tmp(const char *name)
{
	return str_printf("%s/%s", check_tmpdir(), name);
}

TEST(links_stay_in_the_root)
{
	_cleanup_close_ int root = open(check_tmpdir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat a, b;

	check(symlinkat("/", root, "up") == 0);
	check(symlinkat("../../../..", root, "dots") == 0);
	check(fstat(root, &a) == 0);
	for (const char *const *p = (const char *const[]){"up", "dots", "/..", "", NULL}; **p;
	     p++) {
		_cleanup_close_ int fd = fs_open_in_root(root, *p, O_PATH | O_DIRECTORY, 0);

		check(fd >= 0 && fstat(fd, &b) == 0);
		check(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	}
	check_int(fs_open_in_root(root, "up/etc/passwd", O_RDONLY, 0), -ENOENT);
}

TEST(mkdir_in_root_follows_links_inside)
{
	_cleanup_close_ int root = open(check_tmpdir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	check(mkdirat(root, "real", 0755) == 0);
	check(symlinkat("/real", root, "link") == 0);
	_cleanup_close_ int fd = fs_mkdir_in_root(root, "/link/a/b", 0755);

	check(fd >= 0);
	check(fstatat(root, "real/a/b", &st, 0) == 0 && S_ISDIR(st.st_mode));
}

TEST(atomic_file)
{
	_cleanup_free_ char *path = in_tmp("file");
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct stat st;

	umask(077);
	check_ok(fs_write_file_atomic(path, "hello", 5, 0644, &err), &err);
	check_ok(fs_write_file_atomic(path, "bye", 3, 0644, &err), &err);
	check_ok(fs_read_file(AT_FDCWD, path, 100, &b, &err), &err);
	check_str(buffer_cstr(&b), "bye");
	check(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644);
}

TEST(what_is_no_file_stays)
{
	_cleanup_free_ char *path = in_tmp("fifo");
	_cleanup_close_ int fd = -1;
	struct error err = ERROR_INIT;
	struct fs_temp t;
	struct stat st;
	char got[8] = "";

	check(mkfifo(path, 0600) == 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	check_ok(fs_write_file_atomic(path, "hello", 5, 0644, &err), &err);
	check_int(read(fd, got, sizeof(got)), 5);
	check_str(got, "hello");
	check_int(fs_temp_open(&t, path, 0600, &err), -EEXIST);
	check(stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
}

TEST(a_pipe_is_read_when_somebody_writes)
{
	_cleanup_free_ char *path = in_tmp("pipe");
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int status, end;
	pid_t pid;

	check(mkfifo(path, 0600) == 0);
	check_ok(fs_read_file(AT_FDCWD, path, 100, &b, &err), &err);
	check_int(b.size, 0);
	end = open(path, O_RDWR | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(write(end, "late", 4) != 4);
	}
	close(end);
	check_ok(fs_read_file(AT_FDCWD, path, 100, &b, &err), &err);
	check_int(b.size, 4);
	check(waitpid(pid, &status, 0) == pid && status == 0);
}

TEST(aborted_file_leaves_nothing)
{
	_cleanup_free_ char *path = in_tmp("file");
	_cleanup_free_ char *tmp = NULL;
	struct error err = ERROR_INIT;
	struct fs_temp t;

	check_ok(fs_temp_open(&t, path, 0600, &err), &err);
	tmp = strdup(t.tmp_path);
	check(fs_exists(tmp));
	fs_temp_abort(&t);
	check(!fs_exists(tmp) && !fs_exists(path));
}

TEST(too_large_is_refused)
{
	_cleanup_free_ char *path = in_tmp("file");
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, c = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(fs_write_file_atomic(path, "12345", 5, 0644, &err), &err);
	check_ok(fs_read_file(AT_FDCWD, path, 5, &b, &err), &err);
	check_int(fs_read_file(AT_FDCWD, path, 4, &c, &err), -EFBIG);
	_cleanup_buffer_ struct buffer proc = BUFFER_INIT;

	check_ok(fs_read_file(AT_FDCWD, "/proc/self/status", 65536, &proc, &err), &err);
	check(proc.size > 100);
}

TEST(remove_deep_tree)
{
	_cleanup_close_ int top = open(check_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	int at = dup(top);

	for (int i = 0; i < 300; i++) {
		check(mkdirat(at, "d", 0755) == 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		check(next >= 0);
		check(symlinkat("/", next, "link") == 0);
		close(at);
		at = next;
	}
	close(at);
	check_ok(fs_remove_tree(top, "d", &err), &err);
	check(faccessat(top, "d", F_OK, 0) < 0 && errno == ENOENT);
	check_ok(fs_remove_tree(top, "d", &err), &err);
}

TEST_MAIN()
