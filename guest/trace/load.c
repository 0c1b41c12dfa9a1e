/* SPDX-License-Identifier: Apache-2.0 */
/* load: through libbpf, whose own words are kept back for the one line when it fails. */
#include "guest/trace/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "guest/trace/object.h"
#include "lib/base/fs.h"

#define TRACEFS     "/sys/kernel/tracing"
#define WARNING_MAX 256

#define BIT(kind)  (1u << (kind))
#define SYSCALLS   (BIT(TRACE_OPEN) | BIT(TRACE_CONNECT) | BIT(TRACE_ACCEPT))
#define EXIT_CODES BIT(TRACE_EXIT)

/* Which programs the kinds want. */
static const struct {
	const char *program;
	uint32_t kinds;
} wanted[] = {
    {"on_fork", BIT(TRACE_FORK)},
    {"on_exec", BIT(TRACE_EXEC)},
    {"on_exit", BIT(TRACE_EXIT) | BIT(TRACE_OOM)},
    {"on_signal", EXIT_CODES},
    {"on_victim", BIT(TRACE_OOM)},
    {"on_sys_enter", SYSCALLS | EXIT_CODES},
    {"on_sys_exit", SYSCALLS},
};

#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

struct loaded {
	struct bpf_object *object;
	struct bpf_link *links[N_WANTED];
	struct ring_buffer *ring;
	const uint64_t *lost; /* the programs' counter, mapped */
};

/* libbpf's first warning, which is nearest to the cause: its callback has no place for data of
 * ours. */
static char warning[WARNING_MAX];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level == LIBBPF_WARN && !warning[0]) {
		vsnprintf(warning, sizeof(warning), format, ap);
		for (char *c = warning; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = ' ';
	}
	return 0;
}

static int no_events(struct error *err)
{
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
	                      "this kernel has no BPF on tracepoints: use one of profile trace "
	                      "(CONFIG_BPF_EVENTS)");
}

static int failed(struct error *err, int code, const char *what)
{
	if (code == -EPERM)
		return error_set_kind(
		    err, ERROR_ENVIRONMENT, EPERM,
		    "%s: not permitted: run it as root, outside of containers%s%s", what,
		    warning[0] ? "; " : "", warning);
	return error_errno(err, -code, "%s%s%s", what, warning[0] ? ": " : "", warning);
}

/* Where the numbers of tracepoints are: in a mount of this process alone, when nobody else has one.
 */
static int mount_tracefs(struct error *err)
{
	if (fs_exists(TRACEFS "/events"))
		return 0;
	if (!fs_exists(TRACEFS))
		return no_events(err);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed(err, -errno, "a mount namespace for tracefs");
	if (mount("tracefs", TRACEFS, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return errno == ENODEV ? no_events(err) : failed(err, -errno, "mounting tracefs");
	return 0;
}

/* The map of a section, which is called by the object's name and the section's. */
static struct bpf_map *section(struct bpf_object *object, const char *name)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *full = bpf_map__name(map);
		size_t length = strlen(full), n = strlen(name);

		if (length >= n && strcmp(full + length - n, name) == 0)
			return map;
	}
	return NULL;
}

static int configure(struct loaded *l, const struct trace_config *config, struct error *err)
{
	struct bpf_map *settings = section(l->object, ".rodata");

	if (!settings || bpf_map__set_initial_value(settings, config, sizeof(*config)) < 0)
		return error_set(err, EINVAL, "the programs for the kernel have no settings");
	for (size_t i = 0; i < N_WANTED; i++) {
		struct bpf_program *p =
		    bpf_object__find_program_by_name(l->object, wanted[i].program);

		if (!p)
			return error_set(err, EINVAL, "there is no program %s for the kernel",
			                 wanted[i].program);
		bpf_program__set_autoload(p, (wanted[i].kinds & config->kinds) != 0);
	}
	return 0;
}

static int attach(struct loaded *l, struct error *err)
{
	for (size_t i = 0; i < N_WANTED; i++) {
		struct bpf_program *p =
		    bpf_object__find_program_by_name(l->object, wanted[i].program);

		if (!bpf_program__autoload(p))
			continue;
		l->links[i] = bpf_program__attach(p);
		if (!l->links[i])
			return errno == ENOENT || errno == EINVAL
			           ? no_events(err)
			           : failed(err, -errno, "attaching to a tracepoint");
	}
	return 0;
}

/* Mapped, so that it can be read without a system call (confine.h). */
static int map_counter(struct loaded *l, struct error *err)
{
	struct bpf_map *map = section(l->object, ".bss");
	void *at;

	if (!map || bpf_map__value_size(map) != sizeof(*l->lost))
		return error_set(err, EINVAL, "the programs for the kernel have no counter");
	at = mmap(NULL, sizeof(*l->lost), PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
	if (at == MAP_FAILED)
		return failed(err, -errno, "mapping the programs' counter");
	l->lost = at;
	return 0;
}

static int load(struct loaded *l, const struct trace_config *config, loaded_fn fn, void *data,
                struct error *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "kihon");
	int r;

	l->object =
	    bpf_object__open_mem(trace_object, (size_t)(trace_object_end - trace_object), &opts);
	if (!l->object)
		return failed(err, -errno, "the programs for the kernel");
	r = configure(l, config, err);
	if (r < 0)
		return r;
	r = bpf_object__load(l->object);
	if (r < 0)
		return failed(err, r, "loading programs into the kernel");
	r = map_counter(l, err);
	if (r < 0)
		return r;
	l->ring =
	    ring_buffer__new(bpf_object__find_map_fd_by_name(l->object, "ring"), fn, data, NULL);
	if (!l->ring)
		return failed(err, -errno, "the ring buffer");
	return attach(l, err);
}

int loaded_new(const struct trace_config *config, loaded_fn fn, void *data, struct loaded **out,
               struct error *err)
{
	struct loaded *l;
	int r = mount_tracefs(err);

	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	libbpf_set_print(keep_warning);
	r = load(l, config, fn, data, err);
	if (r < 0) {
		loaded_free(l);
		return r;
	}
	*out = l;
	return 0;
}

void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < N_WANTED; i++)
		bpf_link__destroy(l->links[i]);
	ring_buffer__free(l->ring);
	if (l->lost)
		munmap((void *)l->lost, sizeof(*l->lost));
	bpf_object__close(l->object);
	free(l);
}

int loaded_fd(const struct loaded *l)
{
	return ring_buffer__epoll_fd(l->ring);
}

void loaded_read(struct loaded *l)
{
	/* Polling, not consuming: it takes the wake-up from the epoll descriptor as well. */
	ring_buffer__poll(l->ring, 0);
}

uint64_t loaded_lost(const struct loaded *l)
{
	return __atomic_load_n(l->lost, __ATOMIC_RELAXED);
}
