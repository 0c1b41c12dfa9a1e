/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: says what this host can and lacks, one line a thing. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#include "host-shim/cli/guest.h"
#include "host-shim/hypervisor/passt.h"
#include "lib/base/process.h"

struct doctor_data {
	const char *image_dir;
};

#define OUTPUT_MAX 4096

static void say(bool good, const char *what, const char *text)
{
	printf("%-4s %-10s %s\n", good ? "ok" : "no", what, text);
}

static bool check_qemu(void)
{
	char *const argv[] = {(char *)"qemu-system-x86_64", (char *)"--version", NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int status = 0, r = process_run(argv, &out, NULL, OUTPUT_MAX, &status, &err);
	char *line = (char *)out.data;

	if (r < 0 || status != 0) {
		say(false, "qemu",
		    r < 0 ? err.text
		          : "qemu-system-x86_64 --version failed (Debian: apt-get install "
		            "qemu-system-x86)");
		return false;
	}
	if (line && strchr(line, '\n'))
		*strchr(line, '\n') = '\0';
	say(true, "qemu", line ? line : "");
	return true;
}

static bool check_kvm(void)
{
	struct accel_choice c;
	char text[256];

	accel_choose(ACCEL_AUTO, "", &c, NULL);
	snprintf(text, sizeof(text), "guests are emulated: KVM cannot run Linux at speed (%s)",
	         c.why);
	say(c.accel == ACCEL_KVM, "kvm", c.accel == ACCEL_KVM ? "/dev/kvm" : text);
	return true; /* slower, and no boundary, but it works */
}

static bool check_confidential(void)
{
	static const enum confidential_kind kinds[] = {CONFIDENTIAL_SEV, CONFIDENTIAL_SEV_SNP,
	                                               CONFIDENTIAL_TDX};
	_cleanup_buffer_ struct buffer found = BUFFER_INIT;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct confidential c = {.kind = kinds[i]};

		if (confidential_check_host(&c, "", NULL) == 0)
			buffer_printf(&found, " %s", confidential_name(&c));
	}
	say(found.size > 0, "tee",
	    found.size > 0 ? buffer_cstr(&found) + 1
	                   : "no confidential guests (--confidential): this host offers neither "
	                     "SEV, SEV-SNP nor TDX");
	return true; /* few have */
}

static bool check_passt(void)
{
	say(passt_found(), "passt",
	    passt_found()
	        ? "networks of guests in the built-in monitor"
	        : "not in PATH: guests with a network run in QEMU (Debian: apt-get install "
	          "passt)");
	return true;
}

static bool check_runtime(void)
{
	_cleanup_runtime_dir_ struct runtime_dir d = RUNTIME_DIR_INIT;
	struct error err = ERROR_INIT;
	bool good = runtime_dir_new(&d, &err) == 0;

	say(good, "runtime", good ? d.path : err.text);
	return good;
}

static bool check_image(const char *path)
{
	_cleanup_image_dir_ struct image_dir d = {0};
	struct error err = ERROR_INIT;
	bool good = image_dir_open(&d, path, &err) == 0;

	say(good, "image", good ? d.path : err.text);
	return good;
}

static int run_doctor(int argc, char **argv, void *data)
{
	const struct doctor_data *d = data;
	bool good = check_qemu();

	good &= check_kvm();
	good &= check_passt();
	good &= check_confidential();
	good &= check_runtime();
	good &= check_image(d->image_dir);
	return good ? 0 : EXIT_OURS;
}

static const struct option options[] = {
    {"image-dir", 0, OPTION_STRING, offsetof(struct doctor_data, image_dir), "DIR", NULL,
     "guest image to look at"},
    {NULL},
};

const struct verb doctor_verb = {
    .name = "doctor",
    .args = "",
    .summary = "say what this host can and lacks",
    .details = "One line a thing: \"ok\" or \"no\", its name, and what was found.\n"
               "\n"
               "Exit status: 0 when guests can be run, 125 otherwise.\n",
    .options = options,
    .run = run_doctor,
    .data_size = sizeof(struct doctor_data),
};
