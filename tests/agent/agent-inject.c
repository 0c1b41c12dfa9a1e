/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-inject: makes the n-th allocation, descriptor, fork or file of an agent fail, for each n.
 *
 *	agent-inject WAY AGENT FOLDER MODE FIRST STEP [LAST]
 *
 * FOLDER has agent.toml and the calls: setup/, run/ and undo/ hold encoded requests in files called
 * NN-METHOD or NN-METHOD@TIMEOUT_MS, made in the order of their names. A point is one n: the calls
 * of run/ with the failure armed, those of undo/ without it; then the agent must be as before
 * (descriptors, children, heap blocks, mounts, control groups, files) and answer. WAY says when an
 * agent is started: "same" (one for all points), "fresh" (one for each, which the last call of
 *undo/ ends) or "start" (as fresh, and its start can fail, too). Points begin at FIRST, are STEP
 *apart and end where the calls do not come so far, or at LAST.
 *
 * Prints a line of counts; what is wrong goes to stderr, and the exit status is 1 then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/rpc/ttrpc.h"
#include "tests/agent/inject.h"
#include "tests/agent/wire.h"

#define MAX_CALLS 48
#define CALL_MS   60000u
/* Where the failures go on: what waits for their end is given up by then. */
#define CALL_ON_MS 1500u
#define SETTLE_MS  30000u
#define LOOK_US    3000
/* A whole run without failures after so many points. */
#define CHECK_EACH 40
#define GIVE_UP    20 /* bad points */
/* Blocks that an idle agent gives back and takes again: what leaks does so at more points. */
#define KEPT_READY 4

struct mode {
	const char *name;
	uint32_t classes, children, on;
};

static const struct mode modes[] = {
    {"memory", INJECT_MEMORY, 0, 0},
    {"memory-on", INJECT_MEMORY, 0, 1},
    {"files", INJECT_FILES, 0, 0},
    {"files-on", INJECT_FILES, 0, 1},
    {"fork", INJECT_FORK, 0, 0},
    {"fork-on", INJECT_FORK, 0, 1},
    {"disk", INJECT_DISK, 0, 0},
    {"disk-on", INJECT_DISK, 0, 1},
    {"helper-memory", INJECT_MEMORY, 1, 0},
    {"helper-files", INJECT_FILES, 1, 0},
    {"helper-disk", INJECT_DISK, 1, 0},
    {"helper-kill", INJECT_KILL, 1, 0},
    {"helper-fork", INJECT_FORK, 1, 0},
};

enum way { WAY_SAME, WAY_FRESH, WAY_START };

struct request {
	char method[64];
	uint64_t ms;
	struct buffer payload;
};

struct calls {
	struct request v[MAX_CALLS];
	size_t n;
};

struct state {
	long fds, children, mounts, groups, files, live;
};

static struct driver {
	enum way way;
	const char *agent, *folder;
	const struct mode *mode;
	struct inject_page *page;
	struct calls setup, run, undo;
	pid_t pid;
	struct wire wire;
	struct state before;
	unsigned int points, refused, unharmed, bad;
	uint64_t at;
} d;

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "agent-inject: %s %llu: ", d.mode->name, (unsigned long long)d.at);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- the calls */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_call(const struct dirent *e)
{
	return e->d_name[0] >= '0' && e->d_name[0] <= '9';
}

static int load_call(struct request *c, const char *folder, const char *name)
{
	const char *at = strchr(name, '@');
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(c->method, sizeof(c->method), "%.*s",
	         (int)(at ? at - name - 3 : (ptrdiff_t)strlen(name) - 3), name + 3);
	c->ms = CALL_MS;
	if (at && parse_u64(at + 1, &c->ms) < 0)
		return -EINVAL;
	return fs_read_file(AT_FDCWD, path, TTRPC_MAX_PAYLOAD, &c->payload, NULL);
}

