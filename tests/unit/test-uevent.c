/* SPDX-License-Identifier: Apache-2.0 */
/* test-uevent: messages as the kernel writes them (lib/kobject_uevent.c), waits, and the real
 * socket. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "check.h"
#include "guest/agent/device/device_find.h"
#include "guest/agent/device/uevent.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define DISK                        "/devices/pci0000:00/0000:00:05.0/virtio1/block/vda"
#define MESSAGE(action, path, rest) action "@" path "\0ACTION=" action "\0DEVPATH=" path "\0" rest
static const char disk_added[] =
    MESSAGE("add", DISK, "SUBSYSTEM=block\0MAJOR=254\0DEVNAME=vda\0DEVTYPE=disk\0SEQNUM=9");
static const char disk_removed[] =
    MESSAGE("remove", DISK, "SUBSYSTEM=block\0DEVNAME=vda\0DEVTYPE=disk\0SEQNUM=10");
static const char partition_added[] =
    MESSAGE("add", DISK "/vda1", "SUBSYSTEM=block\0DEVNAME=vda1\0DEVTYPE=partition\0SEQNUM=11");
static const char link_added[] = MESSAGE("add", "/devices/pci0000:00/0000:00:06.0/virtio2/net/eth0",
                                         "SUBSYSTEM=net\0INTERFACE=eth0\0IFINDEX=2\0SEQNUM=12");

#define FEED(u, m) uevents_feed((u), (const uint8_t *)(m), sizeof(m))

TEST(parse)
{
	struct uevent ev;

	check_int(uevent_parse(&ev, (const uint8_t *)disk_added, sizeof(disk_added)), 0);
	check_str(ev.action, "add");
	check_str(ev.devpath, DISK);
	check_str(ev.subsystem, "block");
	check_str(ev.devname, "vda");
	check_str(ev.devtype, "disk");
	check_str(ev.interface, "");
	check_int(uevent_parse(&ev, (const uint8_t *)link_added, sizeof(link_added)), 0);
	check_str(ev.interface, "eth0");
}

TEST(refuses)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = {
#define BAD(s) {s, sizeof(s)}
	    BAD(""),
	    BAD("libudev"), /* what udevd broadcasts */
	    BAD("add/x\0ACTION=add\0DEVPATH=/x"),
	    BAD("add@/x\0DEVPATH=/x"),
	    BAD("add@/x\0ACTION=add"),
	    BAD("add@/x\0ACTION=remove\0DEVPATH=/x"),
	    BAD("add@/x\0ACTION=add\0DEVPATH=/y"),
	    BAD("add@x\0ACTION=add\0DEVPATH=x"),
	    BAD("@/x\0ACTION=add\0DEVPATH=/x"),
	};
	struct uevent ev;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check_int(uevent_parse(&ev, (const uint8_t *)bad[i].text, bad[i].size), -EBADMSG);
	/* Cut anywhere, the last string has no end. */
	for (size_t n = 0; n + 1 < sizeof(disk_added); n++) {
		uint8_t *copy = malloc(n ? n : 1);
		int r;

		memcpy(copy, disk_added, n);
		r = uevent_parse(&ev, copy, n);
		/* A cut behind a NUL leaves whole strings. */
		check(r == -EBADMSG || copy[n - 1] == '\0');
		free(copy);
	}
}

struct outcome {
	struct loop *loop;
	int calls, result;
	char name[32];
};

static void done(int result, const char *name, void *data)
{
	struct outcome *o = data;

	o->calls++;
	o->result = result;
	snprintf(o->name, sizeof(o->name), "%s", name ? name : "");
	loop_exit(o->loop, 0);
}

static struct device_key pci_key(const char *path)
{
	struct device_key key = {.name = ""};

	check_int(pci_path_parse(&key.pci, path, NULL), 0);
	return key;
}

struct bench {
	struct loop *loop;
	struct uevents *u;
	struct outcome out;
};

