/* SPDX-License-Identifier: Apache-2.0 */
/* wasm_tools: the programs that translate and compile a WebAssembly module. */
#include "image-tool/wasm_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"

#define SAID_MAX     (64u << 10)
#define WAIT_STEP_MS 200

/* What the tools write on standard error, in the folder. */
#define SAID_FILE "said"

int wasm_scratch_open(struct wasm_scratch *s, bool (*interrupted)(void), struct error *err)
{
	const char *base = getenv("TMPDIR");

	s->interrupted = interrupted;
	s->dir = str_printf("%s/kihon-wasm-XXXXXX", str_empty(base) ? "/tmp" : base);
	if (!s->dir)
		return error_errno(err, ENOMEM, "making a scratch folder");
	if (!mkdtemp(s->dir)) {
		int e = errno;

		free(steal_ptr(&s->dir));
		return error_set_kind(err, ERROR_ENVIRONMENT, e,
		                      "cannot make a scratch folder in %s: %s; set TMPDIR",
		                      str_empty(base) ? "/tmp" : base, strerror(e));
	}
	return 0;
}

void wasm_scratch_close(struct wasm_scratch *s)
{
	if (s->dir)
		fs_remove_tree(AT_FDCWD, s->dir, NULL);
	free(steal_ptr(&s->dir));
}

int wasm_scratch_write(const struct wasm_scratch *s, const char *name, const void *data,
                       size_t size, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", s->dir, name);
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return error_errno(err, ENOMEM, "writing %s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fs_write_all(fd, data, size);
	if (r < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, -r, "cannot write %s: %s", path,
		                      strerror(-r));
	return 0;
}

static int enter(void *data)
{
	return chdir(data) < 0 ? errno : 0;
}

/* Waits in steps, so that a signal that came just before is seen, too. */
static int wait_for(const struct wasm_scratch *s, pid_t pid, int *status)
{
	_cleanup_close_ int pidfd = process_pidfd_open(pid);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	bool killed = false;

	while (!killed && poll(&p, 1, WAIT_STEP_MS) <= 0) {
		if (s->interrupted && s->interrupted()) {
			kill(-pid, SIGKILL);
			killed = true;
		}
	}
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return killed ? -EINTR : 0;
}

static int read_said(const struct wasm_scratch *s, struct buffer *said, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" SAID_FILE, s->dir);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n;
	uint8_t *p;

	buffer_clear(said);
	p = buffer_reserve(said, SAID_MAX);
	n = fd >= 0 && p ? read(fd, p, SAID_MAX) : -1;
	if (n < 0)
		return error_set(err, EIO, "cannot read what a tool said");
	said->size = (size_t)n;
	buffer_append(said, "", 0);
	return 0;
}

/* Nothing of the caller's environment decides what a compiler does, and its temporary files go
 * with the folder. */
static int make_environment(const struct wasm_scratch *s, struct strv *env)
{
	const char *path = getenv("PATH");
	int r = strv_addf(env, "PATH=%s", str_empty(path) ? "/usr/bin:/bin" : path);

	if (r == 0)
		r = strv_addf(env, "TMPDIR=%s", s->dir);
	return r == 0 ? strv_add(env, "LC_ALL=C") : r;
}

int wasm_scratch_run(const struct wasm_scratch *s, const struct strv *argv, struct buffer *said,
                     struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" SAID_FILE, s->dir);
	_cleanup_close_ int out =
	    path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600) : -1;
	_cleanup_strv_ struct strv env = STRV_INIT;
	int r = make_environment(s, &env);
	const struct process_opts o = {
	    .path = argv->v[0],
	    .argv = argv->v,
	    .envp = env.v,
	    .fds = {-1, out, out},
	    .n_fds = 3,
	    .new_group = true,
	    .die_with_parent = true,
	    .child = enter,
	    .child_data = s->dir,
	};
	pid_t pid;
	int status = 0;

	if (r < 0)
		return error_errno(err, -r, "starting %s", argv->v[0]);
	if (out < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno ? errno : ENOMEM,
		                      "cannot write in %s: %s", s->dir, strerror(errno));
	r = process_spawn(&o, &pid, err);
	if (r < 0) {
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	r = wait_for(s, pid, &status);
	if (r < 0)
		return error_set(err, -r, "%s was interrupted", argv->v[0]);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOMEM,
		                      "%s was killed: too little memory?", argv->v[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	r = read_said(s, said, err);
	return r < 0 ? r : 1;
}

static int missing_wasm2c(struct error *err)
{
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "wasm2c, which translates WebAssembly, is missing: install wabt "
	                      "(Debian package wabt), or run make deps");
}

/* "1.0.32", "1.0.32 (git~...)": three numbers as one that can be compared; 0: it is none. */
static uint64_t version_number(const char *text)
{
	uint64_t v = 0;

	for (int i = 0; i < 3; i++) {
		char *end;
		unsigned long n = strtoul(text, &end, 10);

		if (end == text || n > 0xffff || (i < 2 && *end != '.'))
			return 0;
		v = v << 16 | n;
		text = end + 1;
	}
	return v;
}

int wasm_find_wasm2c(struct error *err)
{
	char *argv[] = {(char *)"wasm2c", (char *)"--version", NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT, said = BUFFER_INIT;
	const char *text;
	int status = 0, r = process_run(argv, &out, &said, 4096, &status, NULL);

	if (r < 0)
		return missing_wasm2c(err);
	text = buffer_cstr(&out);
	if (status != 0 || version_number(text) == 0)
		return error_set_kind(
		    err, ERROR_ENVIRONMENT, EINVAL,
		    "wasm2c does not say its version: it is older than " WASM_WABT_VERSION
		    ", or not wabt's");
	if (version_number(text) != version_number(WASM_WABT_VERSION))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "wasm2c is of wabt %.*s; what " WASM_WABT_VERSION
		                      " (Debian 12) writes is known, other versions' C is not",
		                      (int)strcspn(text, " \n"), text);
	return 0;
}

int wasm_make_compiler(const struct wasm_scratch *s, const struct locations *where,
                       struct error *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buffer_ struct buffer said = BUFFER_INIT;
	int r = strv_addf(&argv, "%s/rootfs/make-guest-cc", where->data);

	if (r == 0)
		r = strv_add(&argv, "tools");
	if (r < 0)
		return error_errno(err, -r, "making the compiler");
	r = wasm_scratch_run(s, &argv, &said, err);
	if (r > 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT, "%.*s",
		                      (int)strcspn(buffer_cstr(&said), "\n"), buffer_cstr(&said));
	return r < 0 ? error_prefix(err, r, "making the guest's compiler") : 0;
}
