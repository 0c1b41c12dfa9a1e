/* SPDX-License-Identifier: Apache-2.0 */
/* agent_config: every kernel word that Kata's runtimes give its agent, words of others,
 * environment, a file. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/agent_config.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

static int words(struct agent_config *c, const char *text)
{
	struct error err = ERROR_INIT;
	static struct cmdline w;
	int r;

	agent_config_defaults(c);
	cmdline_parse(&w, (const uint8_t *)text, strlen(text));
	r = agent_config_words(c, &w, &err);
	if (r < 0) {
		check(err.text[0] != 0);
		check(!strchr(err.text, '\n'));
	}
	return r;
}

TEST(defaults)
{
	struct agent_config c;

	check_int(words(&c, "quiet root=/dev/pmem0p1 systemd.unit=kata-containers.target"), 0);
	check_str(c.server_addr, "vsock://-1:1024");
	check_int(c.log_level, LOG_INFO);
	check_int(c.hotplug_timeout_ms, 3000);
	check_int(c.image_pull_timeout_ms, 1200000);
	check_int(c.container_pipe_size, 0);
	check(!c.debug_console);
	check_int(c.debug_console_vport, 0);
	check_int(c.eof, AGENT_EOF_ERROR);
}

TEST(every_word_that_is_heard)
{
	struct agent_config c;

	check_int(words(&c, "agent.log=debug agent.log_vport=1025 agent.debug_console "
	                    "agent.debug_console_vport=1026 agent.passfd_listener_port=1027 "
	                    "agent.hotplug_timeout=40 agent.image_pull_timeout=60 "
	                    "agent.launch_process_timeout=6 agent.container_pipe_size=2097152 "
	                    "agent.server_addr=unix:///run/a.sock agent.eof=empty "
	                    "agent.policy_file=/p"),
	          0);
	check_int(c.log_level, LOG_DEBUG);
	check_int(c.log_vport, 1025);
	check(c.debug_console);
	check_int(c.debug_console_vport, 1026);
	check_int(c.passfd_listener_port, 1027);
	check_int(c.hotplug_timeout_ms, 40000);
	check_int(c.image_pull_timeout_ms, 60000);
	check_int(c.launch_timeout_ms, 6000);
	check_int(c.container_pipe_size, 2097152);
	check_str(c.server_addr, "unix:///run/a.sock");
	check_int(c.eof, AGENT_EOF_EMPTY);
	check_str(c.policy_file, "/p");
}

TEST(words_of_others_change_nothing)
{
	static const char *const text =
	    "agent.devmode agent.trace=true agent.cdh_api_timeout=50 agent.cdi_timeout=100 "
	    "agent.visible_cdi_devices=true agent.https_proxy=http://p:1 agent.no_proxy=x "
	    "agent.guest_components_rest_api=all agent.guest_components_procs=none "
	    "agent.secure_storage_integrity=0 agent.mem_agent_enable=1 "
	    "agent.mem_agent_memcg_swappiness_max=50 agent.mem_agent_compact_order=7 "
	    "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 agent.unknown=loud agent.=x agent";
	struct agent_config c, d;

	agent_config_defaults(&d);
	check_int(words(&c, text), 0);
	check_mem(&c, &d, sizeof(c));
}

TEST(booleans_and_the_last_of_two)
{
	struct agent_config c;

	check_int(words(&c, "agent.debug_console=false"), 0);
	check(!c.debug_console);
	check_int(words(&c, "agent.debug_console=0"), 0);
	check(!c.debug_console);
	check_int(words(&c, "agent.debug_console=1"), 0);
	check(c.debug_console);
	check_int(words(&c, "agent.debug_console=true"), 0);
	check(c.debug_console);
}

TEST(values_that_cannot_be)
{
	static const char *const bad[] = {
	    "agent.log=loud",
	    "agent.log=",
	    "agent.log_vport=x",
	    "agent.log_vport=-1",
	    "agent.log_vport=4294967296",
	    "agent.hotplug_timeout=0",
	    "agent.hotplug_timeout=3s",
	    "agent.debug_console=yes",
	    "agent.container_pipe_size=1e6",
	    "agent.eof=maybe",
	    "agent.config_file=/nowhere/at/all",
	};
	struct agent_config c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (words(&c, bad[i]) >= 0)
			check_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
}

TEST(a_file_replaces_the_words)
{
	char path[] = "/tmp/test-agent-config.XXXXXX", text[128];
	static const char toml[] = "log_level = \"trace\"\nhotplug_timeout = 7\n"
	                           "dev_mode = true\n[endpoints]\nallowed = [\"x\"]\n";
	int fd = mkstemp(path);
	struct agent_config c;

	check(fd >= 0);
	check_int(fs_write_all(fd, toml, sizeof(toml) - 1), 0);
	close(fd);
	snprintf(text, sizeof(text), "agent.log=error agent.log_vport=9 agent.config_file=%s",
	         path);
	check_int(words(&c, text), 0);
	check_int(c.log_level, LOG_TRACE);
	check_int(c.hotplug_timeout_ms, 7000);
	check_int(c.log_vport, 0);
	unlink(path);
}

TEST(the_environment)
{
	struct error err = ERROR_INIT;
	struct agent_config c;

	setenv("KATA_AGENT_SERVER_ADDR", "unix://@a", 1);
	setenv("KATA_AGENT_LOG_LEVEL", "warn", 1);
	setenv("KATA_AGENT_POLICY_FILE", "/etc/p", 1);
	agent_config_defaults(&c);
	check_int(agent_config_env(&c, &err), 0);
	check_str(c.server_addr, "unix://@a");
	check_int(c.log_level, LOG_WARN);
	check_str(c.policy_file, "/etc/p");
	setenv("KATA_AGENT_LOG_LEVEL", "loud", 1);
	check(agent_config_env(&c, &err) < 0);
	check(strstr(err.text, "KATA_AGENT_LOG_LEVEL") != NULL);
}

TEST_MAIN()
