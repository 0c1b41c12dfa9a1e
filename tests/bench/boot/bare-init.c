/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare-init: the least a PID 1 can do, to count a boot against: one mark on the console (the same
 * line that guest/init/marks.h promises), then power off. No library beyond the C start code is
 * entered.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	uint64_t ticks = __builtin_ia32_rdtsc();
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	struct timespec now = {0};
	char line[96];
	int length;

	clock_gettime(CLOCK_MONOTONIC, &now);
	length = snprintf(line, sizeof(line), "kihon-mark init %" PRIu64 " %" PRIu64 "\n", ticks,
	                  (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	if (length > 0 && write(console, line, (size_t)length) == length)
		tcdrain(console);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
