/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * trace.bpf: the programs in the kernel: on tracepoints, one record an event of one control group
 * and those below it. No type information of the kernel is used: the arguments of these tracepoints
 * have had the same places since long before Linux 6.1 (events/.../format of tracefs).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "guest/trace/bpf/record.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading: the only thing in .rodata. */
const volatile struct trace_config trace_config = {0};

/* Records for which there was no room: the only thing in .bss. */
__u64 trace_lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_record);
} scratch SEC(".maps");

/* System calls that have begun, by thread. Who dies within one is pushed out by others. */
struct begun {
	__u64 path, addr, length, flags;
	__s32 dirfd;
	__u32 kind;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct begun);
} calls SEC(".maps");

/* What exit_group(2) was given, by process. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} codes SEC(".maps");

/* The last signal, by the thread or process that it was for; and whom the OOM killer chose. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} signals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} victims SEC(".maps");

static __always_inline int wants(enum trace_kind kind)
{
	return trace_config.kinds >> kind & 1;
}

static __always_inline int is_ours(void)
{
	int level = (int)trace_config.level;

	if (level < TRACE_LEVELS)
		return bpf_get_current_ancestor_cgroup_id(level) == trace_config.cgroup;
	for (level = 0; level < TRACE_LEVELS; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (id == trace_config.cgroup)
			return 1;
		if (!id)
			break;
	}
	return 0;
}

/* The record with what is told of every event. */
static __always_inline struct trace_record *begin(enum trace_kind kind)
{
	struct bpf_pidns_info inner = {0};
	__u64 id = bpf_get_current_pid_tgid();
	__u32 zero = 0;
	struct trace_record *r = bpf_map_lookup_elem(&scratch, &zero);

	if (!r)
		return 0;
	r->time = bpf_ktime_get_boot_ns();
	r->result = 0;
	r->flags = 0;
	r->dirfd = 0;
	r->kind = kind;
	r->pid = (__u32)(id >> 32);
	r->tid = (__u32)id;
	r->inner_pid = 0;
	if (trace_config.pidns_ino &&
	    bpf_get_ns_current_pid_tgid(trace_config.pidns_dev, trace_config.pidns_ino, &inner,
	                                sizeof(inner)) == 0)
		r->inner_pid = inner.tgid;
	r->uid = (__u32)bpf_get_current_uid_gid();
	r->child = 0;
	r->size = 0;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	return r;
}

/* The compiler must not compare a copy of n with max and go on with n: the verifier would not know
 * what the two have to do with each other. */
static __always_inline __u64 at_most(__u64 n, __u64 max)
{
	asm volatile("" : "+r"(n));
	return n > max ? max : n;
}

/* With `size` bytes of data; a failed read's negative number is none. */
static __always_inline void end(struct trace_record *r, long size)
{
	__u64 n = size < 0 ? 0 : at_most((__u64)size, TRACE_PATH);

	r->size = (__u32)n;
	if (bpf_ringbuf_output(&ring, r, TRACE_HEAD + n, 0) < 0)
		__sync_fetch_and_add(&trace_lost, 1);
}

/* ---- processes */

struct newtask {
	__u64 common;
	__s32 pid;
	char comm[TRACE_COMM];
	__u32 pad;
	__u64 clone_flags;
};

#define CLONE_THREAD_FLAG 0x00010000

SEC("tracepoint/task/task_newtask")
int on_fork(struct newtask *ctx)
{
	struct trace_record *r;

	if (!is_ours() || (ctx->clone_flags & CLONE_THREAD_FLAG))
		return 0;
	r = begin(TRACE_FORK);
	if (!r)
		return 0;
	r->child = (__u32)ctx->pid;
	end(r, 0);
	return 0;
}

struct exec {
	__u64 common;
	__u32 filename; /* its place in this record: offset, and length << 16 */
};

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct exec *ctx)
{
	struct trace_record *r;

	if (!is_ours())
		return 0;
	r = begin(TRACE_EXEC);
	if (!r)
		return 0;
	end(r, bpf_probe_read_kernel_str(r->data, sizeof(r->data),
	                                 (const char *)ctx + (ctx->filename & 0xffff)));
	return 0;
}

struct signal_generate {
	__u64 common;
	__s32 sig, error, code;
	char comm[TRACE_COMM];
	__s32 pid, group, result;
};

/* Runs in the sender; a signal that is ignored or blocked for good (result 1 and more) kills
 * nobody.
 */
SEC("tracepoint/signal/signal_generate")
int on_signal(struct signal_generate *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 pid = (__u32)ctx->pid, sig = (__u32)ctx->sig, self = (__u32)(id >> 32);

	if (ctx->result != 0)
		return 0;
	bpf_map_update_elem(&signals, &pid, &sig, BPF_ANY);
	/* A fault of a thread is its own doing, and the process's end. */
	if (pid == (__u32)id && pid != self)
		bpf_map_update_elem(&signals, &self, &sig, BPF_ANY);
	return 0;
}

struct mark_victim {
	__u64 common;
	__s32 pid;
};

/* Runs in whoever asked for memory: told when the victim itself comes by. */
SEC("tracepoint/oom/mark_victim")
int on_victim(struct mark_victim *ctx)
{
	__u32 pid = (__u32)ctx->pid;
	__u64 now = bpf_ktime_get_boot_ns();

	bpf_map_update_elem(&victims, &pid, &now, BPF_ANY);
	return 0;
}

/* An exit without exit_group(2) is a death by signal; the last one was it. None: another thread
 * executed a program, or had a signal of its own. */
