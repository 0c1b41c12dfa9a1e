/* SPDX-License-Identifier: Apache-2.0 */
/* The front end of vhost-user: against virtiofsd, with FUSE requests written by hand, and against
 * back ends that break the protocol. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "check.h"
#include "host-shim/vmm/devices/vhost_user_device.h"
#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "tests/unit/virtio_bench.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"
#define REQUESTS  1 /* the queue */

static struct vbench b;
static struct error err = ERROR_INIT;
static struct vhost_user_device_config config;
static pid_t pid;
static char share[96];

static int region_fd(void *data, const struct guest_region *region, uint64_t *offset)
{
	*offset = 0;
	return region->host == b.ram ? b.ram_fd : -1;
}

static void prepare(void)
{
	vbench_init_memory(&b, 0, true);
	memset(&config, 0, sizeof(config));
	check_ok(vhost_user_fs_config(&config, "share", &err), &err);
	config.memory = &b.memory;
	config.region_fd = region_fd;
}

/* virtiofsd takes a listening socket. */
static int start_virtiofsd(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd, null;
	char source[160], number[32];

	if (access(VIRTIOFSD, X_OK) < 0 || geteuid() != 0)
		check_skip("no " VIRTIOFSD ", or not root");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", check_tmpdir());
	check(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	check(listen(listener, 1) == 0);
	snprintf(share, sizeof(share), "%s/share", check_tmpdir());
	check(mkdir(share, 0755) == 0);
	snprintf(source, sizeof(source), "source=%s,sandbox=chroot,cache=none", share);
	snprintf(number, sizeof(number), "--fd=%d", listener);
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, 2);
		execl(VIRTIOFSD, VIRTIOFSD, "-f", number, "-o", source, NULL);
		_exit(127);
	}
	close(listener);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

/* One FUSE request with its answer's body in `out`; the answer's error. */
static int fuse(uint32_t opcode, uint64_t node, const void *body, uint32_t size, void *out,
                uint32_t out_size)
{
	static uint64_t unique;
	struct fuse_in_header in = {.len = (uint32_t)sizeof(in) + size,
	                            .opcode = opcode,
	                            .unique = ++unique,
	                            .nodeid = node};
	struct fuse_out_header answer;
	struct vbench_part p[4] = {{&in, sizeof(in), false, 0}};
	unsigned int n = 1;

	if (size)
		p[n++] = (struct vbench_part){body, size, false, 0};
	p[n++] = (struct vbench_part){NULL, sizeof(answer), true, 0};
	p[n++] = (struct vbench_part){NULL, out_size, true, 0};
	check(vbench_request(&b, REQUESTS, p, n) >= (int64_t)sizeof(answer));
	memcpy(&answer, vbench_host(&b, p[n - 2].gpa), sizeof(answer));
	memcpy(out, vbench_host(&b, p[n - 1].gpa), out_size);
	check(answer.unique == unique);
	return answer.error;
}

static void fuse_init(void)
{
	struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION, .minor = 31};
	struct fuse_init_out out;

	check_int(fuse(FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)), 0);
	check_int(out.major, FUSE_KERNEL_VERSION);
}

/* Reads "hello" from a file of the host; true when it is there. */
static void read_file(const char *name, const char *want)
{
	struct fuse_entry_out entry;
	struct fuse_open_in how = {.flags = O_RDONLY};
	struct fuse_open_out file;
	struct fuse_read_in in = {.size = 100};
	char text[100];

	check_int(fuse(FUSE_LOOKUP, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1, &entry,
	               sizeof(entry)),
	          0);
	check_int(entry.attr.size, strlen(want));
	check_int(fuse(FUSE_OPEN, entry.nodeid, &how, sizeof(how), &file, sizeof(file)), 0);
	in.fh = file.fh;
	check_int(fuse(FUSE_READ, entry.nodeid, &in, sizeof(in), text, sizeof(text)), 0);
	check_mem(text, want, strlen(want));
}

TEST(virtiofsd)
{
	_cleanup_buffer_ struct buffer saved = BUFFER_INIT;
	struct fuse_entry_out entry;
	char path[128];
	uint8_t c[44];
	int fd, status;

	fd = start_virtiofsd();
	snprintf(path, sizeof(path), "%s/file", share);
	status = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	check(write(status, "hello", 5) == 5);
	close(status);
	prepare();
	config.fd = fd;
	check_ok(vhost_user_device_new(&b.dev, b.loop, &config, &err), &err);
	check_int(b.dev->ops->id, 26);
	check(virtio_device_features(b.dev) >> VIRTIO_F_VERSION_1 & 1);
	check(!(virtio_device_features(b.dev) >> VHOST_USER_F_PROTOCOL_FEATURES & 1));
	virtio_device_config_read(b.dev, 0, c, sizeof(c));
	check_mem(c, "share\0\0", 7);
	check_int(get_le32(c + 36), 1);
	vbench_start(&b, 64, ~0ull);
	fuse_init();
	read_file("file", "hello");
	check_int(fuse(FUSE_LOOKUP, FUSE_ROOT_ID, "none", 5, &entry, sizeof(entry)), -ENOENT);
	/* The driver starts over, as after a reboot of the guest. */
	virtio_device_reset(b.dev);
	vbench_start(&b, 128, 1ull << VIRTIO_F_VERSION_1);
	fuse_init();
	read_file("file", "hello");
	check_int(virtio_device_save(b.dev, &saved, &err), -ENOTSUP);
	/* A queue that the driver takes back (4.2.2.1) is nobody's, notified or not. */
	virtio_device_stop_queue(b.dev, REQUESTS);
	vbench_offer(&b, REQUESTS, (struct vbench_part[]){{c, 40, false, 0}, {NULL, 40, true, 0}},
	             2);
	vbench_kick(&b, REQUESTS);
	vbench_turn(&b, 20);
	check(!vbench_used(&b, REQUESTS));
	check(!b.needs_reset);
	/* The process goes: the device needs a reset, and goes on needing it. */
	kill(pid, SIGKILL);
	check(waitpid(pid, &status, 0) == pid);
	vbench_turn(&b, 10);
	check(b.needs_reset);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	check(b.needs_reset);
	vbench_stop(&b);
}

