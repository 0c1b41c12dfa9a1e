/* SPDX-License-Identifier: Apache-2.0 */
/* device_mapper: the calls of linux/dm-ioctl.h, in the order that dmsetup(8) makes them. */
#include "guest/agent/storage/device_mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define CONTROL    "/dev/mapper/control"
#define PARAMS_MAX 2048u

struct request {
	struct dm_ioctl head;
	struct dm_target_spec spec;
	char params[PARAMS_MAX];
};

/* One call on the device of this name; 0 or a negative errno. */
static int call(int control, unsigned int number, const char *name, uint32_t flags,
                struct request *rq)
{
	rq->head.version[0] = DM_VERSION_MAJOR;
	rq->head.version[1] = 0; /* whatever minor version the kernel has */
	rq->head.version[2] = 0;
	rq->head.data_size = sizeof(*rq);
	rq->head.data_start = offsetof(struct request, spec);
	rq->head.flags = flags;
	snprintf(rq->head.name, sizeof(rq->head.name), "%s", name);
	return ioctl(control, number, rq) < 0 ? -errno : 0;
}

static int simple_call(int control, unsigned int number, const char *name, uint32_t flags)
{
	struct request rq;

	memset(&rq, 0, sizeof(rq));
	return call(control, number, name, flags, &rq);
}

static int create(int control, const char *name, struct error *err)
{
	int r = simple_call(control, DM_DEV_CREATE, name, 0);

	/* An agent that was killed before this one may have left it. */
	if (r == -EBUSY && simple_call(control, DM_DEV_REMOVE, name, 0) == 0)
		r = simple_call(control, DM_DEV_CREATE, name, 0);
	return r < 0 ? error_errno(err, -r, "making the device \"%s\"", name) : 0;
}

static int load(int control, const struct dm_target *t, struct error *err)
{
	struct request rq;
	size_t n = strlen(t->params);
	int r;

	memset(&rq, 0, sizeof(rq));
	if (n >= sizeof(rq.params) || strlen(t->type) >= sizeof(rq.spec.target_type))
		return error_set(err, E2BIG, "the table of \"%s\" is too long", t->name);
	rq.head.target_count = 1;
	rq.spec.length = t->sectors;
	rq.spec.next = sizeof(rq.spec) + sizeof(rq.params);
	strcpy(rq.spec.target_type, t->type);
	memcpy(rq.params, t->params, n);
	r = call(control, DM_TABLE_LOAD, t->name, DM_READONLY_FLAG, &rq);
	return r < 0 ? error_errno(err, -r, "the kernel does not take the table \"%s %s\"", t->type,
	                           t->params)
	             : 0;
}

/* Resumes it, which makes the table the live one, and opens it. */
static int activate(int control, const char *name, char node[DM_NODE_MAX], struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct request rq;
	struct stat st;
	int r;

	memset(&rq, 0, sizeof(rq));
	r = call(control, DM_DEV_SUSPEND, name, 0, &rq);
	if (r < 0)
		return error_errno(err, -r, "starting the device \"%s\"", name);
	/* The minor number's upper bits are behind the major's (huge_encode_dev()). */
	snprintf(node, DM_NODE_MAX, "/dev/dm-%llu",
	         (unsigned long long)((rq.head.dev & 0xff) | (rq.head.dev >> 12 & 0xfff00)));
	fd = open(node, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", node);
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ENODEV, "%s is no device", node);
	r = simple_call(control, DM_DEV_REMOVE, name, DM_DEFERRED_REMOVE);
	if (r < 0)
		return error_errno(err, -r, "marking %s for removal", node);
	return steal_fd(&fd);
}

int device_mapper_open(const struct dm_target *t, char node[DM_NODE_MAX], struct error *err)
{
	_cleanup_close_ int control = open(CONTROL, O_RDWR | O_CLOEXEC);
	int r;

	if (control < 0)
		return error_set(err, errno == ENOENT ? ENODEV : errno,
		                 "no device-mapper: " CONTROL ": %s", strerror(errno));
	if (!*t->name || strlen(t->name) >= DM_NAME_LEN || strchr(t->name, '/'))
		return error_set(err, EINVAL, "\"%s\" is no name of a device", t->name);
	r = create(control, t->name, err);
	if (r < 0)
		return r;
	r = load(control, t, err);
	if (r == 0)
		r = activate(control, t->name, node, err);
	if (r < 0)
		simple_call(control, DM_DEV_REMOVE, t->name, 0);
	return r;
}