static __always_inline __s64 exit_result(__u32 pid)
{
	__u32 *code = bpf_map_lookup_elem(&codes, &pid);
	__u32 *sig;

	if (code)
		return *code & 0xff;
	sig = bpf_map_lookup_elem(&signals, &pid);
	return TRACE_SIGNALLED | (sig ? *sig : 0);
}

/* The main thread's end is the process's. */
SEC("tracepoint/sched/sched_process_exit")
int on_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), *chosen;
	__u32 pid = (__u32)(id >> 32), tid = (__u32)id;
	struct trace_record *r;

	if (!is_ours())
		return 0;
	chosen = bpf_map_lookup_elem(&victims, &tid);
	if (chosen && wants(TRACE_OOM)) {
		r = begin(TRACE_OOM);
		if (!r)
			return 0;
		r->time = *chosen;
		end(r, 0);
		bpf_map_delete_elem(&victims, &tid);
	}
	if (pid != tid || !wants(TRACE_EXIT))
		return 0;
	r = begin(TRACE_EXIT);
	if (!r)
		return 0;
	r->result = exit_result(pid);
	end(r, 0);
	bpf_map_delete_elem(&codes, &pid);
	bpf_map_delete_elem(&signals, &pid);
	return 0;
}

/* ---- system calls (numbers of x86-64: arch/x86/entry/syscalls/syscall_64.tbl) */

#define SYS_OPEN       2
#define SYS_CONNECT    42
#define SYS_ACCEPT     43
#define SYS_EXIT       60
#define SYS_CREAT      85
#define SYS_EXIT_GROUP 231
#define SYS_OPENAT     257
#define SYS_ACCEPT4    288
#define SYS_OPENAT2    437

#define AT_FDCWD_VALUE    (-100)
#define CREAT_FLAGS_VALUE 01101 /* O_CREAT | O_WRONLY | O_TRUNC */

struct sys_enter {
	__u64 common;
	__s64 id;
	__u64 args[6];
};

struct sys_exit {
	__u64 common;
	__s64 id;
	__s64 ret;
};

static __always_inline void note_exit(const struct sys_enter *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 pid = (__u32)(id >> 32), code = (__u32)ctx->args[0];

	/* exit(2) ends the process when its thread is the last: taken to be the main one. */
	if (ctx->id == SYS_EXIT_GROUP || pid == (__u32)id)
		bpf_map_update_elem(&codes, &pid, &code, BPF_ANY);
}

static __always_inline int describe(const struct sys_enter *ctx, struct begun *b)
{
	switch (ctx->id) {
	case SYS_OPEN:
	case SYS_CREAT:
		b->path = ctx->args[0];
		b->dirfd = AT_FDCWD_VALUE;
		b->flags = ctx->id == SYS_OPEN ? ctx->args[1] : CREAT_FLAGS_VALUE;
		b->kind = TRACE_OPEN;
		return 1;
	case SYS_OPENAT:
	case SYS_OPENAT2:
		b->path = ctx->args[1];
		b->dirfd = (__s32)ctx->args[0];
		b->flags = ctx->args[2]; /* openat2: where they are */
		b->kind = TRACE_OPEN;
		return 1;
	case SYS_CONNECT:
	case SYS_ACCEPT:
	case SYS_ACCEPT4:
		b->addr = ctx->args[1];
		b->length = ctx->args[2]; /* accept: where it is */
		b->kind = ctx->id == SYS_CONNECT ? TRACE_CONNECT : TRACE_ACCEPT;
		return 1;
	}
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int on_sys_enter(struct sys_enter *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct begun b = {0};

	if (ctx->id == SYS_EXIT || ctx->id == SYS_EXIT_GROUP) {
		if (wants(TRACE_EXIT) && is_ours())
			note_exit(ctx);
		return 0;
	}
	if (describe(ctx, &b) && wants(b.kind) && is_ours())
		bpf_map_update_elem(&calls, &id, &b, BPF_ANY);
	return 0;
}

static __always_inline long read_path(struct trace_record *r, const struct begun *b, __s64 call)
{
	__u64 flags = b->flags;

	if (call == SYS_OPENAT2 &&
	    bpf_probe_read_user(&flags, sizeof(flags), (const void *)b->flags) < 0)
		flags = 0;
	r->flags = flags;
	r->dirfd = b->dirfd;
	return bpf_probe_read_user_str(r->data, sizeof(r->data), (const void *)b->path);
}

static __always_inline long read_address(struct trace_record *r, const struct begun *b)
{
	__u64 size = b->length;
	__u32 told = 0; /* accept(2): in memory */

	if (!b->addr)
		return 0;
	if (b->kind == TRACE_ACCEPT) {
		if (bpf_probe_read_user(&told, sizeof(told), (const void *)b->length) < 0)
			return 0;
		size = told;
	}
	size = at_most(size, TRACE_SOCKADDR);
	if (bpf_probe_read_user(r->data, (__u32)size, (const void *)b->addr) < 0)
		return 0;
	return (long)size;
}

/* Told when it has ended, so that its result and the pages of its arguments are there. */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_sys_exit(struct sys_exit *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct begun *found = bpf_map_lookup_elem(&calls, &id), b;
	struct trace_record *r;

	if (!found)
		return 0;
	b = *found;
	bpf_map_delete_elem(&calls, &id);
	r = begin(b.kind);
	if (!r)
		return 0;
	r->result = ctx->ret;
	end(r, b.kind == TRACE_OPEN ? read_path(r, &b, ctx->id) : read_address(r, &b));
	return 0;
}
