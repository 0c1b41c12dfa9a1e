/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-driver: waits for devices as the agent does and prints the name of each, one a line.
 *
 *	device-driver WAIT_MS block|net PCI_PATH [block|net PCI_PATH]...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/device/device_find.h"

struct wait {
	struct loop *loop;
	const char *path;
	int *left;
};

static void done(int result, const char *name, void *data)
{
	struct wait *w = data;

	printf("device %s %s\n", w->path, result == 0 ? name : strerror(-result));
	fflush(stdout);
	if (--*w->left == 0)
		loop_exit(w->loop, 0);
}

static int start_wait(struct uevents *u, struct wait *w, const char *kind, uint64_t ms,
                      struct error *err)
{
	struct device_key key = {.name = ""};
	int r = pci_path_parse(&key.pci, w->path, err);

	if (r < 0)
		return r;
	return uevents_wait(u, strcmp(kind, "net") == 0 ? &device_pci_net : &device_pci_block, &key,
	                    sizeof(key), ms, done, w, NULL, err);
}

int main(int argc, char **argv)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct uevents *u = NULL;
	struct error err = ERROR_INIT;
	struct wait waits[16];
	int left = 0, r = loop_new(&loop, &err);

	if (r == 0)
		r = uevents_new(&u, loop, "/sys", &err);
	for (int i = 2; r == 0 && i + 1 < argc && left < 16; i += 2) {
		waits[left] = (struct wait){.loop = loop, .path = argv[i + 1], .left = &left};
		r = start_wait(u, &waits[left], argv[i], strtoul(argv[1], NULL, 10), &err);
		left++;
	}
	printf("waiting\n");
	fflush(stdout);
	if (r == 0 && left)
		r = loop_run(loop, &err);
	if (r < 0)
		printf("%s\n", err.text);
	uevents_free(u);
	return r != 0;
}
