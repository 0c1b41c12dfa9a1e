/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-driver: runs the guest's network code in the network namespace it is started in, so that
 * ip(8) and DHCP servers can be compared with it. One line of text a result; 1 on an error.
 *
 *	net-driver start WORDS WAIT_MS STAY_MS      the kernel words; waits until ready, says what
 *is in resolv.conf and the host name, then stays; in mount and host name spaces of its own
 *	net-driver interface NAME MAC MTU FLAGS [ADDRESS/PREFIX]...
 *	net-driver route [DEST GATEWAY DEVICE SOURCE SCOPE FLAGS MTU]...    "-" for none; the whole
 *list net-driver neighbor ADDRESS DEVICE MAC STATE net-driver interfaces | routes
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "guest/agent/net/interface.h"
#include "guest/agent/net/net.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"

#define MAX_ADDRESSES 16

static const char *text(const char *arg)
{
	return strcmp(arg, "-") == 0 ? "" : arg;
}

static uint32_t number(const char *arg)
{
	return (uint32_t)strtoul(arg, NULL, 0);
}

struct session {
	struct loop *loop;
	uint64_t stay_ms;
	int result;
};

static void on_enough(struct loop_source *src, void *data)
{
	struct session *s = data;

	loop_exit(s->loop, s->result);
}

static void say_names(void)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	char name[65] = "";

	(void)gethostname(name, sizeof(name) - 1);
	printf("hostname %s\n", name);
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", 4096, &b, NULL) == 0)
		printf("%s", buffer_cstr(&b));
}

static void on_ready(int result, const struct error *err, void *data)
{
	struct session *s = data;

	printf("%s\n", result == 0 ? "ready" : err->text);
	say_names();
	fflush(stdout);
	s->result = result < 0;
	if (loop_add_timer(s->loop, result < 0 ? 0 : s->stay_ms, on_enough, s, NULL, NULL) < 0)
		loop_exit(s->loop, 1);
}

/* The machine under test must not get the guest's name and name servers. */
static int hide(struct error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return error_errno(err, errno, "make name spaces");
	/* An empty regular file, as guest images have it. */
	if (fs_write_file_atomic("/run/empty", "", 0, 0644, err) < 0 ||
	    mount("/run/empty", "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "hide /etc/resolv.conf");
	return 0;
}

static int start(char **argv, struct error *err)
{
	static struct cmdline cmdline;
	_cleanup_loop_ struct loop *loop = NULL;
	_cleanup_net_ struct net *net = NULL;
	struct session s = {.stay_ms = number(argv[2])};
	int r = hide(err);

	if (r == 0)
		r = loop_new(&loop, err);

	if (r < 0)
		return r;
	s.loop = loop;
	cmdline_parse(&cmdline, (const uint8_t *)argv[0], strlen(argv[0]));
	r = net_start(&net, loop, &cmdline, err);
	if (r == 0)
		r = net_wait_ready(net, number(argv[1]), on_ready, &s, err);
	if (r == 0)
		r = loop_run(loop, err);
	net_free(net);
	net = NULL;
	return r;
}

static int interface(struct netlink *nl, int argc, char **argv, struct error *err)
{
	struct net_ip_text ips[MAX_ADDRESSES];
	struct net_interface_request want = {.name = text(argv[0]),
	                                     .hw_addr = text(argv[1]),
	                                     .mtu = number(argv[2]),
	                                     .raw_flags = number(argv[3]),
	                                     .addresses = ips};

	for (int i = 4; i < argc && want.n_addresses < MAX_ADDRESSES; i++) {
		char *slash = strchr(argv[i], '/');

		if (slash)
			*slash = '\0';
		ips[want.n_addresses++] = (struct net_ip_text){.v6 = strchr(argv[i], ':') != NULL,
		                                               .address = argv[i],
		                                               .mask = slash ? slash + 1 : ""};
	}
	return net_interface_update(nl, &want, err);
}

static int route(struct netlink *nl, int argc, char **argv, struct error *err)
{
	struct net_route_request want[8] = {0};
	size_t n = 0;

	for (; argc >= 7 && n < 8; argc -= 7, argv += 7, n++) {
		want[n] = (struct net_route_request){.dest = text(argv[0]),
		                                     .gateway = text(argv[1]),
		                                     .device = text(argv[2]),
		                                     .source = text(argv[3]),
		                                     .scope = number(argv[4]),
		                                     .flags = number(argv[5]),
		                                     .mtu = number(argv[6])};
		want[n].v6 = strchr(want[n].dest, ':') || strchr(want[n].gateway, ':');
	}
	return net_routes_update(nl, want, n, err);
}

static int neighbor(struct netlink *nl, char **argv, struct error *err)
{
	struct net_neighbor_request want = {.to = {.address = argv[0], .v6 = strchr(argv[0], ':')},
	                                    .device = argv[1],
	                                    .lladdr = argv[2],
	                                    .state = (int32_t)number(argv[3])};

	return net_neighbors_add(nl, &want, 1, err);
}

static int interfaces(struct netlink *nl, struct error *err)
{
	struct net_interface *v;
	size_t n;
	int r = net_interfaces_list(nl, &v, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		printf("%s %s %u %s", v[i].name, v[i].hw_addr, v[i].mtu, v[i].type);
		for (size_t k = 0; k < v[i].n_addresses; k++)
			printf(" %s/%s", v[i].addresses[k].address, v[i].addresses[k].mask);
		printf("\n");
	}
	net_interfaces_free(v, n);
	return 0;
}

static int routes(struct netlink *nl, struct error *err)
{
	struct net_route_info *v;
	size_t n;
	int r = net_routes_list(nl, &v, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		printf("%s via %s dev %s src %s scope %u\n", *v[i].dest ? v[i].dest : "default",
		       v[i].gateway, v[i].device, v[i].source, v[i].scope);
	free(v);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_netlink_ struct netlink *nl = NULL;
	const char *verb = argc > 1 ? argv[1] : "";
	struct error err = ERROR_INIT;
	int r = netlink_new(&nl, &err);

	log_setup("net-driver", LOG_DEBUG, 2, LOG_TEXT);
	argc -= 2;
	argv += 2;
	if (r < 0)
		;
	else if (strcmp(verb, "start") == 0 && argc == 3)
		r = start(argv, &err);
	else if (strcmp(verb, "interface") == 0 && argc >= 4)
		r = interface(nl, argc, argv, &err);
	else if (strcmp(verb, "route") == 0 && argc > 0 && argc % 7 == 0)
		r = route(nl, argc, argv, &err);
	else if (strcmp(verb, "neighbor") == 0 && argc == 4)
		r = neighbor(nl, argv, &err);
	else if (strcmp(verb, "interfaces") == 0)
		r = interfaces(nl, &err);
	else if (strcmp(verb, "routes") == 0)
		r = routes(nl, &err);
	else
		r = error_set(&err, EINVAL, "wrong arguments");
	if (r < 0)
		printf("%s\n", err.text);
	return r != 0;
}
