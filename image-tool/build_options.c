/* SPDX-License-Identifier: Apache-2.0 */
/* build_options: the options of `build`, which are its help, manual and completion, too. */
#include <stddef.h>

#include "image-tool/build.h"
#include "image-tool/root.h"
#include "image-tool/tool.h"

static int run(int argc, char **argv, void *data)
{
	return build_run(data);
}

static void release(void *data)
{
	struct build_options *o = data;

	strv_free(&o->kernel_configs);
	strv_free(&o->extras);
}

#define AT(member) offsetof(struct build_options, member)

static const struct option options[] = {
    {"profile", 'p', OPTION_STRING, AT(profile), "NAME", NULL,
     "What the guest is for: kernel configuration and file list (container)."},
    {"format", 0, OPTION_ENUM, AT(format), "FORMAT", ROOT_FORMATS,
     "Root file system: rootfs.erofs, made for DAX; rootfs.cpio.gz; rootfs.ext4; or\n"
     "kata-containers.img, the disk that Kata's image= takes (erofs)."},
    {"compress", 0, OPTION_STRING, AT(compress), "METHOD[,LEVEL]", NULL,
     "Pack the root: none, lz4 or lz4hc for erofs (none); gzip, zstd, lz4 or none for initrd\n"
     "(gzip). LEVEL goes up to 9 (gzip), 19 (zstd) or 12 (lz4, lz4hc)."},
    {"hot", 0, OPTION_STRING, AT(hot), "LIST|auto", NULL,
     "With --compress lz4 or lz4hc: leave the files that LIST names (a pattern or folder a\n"
     "line) as they are, for DAX to map. auto learns them: the root is booted once with QEMU\n"
     "and the files are taken that start-up reads. image.json keeps the list."},
    {"root-fs", 0, OPTION_ENUM, AT(root_fs), "TYPE", ROOT_FS_TYPES,
     "File system in the disk of --format kata (erofs)."},
    {"verity", 0, OPTION_FLAG, AT(verity), NULL, NULL,
     "Add a dm-verity hash tree; image.json has the root hash and the kernel's words."},
    {"size", 0, OPTION_SIZE, AT(size), "SIZE", NULL,
     "Size of an ext4 image or a Kata disk, rounded up to 2 MiB; when it is not given, the\n"
     "least that will do, of a Kata disk in steps of 128 MiB."},
    {"agent", 0, OPTION_STRING, AT(agent), "BIN", NULL,
     "Take this program for the agent instead of our own."},
    {"kernel", 0, OPTION_STRING, AT(kernel), "DIR", NULL,
     "Take vmlinux (and bzImage) from DIR instead of building them; excludes the next two."},
    {"kernel-source", 0, OPTION_STRING, AT(kernel_source), "DIR", NULL,
     "Build the kernel from this tree instead of Debian's package."},
    {"kernel-config", 0, OPTION_LIST, AT(kernel_configs), "FILE", NULL,
     "One more configuration fragment, after the profile's. Repeatable."},
    {"extra", 0, OPTION_LIST, AT(extras), "TREE|TAR", NULL,
     "Lay a folder over the root, all owned by root; or an archive (tar, also in gzip or\n"
     "zstd), with the owners, modes and devices that it names."},
    {"sign", 0, OPTION_STRING, AT(sign), "KEY", NULL,
     "Sign image.json with this private key (PEM; Ed25519, EC P-256 or P-384) into\n"
     "image.json.sig, for `verify --key`."},
    {"offline", 0, OPTION_FLAG, AT(offline), NULL, NULL,
     "Download nothing: what is in the cache must do. Says all that is missing."},
    {"write-lock", 0, OPTION_STRING, AT(write_lock), "FILE", NULL,
     "Write image.lock, which pins every input by hash, to FILE as well."},
    {"locked", 0, OPTION_STRING, AT(locked), "FILE", NULL,
     "Build only from the inputs that FILE, an image.lock, pins; else name the one that\n"
     "differs and write nothing (exit status 5), before a kernel is built if it is a source."},
    {"from", 0, OPTION_STRING, AT(from), "IMAGE", NULL,
     "Build a former image (its folder, or its image.json) anew: the same profile, format,\n"
     "options, hot files and time, and the same bytes, or the first difference and what\n"
     "caused it (exit status 5). Give --extra, --agent and --kernel as they were."},
    {"update", 0, OPTION_FLAG, AT(update), NULL, NULL,
     "List what changed since the image that is in DIR (or since --from or --locked, which\n"
     "then refuse nothing), also with --quiet."},
    {"json", 0, OPTION_FLAG, AT(json), NULL, NULL, "Print what was built as JSON."},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), NULL, NULL, "Print errors only."},
    {"output", 'o', OPTION_STRING, AT(output), "DIR", NULL, "Where the image goes. Needed."},
    {NULL},
};

const struct verb verb_build = {
    .name = "build",
    .args = "-o DIR",
    .summary = "Builds a guest image.",
    .details =
        "Writes vmlinux, bzImage, kernel.config, the root file system, image.lock and, last,\n"
        "image.json to DIR. All is made aside and moved there at the end: an interrupted build\n"
        "leaves DIR as it was. The kernel comes from the cache when it was built before, else it\n"
        "takes some minutes.\n"
        "\n"
        "The root file system is uncompressed EROFS: each file's data is page-aligned, files\n"
        "of 2 MiB and more begin on 2 MiB boundaries, and the image is padded to 2 MiB, so that\n"
        "a guest maps it straight from persistent memory (DAX). With --compress it is smaller,\n"
        "and its files are decompressed into the guest's memory when they are read; --hot leaves\n"
        "those of start-up as they are.\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool build -o image\n"
        "  kata-image-tool build --profile debug --extra ./tools -o image-debug\n"
        "  kata-image-tool build --format kata --verity --size 64M -o kata\n"
        "  kata-image-tool build --format initrd --compress zstd -o small\n"
        "  kata-image-tool build --locked image.lock --offline -o image\n"
        "  kata-image-tool build --from image/image.json -o again",
    .options = options,
    .run = run,
    .release = release,
    .data_size = sizeof(struct build_options),
};
