#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What users of runc and crun are used to and no specification says, as their own test suites showed it: which of two
# variables holds, what a newer system call answers, where a hook is, what a killed create leaves, sd_notify.

bats_require_minimum_version 1.5.0

load oci/setup

@test "of a variable that is set twice the later one holds" {
	script 'env'
	edit '.process.env = ["PATH=/bin", "A=first", "B=only", "A=second"]'
	run oci run -b "$B" "$ID"
	[ "$(grep '^A=' <<<"$output")" = A=second ]
	grep -qx B=only <<<"$output"
}

@test "exec: --env takes the place of the container's variable" {
	script 'sleep 1000'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci exec -e HOME=/data -e NEW=1 "$ID" env
	[ "$status" -eq 0 ]
	[ "$(grep '^HOME=' <<<"$output")" = HOME=/data ]
	grep -qx NEW=1 <<<"$output"
}

@test "exec: an added capability is not inheritable" {
	script 'sleep 1000'
	edit '.process.capabilities = {}'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci exec --cap CAP_KILL "$ID" grep Cap /proc/self/status
	[ "$status" -eq 0 ]
	[ "$(awk '$1 == "CapInh:" { print $2 }' <<<"$output")" = 0000000000000000 ]
	[ "$(awk '$1 == "CapPrm:" { print $2 }' <<<"$output")" = 0000000000000020 ]
	[ "$(awk '$1 == "CapBnd:" { print $2 }' <<<"$output")" = 0000000000000020 ]
}

@test "the kernel parameter of the host name is refused" {
	edit '.linux.sysctl = {"kernel/hostname": "x"}'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ $output == *hostname* ]]
	edit '.linux.sysctl = {"kernel.domainname": "dd"}' '.process.args = ["cat", "/proc/sys/kernel/domainname"]'
	[ "$(oci run -b "$B" "$ID")" = dd ]
}

@test "podman's keep-groups: the caller's groups stay" {
	edit '.process.args = ["grep", "^Groups", "/proc/self/status"]'
	command -v setpriv >/dev/null || skip "no setpriv"
	run setpriv --groups 4711,4712 "$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID"
	[[ $output != *4711* ]]
	edit '.annotations = {"run.oci.keep_original_groups": "1"}'
	run setpriv --groups 4711,4712 "$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID"
	[[ $output == *"4711 4712"* ]]
}

@test "a read-only /dev has its mounts and devices" {
	edit '(.mounts[] | select(.destination == "/dev") | .options) += ["ro"]'
	script 'echo x >/dev/null && echo wrote; (touch /dev/new) 2>&1; ls -d /dev/pts/ptmx /dev/shm; awk 1 /dev/null; grep " /dev " /proc/self/mountinfo'
	run oci run -b "$B" "$ID"
	[ "${lines[0]}" = wrote ]
	[[ ${lines[1]} == *Read-only* ]]
	[ "${lines[2]}" = /dev/pts/ptmx ]
	[[ $output == *" /dev ro,"* ]]
}

# answers NUMBER: what a system call of that number gives in the container, as an errno.
answers() {
	edit ".process.args = [\"/probe\", \"$1\"]"
	oci run -b "$B" "$ID"
}

@test "system calls newer than the profile are unknown, others are refused" {
	command -v gcc >/dev/null || skip "no gcc"
	[ "$(uname -m)" = x86_64 ] || skip "the numbers are those of x86-64"
	cat >"$BATS_TEST_TMPDIR/probe.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv)
{
	long r = syscall(atol(argv[1]), -1L, 0L, 0L, 0L, 0L, 0L);

	printf("%d\n", r < 0 ? errno : 0);
	return 0;
}
END
	gcc -static -o "$BATS_TEST_TMPDIR/probe" "$BATS_TEST_TMPDIR/probe.c"
	rm "$B/rootfs"
	cp -r "$WORK/rootfs" "$B/rootfs"
	cp "$BATS_TEST_TMPDIR/probe" "$B/rootfs/probe"
	# The names that this program needs, all of them old; getrandom (318) is the newest on x86-64, 384 on x86.
	edit '.linux.seccomp = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
		"syscalls": [{"action": "SCMP_ACT_ALLOW", "names": ["execve", "brk", "arch_prctl", "set_tid_address", "exit_group", "write",
			"mprotect", "readlink", "newfstatat", "fstat", "mmap", "munmap", "getrandom", "uname", "ioctl", "close", "capset", "prctl"]}]}'
	[ "$(answers 1000)" = 38 ]
	[ "$(answers 439)" = 38 ]
	[ "$(answers 41)" = 1 ]
	[ "$(answers 3)" = 9 ]
	# A wish for another errno is for those that are known.
	edit '.linux.seccomp.defaultErrnoRet = 13'
	[ "$(answers 41)" = 13 ]
	[ "$(answers 1000)" = 38 ]
	# Nothing is unknown to who lets everything through.
	edit '.linux.seccomp.defaultAction = "SCMP_ACT_LOG"' 'del(.linux.seccomp.defaultErrnoRet)'
	[ "$(answers 3)" = 9 ]
}

