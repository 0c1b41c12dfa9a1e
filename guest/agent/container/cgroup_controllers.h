/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_controllers: the controllers that we know, as bits. */
#pragma once

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_IO,
	CGROUP_PIDS,
	CGROUP_HUGETLB,
	CGROUP_RDMA,
	CGROUP_MISC,
	CGROUP_CONTROLLERS
};

/* In the order of the enum, NULL at the end. */
extern const char *const cgroup_controller_names[CGROUP_CONTROLLERS + 1];