static int load_calls(struct calls *calls, const char *what)
{
	struct dirent **names = NULL;
	char folder[256];
	int n, r = 0;

	snprintf(folder, sizeof(folder), "%s/%s", d.folder, what);
	n = scandir(folder, &names, is_call, by_name);
	for (int i = 0; i < n; i++) {
		if (r == 0 && calls->n < MAX_CALLS)
			r = load_call(&calls->v[calls->n++], folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return r;
}

static bool is_ours(const char *method)
{
	return strcmp(method, "Check") != 0;
}

/* The answer's status, or a negative errno value. */
static int make_call(const struct request *c, char text[512])
{
	struct wire_answer a = WIRE_ANSWER_INIT;
	const char *service = is_ours(c->method) ? "grpc.AgentService" : "grpc.Health";
	bool on = atomic_load(&d.page->classes) && d.mode->on;
	int r = wire_call(&d.wire, service, c->method, on ? CALL_ON_MS : c->ms, c->payload.data,
	                  c->payload.size, &a);

	snprintf(text, 512, "%s", a.text);
	if (r == 0)
		r = a.code;
	wire_answer_free(&a);
	return r;
}

/* ---- what there is */

static long entries(const char *path)
{
	DIR *dir = opendir(path);
	long n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* How often one of `ends` is in a file: its lines, its words. */
static long count(const char *path, const char *ends)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	long n = 0;

	fs_read_file(AT_FDCWD, path, 1 << 20, &b, NULL);
	for (size_t i = 0; i < b.size; i++)
		n += b.data[i] && strchr(ends, b.data[i]);
	return n;
}

static long tree_entries;

static int count_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	tree_entries++;
	return 0;
}

static long tree(const char *path)
{
	tree_entries = 0;
	if (path)
		nftw(path, count_entry, 16, FTW_PHYS | FTW_MOUNT);
	return tree_entries;
}

static struct state look(void)
{
	struct state s = {.mounts = count("/proc/self/mounts", "\n"),
	                  .groups = tree(getenv("INJECT_CGROUP")),
	                  .files = tree("/run/kata-containers")};
	char path[64];

	if (d.way != WAY_SAME)
		return s;
	snprintf(path, sizeof(path), "/proc/%d/fd", d.pid);
	s.fds = entries(path);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d.pid, d.pid);
	s.children = count(path, " \n");
	s.live = (long)atomic_load(&d.page->live);
	return s;
}

static bool same(const struct state *a, const struct state *b)
{
	return a->fds == b->fds && a->children == b->children && a->mounts == b->mounts &&
	       a->groups == b->groups && a->files == b->files && a->live <= b->live + KEPT_READY;
}

/* Waits for what is still being undone behind the answers. */
static bool settled(void)
{
	uint64_t end = loop_now_ms() + SETTLE_MS;
	struct state now = look();

	while (!same(&now, &d.before)) {
		if (loop_now_ms() > end) {
			complain("left behind: descriptors %+ld, children %+ld, mounts %+ld, "
			         "control groups %+ld, files %+ld, heap blocks %+ld",
			         now.fds - d.before.fds, now.children - d.before.children,
			         now.mounts - d.before.mounts, now.groups - d.before.groups,
			         now.files - d.before.files, now.live - d.before.live);
			return false;
		}
		usleep(LOOK_US);
		now = look();
	}
	return true;
}

/* ---- the agent */

static void arm(uint64_t at)
{
	atomic_store(&d.page->at, at);
	atomic_store(&d.page->counter, 0);
	atomic_store(&d.page->fired, 0);
	atomic_store(&d.page->children, d.mode->children);
	atomic_store(&d.page->on, d.mode->on);
	atomic_store(&d.page->classes, d.mode->classes);
}

static void disarm(void)
{
	atomic_store(&d.page->classes, 0);
}

static int start_agent(void)
{
	char config[256];

	snprintf(config, sizeof(config), "%s/agent.toml", d.folder);
	unlink("/run/agent.sock");
	d.pid = fork();
	if (d.pid == 0) {
		execl(d.agent, d.agent, "--config", config, (char *)NULL);
		_exit(127);
	}
	for (uint64_t end = loop_now_ms() + 30000; loop_now_ms() < end; usleep(LOOK_US)) {
		int status;

		if (waitpid(d.pid, &status, WNOHANG) == d.pid) {
			d.pid = 0;
			return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? -ECANCELED : -EPIPE;
		}
		if (wire_open(&d.wire, "unix:///run/agent.sock", NULL) == 0)
			return 0;
	}
	return -ETIMEDOUT;
}

