/* SPDX-License-Identifier: Apache-2.0 */
/* test-exit-port: the report on a sysfs made by hand, with a FIFO in the place of the port. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "guest/init/exit_port.h"
#include "lib/base/fs.h"

static char sysfs[256], dev[256];

static void write_file(const char *path, const char *text)
{
	struct error err = ERROR_INIT;

	check_ok(fs_write_file_atomic(path, text, strlen(text), 0644, &err), &err);
}

/* A port vport0pN of that name; returns the host's end. */
static int add_port(int n, const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/class/virtio-ports/vport0p%d", sysfs, n);
	check_int(fs_mkdir_p(path, 0755, NULL), 0);
	strcat(path, "/name");
	write_file(path, name);
	snprintf(path, sizeof(path), "%s/vport0p%d", dev, n);
	check_int(mkfifo(path, 0600), 0);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void setup(void)
{
	snprintf(sysfs, sizeof(sysfs), "%s/sys", check_tmpdir());
	snprintf(dev, sizeof(dev), "%s/dev", check_tmpdir());
	check_int(fs_mkdir_p(dev, 0755, NULL), 0);
}

TEST(the_host_gets_one_line)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	int other, port;

	setup();
	other = add_port(1, "kihon.exit.not\n");
	port = add_port(2, "kihon.exit\n");
	check_ok(exit_port_report(sysfs, dev, 137, 1000, &err), &err);
	check_int(read(port, text, sizeof(text) - 1), 9);
	check_str(text, "exit 137\n");
	check(read(other, text, sizeof(text)) < 0);
	close(other);
	close(port);
}

TEST(no_port_is_an_outcome)
{
	int other;

	setup();
	check_int(exit_port_report(sysfs, dev, 0, 1000, NULL), 1);
	other = add_port(1, "something\n");
	check_int(exit_port_report(sysfs, dev, 0, 20, NULL), 1);
	close(other);
}

TEST(nobody_listens)
{
	struct error err = ERROR_INIT;

	setup();
	close(add_port(1, "kihon.exit\n"));
	check(exit_port_report(sysfs, dev, 0, 20, &err) < 0);
	check(strstr(err.text, "kihon.exit") != NULL);
}

TEST_MAIN()
