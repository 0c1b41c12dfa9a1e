/* SPDX-License-Identifier: Apache-2.0 */
/* killed: looks for the message of the kernel's that names the process. */
#include "killed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* Of the log's messages; a line is at most 8 KiB (kernel/printk/internal.h). */
#define MESSAGES_MAX 100000
#define MESSAGE_SIZE 8192

bool killed_out_of_memory(const char *kmsg, pid_t pid)
{
	_cleanup_close_ int fd = open(kmsg, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char text[MESSAGE_SIZE + 1], words[64];

	/* "Out of memory: Killed process 42 (name) ..."; of a control group's it begins otherwise.
	 */
	snprintf(words, sizeof(words), "ut of memory: Killed process %d (", pid);
	for (unsigned int i = 0; i < MESSAGES_MAX && fd >= 0; i++) {
		ssize_t n = read(fd, text, MESSAGE_SIZE);

		if (n < 0 && (errno == EPIPE || errno == EINTR)) /* EPIPE: some were overwritten */
			continue;
		if (n <= 0)
			return false;
		text[n] = '\0';
		if (strstr(text, words))
			return true;
	}
	return false;
}
