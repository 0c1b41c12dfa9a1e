/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-cgroup-resources: linux.resources as the files of a cgroup get it. A folder with plain files
 * stands for the group; what the kernel then does with them the booted guests show.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "guest/agent/container/cgroup.h"
#include "guest/agent/container/cgroup_controllers.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/oci/runtime_spec.h"

static struct cgroup group = CGROUP_INIT;

/* Files: those that a kernel with every controller has, without what a test names after "-". */
static void open_group(const char *without)
{
	static const char *const files[] = {
	    "memory.max",    "memory.swap.max", "memory.low",      "cpu.max",
	    "cpu.weight",    "cpu.max.burst",   "cpu.idle",        "cpuset.cpus",
	    "cpuset.mems",   "pids.max",        "io.weight",       "io.max",
	    "memory.high",   "rdma.max",        "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max",
	    "memory.current"};

	group.fd = open(check_tmpdir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
	check(group.fd >= 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd;

		if (without && strcmp(files[i], without) == 0)
			continue;
		fd = openat(group.fd, files[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		check(fd >= 0);
		close(fd);
	}
}

static int apply(const char *json, struct error *err)
{
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	int r = oci_spec_parse_resources(json, strlen(json), &spec, err);

	return r < 0 ? r : cgroup_apply(&group, spec->linux_.resources, err);
}

/* Plain files keep the end of a longer text that was there: each test writes a file once. */
static void has(const char *file, const char *want)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(fs_read_file(group.fd, file, 4096, &text, &err), &err);
	check_str(buffer_cstr(&text), want);
}

static void fails(const char *json, int want, const char *says)
{
	struct error err = ERROR_INIT;
	int r = apply(json, &err);

	if (r != -want || !strstr(err.text, says))
		check_fail(__FILE__, __LINE__, "%s: %d \"%s\"", json, r, err.text);
}

TEST(limits_in_their_files)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"memory\":{\"limit\":1048576,\"swap\":3145728,\"reservation\":4096},"
	               "\"cpu\":{\"shares\":1024,\"quota\":20000,\"period\":50000,\"burst\":100,"
	               "\"cpus\":\"0-1\",\"mems\":\"0\"},\"pids\":{\"limit\":7},"
	               "\"blockIO\":{\"weight\":500},"
	               "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}],"
	               "\"rdma\":{\"mlx5\":{\"hcaHandles\":3,\"hcaObjects\":9}}}",
	               &err),
	         &err);
	has("memory.max", "1048576");
	has("memory.swap.max", "2097152"); /* the file is swap alone */
	has("memory.low", "4096");
	has("cpu.weight", "39"); /* 1 + (1024 - 2) * 9999 / 262142 */
	has("cpu.max", "20000 50000");
	has("cpu.max.burst", "100");
	has("cpuset.cpus", "0-1");
	has("cpuset.mems", "0");
	has("pids.max", "7");
	has("io.weight", "4950"); /* 1 + (500 - 10) * 9999 / 990 */
	has("hugetlb.2MB.max", "4194304");
	has("hugetlb.2MB.rsvd.max", "4194304");
	has("rdma.max", "mlx5 hca_handle=3 hca_object=9");
	cgroup_close(&group);
}

TEST(a_new_period_keeps_the_quota)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"cpu\":{\"quota\":20000,\"period\":50000}}", &err), &err);
	check_ok(apply("{\"cpu\":{\"period\":40000}}", &err), &err);
	has("cpu.max", "20000 40000");
	cgroup_close(&group);
}

TEST(no_swap_needs_no_file)
{
	struct error err = ERROR_INIT;

	open_group("memory.swap.max");
	check_ok(apply("{\"memory\":{\"limit\":1048576,\"swap\":1048576}}", &err), &err);
	has("memory.max", "1048576");
	fails("{\"memory\":{\"limit\":1048576,\"swap\":2097152}}", ENOENT, "memory.swap.max");
	cgroup_close(&group);
}

TEST(memory_without_a_limit_has_none_with_swap)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"memory\":{\"limit\":-1}}", &err), &err);
	has("memory.max", "max");
	has("memory.swap.max", "max");
	cgroup_close(&group);
}

TEST(minus_one_is_no_limit)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"memory\":{\"limit\":-1,\"swap\":-1},\"cpu\":{\"quota\":-1},"
	               "\"pids\":{\"limit\":-1}}",
	               &err),
	         &err);
	has("memory.max", "max");
	has("memory.swap.max", "max");
	has("cpu.max", "max");
	has("pids.max", "max");
	cgroup_close(&group);
}

