/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi: what the modules of this folder are written with, after wasi_snapshot_preview1.witx and
 * without a C library: the functions, the records as C lays them out for wasm32, and checks.
 *
 * A module defines test(). It ends with status 0, or says which line was wrong and ends with 1.
 * The first preopened directory is ROOT.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef __SIZE_TYPE__ size_t;

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

struct iovec {
	void *p;
	u32 size;
};
struct fdstat {
	u8 type;
	u16 flags;
	u64 base, inheriting;
};
struct filestat {
	u64 dev, ino;
	u8 type;
	u64 nlink, size, atim, mtim, ctim;
};
struct prestat {
	u8 tag;
	u32 size;
};
struct dirent {
	u64 next, ino;
	u32 namlen;
	u8 type;
};
struct subscription {
	u64 userdata;
	u8 tag;
	union {
		struct {
			u32 id;
			u64 timeout, precision;
			u16 flags;
		} clock;
		u32 fd;
	};
};
struct event {
	u64 userdata;
	u16 error;
	u8 type;
	u64 nbytes;
	u16 flags;
};
_Static_assert(sizeof(struct fdstat) == 24 && sizeof(struct filestat) == 64 &&
                   sizeof(struct dirent) == 24 && sizeof(struct subscription) == 48 &&
                   sizeof(struct event) == 32,
               "the records are as in the specification");

IMPORT(args_get) u32 args_get(char **argv, char *buf);
IMPORT(args_sizes_get) u32 args_sizes_get(u32 *n, u32 *size);
IMPORT(environ_get) u32 environ_get(char **envp, char *buf);
IMPORT(environ_sizes_get) u32 environ_sizes_get(u32 *n, u32 *size);
IMPORT(clock_res_get) u32 clock_res_get(u32 id, u64 *out);
IMPORT(clock_time_get) u32 clock_time_get(u32 id, u64 precision, u64 *out);
IMPORT(random_get) u32 random_get(void *buf, u32 size);
IMPORT(sched_yield) u32 sched_yield(void);
IMPORT(proc_exit) _Noreturn void proc_exit(u32 code);
IMPORT(proc_raise) u32 proc_raise(u32 sig);
IMPORT(poll_oneoff)
u32 poll_oneoff(const struct subscription *in, struct event *out, u32 n, u32 *n_out);
IMPORT(fd_advise) u32 fd_advise(u32 fd, u64 offset, u64 size, u32 advice);
IMPORT(fd_allocate) u32 fd_allocate(u32 fd, u64 offset, u64 size);
IMPORT(fd_close) u32 fd_close(u32 fd);
IMPORT(fd_datasync) u32 fd_datasync(u32 fd);
IMPORT(fd_fdstat_get) u32 fd_fdstat_get(u32 fd, struct fdstat *out);
IMPORT(fd_fdstat_set_flags) u32 fd_fdstat_set_flags(u32 fd, u32 flags);
IMPORT(fd_fdstat_set_rights) u32 fd_fdstat_set_rights(u32 fd, u64 base, u64 inheriting);
IMPORT(fd_filestat_get) u32 fd_filestat_get(u32 fd, struct filestat *out);
IMPORT(fd_filestat_set_size) u32 fd_filestat_set_size(u32 fd, u64 size);
IMPORT(fd_filestat_set_times) u32 fd_filestat_set_times(u32 fd, u64 atim, u64 mtim, u32 flags);
IMPORT(fd_pread) u32 fd_pread(u32 fd, const struct iovec *v, u32 n, u64 offset, u32 *out);
IMPORT(fd_prestat_get) u32 fd_prestat_get(u32 fd, struct prestat *out);
IMPORT(fd_prestat_dir_name) u32 fd_prestat_dir_name(u32 fd, char *buf, u32 size);
IMPORT(fd_pwrite) u32 fd_pwrite(u32 fd, const struct iovec *v, u32 n, u64 offset, u32 *out);
IMPORT(fd_read) u32 fd_read(u32 fd, const struct iovec *v, u32 n, u32 *out);
IMPORT(fd_readdir) u32 fd_readdir(u32 fd, void *buf, u32 size, u64 cookie, u32 *out);
IMPORT(fd_renumber) u32 fd_renumber(u32 fd, u32 to);
IMPORT(fd_seek) u32 fd_seek(u32 fd, long long offset, u32 whence, u64 *out);
IMPORT(fd_sync) u32 fd_sync(u32 fd);
IMPORT(fd_tell) u32 fd_tell(u32 fd, u64 *out);
IMPORT(fd_write) u32 fd_write(u32 fd, const struct iovec *v, u32 n, u32 *out);
IMPORT(path_create_directory) u32 path_create_directory(u32 fd, const char *path, u32 size);
IMPORT(path_filestat_get)
u32 path_filestat_get(u32 fd, u32 flags, const char *path, u32 size, struct filestat *out);
IMPORT(path_filestat_set_times)
u32 path_filestat_set_times(u32 fd, u32 flags, const char *path, u32 size, u64 atim, u64 mtim,
                            u32 which);
