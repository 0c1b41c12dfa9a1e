/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: what the pieces of `pack` share. The way of a SOURCE into an image:
 *
 *	pack_source  what it is; its files into the tree
 *	pack_image     ... when it is an OCI image: its layers, and what its config runs
 *	pack_program is the program there, and all that it needs? what does it ask of a kernel?
 *	pack_kernel  the kernel to take
 *	pack_root    init, its configuration and mount points into the tree
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image-tool/progress.h"
#include "image-tool/rootview.h"
#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"
#include "lib/image/remote.h"

#define PACK_FORMATS "initrd|erofs"
/* What is ours in the guest's root; no image has a folder of that name. */
#define PACK_DIR  "/.kihon"
#define PACK_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct pack_options {
	const char *format, *kernel, *machine, *user, *workdir, *platform, *output;
	struct strv cmd, env;
	struct remote_options remote;
	bool offline, json, quiet;
};

/* What a program may ask of a kernel; bits of `needs`. */
enum pack_need {
	PACK_NEEDS_NET = 1u << 0,
	PACK_NEEDS_DISK = 1u << 1,   /* ext4 */
	PACK_NEEDS_SERVER = 1u << 2, /* System V IPC, message queues, io_uring, inotify, ... */
	PACK_NEEDS_PCI = 1u << 3,    /* the machine is q35 */
};

/* What is to be run, as the command line and the image say it. */
struct pack_run {
	struct strv argv, env; /* owned */
	char *cwd, *user;      /* owned; NULL: not said */
	char *alone;           /* the only program that there is ("/bin/hello"), or NULL; owned */
};

/* A layer of an image, mapped: nodes of the tree point into it. */
struct pack_map {
	void *data;
	size_t size;
};

struct pack {
	const struct pack_options *o;
	const char *source;
	struct strv words; /* the command, when it was given as words after SOURCE */
	struct locations where;
	struct stage stage;
	struct progress progress;
	struct erofs_tree *tree;
	struct pack_run run;
	struct pack_map *maps;
	size_t n_maps;
	struct rootview *view; /* of the tree as the source gave it */
	char *program;         /* its path in the guest, as it will be executed; owned */
	uint32_t needs;
	const char *profile; /* of the kernel; NULL: --kernel names a folder */
	bool chosen;         /* by --kernel auto */
	bool network;        /* the profile has one */
	const char *why;     /* in the arena of img; NULL: it was not chosen by its needs */
	int64_t mtime;
	struct guestimg *img;
};

/* A step begins: a line on stderr unless --quiet, with a bar when `expected` bytes will go to the
 * stage. */
void pack_step(struct pack *p, const char *what, const char *detail, uint64_t expected);

/* Fills tree and run. */
int pack_source(struct pack *p, struct error *err);
/* Puts a program of the host into the tree as the only one, /bin/NAME. */
int pack_add_program(struct pack *p, const char *name, const char *path, struct error *err);
/* Compiles a WebAssembly module and puts its path on the host into *path (owned by the caller). */
int pack_wasm(struct pack *p, const char *name, const uint8_t *data, size_t size, char **path,
              struct error *err);
/* SOURCE is an OCI image or artifact. */
int pack_image(struct pack *p, struct error *err);

/* What lies under a mount point of kihon-init is hidden when it is to be started. `name` is what to
 * call it. */
int pack_check_place(struct pack *p, const char *path, const char *name, struct error *err);
/* Makes view and program, and adds to needs. */
int pack_program(struct pack *p, struct error *err);
/* Checks that an interpreter and every library of a program are there. `name` is for messages. */
int pack_libraries(struct pack *p, const struct rootview_file *program, struct error *err);
/* What a program or library asks of a kernel. */
struct elf;
uint32_t pack_needs(const struct elf *e);

/* Chooses the kernel: profile, chosen and why. */
int pack_kernel_choose(struct pack *p, struct error *err);
/* UID:GID of the user that is to run the program; *said is false when nobody is named. */
int pack_user(struct pack *p, uint32_t *uid, uint32_t *gid, bool *said, struct error *err);
/* Adds what is ours to the tree. The packages of img are known by now. */
int pack_root(struct pack *p, struct error *err);
