/* SPDX-License-Identifier: Apache-2.0 */
/* net: one plan a kernel word, carried out when its link is there. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dhcp.h"
#include "ip_words.h"
#include "lib/base/log.h"
#include "resolv.h"

struct plan {
	struct net *net;
	struct ip_word word;
	struct net_link link; /* index 0: no link yet */
	struct dhcp *dhcp;
	bool ready;
	struct net_addr dns[DHCP_MAX_DNS]; /* what the lease said */
	size_t n_dns;
	char domain[256];
};

struct net_waiter {
	struct net *net;
	struct net_waiter *next;
	struct loop_source *timer;
	uint64_t deadline_ms;
	net_ready_fn fn;
	void *data;
};

struct net {
	struct loop *loop;
	struct netlink *nl;
	int monitor; /* tells of new links; -1 when every plan has its link */
	struct loop_source *monitor_source;
	struct plan plans[IP_WORDS_MAX];
	size_t n_plans;
	struct net_waiter *waiters;
};

struct netlink *net_netlink(struct net *net)
{
	return net->nl;
}

bool net_is_ready(const struct net *net)
{
	for (size_t i = 0; i < net->n_plans; i++)
		if (!net->plans[i].ready)
			return false;
	return true;
}

/* ---------------------------------------------------------------- waiters */
static void drop_waiter(struct net_waiter *w)
{
	struct net_waiter **p = &w->net->waiters;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
	loop_source_free(w->timer);
	free(w);
}

static void finish_waiter(struct net_waiter *w, int result, const struct error *err)
{
	net_ready_fn fn = w->fn;
	void *data = w->data;

	drop_waiter(w);
	fn(result, err, data);
}

/* By their own timers, so that nothing is called from inside net_wait_ready() or a lease. */
static void wake_waiters(struct net *net)
{
	if (!net_is_ready(net))
		return;
	for (struct net_waiter *w = net->waiters; w; w = w->next)
		if (loop_set_timer(w->timer, 0) < 0)
			log_warn("network: cannot set a timer");
}

static void on_deadline(struct loop_source *src, void *data)
{
	struct net_waiter *w = data;
	struct error err = ERROR_INIT;
	const struct plan *p = w->net->plans;
	uint64_t now = loop_now_ms();
	int r;

	if (net_is_ready(w->net)) {
		finish_waiter(w, 0, &err);
		return;
	}
	/* Woken for a network that went away again at once. */
	if (now < w->deadline_ms && loop_set_timer(src, w->deadline_ms - now) == 0)
		return;
	while (p->ready)
		p++;
	if (!p->link.index)
		r = error_set_kind(&err, ERROR_ENVIRONMENT, ETIMEDOUT,
		                   "the network is not ready: there is no link %s",
		                   *p->word.device ? p->word.device : "(Ethernet)");
	else
		r = error_set_kind(
		    &err, ERROR_ENVIRONMENT, ETIMEDOUT, "the network is not ready: %s",
		    p->dhcp ? "no DHCP server has answered" : "a link could not be configured");
	finish_waiter(w, r, &err);
}

int net_wait_ready(struct net *net, uint64_t timeout_ms, net_ready_fn fn, void *data,
                   struct error *err)
{
	struct net_waiter *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, ENOMEM, "wait for the network: no memory");
	*w = (struct net_waiter){.net = net, .fn = fn, .data = data};
	if (__builtin_add_overflow(loop_now_ms(), timeout_ms, &w->deadline_ms))
		w->deadline_ms = UINT64_MAX;
	r = loop_add_timer(net->loop, net_is_ready(net) ? 0 : timeout_ms, on_deadline, w, &w->timer,
	                   err);
	if (r < 0) {
		free(w);
		return r;
	}
	w->next = net->waiters;
	net->waiters = w;
	return 0;
}

/* ---------------------------------------------------------------- applying */
static struct net_addr from_u32(uint32_t address, uint8_t prefix)
{
	struct net_addr a = {.family = AF_INET, .prefix = prefix};

	memcpy(a.bytes, &address, sizeof(address));
	return a;
}