IMPORT(path_link)
u32 path_link(u32 fd, u32 flags, const char *path, u32 size, u32 new_fd, const char *new_path,
              u32 new_size);
IMPORT(path_open)
u32 path_open(u32 fd, u32 lookup, const char *path, u32 size, u32 oflags, u64 base, u64 inheriting,
              u32 flags, u32 *out);
IMPORT(path_readlink)
u32 path_readlink(u32 fd, const char *path, u32 size, char *buf, u32 buf_size, u32 *out);
IMPORT(path_remove_directory) u32 path_remove_directory(u32 fd, const char *path, u32 size);
IMPORT(path_rename)
u32 path_rename(u32 fd, const char *path, u32 size, u32 new_fd, const char *new_path, u32 new_size);
IMPORT(path_symlink)
u32 path_symlink(const char *target, u32 target_size, u32 fd, const char *path, u32 size);
IMPORT(path_unlink_file) u32 path_unlink_file(u32 fd, const char *path, u32 size);
IMPORT(sock_accept) u32 sock_accept(u32 fd, u32 flags, u32 *out);
IMPORT(sock_recv)
u32 sock_recv(u32 fd, const struct iovec *v, u32 n, u32 flags, u32 *out, u16 *out_flags);
IMPORT(sock_send) u32 sock_send(u32 fd, const struct iovec *v, u32 n, u32 flags, u32 *out);
IMPORT(sock_shutdown) u32 sock_shutdown(u32 fd, u32 how);

enum {
	SUCCESS = 0,
	ACCES = 2,
	AGAIN = 6,
	BADF = 8,
	EXIST = 20,
	FAULT = 21,
	FBIG = 22,
	ILSEQ = 25,
	INVAL = 28,
	ISDIR = 31,
	LOOP = 32,
	NAMETOOLONG = 37,
	NOENT = 44,
	NOTCONN = 53,
	NOTDIR = 54,
	NOTEMPTY = 55,
	NOTSOCK = 57,
	NOTSUP = 58,
	PERM = 63,
	PIPE = 64,
	SPIPE = 70,
	NOTCAPABLE = 76,
};
enum {
	RIGHT_FD_DATASYNC = 1 << 0,
	RIGHT_FD_READ = 1 << 1,
	RIGHT_FD_SEEK = 1 << 2,
	RIGHT_FD_FDSTAT_SET_FLAGS = 1 << 3,
	RIGHT_FD_SYNC = 1 << 4,
	RIGHT_FD_TELL = 1 << 5,
	RIGHT_FD_WRITE = 1 << 6,
	RIGHT_FD_ADVISE = 1 << 7,
	RIGHT_FD_ALLOCATE = 1 << 8,
	RIGHT_PATH_CREATE_DIRECTORY = 1 << 9,
	RIGHT_PATH_CREATE_FILE = 1 << 10,
	RIGHT_PATH_LINK_SOURCE = 1 << 11,
	RIGHT_PATH_LINK_TARGET = 1 << 12,
	RIGHT_PATH_OPEN = 1 << 13,
	RIGHT_FD_READDIR = 1 << 14,
	RIGHT_PATH_READLINK = 1 << 15,
	RIGHT_PATH_RENAME_SOURCE = 1 << 16,
	RIGHT_PATH_RENAME_TARGET = 1 << 17,
	RIGHT_PATH_FILESTAT_GET = 1 << 18,
	RIGHT_PATH_FILESTAT_SET_SIZE = 1 << 19,
	RIGHT_PATH_FILESTAT_SET_TIMES = 1 << 20,
	RIGHT_FD_FILESTAT_GET = 1 << 21,
	RIGHT_FD_FILESTAT_SET_SIZE = 1 << 22,
	RIGHT_FD_FILESTAT_SET_TIMES = 1 << 23,
	RIGHT_PATH_SYMLINK = 1 << 24,
	RIGHT_PATH_REMOVE_DIRECTORY = 1 << 25,
	RIGHT_PATH_UNLINK_FILE = 1 << 26,
	RIGHT_POLL_FD_READWRITE = 1 << 27,
	RIGHT_SOCK_SHUTDOWN = 1 << 28,
	RIGHT_SOCK_ACCEPT = 1 << 29,
	RIGHTS_ALL = (1 << 30) - 1,
	RIGHTS_FILE = RIGHT_FD_DATASYNC | RIGHT_FD_READ | RIGHT_FD_SEEK |
	              RIGHT_FD_FDSTAT_SET_FLAGS | RIGHT_FD_SYNC | RIGHT_FD_TELL | RIGHT_FD_WRITE |
	              RIGHT_FD_ADVISE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_GET |
	              RIGHT_FD_FILESTAT_SET_SIZE | RIGHT_FD_FILESTAT_SET_TIMES |
	              RIGHT_POLL_FD_READWRITE,
	/* None for which it would have to be opened for writing. */
	RIGHTS_DIRECTORY = RIGHTS_ALL & ~(RIGHT_FD_READ | RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE |
	                                  RIGHT_FD_FILESTAT_SET_SIZE),
};
enum { UNKNOWN, BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, REGULAR_FILE, DGRAM, STREAM, SYMLINK };
enum { APPEND = 1, DSYNC = 2, NONBLOCK = 4, RSYNC = 8, SYNC = 16 };
enum { O_CREAT = 1, O_DIRECTORY = 2, O_EXCL = 4, O_TRUNC = 8 };
enum { FOLLOW = 1 };
enum { SET, CUR, END };
enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };
enum { REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU };
enum { CLOCK, FD_READ, FD_WRITE };

