/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the monitor's numbers: smaps against figures counted by hand, and their JSON. */
#include "host-shim/vmm/vm_stats.h"

#include <errno.h>
#include <string.h>

#include "lib/base/json.h"
#include "tests/unit/check.h"

/* Three mappings as the kernel shows them (proc_pid_smaps(5)): RAM, an image, the heap. */
static const char smaps[] =
    "7f0000000000-7f0008000000 rw-p 00000000 00:00 0 \n"
    "Size:             131072 kB\nRss:                1000 kB\nPss:                1000 kB\n"
    "Shared_Clean:          0 kB\nShared_Dirty:          8 kB\nPrivate_Clean:         2 kB\n"
    "Private_Dirty:       990 kB\nReferenced:         1000 kB\nVmFlags: rd wr mr mw me nr dd \n"
    "7f1000000000-7f1000200000 r--s 00000000 fe:01 99                         /a b/Rss: 7 kB\n"
    "Rss:                 600 kB\nShared_Clean:        500 kB\nPrivate_Clean:       100 kB\n"
    "55d000000000-55d000021000 rw-p 00000000 00:00 0                          [heap]\n"
    "Rss:                  40 kB\nShared_Clean:         12 kB\nPrivate_Dirty:        28 kB";

TEST(smaps_are_added_up)
{
	const struct vm_stats_range ranges[] = {{0x7f0000000000, 0x8000000},
	                                        {0x7f1000000000, 0x200000}};
	struct vm_memory_stats m = {0};

	check(vm_stats_smaps(smaps, strlen(smaps), ranges, 2, &m, NULL) == 0);
	check(m.known);
	check(m.resident == 1600 * 1024);
	check(m.private_bytes == (992 + 100) * 1024);
	check(m.shared == (8 + 500) * 1024);
	check(m.monitor_private == 28 * 1024);
}

TEST(a_mapping_that_only_adjoins_is_not_the_guests)
{
	const struct vm_stats_range before = {0x7f0008000000, 0x1000};
	struct vm_memory_stats m = {0};

	check(vm_stats_smaps(smaps, strlen(smaps), &before, 1, &m, NULL) == 0);
	check(m.resident == 0);
	check(m.monitor_private == (992 + 100 + 28) * 1024);
}

TEST(other_text_is_refused)
{
	struct vm_memory_stats m = {.resident = 5};
	struct error err = ERROR_INIT;

	check(vm_stats_smaps("", 0, NULL, 0, &m, &err) == -EPROTO);
	check(vm_stats_smaps("Rss: 12 kB\n", 11, NULL, 0, &m, &err) == -EPROTO);
	check(m.resident == 5 && !m.known);
}

TEST(json_names_units_and_leaves_out_what_is_not_known)
{
	static struct vm_stats s = {.run_ns = 7, .cpus = 2, .memory_size = 1 << 27, .n_devices = 2};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *memory, *exits, *devices, *queues;

	s.exits[6] = 41; /* KVM_EXIT_MMIO */
	s.exits[63] = 1;
	s.exits_total = 42;
	s.devices[0] =
	    (struct vm_device_stats){.name = "blk",
	                             .slot = 0,
	                             .n_queues = 1,
	                             .queues = {{.notifications = 3, .data = {5, 6, 7}}}};
	s.devices[1].slot = 1;
	vm_stats_json(&s, &b);
	check(!b.failed);
	check(json_parse((const char *)b.data, b.size, 1 << 16, "it", &root, NULL) == 0);
	memory = cJSON_GetObjectItem(root, "memory");
	exits = cJSON_GetObjectItem(root, "exits");
	devices = cJSON_GetObjectItem(root, "devices");
	check(cJSON_GetObjectItem(root, "run_ns")->valuedouble == 7);
	check(cJSON_GetObjectItem(memory, "size_bytes")->valuedouble == 1 << 27);
	check(!cJSON_HasObjectItem(memory, "resident_bytes"));
	check(cJSON_GetObjectItem(exits, "mmio")->valuedouble == 41);
	check(cJSON_GetObjectItem(exits, "other")->valuedouble == 1);
	check(cJSON_GetArraySize(devices) == 2);
	queues = cJSON_GetObjectItem(cJSON_GetArrayItem(devices, 0), "queues");
	check(cJSON_GetObjectItem(cJSON_GetArrayItem(queues, 0), "notifications")->valuedouble ==
	      3);
	check(cJSON_GetObjectItem(cJSON_GetArrayItem(queues, 0), "chains")->valuedouble == 5);
	check(cJSON_GetObjectItem(cJSON_GetArrayItem(queues, 0), "read_bytes")->valuedouble == 6);
	check(cJSON_GetObjectItem(cJSON_GetArrayItem(queues, 0), "written_bytes")->valuedouble ==
	      7);
	check(!cJSON_HasObjectItem(memory, "balloon_bytes"));
	check(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(devices, 1), "name")));
}

TEST_MAIN()
