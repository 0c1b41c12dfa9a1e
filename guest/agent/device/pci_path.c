/* SPDX-License-Identifier: Apache-2.0 */
/* pci_path: slots to a sysfs folder, one bridge at a time. */
#include "pci_path.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define BUS_TEXT       sizeof("0000:00")
#define EXPANDER_FIRST 0x20
#define EXPANDER_DEPTH 3

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One or two hexadecimal digits; -1 when there are none. */
static int take_byte(const char **p)
{
	int v = hex_digit(**p), low;

	if (v < 0)
		return -1;
	(*p)++;
	low = hex_digit(**p);
	if (low < 0)
		return v;
	(*p)++;
	return v << 4 | low;
}

static int bad_path(struct error *err, const char *text, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "PCI path \"%.64s\": %s", text, why);
}

int pci_path_parse(struct pci_path *out, const char *text, struct error *err)
{
	struct pci_path path = {.depth = 0};
	int first = -1;

	for (const char *p = text;; p++) {
		int slot = take_byte(&p), function = 0;

		if (slot >= 0 && *p == '.') {
			p++;
			function = take_byte(&p);
		}
		if (slot < 0 || function < 0 || function > 7)
			return bad_path(err, text, "a segment is SS or SS.F in hexadecimal");
		if (path.depth == 0 && first < 0 && slot >= EXPANDER_FIRST && function == 0)
			first = slot; /* a bus number: no slot of its own */
		else if (slot > 0x1f)
			return bad_path(err, text, "a slot is at most 1f");
		else if (path.depth == PCI_PATH_MAX_DEPTH)
			return bad_path(err, text, "too deep");
		else {
			path.at[path.depth].slot = (uint8_t)slot;
			path.at[path.depth++].function = (uint8_t)function;
		}
		if (*p == '\0')
			break;
		if (*p != '/')
			return bad_path(err, text, "a segment is SS or SS.F in hexadecimal");
	}
	if (first >= 0) {
		if (path.depth != EXPANDER_DEPTH - 1)
			return bad_path(err, text,
			                "only a path of three starts at an expander bus");
		path.root_bus = (uint8_t)first;
	}
	*out = path;
	return 0;
}

/* "DDDD:BB", as the kernel names a bus. */
static bool is_bus_name(const char *s)
{
	for (size_t i = 0; i < BUS_TEXT - 1; i++)
		if (i == 4 ? s[i] != ':' : hex_digit(s[i]) < 0)
			return false;
	return s[BUS_TEXT - 1] == '\0';
}

/* The one bus behind the bridge at `path`. */
static int bus_behind(const char *sysfs, const char *path, char *bus, struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char folder[PCI_SYSFS_PATH_MAX + 64];
	struct dirent *e;
	unsigned int n = 0;

	if (snprintf(folder, sizeof(folder), "%s%s", sysfs, path) >= (int)sizeof(folder) - 16)
		return error_set(err, ENAMETOOLONG, "PCI bridge %s: path too long", path);
	dir = opendir(folder);
	if (!dir)
		return error_errno(err, errno, "PCI bridge %s", path);
	closedir(dir);
	dir = opendir(strcat(folder, "/pci_bus"));
	if (!dir)
		return error_set(err, EINVAL, "PCI device %s is no bridge", path);
	while ((e = readdir(dir))) {
		if (!is_bus_name(e->d_name))
			continue;
		memcpy(bus, e->d_name, BUS_TEXT);
		n++;
	}
	return n == 1 ? 0 : error_set(err, EINVAL, "PCI bridge %s has %u buses", path, n);
}

int pci_path_resolve(const char *sysfs, const struct pci_path *p, char *out, struct error *err)
{
	char bus[BUS_TEXT], path[PCI_SYSFS_PATH_MAX];
	int n = snprintf(path, sizeof(path), "/devices/pci0000:%02x", p->root_bus);

	(void)snprintf(bus, sizeof(bus), "0000:%02x", p->root_bus);
	for (size_t i = 0; i < p->depth; i++) {
		int r;

		if (i > 0 && (r = bus_behind(sysfs, path, bus, err)) < 0)
			return r;
		r = snprintf(path + n, sizeof(path) - (size_t)n, "/%s:%02x.%u", bus, p->at[i].slot,
		             p->at[i].function);
		n += r;
		if ((size_t)n >= sizeof(path))
			return error_set(err, ENAMETOOLONG, "PCI path: too deep");
	}
	memcpy(out, path, (size_t)n + 1);
	return 0;
}
