/* SPDX-License-Identifier: Apache-2.0 */
/* spec: the request that makes a container in the guest. */
#include "spec.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What an unprivileged container keeps of root's rights, as containerd and docker do. */
static const char *const capabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE",
};

static const char *const masked_paths[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* The agent adds a pid namespace itself; the network is the guest's. */
static const char *const namespaces[] = {"ipc", "uts", "mount", "cgroup"};

static const struct {
	const char *destination, *type, *source;
	const char *options[8];
	bool needs_network;
} mounts[] = {
    {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}, false},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, false},
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
     false},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}, false},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, false},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}, false},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "ro"}, false},
    {"/etc/resolv.conf", "bind", "/etc/resolv.conf", {"rbind", "ro"}, true},
};

/* Nothing but making nodes, the harmless devices, terminals (runtime-spec config-linux.md,
 * "Default Devices"). major or minor -1: any. */
static const struct {
	bool allow;
	const char *type;
	int64_t major, minor;
	const char *access;
} devices[] = {
    {false, "a", -1, -1, "rwm"}, {true, "c", -1, -1, "m"},    {true, "b", -1, -1, "m"},
    {true, "c", 1, 3, "rwm"},    {true, "c", 1, 5, "rwm"},    {true, "c", 1, 7, "rwm"},
    {true, "c", 1, 8, "rwm"},    {true, "c", 1, 9, "rwm"},    {true, "c", 5, 0, "rwm"},
    {true, "c", 5, 2, "rwm"},    {true, "c", 136, -1, "rwm"},
};

/* An initialised message in the arena. */
#define NEW(a, type, init)                                                                         \
	({                                                                                         \
		type *new_ = arena_new((a), type);                                                 \
		if (new_)                                                                          \
			*new_ = (type)init;                                                        \
		new_;                                                                              \
	})

static char **strings(struct arena *a, const char *const *from, size_t n)
{
	char **to = arena_new_array(a, n, char *);

	for (size_t i = 0; to && i < n; i++)
		to[i] = (char *)from[i];
	return to;
}

/* Every set function leaves `a` failed when memory is full; callers look once at the end. */
static Grpc__Mount **make_mounts(struct arena *a, const struct spec_options *o, size_t *n)
{
	Grpc__Mount **out = arena_new_array(a, COUNT(mounts), Grpc__Mount *);

	*n = 0;
	for (size_t i = 0; out && i < COUNT(mounts); i++) {
		Grpc__Mount *m;
		size_t options = 0;

		if (mounts[i].needs_network && o->net->kind == GUEST_NET_NONE)
			continue;
		m = NEW(a, Grpc__Mount, GRPC__MOUNT__INIT);
		if (!m)
			return NULL;
		while (options < COUNT(mounts[i].options) && mounts[i].options[options])
			options++;
		m->destination = (char *)mounts[i].destination;
		m->type = (char *)mounts[i].type;
		m->source = (char *)mounts[i].source;
		m->options = strings(a, mounts[i].options, options);
		m->n_options = options;
		out[(*n)++] = m;
	}
	return out;
}

static Grpc__LinuxResources *make_resources(struct arena *a)
{
	Grpc__LinuxResources *r = NEW(a, Grpc__LinuxResources, GRPC__LINUX_RESOURCES__INIT);
	Grpc__LinuxDeviceCgroup **rules =
	    arena_new_array(a, COUNT(devices), Grpc__LinuxDeviceCgroup *);

	if (!r || !rules)
		return NULL;
	for (size_t i = 0; i < COUNT(devices); i++) {
		rules[i] = NEW(a, Grpc__LinuxDeviceCgroup, GRPC__LINUX_DEVICE_CGROUP__INIT);
		if (!rules[i])
			return NULL;
		rules[i]->allow = devices[i].allow;
		rules[i]->type = (char *)devices[i].type;
		rules[i]->major = devices[i].major;
		rules[i]->minor = devices[i].minor;
		rules[i]->access = (char *)devices[i].access;
	}
	r->devices = rules;
	r->n_devices = COUNT(devices);
	return r;
}

static Grpc__Linux *make_linux(struct arena *a, const struct spec_options *o)
{
	Grpc__Linux *l = NEW(a, Grpc__Linux, GRPC__LINUX__INIT);
	Grpc__LinuxNamespace **ns = arena_new_array(a, COUNT(namespaces), Grpc__LinuxNamespace *);

	if (!l || !ns)
		return NULL;
	for (size_t i = 0; i < COUNT(namespaces); i++) {
		ns[i] = NEW(a, Grpc__LinuxNamespace, GRPC__LINUX_NAMESPACE__INIT);
		if (!ns[i])
			return NULL;
		ns[i]->type = (char *)namespaces[i];
	}
	l->namespaces = ns;
	l->n_namespaces = COUNT(namespaces);
	l->resources = make_resources(a);
	l->cgroupspath = arena_printf(a, "/kihon/%s", o->id);
	l->maskedpaths = strings(a, masked_paths, COUNT(masked_paths));
	l->n_maskedpaths = COUNT(masked_paths);
	l->readonlypaths = strings(a, readonly_paths, COUNT(readonly_paths));
	l->n_readonlypaths = COUNT(readonly_paths);
	return l;
}

