/* SPDX-License-Identifier: Apache-2.0 */
/* signal_name: the table of signal(7), x86 and most others. */
#include "guest/oci/signal_name.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"

static const struct {
	const char *name;
	int number;
} signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT},   {"IOT", SIGABRT},  {"BUS", SIGBUS},
    {"FPE", SIGFPE},       {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD},   {"CLD", SIGCHLD},  {"CONT", SIGCONT},
    {"STOP", SIGSTOP},     {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"URG", SIGURG},       {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},     {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"POLL", SIGIO},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},
};

/* The kernel's and the C libraries' first real-time signal for programs. */
#define RT_MIN 34
#define RT_MAX 64

static int real_time(const char *name)
{
	bool from_max = strncasecmp(name, "RTMAX", 5) == 0;
	uint32_t offset = 0;

	if (!from_max && strncasecmp(name, "RTMIN", 5) != 0)
		return -1;
	name += 5;
	if (*name && *name != (from_max ? '-' : '+'))
		return -1;
	if (*name && parse_u32(name + 1, &offset) < 0)
		return -1;
	if (offset > RT_MAX - RT_MIN)
		return -1;
	return from_max ? RT_MAX - (int)offset : RT_MIN + (int)offset;
}

int signal_by_name(const char *name)
{
	uint32_t number;

	if (parse_u32(name, &number) == 0)
		return number <= RT_MAX ? (int)number : -1;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcasecmp(signals[i].name, name) == 0)
			return signals[i].number;
	return real_time(name);
}
