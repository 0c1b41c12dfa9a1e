#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the protocol leaves easy to get wrong, as far as the other suites of the agent do not show it in passing: names of
# network links that change places, routes in any order, a shared pid namespace, storages that outlive their containers,
# output that is opened again, a removal that takes too long, messages in parts. The agent is an ordinary process here.

load agent/box

setup_file() { box_make; }
setup() { box_check; }

@test "a link gets its name from the one that had it" {
	inside '
		agent_start
		ip link add dm0 type veth peer name dm1 || { echo "no veth links"; exit 0; }
		mac() { ip -o link show "$1" | sed -E "s/.*ether ([0-9a-f:]+).*/\1/"; }
		zero=$(mac dm0) one=$(mac dm1)
		quiet UpdateInterface "interface { device: \"dm1\" name: \"dm1\" hwAddr: \"$zero\" }" || exit
		[ "$(mac dm1)" = "$zero" ] && echo "dm1 is the other"
		ip -o link | grep -c "$one"
		# Again, the same: nothing to do.
		quiet UpdateInterface "interface { device: \"dm1\" name: \"dm1\" hwAddr: \"$zero\" }" && [ "$(mac dm1)" = "$zero" ] && echo still
		finish'
	[[ $output == *"no veth links"* ]] && skip "no veth network links"
	has 'dm1 is the other'
	has $'\n1\n'
	has still
}

@test "routes: those to gateways after those to links, again without an error, all of them in the answer" {
	inside '
		agent_start
		ip link add dm0 type veth peer name dm1 || { echo "no veth links"; exit 0; }
		ip link set dm1 up
		mac=$(ip -o link show dm0 | sed -E "s/.*ether ([0-9a-f:]+).*/\1/")
		quiet UpdateInterface "interface { device: \"eth0\" name: \"eth0\" IPAddresses { address: \"192.0.2.5\" mask: \"32\" } hwAddr: \"$mac\" }"
		routes="routes { Routes { dest: \"\" gateway: \"192.0.2.1\" device: \"eth0\" }
			Routes { dest: \"192.0.2.0/24\" device: \"eth0\" scope: 253 } }"
		call UpdateRoutes "$routes"; echo "first $?"
		quiet UpdateRoutes "$routes"; echo "again $?"
		ip route
		finish'
	[[ $output == *"no veth links"* ]] && skip "no veth network links"
	has 'first 0'
	has 'again 0'
	has 'gateway: "192.0.2.1"'
	has 'dest: "192.0.2.0/24"'
	has 'default via 192.0.2.1 dev eth0'
}

@test "sandbox_pidns: the containers that ask for it share the first one's processes" {
	inside '
		agent_start
		sandbox
		container c1 -e "sandbox_pidns: true" sh -c "echo \$\$; ls -l /proc/self/ns/pid; exec sleep 1000" && start c1
		call ReadStdout "container_id: \"c1\" len: 100"
		run_all c2 -e "sandbox_pidns: true" sh -c "echo pid \$\$; ls -l /proc/self/ns/pid; cat /proc/1/cmdline"
		run_all c3 sh -c "echo alone \$\$"
		finish'
	! grep -q '^pid 1$' <<<"$output" || false
	has 'alone 1'
	has 'sleep'
}

@test "a shared storage outlives its containers, another does not" {
	inside '
		agent_start
		sandbox
		s="storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" mount_point: \"/run/s\" shared: true }
		   storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" mount_point: \"/run/n\" }"
		container c1 -e "$s" sleep 1000 && remove c1
		grep -E " /run/[sn] " /proc/mounts | cut -d" " -f2
		container c2 -e "$s" sleep 1000 && remove c2
		echo "of two: $(grep -cE " /run/s " /proc/mounts)"
		quiet DestroySandbox
		wait $AGENT_PID
		echo "at the end: $(grep -cE " /run/s " /proc/mounts)"'
	has '/run/s'
	hasnt '/run/n'
	has 'of two: 1'
	has 'at the end: 0'
}

@test "output is a pipe or a terminal, which programs open again" {
	inside '
		agent_start
		sandbox
		run_all c1 sh -c "echo once >/proc/self/fd/1; echo twice >/dev/stderr; echo last >/dev/stdout"
		run_all c2 -t sh -c "echo of a terminal >/proc/self/fd/1"
		finish'
	has $'once\nlast'
	has 'of a terminal'
}

@test "a removal that takes longer than its time goes on" {
	inside '
		agent_start
		sandbox
		container c1 -s "Hooks { Poststop { Path: \"/bin/sh\" Args: \"sh\" Args: \"-c\" Args: \"until [ -e /run/go ]; do sleep 0.1; done\" } }" sleep 1000 && start c1
		quiet RemoveContainer "container_id: \"c1\" timeout: 1"; echo "removed $?"
		container c1 true; echo "meanwhile $?"
		touch /run/go
		until_true container c1 true 2>/dev/null
		start c1 && wait_exit c1 && remove c1 && echo "the name is free"
		finish'
	has 'removed 68' # DEADLINE_EXCEEDED
	has 'meanwhile 70' # ALREADY_EXISTS
	has 'the name is free'
}

@test "a request whose sub-messages come in parts is the whole" {
	inside '
		agent_start
		sandbox
		part() { printf "%s" "$1" | protoc --encode=grpc.CreateContainerRequest $PROTO; }
		{
			part "container_id: \"c1\" OCI { Process { User { UID: 1234 } Cwd: \"/\" Env: \"PATH=/bin\" } Linux { CgroupsPath: \"/$TAG/c1\" } }"
			part "OCI { Process { User { GID: 77 } Args: \"sh\" Args: \"-c\" } Root { Path: \"$TREE\" } }"
			part "OCI { Version: \"1.0.2\" Process { NoNewPrivileges: true User { AdditionalGids: 5 } Args: \"id; grep NoNew /proc/self/status; cat /proc/sys/kernel/hostname\" }
				Linux { Namespaces { Type: \"mount\" } } Mounts { destination: \"/proc\" source: \"proc\" type: \"proc\" } }"
		} | build/host/bin/agent-client $SOCKET grpc.AgentService CreateContainer >/dev/null || exit
		start c1 && output c1 && wait_exit c1
		remove c1
		finish'
	has 'uid=1234 gid=77 groups=5'
	has $'NoNewPrivs:\t1'
}

@test "the longest read, and one of nothing" {
	inside '
		agent_start
		sandbox
		container c1 sh -c "head -c 60000 /dev/zero | tr \"\\0\" x; touch /tmp/written; sleep 1000" && start c1
		# More than the longest read is in the pipe.
		until_true test -e "$TREE/tmp/written"
		call ReadStdout "container_id: \"c1\" len: 1000000" | tr -d "\n" | wc -c
		call ReadStdout "container_id: \"c1\" len: 0"; echo "none $?"
		call ReadStdout "container_id: \"c1\" len: 5"
		finish'
	[ "$(grep -cE '^3277[0-9]$|^3278[0-9]$' <<<"$output")" -eq 1 ]
	has 'data: "xxxxx"'
}
