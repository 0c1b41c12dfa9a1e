#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-trace on the kernel of this machine: what programs in a control group did is compared with what it told,
# by Python's JSON reader. Then through the agent's service, beside real containers; and, with KIHON_FULL, in a
# guest whose kernel is of profile trace.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	make -s -C "$ROOT" build/host/bin/{kihon-trace,kihon-agent,agent-client,kihon} >&2
	export TRACE=$ROOT/build/host/bin/kihon-trace AGENT=$ROOT/build/host/bin/kihon-agent KIHON=$ROOT/build/host/bin/kihon
	export TAG=kihon-trace-$$ TREE=$BATS_FILE_TMPDIR/tree
	CGROUPS=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	PYTHON=$(python3 -c 'import sys; print(sys.executable)') # python3 may be a script that starts others
	export CGROUPS PYTHON WHY=
	if [ "$(id -u)" -ne 0 ]; then
		WHY="needs root for BPF"
	elif [ -z "$CGROUPS" ] || ! mkdir "$CGROUPS/$TAG" 2>/dev/null; then
		WHY="no control group of version 2 can be made here"
	elif ! "$TRACE" --cgroup "$CGROUPS/$TAG" 2>"$BATS_FILE_TMPDIR/why" | head -1 | grep -q '"start"'; then
		WHY="this kernel does not load it: $(head -c 300 "$BATS_FILE_TMPDIR/why")"
	fi
	mkdir -p "$TREE"/{bin,etc,proc,sys,dev,run,tmp}
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	local a
	for a in sh cat echo sleep true; do ln -s busybox "$TREE/bin/$a"; done
}

