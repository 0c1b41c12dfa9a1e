/* SPDX-License-Identifier: Apache-2.0 */
/* Hybrid vsock: the socket on which programs of the host reach the guest's ports. */
#include <sys/un.h>

#include "host-shim/vmm/devices/vsock_listen.h"
#include "lib/base/str.h"
#include "tests/unit/vsock_case.h"

static int client(const char *path, const char *line)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	check_int(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	check_int(write(fd, line, strlen(line)), strlen(line));
	for (int i = 0; i < 3; i++)
		bench_turn(&b);
	return fd;
}

static int listen_fd = -1;
static char *path;

static void start_listening(void)
{
	struct error err = ERROR_INIT;

	path = str_printf("%s/vsock", check_tmpdir());
	listen_fd = vsock_bind(path, &err);
	check(listen_fd >= 0);
	bench_start(&b, listen_fd, 64, 0);
	bench_offer_rx(&b, 0, BUFFERS);
}

static void stop_listening(void)
{
	bench_stop(&b);
	close(listen_fd);
	free(path);
}

TEST(hybrid_connect_is_accepted)
{
	char line[32] = "", want[32];
	int fd;

	start_listening();
	fd = client(path, "connect 1024\nearly");
	expect(VSOCK_OP_REQUEST);
	check_int(got.dst_port, 1024);
	check_int(got.src_cid, VSOCK_CID_HOST);
	check_int(read(fd, line, sizeof(line)), -1); /* not before the guest has accepted */
	send_op(VSOCK_OP_RESPONSE, 1024, got.src_port);
	snprintf(want, sizeof(want), "OK %u\n", got.src_port);
	check(read(fd, line, sizeof(line)) > 0);
	check_str(line, want);
	bench_turn(&b);
	expect(VSOCK_OP_RW); /* what followed the line is the guest's */
	check_mem(payload, "early", 5);
	close(fd);
	stop_listening();
}

TEST(hybrid_connect_is_refused)
{
	char c;
	int fd;

	start_listening();
	fd = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	send_op(VSOCK_OP_RST, 7, got.src_port);
	check_int(read(fd, &c, 1), 0);
	close(fd);
	stop_listening();
}

TEST(hybrid_connect_waits_until_the_driver_knows_of_a_reset)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_EVENT];
	uint32_t id, len;
	char c;
	int fd;

	start_listening();
	driver_put_desc(r, 0,
	                (struct vq_desc){DRIVER_GPA + driver_data(r), 4, VIRTQ_DESC_F_WRITE, 0});
	driver_offer(r, 0);
	vsock_device_transport_reset(b.dev);
	check_int(driver_take(r, &id, &len), 1);
	fd = client(path, "CONNECT 1024\n");
	check_int(read(fd, &c, 1), -1); /* not hung up on */
	driver_offer(r, 0);
	virtio_device_notify(b.dev, VSOCK_QUEUE_EVENT);
	bench_turn(&b);
	expect(VSOCK_OP_REQUEST);
	check_int(got.dst_port, 1024);
	close(fd);
	stop_listening();
}

TEST(hybrid_connect_waits_for_no_reset_of_the_device)
{
	char c;
	int fd;

	start_listening();
	vsock_device_transport_reset(b.dev); /* there is no buffer for it */
	fd = client(path, "CONNECT 1024\n");
	check_int(read(fd, &c, 1), -1);
	virtio_device_reset(b.dev);
	check_int(read(fd, &c, 1), 0);
	close(fd);
	stop_listening();
}

TEST(hybrid_ports_differ)
{
	uint32_t port;
	int fd[2];

	start_listening();
	fd[0] = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	port = got.src_port;
	fd[1] = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	check(got.src_port != port);
	close(fd[0]);
	close(fd[1]);
	stop_listening();
}

TEST(hybrid_client_that_leaves_before_the_answer)
{
	int fd;

	start_listening();
	fd = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	close(fd);
	bench_turn(&b);
	expect(VSOCK_OP_RST);
	stop_listening();
}

TEST(hybrid_wrong_lines_are_hung_up_on)
{
	static const char *const lines[] = {
	    "CONNECT\n",     "CONNECT \n",    "CONNECT x\n",  "CONNECT 99999999999\n",
	    "CONNECT 1 2\n", "HELLO 1024\n",  "\n",           "CONNECT 4294967296\n",
	    "CONNECT -1\n",  "CONNECT 0x1\n", "CONNECT  1\n", "CONNECT 00000000000000000000000001",
	};

	start_listening();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = client(path, lines[i]);
		char c;

		check(read(fd, &c, 1) <= 0 && errno != EAGAIN);
		close(fd);
	}
	expect_nothing();
	stop_listening();
}

TEST(hybrid_is_refused_before_the_driver_is_ready)
{
	char c;
	int fd;

	start_listening();
	virtio_device_reset(b.dev);
	fd = client(path, "CONNECT 1024\n");
	check_int(read(fd, &c, 1), 0);
	close(fd);
	stop_listening();
}

TEST(hybrid_clients_that_say_nothing_are_bounded)
{
	int fds[VSOCK_CLIENTS_MAX + 1];
	char c;

	start_listening();
	for (int i = 0; i <= VSOCK_CLIENTS_MAX; i++)
		fds[i] = client(path, "");
	check_int(read(fds[VSOCK_CLIENTS_MAX], &c, 1), 0);
	check_int(read(fds[0], &c, 1), -1);
	for (int i = 0; i <= VSOCK_CLIENTS_MAX; i++)
		close(fds[i]);
	stop_listening();
}

TEST(hybrid_guest_reaches_the_named_socket)
{
	char *named;
	int l, fd, conn;
	char text[8] = "";

	start_listening();
	named = str_printf("%s_%u", path, 5000);
	l = vsock_bind(named, NULL);
	check(l >= 0);
	fd = vsock_connect_path(path, 5000);
	check(fd >= 0);
	conn = accept(l, NULL, NULL);
	check(conn >= 0);
	check_int(write(fd, "hi", 2), 2);
	check_int(read(conn, text, sizeof(text)), 2);
	check_int(vsock_connect_path(path, 5001), -ENOENT);
	close(conn);
	close(fd);
	close(l);
	free(named);
	stop_listening();
}

TEST(socket_paths_must_fit)
{
	char longer[200];
	struct error err = ERROR_INIT;

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	check_int(vsock_bind(longer, &err), -ENAMETOOLONG);
	check(err.text[0]);
	check_int(vsock_connect_path(longer, 1), -ENAMETOOLONG);
}

TEST_MAIN()