/* A back end that has written all its answers before it was asked. */
static int ends[2];

static void reply_bytes(uint32_t request, uint32_t flags, const void *payload, uint32_t size)
{
	uint8_t h[12];

	put_le32(h, request);
	put_le32(h + 4, flags);
	put_le32(h + 8, size);
	check(send(ends[1], h, 12, 0) == 12);
	check(size == 0 || send(ends[1], payload, size, 0) == (ssize_t)size);
}

static void reply_u64(uint32_t request, uint64_t v)
{
	uint8_t bytes[8];

	put_le64(bytes, v);
	reply_bytes(request, 5, bytes, 8);
}

static int greet(void)
{
	int r;

	config.fd = ends[0];
	shutdown(ends[1], SHUT_WR);
	error_clear(&err);
	r = vhost_user_device_new(&b.dev, b.loop, &config, &err);
	if (r < 0)
		close(ends[0]);
	close(ends[1]);
	return r;
}

static void pair(void)
{
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
}

TEST(back_ends_that_are_none)
{
	prepare();
	pair(); /* closes at once */
	check_int(greet(), -EPROTO);
	check(strstr(err.text, "closed the connection"));
	pair();
	reply_u64(VHOST_USER_GET_FEATURES, 0xff); /* no virtio 1 */
	check_int(greet(), -EPROTO);
	pair();
	reply_u64(VHOST_USER_GET_QUEUE_NUM, ~0ull); /* the answer to something else */
	check_int(greet(), -EPROTO);
	pair();
	reply_bytes(VHOST_USER_GET_FEATURES, 5, "1234", 4); /* too short */
	check_int(greet(), -EPROTO);
	pair();
	reply_bytes(VHOST_USER_GET_FEATURES, 1, "12345678", 8); /* no reply */
	check_int(greet(), -EPROTO);
	pair();
	reply_bytes(VHOST_USER_GET_FEATURES, 5, NULL, 0);
	check_int(greet(), -EPROTO);
	b.dev = NULL;
	vbench_stop(&b);
}

TEST(configuration_of_the_back_end)
{
	uint8_t answer[12 + 16] = {0}, c[64];

	prepare();
	config.config_size = 0;
	pair();
	reply_u64(VHOST_USER_GET_FEATURES, ~0ull);
	reply_u64(VHOST_USER_GET_PROTOCOL_FEATURES, 1u << VHOST_USER_PROTOCOL_F_CONFIG);
	memset(answer + 12, 0x77, 16);
	reply_bytes(VHOST_USER_GET_CONFIG, 5, answer, sizeof(answer));
	check_ok(greet(), &err);
	/* Nothing that only this side could do is offered. */
	check_int(virtio_device_features(b.dev) >> 33, 0);
	check_int(virtio_device_features(b.dev) >> 24 & 0xf, 0);
	virtio_device_config_read(b.dev, 0, c, sizeof(c));
	check_int(c[15], 0x77);
	check_int(c[16], 0);
	vbench_turn(&b, 5);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull); /* it has gone by now */
	check(b.needs_reset);
	vbench_stop(&b);
}

TEST(memory_that_is_not_shared)
{
	prepare();
	pair();
	reply_u64(VHOST_USER_GET_FEATURES, 1ull << VIRTIO_F_VERSION_1);
	config.fd = ends[0];
	check_ok(vhost_user_device_new(&b.dev, b.loop, &config, &err), &err);
	close(b.ram_fd);
	b.ram_fd = -1;
	vbench_start(&b, 64, ~0ull);
	check(b.needs_reset);
	munmap(b.ram, DRIVER_SIZE);
	b.ram = NULL;
	vbench_stop(&b);
	close(ends[1]);
}

TEST(bad_settings)
{
	check_int(vhost_user_fs_config(&config, "", &err), -EINVAL);
	check_int(vhost_user_fs_config(&config, "1234567890123456789012345678901234567", &err),
	          -EINVAL);
	prepare();
	config.n_queues = 0;
	check_int(vhost_user_device_new(&b.dev, b.loop, &config, &err), -EINVAL);
	config.n_queues = VIRTIO_QUEUES_MAX + 1;
	check_int(vhost_user_device_new(&b.dev, b.loop, &config, &err), -EINVAL);
	b.dev = NULL;
	vbench_stop(&b);
}

TEST_MAIN()
