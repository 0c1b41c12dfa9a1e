/* SPDX-License-Identifier: Apache-2.0 */
/* passt: a guest's user network, by the program passt(1), which needs no root. */
#include "passt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/hypervisor/child.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define PROGRAM     "passt"
#define STREAM      3 /* its descriptor there */
#define STREAM_TEXT "3"
#define ERRORS_KEPT 4096u

/* All addresses are given, BOOT_WORDS_NET_USER's; so the interface that it would learn them from
 * may be any, and a host without a default route has a loopback, too. The MAC address is the one
 * that QEMU's user network answers with. */
static char *const arguments[] = {
    PROGRAM,       "--foreground",  "--quiet",   "--ipv4-only", "--fd",
    STREAM_TEXT,   "--interface",   "lo",        "--mac-addr",  "52:55:0a:00:02:02",
    "--address",   "10.0.2.15",     "--netmask", "24",          "--gateway",
    "10.0.2.2",    "--dns-forward", "10.0.2.3",  "--tcp-ports", "none",
    "--udp-ports", "none",          NULL,
};

bool passt_found(void)
{
	return child_find_program(PROGRAM) == 0;
}

int passt_check(struct error *err)
{
	if (passt_found())
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "%s, the guest's network, is not in PATH: install it (Debian: "
	                      "apt-get install passt), or use --net none or --vmm qemu",
	                      PROGRAM);
}

static int start(struct passt *p, int *stream, bool stays, struct error *err)
{
	struct process_opts o = {.path = PROGRAM,
	                         .argv = arguments,
	                         .n_fds = STREAM + 1,
	                         .new_group = true,
	                         .die_with_parent = !stays};
	_cleanup_close_ int errors = -1, theirs = -1;
	const int buffer = 4 << 20; /* bytes; the kernel takes less where it allows less */
	int pair[2], pipe_fds[2], r;

	/* Its end does not block either: it must not wait for who reads its complaints. */
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "making a pipe");
	p->errors = pipe_fds[0];
	errors = pipe_fds[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "making a socket pair");
	*stream = pair[0];
	theirs = pair[1];
	/* It drops what does not fit, and waits before it sends that again: as much as may be. */
	if (setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0)
		return error_errno(err, errno, "the guest's network: its socket");
	/* The other end of what it writes to: there has to be one when nobody listens any more. */
	o.fds[0] = stays ? p->errors : -1;
	o.fds[1] = o.fds[2] = errors;
	o.fds[STREAM] = theirs;
	r = process_spawn(&o, &p->pid, err);
	return r < 0 ? error_prefix(err, r, "starting %s, the guest's network", PROGRAM) : 0;
}

int passt_start(struct passt *p, int *stream, struct error *err)
{
	return start(p, stream, false, err);
}

int passt_leave(struct passt *p, int *stream, struct error *err)
{
	return start(p, stream, true, err);
}

/* What it says of every host: one without a system log, one where root starts it. */
static bool is_chatter(const char *line)
{
	return str_starts(line, "Failed to send") || str_starts(line, "Don't run as root");
}

/* Its lines as one. */
static void join_lines(struct buffer *out, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!is_chatter(line))
			buffer_printf(out, "%s%s", out->size > 0 ? "; " : "", line);
}

char *passt_failure(struct passt *p, int wait_status)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, line = BUFFER_INIT;

	child_read(p->errors, &text, ERRORS_KEPT);
	if (text.size > 0 && buffer_cstr(&text)[0])
		join_lines(&line, (char *)text.data);
	if (line.size > 0)
		return str_printf("the guest's network failed: %s: %s", PROGRAM,
		                  buffer_cstr(&line));
	if (WIFSIGNALED(wait_status))
		return str_printf("the guest's network failed: %s was killed by signal %d (%s)",
		                  PROGRAM, WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
	return str_printf("the guest's network failed: %s ended with status %d", PROGRAM,
	                  WEXITSTATUS(wait_status));
}

void passt_stop(struct passt *p)
{
	child_kill(&p->pid);
	close_fd(&p->errors);
}