static void setup(struct bench *b)
{
	struct error err = ERROR_INIT;

	memset(b, 0, sizeof(*b));
	check_ok(loop_new(&b->loop, &err), &err);
	check_ok(uevents_new(&b->u, b->loop, check_tmpdir(), &err), &err);
	b->out.loop = b->loop;
}

static void teardown(struct bench *b)
{
	uevents_free(b->u);
	loop_free(b->loop);
}

static struct uevent_waiter *wait_for(struct bench *b, const struct uevent_matcher *m,
                                      const char *path, uint64_t ms)
{
	struct device_key key = pci_key(path);
	struct uevent_waiter *w = NULL;
	struct error err = ERROR_INIT;

	check_ok(uevents_wait(b->u, m, &key, sizeof(key), ms, done, &b->out, &w, &err), &err);
	check_int(b->out.calls, 0); /* never from inside the call */
	return w;
}

TEST(event_after_the_wait)
{
	struct bench b;

	setup(&b);
	wait_for(&b, &device_pci_block, "05", 60000);
	FEED(b.u, partition_added);
	FEED(b.u, link_added);
	FEED(b.u, disk_added);
	FEED(b.u, disk_added); /* twice: still one answer */
	check_int(b.out.calls, 0);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.calls, 1);
	check_int(b.out.result, 0);
	check_str(b.out.name, "vda");
	teardown(&b);
}

TEST(event_before_the_wait)
{
	struct bench b;

	setup(&b);
	FEED(b.u, link_added);
	wait_for(&b, &device_pci_net, "06", 60000);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.result, 0);
	check_str(b.out.name, "eth0");
	teardown(&b);
}

static void make_link(const char *name, const char *mac)
{
	_cleanup_free_ char *folder = str_printf("%s/class/net/%s", check_tmpdir(), name);
	_cleanup_free_ char *file = str_printf("%s/address", folder);
	struct error err = ERROR_INIT;

	check_ok(fs_mkdir_p(folder, 0700, &err), &err);
	check_ok(fs_write_file_atomic(file, mac, strlen(mac), 0600, &err), &err);
}

static void wait_for_mac(struct bench *b, const char *mac, uint64_t ms)
{
	struct device_key key = {.name = ""};
	struct error err = ERROR_INIT;

	snprintf(key.name, sizeof(key.name), "%s", mac);
	check_ok(
	    uevents_wait(b->u, &device_mac_net, &key, sizeof(key), ms, done, &b->out, NULL, &err),
	    &err);
	check_int(loop_run(b->loop, NULL), 0);
}

/* A link is there, or comes, with that hardware address and no other. */
TEST(link_by_its_hardware_address)
{
	struct bench b;

	setup(&b);
	make_link("lo", "00:00:00:00:00:00\n");
	make_link("eth0", "52:54:00:12:34:5a\n");
	wait_for_mac(&b, "52:54:00:12:34:5A", 60000);
	check_int(b.out.result, 0);
	check_str(b.out.name, "eth0");
	wait_for_mac(&b, "52:54:00:12:34:5", 1);
	check_int(b.out.result, -ETIMEDOUT);
	wait_for_mac(&b, "52:54:00:12:34:5b", 1);
	check_int(b.out.result, -ETIMEDOUT);
	wait_for_mac(&b, "", 1);
	check_int(b.out.result, -ETIMEDOUT);
	/* The event says which to look at. */
	make_link("eth0", "52:54:00:12:34:5b\n");
	FEED(b.u, link_added);
	wait_for_mac(&b, "52:54:00:12:34:5b", 60000);
	check_int(b.out.result, 0);
	check_str(b.out.name, "eth0");
	teardown(&b);
}

TEST(device_that_went_away)
{
	struct bench b;

	setup(&b);
	FEED(b.u, disk_added);
	FEED(b.u, disk_removed);
	wait_for(&b, &device_pci_block, "05", 1);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.calls, 1);
	check_int(b.out.result, -ETIMEDOUT);
	teardown(&b);
}