TEST(no_limit_needs_no_file)
{
	struct error err = ERROR_INIT;

	open_group("memory.swap.max");
	check_ok(apply("{\"memory\":{\"limit\":4096,\"swap\":-1}}", &err), &err);
	fails("{\"memory\":{\"limit\":4096,\"swap\":8192}}", ENOENT, "memory.swap.max");
	cgroup_close(&group);
}

TEST(weights_at_their_ends)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"cpu\":{\"shares\":262144},\"blockIO\":{\"weight\":1000}}", &err), &err);
	has("cpu.weight", "10000");
	has("io.weight", "10000");
	cgroup_close(&group);
	open_group(NULL);
	check_ok(apply("{\"cpu\":{\"shares\":1},\"blockIO\":{\"weight\":10}}", &err), &err);
	has("cpu.weight", "1");
	has("io.weight", "1");
	cgroup_close(&group);
}

TEST(io_limits_a_device_a_line)
{
	struct error err = ERROR_INIT;

	open_group("io.weight");
	check_ok(apply("{\"blockIO\":{\"throttleWriteIOPSDevice\":"
	               "[{\"major\":8,\"minor\":16,\"rate\":99}]}}",
	               &err),
	         &err);
	has("io.max", "8:16 wiops=99");
	fails("{\"blockIO\":{\"weight\":100}}", ENOENT, "io.weight");
	cgroup_close(&group);
}

TEST(unified_files)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	check_ok(apply("{\"unified\":{\"memory.high\":\"9999\",\"memory.max\":\"max\"}}", &err),
	         &err);
	has("memory.high", "9999");
	has("memory.max", "max");
	fails("{\"unified\":{\"../memory.high\":\"1\"}}", EINVAL, "no file of a cgroup");
	fails("{\"unified\":{\"tasks\":\"1\"}}", EINVAL, "no file of a cgroup");
	fails("{\"unified\":{\"foo.bar\":\"1\"}}", ENOENT,
	      "the requested cgroup controller `foo` is not available");
	fails("{\"unified\":{\"memory.nothing\":\"1\"}}", ENOENT, "memory.nothing");
	cgroup_close(&group);
}

TEST(what_contradicts_itself)
{
	open_group(NULL);
	fails("{\"memory\":{\"limit\":8192,\"swap\":4096}}", EINVAL, "less than memory.limit");
	fails("{\"memory\":{\"swap\":4096}}", EINVAL, "memory.limit is not");
	cgroup_close(&group);
}

TEST(what_version_2_does_not_have)
{
	struct error err = ERROR_INIT;

	open_group(NULL);
	fails("{\"cpu\":{\"realtimeRuntime\":950000}}", ENOTSUP, "realtimeRuntime");
	fails("{\"cpu\":{\"realtimePeriod\":1000000}}", ENOTSUP, "realtimePeriod");
	fails("{\"network\":{\"classID\":1048577}}", ENOTSUP, "classID");
	fails("{\"network\":{\"priorities\":[{\"name\":\"lo\",\"priority\":1}]}}", ENOTSUP,
	      "priorities");
	fails("{\"memory\":{\"disableOOMKiller\":true}}", ENOTSUP, "disableOOMKiller");
	/* Absent by another name. */
	check_ok(apply("{\"cpu\":{\"realtimeRuntime\":0},\"network\":{},\"memory\":"
	               "{\"disableOOMKiller\":false,\"swappiness\":60,\"kernel\":-1}}",
	               &err),
	         &err);
	cgroup_close(&group);
}

TEST(controllers_that_are_needed)
{
	static const struct {
		const char *json;
		uint32_t bits;
	} all[] = {
	    {"{}", 0},
	    {"{\"memory\":{\"limit\":1}}", 1u << CGROUP_MEMORY},
	    {"{\"memory\":{\"limit\":-1}}", 0},
	    {"{\"cpu\":{\"cpus\":\"0\"}}", 1u << CGROUP_CPUSET},
	    {"{\"cpu\":{\"shares\":5}}", 1u << CGROUP_CPU},
	    {"{\"pids\":{\"limit\":0}}", 0},
	    {"{\"unified\":{\"pids.max\":\"5\",\"io.max\":\"x\"}}",
	     1u << CGROUP_PIDS | 1u << CGROUP_IO},
	    {"{\"unified\":{\"cgroup.max.depth\":\"5\"}}", 0},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		_cleanup_oci_spec_ struct oci_spec *spec = NULL;
		struct error err = ERROR_INIT;

		check_ok(oci_spec_parse_resources(all[i].json, strlen(all[i].json), &spec, &err),
		         &err);
		check_int(cgroup_controllers_needed(spec->linux_.resources), all[i].bits);
	}
}

TEST_MAIN()
