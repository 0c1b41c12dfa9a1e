/* SPDX-License-Identifier: Apache-2.0 */
/* features: what this runtime can do, as features.md has it; and a config.json to start from. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/container/capability.h"
#include "guest/agent/container/mount_options.h"
#include "guest/agent/container/syscall_filter.h"
#include "guest/oci/runtime.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/version.h"
#include "lib/oci/runtime_spec.h"

/* ---- features ---- */

static void write_list(struct buffer *out, const char *name, const char *const *words)
{
	buffer_printf(out, "\"%s\":[", name);
	for (size_t i = 0; words[i]; i++) {
		buffer_str(out, i ? "," : "");
		buffer_json_string(out, words[i]);
	}
	buffer_str(out, "]");
}

static void write_hooks(struct buffer *out)
{
	buffer_str(out, "\"hooks\":[");
	for (int i = 0; i < OCI_HOOK_POINTS; i++)
		buffer_printf(out, "%s\"%s\"", i ? "," : "",
		              oci_hook_point_name((enum oci_hook_point)i));
	buffer_str(out, "]");
}

static void write_mount_words(struct buffer *out)
{
	const char *word;

	buffer_str(out, "\"mountOptions\":[");
	for (size_t i = 0; (word = mount_word(i)); i++)
		buffer_printf(out, "%s\"%s\"", i ? "," : "", word);
	buffer_str(out, "]");
}

static void write_capabilities(struct buffer *out)
{
	buffer_str(out, "\"capabilities\":[");
	for (int i = 0; capability_name(i); i++)
		buffer_printf(out, "%s\"%s\"", i ? "," : "", capability_name(i));
	buffer_str(out, "]");
}

static void write_linux(struct buffer *out)
{
	static const char *const namespaces[] = {"cgroup", "ipc",  "mount", "network", "pid",
	                                         "time",   "user", "uts",   NULL};

	buffer_str(out, "\"linux\":{");
	write_list(out, "namespaces", namespaces);
	buffer_str(out, ",");
	write_capabilities(out);
	buffer_str(out, ",\"cgroup\":{\"v1\":false,\"v2\":true,\"systemd\":false,"
	                "\"systemdUser\":false,\"rdma\":true},\"seccomp\":{\"enabled\":true,");
	write_list(out, "actions", syscall_filter_action_names());
	buffer_str(out, ",");
	write_list(out, "operators", syscall_filter_operator_names());
	buffer_str(out, ",");
	write_list(out, "archs", syscall_filter_arch_names());
	buffer_str(out, ",");
	write_list(out, "knownFlags", syscall_filter_flag_names());
	buffer_str(out, ",");
	write_list(out, "supportedFlags", syscall_filter_flag_names());
	buffer_str(out, "},\"apparmor\":{\"enabled\":true},\"selinux\":{\"enabled\":true},"
	                "\"intelRdt\":{\"enabled\":false},\"netDevices\":{\"enabled\":false},"
	                "\"mountExtensions\":{\"idmap\":{\"enabled\":true}}}");
}

static int features_main(int argc, char **argv, void *data)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	const struct scmp_version *library = seccomp_version();

	buffer_str(&out,
	           "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"" OCI_SPEC_VERSION "\",");
	write_hooks(&out);
	buffer_str(&out, ",");
	write_mount_words(&out);
	buffer_str(&out, ",");
	write_linux(&out);
	buffer_printf(&out,
	              ",\"annotations\":{\"io.github.seccomp.libseccomp.version\":\"%u.%u.%u\","
	              "\"org.kihon.version\":\"" KIHON_VERSION "\"},"
	              "\"potentiallyUnsafeConfigAnnotations\":[]}\n",
	              library->major, library->minor, library->micro);
	return out.failed || fs_write_all(1, out.data, out.size) < 0;
}

const struct verb features_verb = {
    .name = "features",
    .args = "",
    .summary = "print what is supported, as JSON (OCI features)",
    .run = features_main,
};

/* ---- spec ---- */

#define CAPS "\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\""