/* All plans' name servers into one file; those of kernel words first. */
static void write_resolv(struct net *net)
{
	struct net_addr dns[DHCP_MAX_DNS];
	struct error err = ERROR_INIT;
	const char *domain = "";
	size_t n = 0;

	for (size_t i = 0; i < net->n_plans; i++)
		for (size_t k = 0; k < net->plans[i].word.n_dns && n < DHCP_MAX_DNS; k++)
			dns[n++] = net->plans[i].word.dns[k];
	for (size_t i = 0; i < net->n_plans; i++) {
		for (size_t k = 0; k < net->plans[i].n_dns && n < DHCP_MAX_DNS; k++)
			dns[n++] = net->plans[i].dns[k];
		if (*net->plans[i].domain && !*domain)
			domain = net->plans[i].domain;
	}
	if ((n || *domain) && resolv_write(dns, n, domain, &err) < 0)
		log_warn("%s", err.text);
}

static int add_gateway(struct plan *p, const struct net_addr *address, const struct net_addr *dest,
                       const struct net_addr *gateway, struct error *err)
{
	struct net_route route = {.family = AF_INET, .index = p->link.index, .dest = *dest};

	if (gateway->family) {
		route.gateway = *gateway;
		/* A gateway outside the subnet, as with the prefix 32 of some clouds, is on the
		 * link all the same. */
		if (!net_addr_in(address, gateway))
			route.flags = RTNH_F_ONLINK;
	} else {
		route.scope = RT_SCOPE_LINK;
	}
	return netlink_route_replace(p->net->nl, &route, err);
}

static int apply_static(struct plan *p, struct error *err)
{
	static const struct net_addr all = {.family = AF_INET};
	struct net_link_addr a = {.index = p->link.index, .addr = p->word.address};
	int r = netlink_addr_replace(p->net->nl, &a, err);

	if (r == 0 && p->word.gateway.family)
		r = add_gateway(p, &p->word.address, &all, &p->word.gateway, err);
	if (r == 0 && *p->word.hostname &&
	    sethostname(p->word.hostname, strlen(p->word.hostname)) < 0)
		r = error_errno(err, errno, "set the host name %s", p->word.hostname);
	if (r == 0)
		write_resolv(p->net);
	return r;
}

static struct net_link_addr lease_addr(const struct plan *p, const struct dhcp_lease *l)
{
	return (struct net_link_addr){.index = p->link.index,
	                              .addr = from_u32(l->address, l->prefix),
	                              .valid_s = l->lease_s == DHCP_FOREVER ? 0 : l->lease_s};
}

static int apply_routes(struct plan *p, const struct dhcp_lease *l, struct error *err)
{
	struct net_addr address = from_u32(l->address, l->prefix);
	int result = 0;

	/* Routes on the link first: gateways of the others may lie behind them. */
	for (int pass = 0; pass <= 1; pass++) {
		for (size_t i = 0; i < l->n_routes; i++) {
			struct net_addr dest = from_u32(l->routes[i].dest, l->routes[i].prefix);
			struct net_addr gateway = {.family = AF_UNSPEC};
			int r;

			if ((l->routes[i].gateway != 0) != pass)
				continue;
			if (pass)
				gateway = from_u32(l->routes[i].gateway, 32);
			r = add_gateway(p, &address, &dest, &gateway, err);
			if (r < 0)
				result = r;
		}
	}
	return result;
}

static int on_lease(const struct dhcp_lease *l, void *data)
{
	struct plan *p = data;
	struct net_link_addr a = lease_addr(p, l);
	struct error err = ERROR_INIT;
	char text[NET_ADDR_TEXT];
	int r;

	if (l->mtu && l->mtu != p->link.mtu) {
		if (netlink_link_mtu(p->net->nl, p->link.index, l->mtu, &err) < 0)
			log_warn("DHCP on %s: %s", p->link.name, err.text);
		else
			p->link.mtu = l->mtu;
		error_clear(&err);
	}
	r = netlink_addr_replace(p->net->nl, &a, &err);
	if (r < 0) {
		log_warn("DHCP on %s: %s", p->link.name, err.text);
		return r;
	}
	/* One bad route of a server's must not cost the whole network. */
	if (apply_routes(p, l, &err) < 0)
		log_warn("DHCP on %s: %s", p->link.name, err.text);
	p->n_dns = l->n_dns;
	for (size_t i = 0; i < l->n_dns; i++)
		p->dns[i] = from_u32(l->dns[i], 32);
	memcpy(p->domain, l->domain, sizeof(p->domain));
	write_resolv(p->net);
	net_addr_format(&a.addr, true, text);
	log_write(p->ready ? LOG_DEBUG : LOG_INFO, "DHCP on %s: %s", p->link.name, text);
	p->ready = true;
	wake_waiters(p->net);
	return 0;
}

