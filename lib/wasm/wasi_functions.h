/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_functions: every function of WASI preview 1 with its WebAssembly type, once for the layer
 * that implements them (guest/wasi) and for those who look at a module's imports.
 *
 * F(name, type, C parameters): the type is written as the parameters, "i" an i32 and "I" an i64,
 * then ':' and the results. Source: WASI preview 1, wasi_snapshot_preview1.witx.
 */
#pragma once

#include <stdint.h>

#define WASI_MODULE "wasi_snapshot_preview1"

#define WASI_FUNCTIONS(F)                                                                          \
	F(args_get, "ii:i", (uint32_t argv, uint32_t buf))                                         \
	F(args_sizes_get, "ii:i", (uint32_t count, uint32_t size))                                 \
	F(environ_get, "ii:i", (uint32_t envp, uint32_t buf))                                      \
	F(environ_sizes_get, "ii:i", (uint32_t count, uint32_t size))                              \
	F(clock_res_get, "ii:i", (uint32_t clock, uint32_t out))                                   \
	F(clock_time_get, "iIi:i", (uint32_t clock, uint64_t precision, uint32_t out))             \
	F(random_get, "ii:i", (uint32_t buf, uint32_t size))                                       \
	F(sched_yield, ":i", ())                                                                   \
	F(proc_exit, "i:", (uint32_t code))                                                        \
	F(proc_raise, "i:i", (uint32_t sig))                                                       \
	F(poll_oneoff, "iiii:i", (uint32_t in, uint32_t out, uint32_t n, uint32_t n_out))          \
	F(fd_advise, "iIIi:i", (uint32_t fd, uint64_t offset, uint64_t size, uint32_t advice))     \
	F(fd_allocate, "iII:i", (uint32_t fd, uint64_t offset, uint64_t size))                     \
	F(fd_close, "i:i", (uint32_t fd))                                                          \
	F(fd_datasync, "i:i", (uint32_t fd))                                                       \
	F(fd_fdstat_get, "ii:i", (uint32_t fd, uint32_t out))                                      \
	F(fd_fdstat_set_flags, "ii:i", (uint32_t fd, uint32_t flags))                              \
	F(fd_fdstat_set_rights, "iII:i", (uint32_t fd, uint64_t base, uint64_t inheriting))        \
	F(fd_filestat_get, "ii:i", (uint32_t fd, uint32_t out))                                    \
	F(fd_filestat_set_size, "iI:i", (uint32_t fd, uint64_t size))                              \
	F(fd_filestat_set_times, "iIIi:i",                                                         \
	  (uint32_t fd, uint64_t atim, uint64_t mtim, uint32_t flags))                             \
	F(fd_pread, "iiiIi:i",                                                                     \
	  (uint32_t fd, uint32_t iovs, uint32_t n, uint64_t offset, uint32_t out))                 \
	F(fd_prestat_get, "ii:i", (uint32_t fd, uint32_t out))                                     \
	F(fd_prestat_dir_name, "iii:i", (uint32_t fd, uint32_t buf, uint32_t size))                \
	F(fd_pwrite, "iiiIi:i",                                                                    \
	  (uint32_t fd, uint32_t iovs, uint32_t n, uint64_t offset, uint32_t out))                 \
	F(fd_read, "iiii:i", (uint32_t fd, uint32_t iovs, uint32_t n, uint32_t out))               \
	F(fd_readdir, "iiiIi:i",                                                                   \
	  (uint32_t fd, uint32_t buf, uint32_t size, uint64_t cookie, uint32_t out))               \
	F(fd_renumber, "ii:i", (uint32_t fd, uint32_t to))                                         \
	F(fd_seek, "iIii:i", (uint32_t fd, uint64_t offset, uint32_t whence, uint32_t out))        \
	F(fd_sync, "i:i", (uint32_t fd))                                                           \
	F(fd_tell, "ii:i", (uint32_t fd, uint32_t out))                                            \
	F(fd_write, "iiii:i", (uint32_t fd, uint32_t iovs, uint32_t n, uint32_t out))              \
	F(path_create_directory, "iii:i", (uint32_t fd, uint32_t path, uint32_t size))             \
	F(path_filestat_get, "iiiii:i",                                                            \
	  (uint32_t fd, uint32_t flags, uint32_t path, uint32_t size, uint32_t out))               \
	F(path_filestat_set_times, "iiiiIIi:i",                                                    \
	  (uint32_t fd, uint32_t flags, uint32_t path, uint32_t size, uint64_t atim,               \
	   uint64_t mtim, uint32_t which))                                                         \
	F(path_link, "iiiiiii:i",                                                                  \
	  (uint32_t fd, uint32_t flags, uint32_t path, uint32_t size, uint32_t new_fd,             \
	   uint32_t new_path, uint32_t new_size))                                                  \
	F(path_open, "iiiiiIIii:i",                                                                \
	  (uint32_t fd, uint32_t lookup, uint32_t path, uint32_t size, uint32_t oflags,            \
	   uint64_t base, uint64_t inheriting, uint32_t flags, uint32_t out))                      \
	F(path_readlink, "iiiiii:i",                                                               \
	  (uint32_t fd, uint32_t path, uint32_t size, uint32_t buf, uint32_t buf_size,             \
	   uint32_t out))                                                                          \
	F(path_remove_directory, "iii:i", (uint32_t fd, uint32_t path, uint32_t size))             \
	F(path_rename, "iiiiii:i",                                                                 \
	  (uint32_t fd, uint32_t path, uint32_t size, uint32_t new_fd, uint32_t new_path,          \
	   uint32_t new_size))                                                                     \
	F(path_symlink, "iiiii:i",                                                                 \
	  (uint32_t target, uint32_t target_size, uint32_t fd, uint32_t path, uint32_t size))      \
	F(path_unlink_file, "iii:i", (uint32_t fd, uint32_t path, uint32_t size))                  \
	F(sock_accept, "iii:i", (uint32_t fd, uint32_t flags, uint32_t out))                       \
	F(sock_recv, "iiiiii:i",                                                                   \
	  (uint32_t fd, uint32_t iovs, uint32_t n, uint32_t flags, uint32_t out,                   \
	   uint32_t out_flags))                                                                    \
	F(sock_send, "iiiii:i",                                                                    \
	  (uint32_t fd, uint32_t iovs, uint32_t n, uint32_t flags, uint32_t out))                  \
	F(sock_shutdown, "ii:i", (uint32_t fd, uint32_t how))