static const char head[] =
    "{\n"
    "  \"ociVersion\": \"" OCI_SPEC_VERSION "\",\n"
    "  \"process\": {\n"
    "    \"terminal\": true,\n"
    "    \"user\": { \"uid\": 0, \"gid\": 0 },\n"
    "    \"args\": [ \"sh\" ],\n"
    "    \"env\": [\n"
    "      \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
    "      \"TERM=xterm\"\n"
    "    ],\n"
    "    \"cwd\": \"/\",\n"
    "    \"capabilities\": {\n"
    "      \"bounding\": [ " CAPS " ],\n"
    "      \"effective\": [ " CAPS " ],\n"
    "      \"permitted\": [ " CAPS " ]\n"
    "    },\n"
    "    \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024 } ],\n"
    "    \"noNewPrivileges\": true\n"
    "  },\n"
    "  \"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
    "  \"hostname\": \"kihon\",\n"
    "  \"mounts\": [\n"
    "    { \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },\n"
    "    { \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
    "      \"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ] },\n"
    "    { \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
    "      \"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", "
    "\"mode=0620\"";

static const char middle[] =
    " ] },\n"
    "    { \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
    "      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\" ] },\n"
    "    { \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
    "      \"options\": [ \"nosuid\", \"noexec\", \"nodev\" ] },\n";

static const char tail[] =
    "    { \"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
    "      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\" ] }\n"
    "  ],\n"
    "  \"linux\": {\n";

static const char end[] =
    "    \"maskedPaths\": [\n"
    "      \"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\",\n"
    "      \"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\",\n"
    "      \"/proc/sched_debug\", \"/sys/firmware\", \"/proc/scsi\"\n"
    "    ],\n"
    "    \"readonlyPaths\": [\n"
    "      \"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\"\n"
    "    ]\n"
    "  }\n"
    "}\n";

static void write_spec(struct buffer *out, bool rootless)
{
	buffer_str(out, head);
	buffer_str(out, rootless ? "" : ", \"gid=5\"");
	buffer_str(out, middle);
	/* Without a network namespace of one's own a fresh sysfs is refused. */
	buffer_str(out, rootless
	                    ? "    { \"destination\": \"/sys\", \"type\": \"none\", \"source\": "
	                      "\"/sys\",\n      \"options\": [ \"rbind\", \"nosuid\", \"noexec\", "
	                      "\"nodev\", \"ro\" ] },\n"
	                    : "    { \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": "
	                      "\"sysfs\",\n      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", "
	                      "\"ro\" ] },\n");
	buffer_str(out, tail);
	if (rootless)
		buffer_printf(out,
		              "    \"uidMappings\": [ { \"containerID\": 0, \"hostID\": %u, "
		              "\"size\": 1 } ],\n"
		              "    \"gidMappings\": [ { \"containerID\": 0, \"hostID\": %u, "
		              "\"size\": 1 } ],\n",
		              (unsigned int)geteuid(), (unsigned int)getegid());
	else
		buffer_str(out, "    \"resources\": { \"devices\": [ { \"allow\": false, "
		                "\"access\": \"rwm\" } ] },\n");
	buffer_printf(
	    out,
	    "    \"namespaces\": [\n      { \"type\": \"pid\" },%s { \"type\": \"ipc\" }, "
	    "{ \"type\": \"uts\" },\n      { \"type\": \"mount\" }, { \"type\": "
	    "\"cgroup\" }%s\n    ],\n",
	    rootless ? "" : " { \"type\": \"network\" },",
	    rootless ? ", { \"type\": \"user\" }" : "");
	buffer_str(out, end);
}

struct spec_data {
	const char *bundle;
	bool rootless;
};

static const struct option spec_options[] = {
    {"bundle", 'b', OPTION_STRING, offsetof(struct spec_data, bundle), "DIR", NULL,
     "where to write config.json (.)"},
    {"rootless", 0, OPTION_FLAG, offsetof(struct spec_data, rootless), NULL, NULL,
     "for a user who is not root"},
    {0}};

static int spec_main(int argc, char **argv, void *data)
{
	const struct spec_data *d = data;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	_cleanup_free_ char *path = str_printf("%s/config.json", d->bundle ? d->bundle : ".");
	_cleanup_close_ int fd = -1;
	struct error err = ERROR_INIT;
	int r;

	write_spec(&out, d->rootless);
	if (!path || out.failed) {
		error_set(&err, ENOMEM, "no memory");
		return runtime_fail(&err);
	}
	fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		error_errno(&err, errno, "making %s", path);
		return runtime_fail(&err);
	}
	r = fs_write_all(fd, out.data, out.size);
	if (r < 0) {
		error_errno(&err, -r, "writing %s", path);
		unlink(path);
		return runtime_fail(&err);
	}
	return 0;
}

const struct verb spec_verb = {
    .name = "spec",
    .args = "",
    .summary = "write a config.json to start from",
    .options = spec_options,
    .run = spec_main,
    .data_size = sizeof(struct spec_data),
};
