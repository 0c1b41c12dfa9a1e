/* SPDX-License-Identifier: Apache-2.0 */
/* accel: whether this host's KVM can run an unmodified Linux at speed. */
#include "accel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* The first processor's part is a fraction of that: to have the kernel print all of them takes long
 * where there are many. */
#define CPUINFO_MAX 16384

static int open_kvm(const char *root)
{
	_cleanup_free_ char *path = str_printf("%s/dev/kvm", root);
	_cleanup_close_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	return fd < 0 ? -errno : 0;
}

static bool has_pvm(const char *root)
{
	_cleanup_free_ char *path = str_printf("%s/sys/module/kvm_pvm", root);

	return path && fs_exists(path);
}

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = line; (at = strstr(at, word)); at += n)
		if (at > line && strchr(" \t:", at[-1]) && strchr(" \t", at[n]))
			return true;
	return false;
}

/* True when the first "flags" line of cpuinfo has the word vmx or svm. */
static bool has_hardware_virtualisation(const char *root)
{
	_cleanup_free_ char *path = str_printf("%s/proc/cpuinfo", root);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[CPUINFO_MAX], *line = NULL, *end = NULL;
	size_t size = 0;
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && !end && size < sizeof(text) - 1) {
		n = read(fd, text + size, sizeof(text) - 1 - size);
		size += n > 0 ? (size_t)n : 0;
		text[size] = '\0';
		line = strstr(text, "flags\t");
		end = line ? strchr(line, '\n') : NULL;
	}
	if (!line)
		return false;
	if (end)
		*end = '\0';
	return has_word(line, "vmx") || has_word(line, "svm");
}

int accel_choose(enum accel wanted, const char *root, struct accel_choice *out, struct error *err)
{
	int r = wanted == ACCEL_TCG ? 0 : open_kvm(root);

	out->accel = wanted == ACCEL_TCG ? ACCEL_TCG : ACCEL_KVM;
	out->why[0] = '\0';
	out->pvm = r == 0 && out->accel == ACCEL_KVM && has_pvm(root);
	if (wanted == ACCEL_KVM && r < 0) {
		error_errno(err, -r, "opening /dev/kvm");
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return error_hint(err, r, "use --accel tcg to emulate");
	}
	if (wanted != ACCEL_AUTO)
		return 0;
	if (r < 0)
		snprintf(out->why, sizeof(out->why), "/dev/kvm: %s", strerror(-r));
	else if (out->pvm)
		snprintf(out->why, sizeof(out->why), "it is PVM");
	else if (!has_hardware_virtualisation(root))
		snprintf(out->why, sizeof(out->why), "the processor offers neither VMX nor SVM");
	if (out->why[0])
		out->accel = ACCEL_TCG;
	return 0;
}
