/* SPDX-License-Identifier: Apache-2.0 */
/* pack_kernel: what a program asks of a kernel, and the smallest of our kernels that has it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "image-tool/pack.h"
#include "lib/base/fs.h"
#include "lib/elf/elf.h"

#define KERNEL_DEFAULT "unikernel"
#define NAMES_MAX      16
#define NUMBERS_MAX    8

/* ---- needs */

/* How a need shows: functions of the C library that are called, or numbers of system calls
 * (syscall_64.tbl) where there are no names; a string that must be there, too; or one that shows it
 * alone: Go's runtime keeps the names of functions and hands numbers on from call to call. */
static const struct need {
	uint32_t bit;
	const char *what;
	const char *names[NAMES_MAX];
	uint32_t numbers[NUMBERS_MAX]; /* 0 ends them */
	const char *text, *mark;
} needs[] = {
    {PACK_NEEDS_NET,
     "sockets",
     {"socket", "getaddrinfo", "socketpair"},
     {41, 53},
     NULL,
     "net.(*netFD)"},
    {PACK_NEEDS_DISK, "ext4", {"mount", "fsopen"}, {165, 430}, "ext4", NULL},
    {PACK_NEEDS_SERVER,
     "System V IPC, message queues, io_uring, inotify or seccomp",
     {"shmget", "semget", "msgget", "mq_open", "io_setup", "io_uring_setup", "io_uring_queue_init",
      "inotify_init", "inotify_init1", "process_vm_readv", "seccomp_load"},
     {29, 64, 68, 206, 240, 294, 310, 425},
     NULL,
     NULL},
    {PACK_NEEDS_PCI, "PCI", {NULL}, {0}, NULL, NULL},
};
#define N_NEEDS (sizeof(needs) / sizeof(*needs))

struct looking {
	const struct elf *e;
	uint32_t found;
};

/* A static program has the functions that it calls; a dynamic one asks others for them. */
static int on_symbol(const char *name, bool undefined, void *data)
{
	struct looking *l = data;

	if (!undefined && !elf_is_static(l->e))
		return 0;
	for (size_t i = 0; i < N_NEEDS; i++)
		for (size_t k = 0; k < NAMES_MAX && needs[i].names[k]; k++)
			if (strcmp(needs[i].names[k], name) == 0)
				l->found |= needs[i].bit;
	return 0;
}

/* In a shared library every wrapper is there, called or not: only programs are looked at so,
 * dynamic ones too, which may call the kernel themselves. (A C library may name an interpreter,
 * too.) */
static bool has_call(const struct elf *e, const struct need *n)
{
	if (!elf_is_static(e) && (!e->interp || e->soname))
		return false;
	for (size_t k = 0; k < NUMBERS_MAX && n->numbers[k]; k++)
		if (elf_has_syscall(e, n->numbers[k]))
			return true;
	return false;
}

uint32_t pack_needs(const struct elf *e)
{
	struct looking l = {.e = e};

	elf_symbols(e, on_symbol, &l);
	for (size_t i = 0; i < N_NEEDS; i++) {
		const struct need *n = &needs[i];

		if (has_call(e, n))
			l.found |= n->bit;
		if (n->text && !memmem(e->data, e->size, n->text, strlen(n->text)))
			l.found &= ~n->bit;
		if (n->mark && memmem(e->data, e->size, n->mark, strlen(n->mark)))
			l.found |= n->bit;
	}
	return l.found;
}

/* ---- kernels */

/* From the smallest to the largest (kernel-config/profiles, docs/kernel.md). */
static const struct variant {
	const char *profile;
	uint32_t has;
} variants[] = {
    {KERNEL_DEFAULT, 0},
    {"unikernel-disk", PACK_NEEDS_DISK},
    {"unikernel-net", PACK_NEEDS_NET},
    {"unikernel-server", PACK_NEEDS_NET | PACK_NEEDS_DISK | PACK_NEEDS_SERVER},
    {"unikernel-q35", PACK_NEEDS_NET | PACK_NEEDS_DISK | PACK_NEEDS_SERVER | PACK_NEEDS_PCI},
};

static char *name_needs(uint32_t bits)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	buffer_str(&out, "");
	for (size_t i = 0; i < N_NEEDS; i++)
		if (bits & needs[i].bit)
			buffer_printf(&out, "%s%s", out.size > 0 ? "; " : "", needs[i].what);
	return buffer_steal(&out);
}

static bool is_profile(const struct pack *p, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return false;
	path = str_printf("%s/kernel-config/profiles/%s", p->where.data, name);
	return path && fs_exists(path);
}

static int choose(struct pack *p, const char *list, struct error *err)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++) {
		if ((p->needs & ~variants[i].has) || !is_profile(p, variants[i].profile))
			continue;
		p->profile = variants[i].profile;
		p->network = variants[i].has & PACK_NEEDS_NET;
		p->chosen = true;
		p->why = *list
		             ? arena_printf(&p->img->arena, "the program needs: %s", list)
		             : arena_strdup(&p->img->arena, "nothing but files and time is needed");
		return p->why ? 0 : error_set(err, ENOMEM, "no memory to choose a kernel");
	}
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "no kernel profile has what the program needs (%s); name one with "
	                      "--kernel",
	                      list);
}

/* A kernel that was not chosen by needs: say so when it lacks something. */
static void take_named(struct pack *p, const char *profile)
{
	p->profile = profile;
	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++) {
		uint32_t lacks = p->needs & ~variants[i].has;
		_cleanup_free_ char *list = name_needs(lacks);
		_cleanup_free_ char *text = NULL;

		if (strcmp(variants[i].profile, profile) != 0)
			continue;
		p->network = variants[i].has & PACK_NEEDS_NET;
		if (!lacks || !list)
			continue;
		text = str_printf("%s, which the kernel %s does not have; see --kernel auto", list,
		                  profile);
		if (text)
			pack_step(p, "NEEDS", text, 0);
	}
}

int pack_kernel_choose(struct pack *p, struct error *err)
{
	const char *name = p->o->kernel ?: KERNEL_DEFAULT;
	_cleanup_free_ char *list = NULL;

	if (p->o->machine && strcmp(p->o->machine, "q35") == 0)
		p->needs |= PACK_NEEDS_PCI;
	list = name_needs(p->needs);
	if (!list)
		return error_set(err, ENOMEM, "no memory to choose a kernel");
	if (strcmp(name, "auto") == 0)
		return choose(p, list, err);
	if (strchr(name, '/') || (!is_profile(p, name) && fs_exists(name)))
		return 0;
	if (!is_profile(p, name))
		return error_set_kind(err, ERROR_USAGE, ENOENT,
		                      "--kernel %s is neither auto nor a profile (kata-image-tool "
		                      "kernel --list shows them) nor a folder",
		                      name);
	take_named(p, name);
	return 0;
}
