/* SPDX-License-Identifier: Apache-2.0 */
/* reboot: a bounded farewell in a child, then the one system call that fits the machine. */
#include "reboot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/process.h"

/* sync(2) can hang on dead storage, and tcdrain(3) on a console nobody reads: not in pid 1. */
static void flush_everything(void)
{
	_cleanup_close_ int pidfd = -1;
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		/* Without it the last lines stay in the UART's queue. */
		(void)tcdrain(1);
		(void)tcdrain(2);
		_exit(0);
	}
	if (pid < 0)
		return;
	pidfd = process_pidfd_open(pid);
	if (pidfd >= 0) {
		struct pollfd p = {.fd = pidfd, .events = POLLIN};

		(void)poll(&p, 1, POWER_OFF_SYNC_MS);
	}
}

void guest_power_off(void)
{
	if (getpid() != 1)
		return;
	(void)kill(-1, SIGKILL);
	flush_everything();
	/* This folder exists only where the ACPI interpreter runs. */
	if (access("/sys/firmware/acpi/tables", F_OK) == 0)
		(void)reboot(RB_POWER_OFF);
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
