/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image-tool: builds guest images and looks at them. */
#include <signal.h>
#include <stdio.h>

#include "image-tool/tool.h"

static volatile sig_atomic_t caught;
static atomic_bool stop;

static void on_signal(int signo)
{
	caught = signo;
	atomic_store(&stop, true);
}

const atomic_bool *tool_stop(void)
{
	return &stop;
}

bool tool_interrupted(void)
{
	return caught != 0;
}

void tool_catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	/* A full disk or a limit is an error of write(2), not a death. */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
}

int tool_fail(const struct error *err)
{
	if (caught) {
		fprintf(stderr, TOOL_NAME ": interrupted; nothing was written\n");
		return 128 + caught;
	}
	return program_fail(TOOL_NAME, err);
}

int main(int argc, char **argv)
{
	const struct verb verbs[] = {verb_build,   verb_kernel,  verb_pack,   verb_convert,
	                             verb_inspect, verb_diff,    verb_verify, verb_measure,
	                             verb_sbom,    verb_publish, verb_fetch,  {NULL}};
	const struct program program = {
	    .name = TOOL_NAME,
	    .summary = "builds guest images of secure containers and looks at them",
	    .details =
	        "A guest image is a folder: a kernel (vmlinux with a PVH entry, bzImage), a root\n"
	        "file system (rootfs.erofs, or rootfs.cpio.gz) and image.json, which says what "
	        "they\n"
	        "are and what they were made of. The same inputs give the same bytes, on every\n"
	        "machine. Neither root nor loop devices nor a container engine are needed.\n"
	        "\n"
	        "Exit status: 0 done; 1 failed, or diff found what its rules forbid; 2 wrong "
	        "usage;\n"
	        "3 an input is wrong; 4 something is missing (a tool, a file, room, a "
	        "permission);\n"
	        "5 a digest or a signature does not hold.\n"
	        "\n"
	        "Environment: SOURCE_DATE_EPOCH is the time that files and image.json carry (0);\n"
	        "KIHON_DATA the folder with kernel-config/ and rootfs/; XDG_CACHE_HOME (~/.cache)\n"
	        "where kernels and libraries are kept.",
	    .verbs = verbs,
	};

	return program_main(&program, argc, argv);
}
