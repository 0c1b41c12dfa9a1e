/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause: the first process of the container that holds a pod's sandbox.
 *
 * It keeps the pod's namespaces alive, takes over processes whose parents are gone (where the pid
 * namespace is shared), and ends with status 0 at SIGTERM or SIGINT.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t wanted;
	int signo;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	do {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		signo = sigwaitinfo(&wanted, NULL);
	} while (signo != SIGTERM && signo != SIGINT);
	return 0;
}