/* The first preopened directory, a name for a place outside of the memory, and nothing open. */
enum { ROOT = 3, NO_FD = 4000 };
#define OUTSIDE   ((void *)0xfffffff0)
#define PATH(s)   (s), (u32)strlen(s)
#define ITEMS(a)  (sizeof(a) / sizeof((a)[0]))
#define IOV(s, n) (&(const struct iovec){(void *)(s), (n)}), 1

static inline size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (; n > 0; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

/* Compilers make memcpy() of copies; there is none here. */
static inline void memcpy_(void *to, const void *from, size_t n)
{
	volatile u8 *p = to;

	for (size_t i = 0; i < n; i++)
		p[i] = ((const u8 *)from)[i];
}

static inline int equal(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

static inline void say(u32 fd, const char *s)
{
	u32 n;

	fd_write(fd, IOV(s, strlen(s)), &n);
}

static inline void say_number(u32 fd, u64 n)
{
	char text[24];
	u32 at = sizeof(text) - 1;

	text[at] = 0;
	do
		text[--at] = (char)('0' + n % 10);
	while (n /= 10);
	say(fd, text + at);
}

static inline void check_(u64 got, u64 want, const char *what, const char *file, u32 line)
{
	if (got == want)
		return;
	say(2, file);
	say(2, ":");
	say_number(2, line);
	say(2, ": ");
	say(2, what);
	say(2, " is ");
	say_number(2, got);
	say(2, ", not ");
	say_number(2, want);
	say(2, "\n");
	proc_exit(1);
}
#define CHECK_IS(got, want) check_((u64)(got), (u64)(want), #got, __FILE__, __LINE__)
#define CHECK(cond)         check_(!!(cond), 1, #cond, __FILE__, __LINE__)
#define OK(call)            CHECK_IS(call, SUCCESS)

/* Opens with all the rights of a file, or of what it is. */
static inline u32 open_at(u32 dir, const char *path, u32 oflags)
{
	u32 fd = NO_FD;

	OK(path_open(dir, FOLLOW, PATH(path), oflags,
	             oflags & O_DIRECTORY ? RIGHTS_DIRECTORY : RIGHTS_FILE, RIGHTS_ALL, 0, &fd));
	return fd;
}

static inline void make_file(u32 dir, const char *path, const char *text)
{
	u32 fd = open_at(dir, path, O_CREAT | O_TRUNC), n;

	OK(fd_write(fd, IOV(text, strlen(text)), &n));
	CHECK_IS(n, strlen(text));
	OK(fd_close(fd));
}

/* Whether the file holds just this text. */
static inline int holds(u32 dir, const char *path, const char *text)
{
	static char buf[4096];
	u32 fd = open_at(dir, path, 0), n;

	OK(fd_read(fd, IOV(buf, sizeof(buf)), &n));
	OK(fd_close(fd));
	return n == strlen(text) && memcmp(buf, text, n) == 0;
}

void test(void);

__attribute__((export_name("_start"))) void _start(void)
{
	test();
	proc_exit(0);
}
