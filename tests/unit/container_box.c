/* SPDX-License-Identifier: Apache-2.0 */
/* container_box: a container of busybox for tests of the engine. */
#include "container_box.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define BUSYBOX "/bin/busybox"

static const char default_mounts[] =
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}";

static const char default_namespaces[] =
    "{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}";

static void make_rootfs(const char *dir)
{
	static const char *const folders[] = {"bin", "etc", "proc", "dev", "sys",
	                                      "tmp", "run", "data", "usr"};
	static const char *const tools[] = {"sh",    "cat",  "ls",    "id",       "grep", "mount",
	                                    "echo",  "true", "sleep", "readlink", "stat", "mkdir",
	                                    "touch", "kill", "mknod", "hostname", "pwd",  "env",
	                                    "stty",  "tty",  "umask", "chroot",   "ln",   "uname",
	                                    "ps",    "dd",   "wc",    "head",     "rm",   "nice"};
	char path[512], from[64];

	snprintf(path, sizeof(path), "%s/rootfs", dir);
	check(mkdir(path, 0755) == 0);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/rootfs/%s", dir, folders[i]);
		check(mkdir(path, 0755) == 0);
	}
	snprintf(path, sizeof(path), "cp %s %s/rootfs/bin/busybox", BUSYBOX, dir);
	check(system(path) == 0);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		snprintf(path, sizeof(path), "%s/rootfs/bin/%s", dir, tools[i]);
		snprintf(from, sizeof(from), "busybox");
		check(symlink(from, path) == 0);
	}
}

/* A file of the rootfs, with contents. */
void put(struct box *b, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/rootfs%s", b->dir, name);
	check_ok(fs_write_file_atomic(path, text, strlen(text), 0755, &b->err), &b->err);
}

void box_init(struct box *b)
{
	if (geteuid() != 0)
		check_skip("needs root");
	if (access(BUSYBOX, X_OK) < 0)
		check_skip("needs " BUSYBOX " (package busybox-static)");
	memset(b, 0, sizeof(*b));
	b->out = b->console = -1;
	snprintf(b->dir, sizeof(b->dir), "%s", check_tmpdir());
	make_rootfs(b->dir);
	b->opts = (struct container_opts){
	    .id = "test", .bundle = b->dir, .stdio = {-1, -1, -1}, .no_cgroup = true};
}

static struct oci_spec *box_spec(struct box *b)
{
	_cleanup_buffer_ struct buffer j = BUFFER_INIT;
	struct oci_spec *spec = NULL;

	buffer_printf(&j, "{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"rootfs\"%s},",
	              b->root ? b->root : "");
	buffer_printf(&j, "\"process\":{\"cwd\":\"%s\",\"terminal\":%s,\"user\":{%s},",
	              b->cwd ? b->cwd : "/", b->terminal ? "true" : "false",
	              b->user ? b->user : "\"uid\":0,\"gid\":0");
	buffer_str(&j, "\"env\":[\"PATH=/bin\"],\"args\":");
	if (b->args) {
		buffer_str(&j, b->args);
	} else {
		buffer_str(&j, "[\"sh\",\"-c\",");
		buffer_json_string(&j, b->script ? b->script : "true");
		buffer_str(&j, "]");
	}
	buffer_printf(&j, "%s},\"mounts\":[%s%s],", b->process ? b->process : "", default_mounts,
	              b->mounts ? b->mounts : "");
	buffer_printf(&j, "\"linux\":{\"namespaces\":[%s]%s}%s}",
	              b->namespaces ? b->namespaces : default_namespaces,
	              b->linux_ ? b->linux_ : "", b->top ? b->top : "");
	check_ok(oci_spec_parse(buffer_cstr(&j), j.size, &spec, &b->err), &b->err);
	return spec;
}

/* Creates; returns what container_process_wait_ready() said. */
int box_create(struct box *b)
{
	_cleanup_oci_spec_ struct oci_spec *spec = box_spec(b);
	int fds[2], r;

	check(pipe2(fds, O_CLOEXEC) == 0);
	b->out = fds[0];
	if (!b->terminal)
		b->opts.stdio[1] = b->opts.stdio[2] = fds[1];
	r = container_create(&b->opts, spec, &b->c, &b->err);
	close(fds[1]);
	if (r < 0)
		return r;
	return container_process_wait_ready(container_init(b->c), 60000, &b->err);
}

void read_all(int fd, struct buffer *out)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buffer_append(out, chunk, (size_t)n);
}

void reap(struct container_process *p)
{
	int status = 0;

	check(waitpid(container_process_pid(p), &status, 0) == container_process_pid(p));
	container_process_exited(p, status);
}

/* Starts, collects the output, waits for the end. */
int box_finish(struct box *b)
{
	int r = container_start(b->c, &b->err);

	if (r == 0)
		r = container_process_wait_ready(container_init(b->c), 60000, &b->err);
	if (r == 0)
		read_all(b->terminal ? b->console : b->out, &b->output);
	if (r < 0)
		container_signal_all(b->c, SIGKILL, NULL);
	reap(container_init(b->c));
	b->code = container_process_exit_code(container_init(b->c));
	return r;
}

void box_free(struct box *b)
{
	if (b->c) {
		if (!container_process_has_exited(container_init(b->c))) {
			container_signal_all(b->c, SIGKILL, NULL);
			reap(container_init(b->c));
		}
		for (int i = 0; i < 6000 && container_destroy(b->c, &b->err) == 1; i++)
			usleep(10000);
		container_free(b->c);
	}
	close_fd(&b->out);
	close_fd(&b->console);
	buffer_free(&b->output);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* helpers */
		;
}

/* The whole way; fails the test unless it exits 0. */
const char *box_run(struct box *b)
{
	check_ok(box_create(b), &b->err);
	check_ok(box_finish(b), &b->err);
	if (b->code != 0)
		check_fail(__FILE__, __LINE__, "exit code %d: %s", b->code,
		           buffer_cstr(&b->output));
	return buffer_cstr(&b->output);
}

bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}