TEST(cancelled_wait)
{
	struct bench b;
	struct uevent_waiter *w;

	setup(&b);
	w = wait_for(&b, &device_pci_block, "05", 60000);
	FEED(b.u, disk_added);
	uevent_waiter_cancel(w);
	wait_for(&b, &device_pci_net, "05", 1);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.calls, 1);
	check_int(b.out.result, -ETIMEDOUT);
	b.out.calls = 0;
	wait_for(&b, &device_pci_net, "05", 60000);
	teardown(&b); /* with a wait under way: freed, not called */
	check_int(b.out.calls, 0);
}

/* The time of a wait can be said to be up: only of those with that data, and not from inside. */
TEST(hurried_wait)
{
	struct bench b;

	setup(&b);
	wait_for(&b, &device_pci_block, "05", 60000);
	uevents_hurry(b.u, &b);
	check_int(b.out.calls, 0);
	uevents_hurry(b.u, &b.out);
	check_int(b.out.calls, 0);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.calls, 1);
	check_int(b.out.result, -ETIMEDOUT);
	teardown(&b);
}

/* A flood keeps the newest and bounded memory. */
TEST(flood)
{
	struct bench b;
	char m[256];

	setup(&b);
	for (int i = 0; i < 3 * UEVENTS_MAX_KEPT; i++) {
		int n = snprintf(m, sizeof(m), "add@/d/%d%cACTION=add%cDEVPATH=/d/%d%cSUBSYSTEM=x",
		                 i, 0, 0, i, 0);

		uevents_feed(b.u, (const uint8_t *)m, (size_t)n + 1);
	}
	FEED(b.u, disk_added);
	wait_for(&b, &device_pci_block, "05", 60000);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.result, 0);
	teardown(&b);
}

TEST(memory_is_brought_online)
{
	static const char added[] =
	    MESSAGE("add", "/devices/system/memory/memory32", "SUBSYSTEM=memory\0SEQNUM=1");
	struct bench b;
	char path[512], text[16] = "";
	FILE *f;

	setup(&b);
	snprintf(path, sizeof(path), "%s/devices/system/memory/memory32", check_tmpdir());
	check_int(fs_mkdir_p(path, 0755, NULL), 0);
	strcat(path, "/state");
	f = fopen(path, "w");
	check(f != NULL);
	fclose(f);
	FEED(b.u, added);
	f = fopen(path, "r");
	check(f != NULL);
	check(fgets(text, sizeof(text), f) != NULL);
	fclose(f);
	check_str(text, "online");
	teardown(&b);
}

/* What a process sends to the group is not the kernel's word. */
TEST(forged_message)
{
	struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = 1};
	struct bench b;
	int fd;

	setup(&b);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	check(fd >= 0);
	if (sendto(fd, disk_added, sizeof(disk_added), 0, (struct sockaddr *)&group,
	           sizeof(group)) < 0) {
		close(fd);
		teardown(&b);
		check_skip("cannot send to the uevent group: %s", strerror(errno));
	}
	close(fd);
	wait_for(&b, &device_pci_block, "05", 50);
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.result, -ETIMEDOUT);

	teardown(&b);
}

static bool is_null_device(const struct uevent *ev, const void *data, const char *sysfs)
{
	return strcmp(ev->devpath, "/devices/virtual/mem/null") == 0;
}

/* The kernel's own, asked for through sysfs. */
TEST(kernel_message)
{
	static const struct uevent_matcher m = {.match = is_null_device};
	struct bench b;
	struct error err = ERROR_INIT;

	setup(&b);
	check_ok(uevents_wait(b.u, &m, "", 1, 10000, done, &b.out, NULL, &err), &err);
	if (fs_write_string(AT_FDCWD, "/sys/class/mem/null/uevent", "change", &err) < 0) {
		teardown(&b);
		check_skip("%s", err.text);
	}
	check_int(loop_run(b.loop, NULL), 0);
	check_int(b.out.result, 0);
	check_str(b.out.name, "null");
	teardown(&b);
}

TEST_MAIN()