@test "hooks: createContainer is in the root file system, startContainer under the filter" {
	rm "$B/rootfs"
	cp -r "$WORK/rootfs" "$B/rootfs"
	edit '.hooks.createContainer = [{"path": "/bin/sh", "args": ["sh", "-c", "pwd > ./data/where; ls bin/busybox"]}]'
	oci run -b "$B" "$ID"
	[ "$(<"$B/rootfs/data/where")" = "$B/rootfs" ]
	edit 'del(.hooks)' '.hooks.startContainer = [{"path": "/bin/sh", "args": ["sh", "-c", "mkdir /dev/shm/x"]}]' \
		'.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]}'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ $output == *"error running hook"* && $output == *"bad system call"* ]]
	edit '.linux.seccomp.syscalls[0].names = ["swapon"]'
	oci run -b "$B" "$ID"
}

@test "list: runc's JSON in one line, with the root file system" {
	script 'sleep 1000'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci list --format json
	[ "${#lines[@]}" -eq 1 ]
	[ "$(jq -r '.[0].rootfs' <<<"$output")" = "$B/rootfs" ]
	[ "$(jq -r '.[0] | keys_unsorted | join(" ")' <<<"$output")" = "ociVersion id pid status bundle rootfs created owner" ]
	[ "$(oci state "$ID" | jq -r .rootfs)" = "$B/rootfs" ]
}

@test "--version has the lines that programs look for" {
	for word in -v --version; do
		run "$OCI" "$word"
		[ "$status" -eq 0 ]
		[[ ${lines[0]} =~ ^kihon-oci\ version\ [0-9]+\.[0-9]+\.[0-9]+ ]]
		[[ ${lines[1]} =~ ^spec:\ 1\.[0-9]+\.[0-9]+ ]]
	done
}

@test "a create that was killed: its process ends, the next one of that name cleans up" {
	local pid ms
	script 'sleep 1000'
	# Where it is struck differs from machine to machine: the moments are many.
	for ms in 1 2 3 4 5 6 8 10 15; do
		"$WORK/private" "$OCI" --root "$ROOT" create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$(printf %02d "$ms")"
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		if [ -e "$ROOT/$ID/record.json" ]; then
			oci delete -f "$ID"
			continue
		fi
		if ((ms % 2)); then
			oci delete -f "$ID"
		else
			oci create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
			oci delete -f "$ID"
		fi
		[ ! -e "$ROOT/$ID" ]
		run "$WORK/private" ls -d "/sys/fs/cgroup/$ID"
		[ "$status" -ne 0 ]
	done
}

@test "a create under way is not taken for a dead one" {
	mkdir -p "$ROOT/$ID"
	flock "$ROOT/$ID" sh -c 'touch "$0"; exec sleep 1000' "$B/held" 3>&- &
	until_true test -e "$B/held"
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ $output == *"exists already"* ]]
	run oci delete -f "$ID"
	[ "$status" -eq 1 ]
	# flock's child has the lock, too.
	pkill -P $!
	wait
	oci delete -f "$ID"
	[ ! -e "$ROOT/$ID" ]
}

# listener FILE: what comes to the service manager's socket $BATS_TEST_TMPDIR/n goes to FILE, until READY=1.
listener() {
	command -v python3 >/dev/null || skip "no python3"
	rm -f "$BATS_TEST_TMPDIR/n"
	python3 - "$BATS_TEST_TMPDIR/n" "$1" <<'END' 3>&- &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(100)
with open(sys.argv[2], "w") as out:
    text = ""
    while "READY=1" not in text:
        text = s.recv(4096).decode()
        out.write(text)
        out.flush()
END
	LISTENER=$!
	until [ -S "$BATS_TEST_TMPDIR/n" ]; do sleep 0.05; done
}

