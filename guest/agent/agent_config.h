/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_config: what the agent is told at its start: kernel words (agent.*), environment,
 * a TOML file. Words that this agent has no use for are accepted and ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/init/cmdline.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define AGENT_DEFAULT_ADDRESS "vsock://-1:1024"
#define AGENT_POLICY_FILE     "/etc/kihon/policy.json"
#define AGENT_IMAGE_PULLER    "/usr/bin/kihon-pull"
#define AGENT_TRACER          "/usr/bin/kihon-trace"

/* How ReadStdout and ReadStderr tell the end of a stream. Kata's runtimes before 3.27 spin on
 * an empty answer, while every version ends on an error; hence the default. */
enum agent_eof {
	AGENT_EOF_ERROR, /* INTERNAL "read meet eof" */
	AGENT_EOF_EMPTY, /* OK, no data */
};

struct agent_config {
	char server_addr[256];
	enum log_level log_level;
	uint32_t log_vport; /* 0: no log port */
	bool debug_console;
	uint32_t debug_console_vport; /* 0: on /dev/console */
	uint32_t passfd_listener_port;
	uint64_t hotplug_timeout_ms;
	uint64_t image_pull_timeout_ms;
	uint64_t launch_timeout_ms;   /* for a container's init to get ready */
	uint64_t container_pipe_size; /* bytes; 0: the kernel's default */
	enum agent_eof eof;
	char policy_file[256];  /* "": none */
	char image_puller[256]; /* the program that pulls images */
	char tracer[256];       /* the program that traces containers */
};

void agent_config_defaults(struct agent_config *c);
/* agent.config_file= replaces everything before it. -EINVAL names the word. */
int agent_config_words(struct agent_config *c, const struct cmdline *words, struct error *err);
int agent_config_env(struct agent_config *c, struct error *err);
int agent_config_file(struct agent_config *c, const char *path, struct error *err);
