/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers: one function for each method of grpc.Health, grpc.AgentService, kihon.Trace and
 * kihon.Devices. `data` is the struct agent. The table is in service.c.
 */
#pragma once

#include "guest/agent/agent.h"

#define AGENT_HANDLER(name)                                                                        \
	void name(struct rpc_call *call, const ProtobufCMessage *request, void *data)

/* Puts the services into the agent's server. */
int agent_add_services(struct agent *agent, struct error *err);

/* Takes the policy of init-data, or else of the image, into force. A policy that cannot be read
 * denies everything. policy_calls.c. */
void agent_load_policy(struct agent *agent);
/* The server's gate. */
int agent_gate(const char *service, const char *method, const ProtobufCMessage *request, void *data,
               char *why, size_t why_size);

/* health.c */
AGENT_HANDLER(rpc_check);
AGENT_HANDLER(rpc_version);

/* sandbox_calls.c */
AGENT_HANDLER(rpc_create_sandbox);
AGENT_HANDLER(rpc_destroy_sandbox);
AGENT_HANDLER(rpc_update_ephemeral_mounts);
AGENT_HANDLER(rpc_remove_stale_mounts);
AGENT_HANDLER(rpc_get_oom_event);

/* container_create.c */
AGENT_HANDLER(rpc_create_container);

/* container_calls.c */
AGENT_HANDLER(rpc_start_container);
AGENT_HANDLER(rpc_remove_container);
AGENT_HANDLER(rpc_update_container);
AGENT_HANDLER(rpc_pause_container);
AGENT_HANDLER(rpc_resume_container);

/* stats.c */
AGENT_HANDLER(rpc_stats_container);

/* process_calls.c */
AGENT_HANDLER(rpc_exec_process);
AGENT_HANDLER(rpc_signal_process);
AGENT_HANDLER(rpc_wait_process);
AGENT_HANDLER(rpc_tty_win_resize);

/* stream_calls.c */
AGENT_HANDLER(rpc_read_stdout);
AGENT_HANDLER(rpc_read_stderr);
AGENT_HANDLER(rpc_write_stdin);
AGENT_HANDLER(rpc_close_stdin);

/* guest_calls.c */
AGENT_HANDLER(rpc_get_guest_details);
AGENT_HANDLER(rpc_set_guest_date_time);
AGENT_HANDLER(rpc_reseed_random_dev);
AGENT_HANDLER(rpc_online_cpu_mem);
AGENT_HANDLER(rpc_mem_hotplug_by_probe);

/* network_calls.c */
AGENT_HANDLER(rpc_update_interface);
AGENT_HANDLER(rpc_update_routes);
AGENT_HANDLER(rpc_list_interfaces);
AGENT_HANDLER(rpc_list_routes);
AGENT_HANDLER(rpc_add_arp_neighbors);

/* iptables.c */
AGENT_HANDLER(rpc_get_ip_tables);
AGENT_HANDLER(rpc_set_ip_tables);

/* copy_file.c */
AGENT_HANDLER(rpc_copy_file);

/* volume_calls.c */
AGENT_HANDLER(rpc_get_volume_stats);
AGENT_HANDLER(rpc_resize_volume);
AGENT_HANDLER(rpc_add_swap);
AGENT_HANDLER(rpc_add_swap_path);

/* metrics.c */
AGENT_HANDLER(rpc_get_metrics);

/* diagnostic.c */
AGENT_HANDLER(rpc_get_diagnostic_data);

/* policy_calls.c */
AGENT_HANDLER(rpc_set_policy);

/* trace_calls.c */
AGENT_HANDLER(rpc_start_trace);
AGENT_HANDLER(rpc_read_trace);
AGENT_HANDLER(rpc_stop_trace);

/* device_calls.c */
AGENT_HANDLER(rpc_probe_devices);
AGENT_HANDLER(rpc_release_devices);