static Grpc__LinuxCapabilities *make_capabilities(struct arena *a)
{
	Grpc__LinuxCapabilities *c =
	    NEW(a, Grpc__LinuxCapabilities, GRPC__LINUX_CAPABILITIES__INIT);

	if (!c)
		return NULL;
	/* Inheritable and ambient stay empty, or a program run by an ordinary user inside
	 * would get what its files do not ask for. */
	c->bounding = c->effective = c->permitted = strings(a, capabilities, COUNT(capabilities));
	c->n_bounding = c->n_effective = c->n_permitted = COUNT(capabilities);
	return c;
}

static Grpc__Process *make_process(struct arena *a, const struct spec_options *o)
{
	Grpc__Process *p = NEW(a, Grpc__Process, GRPC__PROCESS__INIT);

	if (!p)
		return NULL;
	p->terminal = o->terminal;
	if (o->terminal && o->rows && o->columns) {
		p->consolesize = NEW(a, Grpc__Box, GRPC__BOX__INIT);
		if (!p->consolesize)
			return NULL;
		p->consolesize->height = o->rows;
		p->consolesize->width = o->columns;
	}
	while (o->args && o->args[p->n_args])
		p->n_args++;
	p->args = (char **)o->args;
	p->env = o->env->v;
	p->n_env = o->env->n;
	if (o->workdir)
		p->cwd = (char *)o->workdir;
	p->capabilities = make_capabilities(a);
	return p;
}

static Grpc__Spec *make_spec(struct arena *a, const struct spec_options *o, char *rootfs)
{
	Grpc__Spec *s = NEW(a, Grpc__Spec, GRPC__SPEC__INIT);
	Grpc__Root *root = NEW(a, Grpc__Root, GRPC__ROOT__INIT);
	Grpc__Spec__AnnotationsEntry *note =
	    NEW(a, Grpc__Spec__AnnotationsEntry, GRPC__SPEC__ANNOTATIONS_ENTRY__INIT);
	Grpc__Spec__AnnotationsEntry **notes =
	    arena_new_array(a, 1, Grpc__Spec__AnnotationsEntry *);

	if (!s || !root || !note || !notes)
		return NULL;
	root->path = rootfs;
	note->key = (char *)"io.kihon.image-defaults";
	note->value = (char *)"true";
	notes[0] = note;
	s->version = (char *)"1.0.2";
	s->root = root;
	s->hostname = (char *)o->id;
	s->annotations = notes;
	s->n_annotations = 1;
	s->process = make_process(a, o);
	s->mounts = make_mounts(a, o, &s->n_mounts);
	s->linux = make_linux(a, o);
	return s;
}

#define ROOTFS "/run/kata-containers/%s/rootfs"

const char *spec_failure(const struct spec_options *o, const char *message)
{
	char prefix[256];
	int n = snprintf(prefix, sizeof(prefix), "storage " ROOTFS ": ", o->id);

	return n > 0 && (size_t)n < sizeof(prefix) && strncmp(message, prefix, (size_t)n) == 0
	           ? message + n
	           : message;
}

Grpc__CreateContainerRequest *spec_container(struct arena *a, const struct spec_options *o)
{
	Grpc__CreateContainerRequest *r =
	    NEW(a, Grpc__CreateContainerRequest, GRPC__CREATE_CONTAINER_REQUEST__INIT);
	Grpc__Storage *storage = NEW(a, Grpc__Storage, GRPC__STORAGE__INIT);
	Grpc__Storage **storages = arena_new_array(a, 1, Grpc__Storage *);
	static const char *const pull[] = {"image_guest_pull={\"metadata\":{}}"};

	if (!r || !storage || !storages)
		return NULL;
	storage->driver = (char *)"image_guest_pull";
	storage->driver_options = strings(a, pull, 1);
	storage->n_driver_options = 1;
	storage->source = (char *)o->image;
	storage->fstype = (char *)"overlay";
	storage->mount_point = arena_printf(a, ROOTFS, o->id);
	storages[0] = storage;
	r->container_id = (char *)o->id;
	r->exec_id = (char *)o->id;
	r->storages = storages;
	r->n_storages = 1;
	r->oci = make_spec(a, o, storage->mount_point);
	return a->failed ? NULL : r;
}