static void end_agent(void)
{
	wire_close(&d.wire);
	if (d.pid > 0) {
		kill(d.pid, SIGKILL);
		waitpid(d.pid, NULL, 0);
	}
	d.pid = 0;
}

/* After its last call. */
static bool agent_ends(void)
{
	int status = 0;

	for (uint64_t end = loop_now_ms() + 30000; loop_now_ms() < end; usleep(LOOK_US)) {
		if (waitpid(d.pid, &status, WNOHANG) != d.pid)
			continue;
		d.pid = 0;
		wire_close(&d.wire);
		if (status)
			complain("the agent ended with status %#x", status);
		return status == 0;
	}
	complain("the agent does not end");
	return false;
}

static bool agent_lives(void)
{
	static const struct request check = {.method = "Check", .ms = CALL_MS};
	char text[512];
	int status, r;

	if (waitpid(d.pid, &status, WNOHANG) == d.pid) {
		d.pid = 0;
		complain("the agent died with status %#x", status);
		return false;
	}
	r = make_call(&check, text);
	if (r)
		complain("Check is answered with %d %s", r, text);
	return r == 0;
}

/* ---- points */

static bool all_well(const struct calls *calls)
{
	char text[512];

	for (size_t i = 0; i < calls->n; i++) {
		int r = make_call(&calls->v[i], text);

		if (r == 0)
			continue;
		complain("%s without a failure: %d %s", calls->v[i].method, r, text);
		return false;
	}
	return true;
}

/* With the failure armed: every call must be answered; in time. */
static bool run_armed(unsigned int *errors)
{
	char text[512];

	for (size_t i = 0; i < d.run.n; i++) {
		int r = make_call(&d.run.v[i], text);

		if (r < 0 ||
		    (r == RPC_DEADLINE_EXCEEDED && !d.mode->on && d.run.v[i].ms == CALL_MS)) {
			complain("call %zu, %s, was not answered: %d %s", i + 1, d.run.v[i].method,
			         r, text);
			return false;
		}
		if (r > 0 && getenv("INJECT_VERBOSE"))
			complain("%s: %d %s", d.run.v[i].method, r, text);
		if (r > 0 && !*text && strcmp(d.run.v[i].method, "GetOOMEvent") != 0)
			complain("%s failed without a word", d.run.v[i].method);
		*errors += r > 0;
	}
	return true;
}

/* The last answer. */
static int undo(void)
{
	char text[512];
	int r = 0;

	for (size_t i = 0; i < d.undo.n; i++) {
		r = make_call(&d.undo.v[i], text);
		if (r && getenv("INJECT_VERBOSE"))
			complain("undo: %s: %d %s", d.undo.v[i].method, r, text);
	}
	return r;
}

static bool begin(void)
{
	int r = start_agent();

	if (r < 0)
		complain("the agent does not start: %s", strerror(-r));
	return r == 0 && all_well(&d.setup);
}

/* Where nothing fails: what is kept for later comes into being, and the state is taken. */
static bool baseline(void)
{
	d.at = 0;
	for (int i = 0; i < 2; i++) {
		if ((i == 0 || d.way != WAY_SAME) && !begin())
			return false;
		if (!all_well(&d.run))
			return false;
		undo();
		if (d.way != WAY_SAME && !agent_ends())
			return false;
		if (d.way == WAY_SAME && !agent_lives())
			return false;
	}
	/* What goes a moment after the answers. */
	usleep(300000);
	if (d.way == WAY_SAME && !agent_lives())
		return false;
	d.before = look();
	return true;
}

