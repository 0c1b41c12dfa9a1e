/* SPDX-License-Identifier: Apache-2.0 */
/* volume: gives a guest that runs a disk or a folder, or takes it away. */
#include "host-shim/cli/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/cli/plug.h"
#include "host-shim/hypervisor/shares.h"
#include "lib/base/cleanup.h"

struct volume_data {
	const char *id;
	bool readonly, pmem, force;
};

/* ---- attach */

/* Whoever has it attached holds the lock, for as long as the guest's monitor has the descriptor. */
static int open_file(const char *path, bool readonly, struct error *err)
{
	_cleanup_close_ int fd =
	    open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is neither a file nor a block device", path);
	if (flock(fd, (readonly ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "%s is locked: another guest has it%s", path,
		                      readonly ? " to write to" : "");
	return steal_fd(&fd);
}

static int open_what(const struct volume_data *d, const char *dir, const char *path,
                     struct control_request *req, int *fd, struct error *err)
{
	struct stat st;
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	req->kind = folder ? CONTROL_FS : d->pmem ? CONTROL_PMEM : CONTROL_DISK;
	req->flags = d->readonly || d->pmem ? CONTROL_READONLY : 0;
	if (folder && req->flags)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%s is a folder, which is neither --read-only nor --pmem",
		                      path);
	if (folder)
		return share_leave(dir, path, fd, err);
	*fd = open_file(path, req->flags & CONTROL_READONLY, err);
	return *fd < 0 ? *fd : 0;
}

static int attach(const void *data, const char *dir, const char *path, struct error *err)
{
	const struct volume_data *d = data;
	struct control_request req;
	_cleanup_close_ int fd = -1;
	int r = plug_request(&req, d->id, path, err);

	if (r == 0)
		r = open_what(d, dir, path, &req, &fd, err);
	return r < 0 ? r : plug_attach(dir, &req, fd, NULL, NULL, err);
}

/* ---- the verb */

static int run(int argc, char **argv, void *data)
{
	static const struct plug_class class = {
	    .verb = "volume",
	    .attach = attach,
	    .attach_usage = "attach NAME FILE",
	    .attach_what = true,
	};

	return plug_run(argc, argv, &class, ((const struct volume_data *)data)->force, data);
}

#define AT(m) offsetof(struct volume_data, m)

static const struct option options[] = {
    {"id", 0, OPTION_STRING, AT(id), "ID", NULL,
     "what to call the volume, and the disk's serial number in the guest: up to 20\n"
     "letters, digits, '-', '_' and '.' (default: from the file's name)"},
    {"read-only", 'r', OPTION_FLAG, AT(readonly), NULL, NULL, "the guest may only read it"},
    {"pmem", 0, OPTION_FLAG, AT(pmem), NULL, NULL,
     "as persistent memory, read-only, mapped without a copy (DAX)"},
    {"force", 'f', OPTION_FLAG, AT(force), NULL, NULL,
     "detach what the guest uses: whoever waits for it there waits for ever"},
    {0},
};

const struct verb volume_verb = {
    .name = "volume",
    .args = "attach NAME FILE | detach NAME ID | ls NAME",
    .summary = "give a guest that runs a disk or a folder, or take it away",
    .details =
        "NAME is the id of a guest of the built-in monitor: the name of its folder below\n"
        "$XDG_RUNTIME_DIR/kihon or /run/kihon. A volume takes one of the guest's empty slots\n"
        "(--slots of 'kihon boot' and 'kihon run'). FILE is an image or a block device, which\n"
        "is locked while it is attached (flock(2)); or a folder, served by virtiofsd(1), for a\n"
        "guest that was started with --shared-memory: it is mounted there by its id, as\n"
        "'mount -t virtiofs ID /mnt', and goes although it is mounted.\n"
        "\n"
        "attach prints the volume's id and the names that the guest's kernel gave the disk and\n"
        "its partitions. Nothing is mounted: the disk is there, as /dev/vdb, for whoever asks\n"
        "the agent to use it. Where no agent answers, the guest is not told; see docs/vmm.md.\n"
        "detach has the agent let go first, which refuses while the disk is mounted.\n"
        "\n"
        "Exit status: 0; 125 when it could not be done; 2 for a wrong command line.\n",
    .options = options,
    .min_args = 2,
    .max_args = 3,
    .run = run,
    .data_size = sizeof(struct volume_data),
};
