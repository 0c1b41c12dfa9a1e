/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_box: a container of busybox for tests of the engine: box_init(), what the test
 * wants in its members, box_run() or box_create() and box_finish(), box_free(). Whatever goes
 * wrong within fails the test; without root or busybox it is skipped.
 */
#pragma once

#include <stdbool.h>

#include "guest/agent/container/container.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"

/* What a test varies; NULL: the default. Strings are JSON. */
struct box {
	const char *script;     /* sh -c */
	const char *args;       /* instead: the list */
	const char *process;    /* further members, each with a leading comma */
	const char *mounts;     /* further entries, each with a leading comma */
	const char *namespaces; /* the list */
	const char *linux_;     /* further members of linux, each with a leading comma */
	const char *top;        /* further members of the top */
	const char *user;       /* instead of "uid":0,"gid":0 */
	const char *root;       /* further members of root */
	const char *cwd;
	struct container_opts opts;
	bool terminal;
	/* results */
	struct container *c;
	char dir[256]; /* bundle */
	int out;       /* pipe of stdout and stderr */
	int console;
	struct buffer output;
	struct error err;
	int code;
};

void box_init(struct box *b);
/* A file of the rootfs, with contents; name begins with '/'. */
void put(struct box *b, const char *name, const char *text);
/* Creates; returns what container_process_wait_ready() said. */
int box_create(struct box *b);
/* Starts, collects the output, waits for the end. */
int box_finish(struct box *b);
/* The whole way; fails the test unless it exits 0. Returns the output. */
const char *box_run(struct box *b);
void box_free(struct box *b);

/* Until its end. */
void read_all(int fd, struct buffer *out);
/* Waits for the process and tells the engine. */
void reap(struct container_process *p);
bool has(const char *text, const char *part);