teardown_file() {
	[ -z "$CGROUPS" ] || find "$CGROUPS/$TAG" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

setup() {
	. "$ROOT/tests/wait.bash"
	cd "$BATS_TEST_TMPDIR"
	OUT=$BATS_TEST_TMPDIR/out
	TRACER=
}

teardown() {
	[ -z "$TRACER" ] || kill -KILL "$TRACER" 2>/dev/null || true
}

has() { [[ $output == *"$1"* ]] || { echo "missing: $1"; false; }; }
one_line() { [ "${#lines[@]}" -eq 1 ] || { echo "not one line: $output"; false; }; }
needs_bpf() { [ -z "$WHY" ] || skip "$WHY"; }

# group NAME: makes the control group below ours; $GROUP is its folder.
group() {
	GROUP=$CGROUPS/$TAG/$1
	mkdir -p "$GROUP"
}

# traced ARGUMENT...: the program on $GROUP, its lines in $OUT; returns when it is ready. $TRACER is its pid.
traced() {
	"$TRACE" --cgroup "$GROUP" "$@" >"$OUT" 2>"$OUT.err" 3>&- &
	TRACER=$!
	until_true test -s "$OUT" || { cat "$OUT.err"; false; }
}

# in_group COMMAND...: in $GROUP, from its first system call on.
in_group() {
	env --default-signal sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$GROUP" "$@"
}

# finish: the tracer ends by itself when the group is empty, with success.
finish() {
	wait "$TRACER"
	TRACER=
	rmdir "$GROUP"
}

# look CODE: Python; `events` are the lines of $OUT, of(name) those of one kind.
look() {
	python3 - "$OUT" "$@" <<-END
	import json, os, sys
	events = [json.loads(line) for line in open(sys.argv[1], encoding='utf-8')]
	def of(name): return [e for e in events if e['event'] == name]
	$CODE
	END
}

@test "command line and what is no control group" {
	run "$TRACE" --version
	[ "$output" = "kihon-trace $(cat "$ROOT/VERSION")" ]
	run "$TRACE"
	[ "$status" -eq 2 ] && one_line && has --cgroup
	run "$TRACE" --cgroup /nonexistent
	[ "$status" -ne 0 ] && one_line && has /nonexistent
	run "$TRACE" --cgroup /tmp
	[ "$status" -eq 3 ] && one_line && has "not a control group of version 2"
	run "$TRACE" --cgroup /tmp --kinds exec,nonsense
	[ "$status" -eq 2 ] && one_line && has "'nonsense'"
	[ -z "$WHY" ] || return 0
	run "$TRACE" --cgroup "$CGROUPS/$TAG" --pidns /etc/passwd
	[ "$status" -eq 3 ] && one_line && has "not a namespace"
}

@test "a kernel without BPF on tracepoints, and a user who may not" {
	needs_bpf
	run unshare --mount sh -c 'mount -t tmpfs tmpfs /sys/kernel && exec "$0" --cgroup "$1"' "$TRACE" "$CGROUPS/$TAG"
	[ "$status" -eq 4 ] && one_line && has "no BPF on tracepoints" && has "profile trace"
	run setpriv --bounding-set=-all --inh-caps=-all "$TRACE" --cgroup "$CGROUPS/$TAG"
	[ "$status" -eq 4 ] && one_line && has "not permitted"
}

@test "processes: fork, exec, exit status, death by signal" {
	needs_bpf
	group processes
	traced --kinds fork,exec,exit --pidns /proc/self/ns/pid
	in_group sh -c '/bin/true; sh -c "exit 7"; sh -c "kill -TERM \$\$"; sh -c "kill -SEGV \$\$"; echo $$ >shell
		"$PYTHON" -c "import ctypes, threading; t = threading.Thread(target=ctypes.string_at, args=[8]); t.start(); t.join()"; exit 3' 2>/dev/null || true
	finish
	CODE='
shell = int(open("shell").read())
assert events[0]["event"] == "start" and events[0]["kinds"] == ["fork", "exec", "exit"], events[0]
assert events[-1]["event"] == "end"
children = [e["guest_child"] for e in of("fork") if e["guest_pid"] == shell]
ends = {e["guest_pid"]: e for e in of("exit")}
assert [ends[c].get("status", -ends[c].get("signal", 0)) for c in children] == [0, 7, -15, -11, -11], ends
assert ends[shell]["status"] == 3 and len(ends) == 6, ends
assert any(e["path"] == "/bin/true" and e["comm"] == "true" for e in of("exec"))
odd = [e for e in of("exec") + of("exit") if e.get("pid") != e["guest_pid"] or e["uid"] != 0]
assert not odd, odd' look
}

@test "opened files: what a program opened, and with what result" {
	needs_bpf
	group files
	traced --kinds open
	echo x >there
	cat >opens.py <<-'END'
	import ctypes, os
	libc = ctypes.CDLL(None, use_errno=True)
	d = os.open('.', os.O_DIRECTORY)
	os.open('there', os.O_RDONLY)
	os.open('there', os.O_RDONLY, dir_fd=d)
	os.close(os.open(os.path.abspath('made'), os.O_CREAT | os.O_WRONLY, 0o600))
	for f in (lambda: os.open('missing', os.O_RDWR), lambda: os.open('there/below', os.O_RDONLY)):
	    try: f()
	    except OSError: pass
	libc.syscall(85, b'by-creat', 0o600)
	libc.syscall(2, b'there', os.O_RDONLY)
	libc.syscall(437, -100, b'by-openat2', (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0), 24)
	libc.syscall(257, -100, 8, os.O_RDONLY) # no such memory
	END
	in_group "$PYTHON" opens.py
	finish
	CODE='
seen = [e for e in of("open") if e["path"] == "." or e["path"].endswith("made")
	or any(w in e["path"] for w in ("there", "missing", "by-"))]
seen = [(e["path"], e["flags"] & 0o3, "dirfd" in e, e["result"]) for e in seen]
here = os.path.realpath(".")
d = seen[0][3]
want = [(".", 0, False, d), ("there", 0, False, d + 1), ("there", 0, True, d + 2), (here + "/made", 1, False, d + 3),
	("missing", 2, False, -2), ("there/below", 0, False, -20), ("by-creat", 1, False, d + 3),
	("there", 0, False, d + 4), ("by-openat2", 0, False, -2)]
assert seen == want, seen
last = of("open")[-1]
assert last["path"] == "" and last["result"] == -14, last
assert [e["error"] for e in of("open") if e["path"] == "missing"] == ["No such file or directory"]' look
}

@test "connections: families, refusals, and whom it accepts" {
	needs_bpf
	group sockets
	traced --kinds connect,accept
	cat >sockets.py <<-'END'
	import json, os, socket
	out = {}
	server = socket.create_server(('127.0.0.1', 0))
	out['port'] = server.getsockname()[1]
	c = socket.create_connection(('127.0.0.1', out['port']))
	peer, out['from'] = server.accept()[0], c.getsockname()[1]
	out['accepted'] = peer.fileno()
	s = socket.socket()
	out['refused'] = s.connect_ex(('127.0.0.1', 1))
	u = socket.socket(socket.AF_UNIX); u.bind('\0kihon-trace-test\0x'); u.listen()
	a = socket.socket(socket.AF_UNIX); a.connect('\0kihon-trace-test\0x')
	b = socket.socket(socket.AF_UNIX); b.connect_ex('./no"where\n')
	if socket.has_ipv6:
	    try: out['six'] = socket.socket(socket.AF_INET6).connect_ex(('::1', 1))
	    except OSError: pass
	json.dump(out, open('sockets.json', 'w'))
	END
	in_group "$PYTHON" sockets.py
	finish
	CODE='
told = json.load(open("sockets.json"))
tcp = [(e["address"], e["port"], e["result"]) for e in of("connect") if e["family"] == "inet"]
assert tcp == [("127.0.0.1", told["port"], 0), ("127.0.0.1", 1, -told["refused"])], tcp
(took,) = of("accept")
assert (took["address"], took["port"], took["result"]) == ("127.0.0.1", told["from"], told["accepted"]), took
unix = [(e["path"], e["result"]) for e in of("connect") if e["family"] == "unix"]
assert unix == [("@kihon-trace-test@x", 0), ("./no\"where\n", -2)], unix
six = [(e["address"], e["port"], e["result"]) for e in of("connect") if e["family"] == "inet6"]
assert six == ([("::1", 1, -told["six"])] if "six" in told else []), six' look
}

@test "hostile names: quotes, line ends, what is not UTF-8, the longest path" {
	needs_bpf
	group names
	traced --kinds open,exec
	cat >names.py <<-'END'
	import os
	cp = open('/bin/true', 'rb').read()
	for name in (b'a"b', b'a\nb', b'"}\n{"event":"exit"}\n', b'\xff\xfe\x80', 'gr\u00fc\u00df'.encode(), b'back\\slash\t\x01'):
	    with open(name, 'wb') as f: f.write(cp)
	    os.chmod(name, 0o755)
	    if os.fork() == 0: os.execv(b'./' + name, [name])
	    os.wait()
	try: open(b'/' + b'/x' * 2047)
	except OSError: pass
	END
	in_group "$PYTHON" names.py
	finish
	CODE='
names = ["a\"b", "a\nb", "\"}\n{\"event\":\"exit\"}\n", "\ufffd\ufffd\ufffd", "gr\u00fc\u00df", "back\\slash\t\x01"]
assert [e["path"] for e in of("exec")][-6:] == ["./" + n for n in names], of("exec")
assert set(names) <= {e["path"] for e in of("open")}
assert "/" + "/x" * 2047 in [e["path"] for e in of("open")]
assert {e["event"] for e in events} == {"start", "open", "exec", "end"}' look
}

@test "somebody who comes and goes at once is the end, whatever is looked for" {
	needs_bpf
	local i
	for i in 1 2 3 4 5; do
		group "quick$i"
		traced --kinds oom
		in_group /bin/true
		wait "$TRACER"
		TRACER=
		rmdir "$GROUP"
	done
}

# What comes between poll(2) and read(2) is not lost.
@test "somebody who comes and goes while the tracer is slow to look is the end, too" {
	needs_bpf
	strace -o /dev/null true 2>/dev/null || skip "strace does not work here"
	group slowly
	strace -f -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=700ms "$TRACE" --cgroup "$GROUP" --kinds oom >"$OUT" 2>"$OUT.err" 3>&- &
	TRACER=$!
	until_true test -s "$OUT" || { cat "$OUT.err"; false; }
	sleep 1.35 # it looks each second
	in_group /bin/true
	finish
}

@test "groups below are looked at, groups beside are not" {
	needs_bpf
	group nested
	mkdir "$GROUP/below" "$CGROUPS/$TAG/beside"
	sh -c 'echo $$ >"$0/cgroup.procs"; exec sleep 1000' "$CGROUPS/$TAG/beside" 3>&- &
	beside=$!
	traced --kinds exec
	GROUP=$CGROUPS/$TAG/beside in_group /bin/echo beside
	/bin/echo outside
	(GROUP=$GROUP/below in_group /bin/echo below)
	wait "$TRACER"
	TRACER=
	kill -KILL "$beside"; wait "$beside" || true
	rmdir "$GROUP/below" "$GROUP" "$CGROUPS/$TAG/beside"
	CODE='assert [e["path"] for e in of("exec")] == ["/bin/echo"], events' look
}

@test "a control group seen through a cgroup namespace, where its level is not known" {
	needs_bpf
	group space/inner
	mkdir mnt
	sh -c 'echo $$ >"$0/cgroup.procs"; exec unshare --cgroup --mount sh -c "mount -t cgroup2 none mnt && exec sleep 1000"' \
		"$CGROUPS/$TAG/space" 3>&- &
	local holder=$!
	until_true test -e "/proc/$holder/root$PWD/mnt/inner"
	nsenter --cgroup --mount -t "$holder" "$TRACE" --cgroup "$PWD/mnt/inner" --kinds exec >"$OUT" 2>"$OUT.err" 3>&- &
	TRACER=$!
	until_true test -s "$OUT"
	GROUP=$CGROUPS/$TAG/space in_group /bin/echo outside
	in_group /bin/echo inside
	wait "$TRACER"
	TRACER=
	kill -KILL "$holder"; wait "$holder" || true
	rmdir "$GROUP" "$CGROUPS/$TAG/space"
	CODE='assert [e["path"] for e in of("exec")] == ["/bin/echo"], events' look
}

@test "it gives up its privileges, and ends when nobody reads, when its group is removed" {
	needs_bpf
	group ends
	mounts=$(grep -c tracefs /proc/mounts || true)
	traced
	grep -E '^Cap(Eff|Prm|Bnd|Inh|Amb):\s+0+$' "/proc/$TRACER/status" | [ "$(wc -l)" -eq 5 ]
	grep -E '^Seccomp:\s+2$' "/proc/$TRACER/status"
	grep -E '^NoNewPrivs:\s+1$' "/proc/$TRACER/status"
	[ "$(grep -c tracefs /proc/mounts)" = "$mounts" ]
	rmdir "$GROUP"
	wait "$TRACER"
	TRACER=
	CODE='assert [e["event"] for e in events] == ["start", "end"], events' look
	group ends
	"$TRACE" --cgroup "$GROUP" 3>&- | head -1 >/dev/null # would wait for ever
	rmdir "$GROUP"
}

@test "what a slow reader misses is counted" {
	needs_bpf
	group slow
	mkfifo pipe
	"$TRACE" --cgroup "$GROUP" --kinds open >pipe 2>/dev/null 3>&- &
	TRACER=$!
	exec 8<pipe
	read -r -u 8 first
	[[ $first == *'"start"'* ]]
	cat >many.py <<-'END'
	import os
	for i in range(40000):
	    try: os.open('slow-%d' % i, os.O_RDONLY)
	    except OSError: pass
	END
	in_group "$PYTHON" many.py
	timeout 100 cat <&8 >"$OUT"
	exec 8<&-
	finish
	CODE='
slow = [e for e in of("open") if e["path"].startswith("slow-")]
others = len(of("open")) - len(slow)
lost = sum(e["count"] for e in of("lost"))
assert lost > 0 and 0 <= lost + len(slow) - 40000 <= 2000, (lost, len(slow), others)
assert slow[0]["path"] == "slow-0" and events[-1]["event"] == "end"' look
}

# ---- the agent's service

# inside SCRIPT: runs it beside an agent's helper functions (tests/agent/inside.sh) and these.
inside() {
	needs_bpf
	unshare --mount --uts --ipc --pid --net --fork true 2>/dev/null || skip "namespaces cannot be made here"
	command -v protoc >/dev/null || skip "protoc is not installed"
	run timeout 300 unshare --mount --uts --ipc --pid --net --fork --mount-proc --kill-child bash -c '
		. "$ROOT/tests/agent/inside.sh"
		AGENT_SETTINGS=("tracer = \"$TRACE\"")
		# tcall METHOD REQUEST-TYPE TEXT: one call on a connection of its own.
		tcall() {
			printf "%s" "$3" | protoc --encode="kihon.$2" lib/rpc/proto/trace.proto |
				build/host/bin/agent-client $SOCKET kihon.Trace "$1" 60000 >/run/answer
			return "${PIPESTATUS[2]}"
		}
		follow() { "$KIHON" trace --address $SOCKET "$@"; }
		tracers() { pgrep -c -x kihon-trace || true; }
		# gone: no tracer is left, soon.
		gone() { until_true eval "[ \$(tracers) -eq 0 ]"; }
		ready() { until_true grep -q start "$1"; } # FILE: the trace whose lines go there has begun'$'\n'"$1"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "service: a container from its first system call to its end" {
	inside '
		agent_start "${AGENT_SETTINGS[@]}" && sandbox || exit
		container c2 -l "Namespaces { Type: \"pid\" }" sh -c "cat /etc/none; /bin/true; exit 5" || exit
		[ "$(tracers)" -eq 0 ] || exit # nothing runs when unused
		"$KIHON" trace --address $SOCKET --kinds exec,exit,open c2 >/run/lines & f=$!
		ready /run/lines && start c2 && wait_exit c2 && wait $f; echo "trace $?"
		cat /run/lines
		gone || exit
		remove c2 && finish'
	has 'trace 0'
	has '"event":"start","kinds":["exec","exit","open"]'
	has '"event":"end"'
	grep '"event":"exec","pid":1,' <<<"$output" | grep '"path":"/bin/sh"'
	grep '"event":"open"' <<<"$output" | grep '"path":"/etc/none"' | grep '"result":-2'
	grep '"event":"exit","pid":1,' <<<"$output" | grep '"status":5'
}

@test "service: unknown ids, a second start, kinds that are none, no program" {
	inside '
		agent_start "${AGENT_SETTINGS[@]}" && sandbox || exit
		container c2 sleep 1000 && start c2 || exit
		tcall Start StartTraceRequest "container_id: \"none\""; echo "unknown container $?"
		tcall Read ReadTraceRequest "trace_id: \"t9\""; echo "unknown trace $?"
		tcall Stop StopTraceRequest "trace_id: \"t9\""; echo "unknown stop $?"
		tcall Start StartTraceRequest "container_id: \"c2\" kinds: \"exec\" kinds: \"nonsense\""; echo "kinds $?"
		gone || exit
		"$KIHON" trace --address $SOCKET c2 >/run/lines & f=$!
		ready /run/lines || exit
		follow c2; echo "second $?"
		tcall Start StartTraceRequest "container_id: \"c2\""; echo "second call $?"
		id=$(tcall Read ReadTraceRequest "trace_id: \"t2\" max_bytes: 5" 2>&1); echo "small $? $id"
		kill -KILL $f; wait $f
		gone && echo "ended with its client" || exit
		tcall Start StartTraceRequest "container_id: \"c2\"" && protoc --decode=kihon.StartTraceResponse lib/rpc/proto/trace.proto </run/answer
		gone && echo "ended with its connection" || exit
		finish
		rm /run/agent.sock
		agent_start "tracer = \"/nonexistent\"" && sandbox && container c2 sleep 1000 && start c2 || exit
		tcall Start StartTraceRequest "container_id: \"c2\""; echo "no program $?"
		finish'
	has 'unknown container 69' # NOT_FOUND
	has 'unknown trace 69'
	has 'unknown stop 69'
	has 'kinds 67'             # INVALID_ARGUMENT
	has "'nonsense'"
	has 'second 125'
	has 'being traced already'
	has 'second call 70'       # ALREADY_EXISTS
	has 'max_bytes must be'
	has 'ended with its client'
	has 'trace_id: "t'
	has 'ended with its connection'
	has 'no program 76'        # UNIMPLEMENTED
	has 'no /nonexistent: its image is made without'
}

@test "service: a policy decides about it by name" {
	inside '
		agent_start "${AGENT_SETTINGS[@]}" && sandbox || exit
		container c2 sleep 1000 && start c2 || exit
		quiet SetPolicy "policy: \"{\\\"schema\\\": 1, \\\"allow\\\": {\\\"SetPolicyRequest\\\": true, \\\"DestroySandboxRequest\\\": true}}\"" || exit
		follow c2; echo "denied $?"
		tcall Read ReadTraceRequest "trace_id: \"t1\""; echo "read $?"
		quiet SetPolicy "policy: \"{\\\"schema\\\": 1, \\\"allow\\\": {\\\"DestroySandboxRequest\\\": true, \\\"StartTraceRequest\\\": [{\\\"name\\\": \\\"other\\\", \\\"where\\\": {\\\"container_id\\\": \\\"c3\\\"}}]}}\"" || exit
		follow c2; echo "rule $?"
		[ "$(tracers)" -eq 0 ] && finish'
	has 'StartTraceRequest is blocked by policy: it is not in the list'
	has 'denied 125'
	has 'ReadTraceRequest is blocked by policy'
	has 'read 71'              # PERMISSION_DENIED
	has 'rule "other": container_id does not match'
}

# Programs that take the tracer's place: what the agent does with one that misbehaves.
@test "service: a tracer that dies, says nothing, or says no lines; Stop, and other calls meanwhile" {
	local name
	for name in dies:'echo "one line" >&2; echo two >&2; exit 1' signal:'kill -KILL $$' silent:'exit 0' mute:'sleep 1000' \
		endless:'head -c 200000 /dev/zero' short:'echo one; echo two; printf part' waits:'echo one; sleep 1000'; do
		printf '#!/bin/sh\n%s\n' "${name#*:}" >"$BATS_FILE_TMPDIR/${name%%:*}"
		chmod 755 "$BATS_FILE_TMPDIR/${name%%:*}"
	done
	FAKES=$BATS_FILE_TMPDIR inside '
		for fake in dies signal silent endless short waits mute; do
			rm -f /run/agent.sock
			agent_start "tracer = \"$FAKES/$fake\"" && sandbox && container c2 sleep 1000 && start c2 || exit
			case $fake in
			waits)
				"$KIHON" trace --address $SOCKET c2 >/run/lines & f=$!
				until_true grep -q one /run/lines
				call GetGuestDetails >/dev/null; echo "meanwhile $?"
				tcall Read ReadTraceRequest "trace_id: \"t1\" timeout_ms: 1"; echo "other reader $?"
				tcall Stop StopTraceRequest "trace_id: \"t1\""; echo "stop $?"
				wait $f; echo "$fake $? $(cat /run/lines)" ;;
			mute)
				timeout -s KILL 2 "$KIHON" trace --address $SOCKET c2; echo "$fake $?"
				until_true never pgrep -f "$FAKES/mute"
				pgrep -f "$FAKES/mute"; echo "mute left $?" ;;
			*) follow c2; echo "$fake $?" ;;
			esac
			finish
		done'
	has 'FAILED_PRECONDITION: one line'
	has 'dies 125'
	has 'the tracer failed without a word'
	has 'signal 125'
	has 'silent 125'
	has 'endless 0'
	has $'one\ntwo\nshort 0'
	has 'meanwhile 0'
	has 'other reader 73' # FAILED_PRECONDITION
	has 'stop 0'
	has 'waits 0 one'
	has 'mute 137'
	has 'mute left 1'
}

