/* SPDX-License-Identifier: Apache-2.0 */
/* finish: container_destroy() until it is done. */
#include "guest/oci/finish.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/loop.h"

static int destroy(struct container *c, struct error *err)
{
	uint64_t deadline = loop_now_ms() + FINISH_TIMEOUT_MS;
	int wait_ms = 1, r;

	while ((r = container_destroy(c, err)) == 1) {
		struct pollfd p = {.fd = container_cgroup_events_fd(c), .events = POLLPRI};

		if (loop_now_ms() > deadline)
			return error_set(err, EBUSY, "container %s: its processes do not end",
			                 container_id(c));
		/* The event says that nobody is left; a little later the group can go. */
		poll(&p, 1, wait_ms);
		if (wait_ms < 64)
			wait_ms *= 2;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return r;
}

int finish_container(struct container *c, struct error *err)
{
	pid_t runner = 0;
	int r = destroy(c, err);

	if (r < 0)
		return r;
	r = container_run_hooks(c, OCI_HOOK_POSTSTOP, &runner, err);
	if (r == 0 && runner > 0)
		while (waitpid(runner, NULL, 0) < 0 && errno == EINTR)
			;
	return r;
}
