/* SPDX-License-Identifier: Apache-2.0 */
/* service: which function answers which method. */
#include "guest/agent/rpc/handlers.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/device.pb-c.h"
#include "lib/rpc/proto/health.pb-c.h"
#include "lib/rpc/proto/trace.pb-c.h"

static const struct rpc_handler health_methods[] = {
    {"Check", rpc_check, NULL},
    {"Version", rpc_version, NULL},
    {NULL, NULL, NULL},
};

static const struct rpc_handler agent_methods[] = {
    {"CreateContainer", rpc_create_container, NULL},
    {"StartContainer", rpc_start_container, NULL},
    {"RemoveContainer", rpc_remove_container, NULL},
    {"ExecProcess", rpc_exec_process, NULL},
    {"SignalProcess", rpc_signal_process, NULL},
    {"WaitProcess", rpc_wait_process, NULL},
    {"UpdateContainer", rpc_update_container, NULL},
    {"UpdateEphemeralMounts", rpc_update_ephemeral_mounts, NULL},
    {"StatsContainer", rpc_stats_container, NULL},
    {"PauseContainer", rpc_pause_container, NULL},
    {"ResumeContainer", rpc_resume_container, NULL},
    {"RemoveStaleVirtiofsShareMounts", rpc_remove_stale_mounts, NULL},
    {"GetDiagnosticData", rpc_get_diagnostic_data, NULL},
    {"WriteStdin", rpc_write_stdin, NULL},
    {"ReadStdout", rpc_read_stdout, NULL},
    {"ReadStderr", rpc_read_stderr, NULL},
    {"CloseStdin", rpc_close_stdin, NULL},
    {"TtyWinResize", rpc_tty_win_resize, NULL},
    {"UpdateInterface", rpc_update_interface, NULL},
    {"UpdateRoutes", rpc_update_routes, NULL},
    {"ListInterfaces", rpc_list_interfaces, NULL},
    {"ListRoutes", rpc_list_routes, NULL},
    {"AddARPNeighbors", rpc_add_arp_neighbors, NULL},
    {"GetIPTables", rpc_get_ip_tables, NULL},
    {"SetIPTables", rpc_set_ip_tables, NULL},
    {"GetMetrics", rpc_get_metrics, NULL},
    {"MemAgentMemcgSet", NULL, "there is no memory agent in this guest"},
    {"MemAgentCompactSet", NULL, "there is no memory agent in this guest"},
    {"CreateSandbox", rpc_create_sandbox, NULL},
    {"DestroySandbox", rpc_destroy_sandbox, NULL},
    {"OnlineCPUMem", rpc_online_cpu_mem, NULL},
    {"ReseedRandomDev", rpc_reseed_random_dev, NULL},
    {"GetGuestDetails", rpc_get_guest_details, NULL},
    {"MemHotplugByProbe", rpc_mem_hotplug_by_probe, NULL},
    {"SetGuestDateTime", rpc_set_guest_date_time, NULL},
    {"CopyFile", rpc_copy_file, NULL},
    {"GetOOMEvent", rpc_get_oom_event, NULL},
    {"AddSwap", rpc_add_swap, NULL},
    {"AddSwapPath", rpc_add_swap_path, NULL},
    {"GetVolumeStats", rpc_get_volume_stats, NULL},
    {"ResizeVolume", rpc_resize_volume, NULL},
    {"SetPolicy", rpc_set_policy, NULL},
    {NULL, NULL, NULL},
};

static const struct rpc_handler trace_methods[] = {
    {"Start", rpc_start_trace, NULL},
    {"Read", rpc_read_trace, NULL},
    {"Stop", rpc_stop_trace, NULL},
    {NULL, NULL, NULL},
};

static const struct rpc_handler device_methods[] = {
    {"Probe", rpc_probe_devices, NULL},
    {"Release", rpc_release_devices, NULL},
    {NULL, NULL, NULL},
};

static void disconnected(uint64_t connection, void *data)
{
	traces_disconnected(&((struct agent *)data)->traces, connection);
}

int agent_add_services(struct agent *agent, struct error *err)
{
	int r = rpc_server_add_service(agent->server, &grpc__health__descriptor, health_methods,
	                               agent, err);

	if (r == 0)
		r = rpc_server_add_service(agent->server, &grpc__agent_service__descriptor,
		                           agent_methods, agent, err);
	if (r == 0)
		r = rpc_server_add_service(agent->server, &kihon__trace__descriptor, trace_methods,
		                           agent, err);
	if (r == 0)
		r = rpc_server_add_service(agent->server, &kihon__devices__descriptor,
		                           device_methods, agent, err);
	if (r < 0)
		return r;
	rpc_server_set_gate(agent->server, agent_gate, agent);
	rpc_server_on_disconnect(agent->server, disconnected, agent);
	return 0;
}