static bool point_same(unsigned int *errors)
{
	bool ok;

	arm(d.at);
	ok = run_armed(errors);
	disarm();
	if (!ok)
		return false;
	if (*errors && atomic_load(&d.page->fired) == 0) {
		complain("calls fail, but nothing was made to");
		return false;
	}
	undo();
	if (!agent_lives() || !settled())
		return false;
	if (d.points % CHECK_EACH)
		return true;
	if (!all_well(&d.run))
		return false;
	undo();
	return agent_lives() && settled();
}

static bool point_fresh(unsigned int *errors)
{
	int r;

	if (d.way == WAY_START)
		arm(d.at);
	r = start_agent();
	if (r == -ECANCELED && d.way == WAY_START) {
		disarm();
		++*errors;
		return true;
	}
	if (r < 0) {
		complain("the agent does not start: %s", strerror(-r));
		return false;
	}
	/* Only on a connection that is there. */
	if (d.way == WAY_FRESH) {
		if (!agent_lives() || !all_well(&d.setup))
			return false;
		arm(d.at);
	}
	if (!run_armed(errors))
		return false;
	disarm();
	if (!agent_lives())
		return false;
	/* A policy that could not be read at the start denies everything. */
	if (undo() == RPC_PERMISSION_DENIED && d.way == WAY_START) {
		++*errors;
		end_agent();
		return true;
	}
	return agent_ends() && settled();
}

/* Starts again from nothing after a point that went wrong. */
static bool recover(void)
{
	static const char clean[] =
	    "for g in \"$INJECT_CGROUP\"/*; do [ -d \"$g\" ] || continue;"
	    " echo 1 >\"$g/cgroup.kill\"; sleep 0.2; rmdir \"$g\"; done;"
	    "for m in $(awk '$2 ~ \"^/run/\" { print $2 }' /proc/mounts | sort -r); do"
	    " umount -l $m; done; rm -rf /run/kata-containers";

	disarm();
	end_agent();
	if (system(clean) < 0)
		return false;
	return baseline();
}

static bool points(uint64_t first, uint64_t step, uint64_t last)
{
	for (uint64_t at = first; at <= last && d.bad < GIVE_UP; at += step) {
		unsigned int errors = 0;
		bool ok;

		d.at = at;
		ok = d.way == WAY_SAME ? point_same(&errors) : point_fresh(&errors);
		if (ok && atomic_load(&d.page->counter) < at)
			break;
		d.points++;
		d.refused += errors > 0;
		d.unharmed += ok && errors == 0;
		d.bad += !ok;
		if (!ok && !recover())
			return false;
	}
	return true;
}

static int set_up(char **argv)
{
	static const char *const ways[] = {"same", "fresh", "start"};
	char path[256];
	int fd;

	for (int i = 0; i < 3; i++)
		if (strcmp(argv[1], ways[i]) == 0)
			d.way = (enum way)i;
	d.agent = argv[2];
	d.folder = argv[3];
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[4], modes[i].name) == 0)
			d.mode = &modes[i];
	if (!d.mode)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/page", d.folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return -errno;
	d.page = mmap(NULL, sizeof(*d.page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (d.page == MAP_FAILED || setenv("KIHON_INJECT", path, 1) < 0)
		return -ENOMEM;
	if (load_calls(&d.setup, "setup") < 0 || load_calls(&d.run, "run") < 0 ||
	    load_calls(&d.undo, "undo") < 0)
		return -ENOENT;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t first, step, last = UINT64_MAX;
	bool ok;

	if (argc < 7 || parse_u64(argv[5], &first) < 0 || parse_u64(argv[6], &step) < 0 ||
	    (argc > 7 && parse_u64(argv[7], &last) < 0) || step == 0 || set_up(argv) < 0) {
		fprintf(stderr, "usage: agent-inject same|fresh|start AGENT FOLDER MODE FIRST STEP "
		                "[LAST]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	ok = baseline() && points(first, step, last);
	end_agent();
	printf("%s: %u points, %u refused, %u unharmed, %u bad\n", d.mode->name, d.points,
	       d.refused, d.unharmed, d.bad);
	return !ok || d.bad || d.points == 0;
}
