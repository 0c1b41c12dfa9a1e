/* SPDX-License-Identifier: Apache-2.0 */
/* needs: the table of what a format asks of a kernel. */
#include "image-tool/needs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/guestimg/kconfig.h"

/* format, file system: NULL means any. */
static const struct need {
	const char *format, *fs;
	bool verity;
	const char *symbol, *what;
} needs[] = {
    {NULL, "erofs", false, "CONFIG_EROFS_FS", "mount erofs"},
    {NULL, "ext4", false, "CONFIG_EXT4_FS", "mount ext4"},
    {"kata", NULL, false, "CONFIG_MSDOS_PARTITION", "read a disk's partitions"},
    {NULL, "initrd", false, "CONFIG_BLK_DEV_INITRD", "start from an initrd"},
    {NULL, NULL, true, "CONFIG_DM_VERITY", "mount a root with a hash tree"},
    {NULL, NULL, true, "CONFIG_DM_INIT", "set up a hash tree by itself"},
};

static int check_symbol(const struct kconfig *config, const char *symbol, const char *what,
                        struct error *err)
{
	if (strcmp(kconfig_value(config, symbol), "y") == 0)
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the kernel cannot %s: %s is not set in its configuration; choose "
	                      "another format or kernel profile, or add it with --kernel-config",
	                      what, symbol);
}

int needs_check(const struct guestimg *img, const struct root_plan *plan, struct stage *stage,
                struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" KCONFIG_FILE, stage->path);
	_cleanup_kconfig_ struct kconfig *config = NULL;
	int r;

	if (!img->kernel.config)
		return 0;
	r = path ? kconfig_load(AT_FDCWD, path, &config, err)
	         : error_set(err, ENOMEM, "no memory to look at the kernel");
	for (size_t i = 0; r == 0 && i < sizeof(needs) / sizeof(*needs); i++) {
		const struct need *n = &needs[i];

		if ((n->format && strcmp(n->format, img->rootfs.format) != 0) ||
		    (n->fs && strcmp(n->fs, plan->fs_type) != 0) ||
		    (n->verity && !img->verity.root_hash))
			continue;
		r = check_symbol(config, n->symbol, n->what, err);
	}
	if (r == 0 && plan->compression.kernel_symbol)
		r = check_symbol(config, plan->compression.kernel_symbol,
		                 "unpack what --compress packs", err);
	return r;
}