static void on_lost(const struct dhcp_lease *l, void *data)
{
	struct plan *p = data;
	struct net_link_addr a = lease_addr(p, l);
	struct error err = ERROR_INIT;

	if (netlink_addr_delete(p->net->nl, &a, &err) < 0)
		log_warn("DHCP on %s: %s", p->link.name, err.text);
	p->ready = false;
}

/* The link is there: bring it up and give it what the word says. */
static int carry_out(struct plan *p, const struct net_link *link, struct error *err)
{
	int r;

	p->link = *link;
	r = netlink_link_flags(p->net->nl, link->index, IFF_UP, IFF_UP, err);
	if (r < 0)
		return r;
	if (p->word.dhcp)
		return dhcp_start(&p->dhcp, p->net->loop, link, p->word.hostname, on_lease, on_lost,
		                  p, err);
	r = apply_static(p, err);
	if (r < 0)
		return r;
	p->ready = true;
	wake_waiters(p->net);
	return 0;
}

/* ---------------------------------------------------------------- finding links */
static bool is_taken(const struct net *net, uint32_t index)
{
	for (size_t i = 0; i < net->n_plans; i++)
		if (net->plans[i].link.index == index)
			return true;
	return false;
}

static bool fits(const struct plan *p, const struct net_link *link)
{
	if (is_taken(p->net, link->index))
		return false;
	if (*p->word.device)
		return strcmp(p->word.device, link->name) == 0;
	/* A veth end or a bridge has a kind; hardware and virtio have none. */
	return link->type == ARPHRD_ETHER && !(link->flags & IFF_LOOPBACK) && !*link->kind;
}

/* Carries out every plan whose link is there. Returns how many still wait. */
static size_t look_for_links(struct net *net)
{
	_cleanup_free_ struct net_link *links = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0, waiting = 0;

	if (netlink_links(net->nl, &links, &n, &err) < 0)
		log_warn("network: %s", err.text);
	for (size_t i = 0; i < net->n_plans; i++) {
		struct plan *p = &net->plans[i];
		size_t k = 0;

		if (p->link.index)
			continue;
		while (k < n && !fits(p, &links[k]))
			k++;
		if (k == n) {
			waiting++;
		} else if (carry_out(p, &links[k], &err) < 0) {
			log_error("network: %s", err.text);
			error_clear(&err);
		}
	}
	return waiting;
}

static void stop_monitor(struct net *net)
{
	loop_source_free(net->monitor_source);
	net->monitor_source = NULL;
	close_fd(&net->monitor);
}

static void on_link_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct net *net = data;
	uint8_t dropped[4096];

	/* What changed is asked for, not believed: an overrun loses nothing this way. */
	while (recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
		;
	if (look_for_links(net) == 0)
		stop_monitor(net);
}

static int start_monitor(struct net *net, struct error *err)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	net->monitor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (net->monitor < 0 || bind(net->monitor, (struct sockaddr *)&to, sizeof(to)) < 0)
		return error_errno(err, errno, "watch for network links");
	return loop_add_fd(net->loop, net->monitor, EPOLLIN, on_link_event, net,
	                   &net->monitor_source, err);
}

static int start_plans(struct net *net, const struct cmdline *cmdline, struct error *err)
{
	struct ip_word words[IP_WORDS_MAX];
	size_t n;
	int r = ip_words_read(cmdline, words, &n, err);

	if (r < 0 || n == 0)
		return r;
	for (size_t i = 0; i < n; i++)
		net->plans[i] = (struct plan){.net = net, .word = words[i]};
	net->n_plans = n;
	/* The monitor is there before the look, so that no link can appear between them. */
	r = start_monitor(net, err);
	if (r == 0 && look_for_links(net) == 0)
		stop_monitor(net);
	return r;
}

int net_start(struct net **out, struct loop *loop, const struct cmdline *cmdline, struct error *err)
{
	struct net *net = calloc(1, sizeof(*net));
	int r;

	if (!net)
		return error_set(err, ENOMEM, "network: no memory");
	net->loop = loop;
	net->monitor = -1;
	r = netlink_new(&net->nl, err);
	if (r == 0)
		r = start_plans(net, cmdline, err);
	if (r < 0) {
		net_free(net);
		return error_prefix(err, r, "network");
	}
	*out = net;
	return 0;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	while (net->waiters)
		drop_waiter(net->waiters);
	for (size_t i = 0; i < net->n_plans; i++)
		dhcp_stop(net->plans[i].dhcp);
	stop_monitor(net);
	netlink_free(net->nl);
	free(net);
}