# A container that tells so once it is told to: busybox has no datagram client.
teller() {
	cat >"$BATS_TEST_TMPDIR/tell.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(a.sun_path, getenv("NOTIFY_SOCKET"));
	sendto(fd, "STATUS=up\n", 10, 0, (void *)&a, sizeof(a));
	usleep(300000);
	sendto(fd, "STATUS=x\nREADY=1\n", 17, 0, (void *)&a, sizeof(a));
	puts(a.sun_path);
	fflush(stdout);
	pause();
	return 0;
}
END
	command -v gcc >/dev/null || skip "no gcc"
	gcc -static -o "$BATS_TEST_TMPDIR/tell" "$BATS_TEST_TMPDIR/tell.c"
	rm "$B/rootfs"
	cp -r "$WORK/rootfs" "$B/rootfs"
	cp "$BATS_TEST_TMPDIR/tell" "$B/rootfs/tell"
	edit '.process.args = ["/tell"]'
}

@test "sd_notify: start waits for READY=1 and tells it with the container's pid" {
	listener "$BATS_TEST_TMPDIR/heard"
	teller
	export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/n
	oci create -b "$B" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
	oci start "$ID"
	wait "$LISTENER"
	[ "$(<"$BATS_TEST_TMPDIR/heard")" = "MAINPID=$(oci state "$ID" | jq .pid)
READY=1" ]
	[ "$(<"$BATS_TEST_TMPDIR/out")" = /run/notify/notify.sock ]
}

@test "sd_notify: in the foreground the runtime is the main process" {
	listener "$BATS_TEST_TMPDIR/heard"
	teller
	NOTIFY_SOCKET=$BATS_TEST_TMPDIR/n oci run -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&- &
	wait "$LISTENER"
	grep -qx READY=1 "$BATS_TEST_TMPDIR/heard"
	pid=$(sed -n 's/^MAINPID=//p' "$BATS_TEST_TMPDIR/heard")
	[ "$pid" != "$(oci state "$ID" | jq .pid)" ]
	[ "$(cat "/proc/$pid/comm")" != tell ]
	oci kill "$ID" KILL
	wait
}

@test "sd_notify: who ends without a word is not waited for" {
	listener "$BATS_TEST_TMPDIR/heard"
	NOTIFY_SOCKET=$BATS_TEST_TMPDIR/n timeout 100 "$WORK/private" "$OCI" --root "$ROOT" run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	kill "$LISTENER"
	oci delete -f "$ID"
}

@test "exec --cgroup: a group below the container's, and no other" {
	script 'sleep 1000'
	edit '(.mounts[] | select(.type == "cgroup") | .options) = ["rw", "nosuid"]'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci exec --cgroup .. "$ID" true
	[ "$status" -eq 255 ]
	[[ $output == *" .. is not a sub cgroup path"* ]]
	run oci exec --cgroup nowhere "$ID" true
	[ "$status" -eq 255 ]
	oci exec "$ID" mkdir /sys/fs/cgroup/sub
	[ "$(oci exec --cgroup /sub "$ID" grep ^0: /proc/self/cgroup)" = 0::/sub ]
	[ "$(oci exec --cgroup / "$ID" grep ^0: /proc/self/cgroup)" = 0::/ ]
}

@test "seccomp: an agent that is asked about execve itself has been told before" {
	command -v python3 >/dev/null || skip "no python3"
	# It takes the listener and lets go of it: the kernel then answers ENOSYS.
	python3 - "$BATS_TEST_TMPDIR/agent" <<'END' 3>&- &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
text, fds, flags, peer = socket.recv_fds(s.accept()[0], 65536, 1)
open(sys.argv[1] + ".got", "w").write("%d" % len(fds))
os.close(fds[0])
END
	until_true test -S "$BATS_TEST_TMPDIR/agent"
	edit ".linux.seccomp = {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"$BATS_TEST_TMPDIR/agent\",
		\"syscalls\": [{\"names\": [\"execve\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}"
	run timeout 60 "$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ $output == *"Function not implemented"* ]]
	[ "$(<"$BATS_TEST_TMPDIR/agent.got")" = 1 ]
	edit '.linux.seccomp.listenerPath = "/nobody"'
	run timeout 60 "$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ $output == *"failed to connect with seccomp agent /nobody"* ]]
}