# ---- a guest, whose kernel has no BTF and no tracefs mounted

@test "guest: a container of an image of profile trace, an OOM kill among what it does" {
	[ -n "${KIHON_FULL-}" ] || skip "builds a kernel of profile trace (make check-full)"
	cd "$ROOT"
	make -s kernel PROFILE=trace >&2
	make -s guest build/host/bin/kata-image-tool >&2
	export KIHON_IMAGE_DIR=$BATS_TEST_TMPDIR/image XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/runtime
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	build/host/bin/kata-image-tool build --quiet --profile trace -o "$KIHON_IMAGE_DIR" >&2
	. tests/registry.bash
	registry_start "$BATS_TEST_TMPDIR/registry" --user tester --password "pass word"
	registry_push_busybox busybox:1
	mkfifo "$BATS_TEST_TMPDIR/in"
	timeout 280 "$KIHON" run -i --timeout 240s --memory 256M --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE" \
		"10.0.2.2:$REGISTRY_PORT/busybox:1" sh -c \
		'read x; cat /etc/none; (exit 7); sh -c "kill -TERM \$\$"; wget -O /dev/null http://10.0.2.2:1/; tail /dev/zero; exit 3' \
		<"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/run.out" 2>&1 3>&- &
	local guest=$! i id
	exec 7>"$BATS_TEST_TMPDIR/in"
	for ((i = 0; i < 200; i++)); do
		id=$(find "$XDG_RUNTIME_DIR/kihon" -mindepth 1 -maxdepth 1 -name '[0-9a-f]*' -printf '%f' 2>/dev/null || true)
		[ -z "$id" ] || timeout 250 "$KIHON" trace "$id" >"$OUT" 2>"$OUT.err" 3>&- 7>&- &
		TRACER=$!
		# It fails at once while the guest boots, and while there is no container.
		while kill -0 $TRACER 2>/dev/null && [ ! -s "$OUT" ]; do sleep 0.5; done
		[ ! -s "$OUT" ] || break
		sleep 1
	done
	cat "$OUT.err"
	echo go >&7
	exec 7>&-
	wait $TRACER
	TRACER=
	local status=0
	wait $guest || status=$?
	registry_stop
	cat "$BATS_TEST_TMPDIR/run.out"
	[ "$status" -eq 3 ]
	CODE='
assert events[0]["event"] == "start" and events[-1]["event"] == "end", events
ends = {e["pid"]: (e["comm"], e.get("status", -e.get("signal", 0))) for e in of("exit")}
assert ends[1] == ("sh", 3), ends
assert sorted(ends.values()) == [("cat", 1), ("sh", -15), ("sh", 3), ("sh", 7), ("tail", -9), ("wget", 1)], ends
assert [e["comm"] for e in of("oom")] == ["tail"] and ends[of("oom")[0]["pid"]][1] == -9
assert [(e["address"], e["port"], e["result"]) for e in of("connect")] == [("10.0.2.2", 1, -111)]
assert any(e["path"] == "/etc/none" and e["result"] == -2 for e in of("open"))
assert all(e["guest_pid"] > e["pid"] for e in of("exit"))' look
}
