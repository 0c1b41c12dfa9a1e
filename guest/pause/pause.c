/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause: the first process of the container that holds a pod's sandbox.
 *
 * It keeps the pod's namespaces alive, takes over processes whose parents are gone (where the pid
 * namespace is shared), and ends with status 0 at SIGTERM or SIGINT. With handlers, not with
 * sigwait(3): while that waits, nobody can see that the signal is wanted, and who stops containers
 * looks (a first process without a handler would never get it).
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signo)
{
	_exit(0);
}

static void reap(int signo)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	struct sigaction ending = {.sa_handler = end}, reaping = {.sa_handler = reap};

	sigaction(SIGTERM, &ending, NULL);
	sigaction(SIGINT, &ending, NULL);
	sigaction(SIGCHLD, &reaping, NULL);
	for (;;)
		pause();
}
