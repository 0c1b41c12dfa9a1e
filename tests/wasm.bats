#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# WebAssembly: the modules of tests/wasm, each for some functions of WASI preview 1, compiled as pack
# compiles them and run on this machine; traps; modules that are refused; one packed and booted.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT FILES=$BATS_FILE_TMPDIR NATIVE=$ROOT/build/host/bin/wasm-native
	make -s -C "$ROOT" build/host/bin/wasm-native build/guest/wasm/{libwasi.a,libbase.a,runtime.h,wasm-rt.h} >&2
}

setup() {
	for tool in wasm2c wat2wasm wasm-ld clang; do
		command -v "$tool" >/dev/null || skip "$tool is not installed (make deps)"
	done
	cd "$BATS_TEST_TMPDIR"
	mkdir root
}

# module NAME: compiles tests/wasm/NAME.c or .wat to NAME.wasm here.
module() {
	if [ -f "$ROOT/tests/wasm/$1.wat" ]; then
		wat2wasm -o "$1.wasm" "$ROOT/tests/wasm/$1.wat"
	else
		(cd "$ROOT/tests/wasm" && clang --target=wasm32 -O1 -ffreestanding -fno-builtin -nostdlib -Wall -Werror \
			-Wno-unused-function -Wl,--no-entry -o "$BATS_TEST_TMPDIR/$1.wasm" "$1.c")
	fi
}

# native NAME: ./NAME, the program.
native() {
	module "$1"
	"$NATIVE" "$1.wasm" "$1"
}

# in_root NAME [ARGUMENT...]: runs it with ./root as its only directory and nothing else.
in_root() {
	env -i KIHON_WASI_DIRS=root=/ "./$@"
}

# text MODULE: from the text format on standard input.
text() {
	cat >"$1.wat"
	wat2wasm -o "$1.wasm" "$1.wat"
}

# refused STATUS WORDS MODULE: in one line, with nothing left.
refused() {
	run --separate-stderr "$NATIVE" "$3" out
	echo "$stderr"
	[ "$status" -eq "$1" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == wasm-native:*$2* ]]
	[ ! -e out ]
	[ -z "$(find . -maxdepth 1 -name 'out*' -o -name '.out*')" ]
}

@test "args_get, args_sizes_get, environ_get, environ_sizes_get" {
	native args
	env -i A=1 EMPTY= KIHON_WASI_DIRS= ./args one "two words"
	# Sockets that were handed to another process are none of the module's.
	env -i A=1 EMPTY= KIHON_WASI_DIRS= LISTEN_FDS=1 LISTEN_PID=1 ./args one "two words"
}

@test "clock_res_get, clock_time_get, random_get, sched_yield" {
	native clock
	./clock
}

@test "fd_read, fd_write, fd_pread, fd_pwrite, fd_seek, fd_tell" {
	native fd_io
	echo input | in_root fd_io
	[ "$(cat root/log)" = ab345678 ]
}

@test "fd_advise, fd_allocate, fd_close, fd_sync, fd_datasync, fd_fdstat_*, fd_filestat_*, fd_renumber" {
	native fd_state
	in_root fd_state
	[ "$(stat -c %s root/file)" = 110 ]
	[ "$(stat -c %Y root/file)" = 0 ]
}

@test "fd_prestat_get, fd_prestat_dir_name: KIHON_WASI_DIRS" {
	native preopen
	mkdir one two
	echo one >one/here
	echo two >two/here
	env -i KIHON_WASI_DIRS=one=/first:two=second/name ./preopen
	run --separate-stderr env KIHON_WASI_DIRS=missing ./preopen
	[ "$status" -eq 125 ]
	[[ $stderr == "wasm: KIHON_WASI_DIRS: cannot open the directory missing: No such file or directory" ]]
}

@test "fd_readdir: every entry once, through any buffer, from any cookie" {
	native readdir
	in_root readdir
}

@test "fd_fdstat_set_rights: every function keeps to the rights of its descriptor" {
	native rights
	ln -s file root/link
	mkdir root/sub
	in_root rights
}

@test "path_open" {
	native path_open
	(ulimit -Sn 20 && ulimit -Hn 200 && in_root path_open)
}

@test "path_create_directory, _filestat_get, _filestat_set_times, _link, _readlink, _remove_directory, _rename, _symlink, _unlink_file" {
	native path_ops
	in_root path_ops
	[ "$(cat root/empty/moved)" = other ]
}

@test "no way out: .., absolute paths, links, moves" {
	native escape
	mkdir -p box/in/deep box/out
	echo secret >box/secret
	echo file >box/out/file
	echo inner >box/in/inner
	ln -s .. box/in/up
	ln -s ../secret box/in/secret-link
	ln -s "$PWD/box/secret" box/in/abs
	ln -s ../out box/in/out-link
	ln -s ../../out box/in/deep/way
	find box -path box/in -prune -o -printf '%p %y %s %i %T@\n' | sort >before
	env -i KIHON_WASI_DIRS=box/in=/ ./escape
	find box -path box/in -prune -o -printf '%p %y %s %i %T@\n' | sort | diff before -
}

@test "no way out: directories that others swap for links meanwhile" {
	native race
	mkdir -p box/in/a box/out
	echo secret >box/out/file
	echo inner >box/in/a/file
	ln -s ../out box/in/b
	python3 - <<-'PY' &
		import ctypes, time
		libc = ctypes.CDLL(None)
		end = time.time() + 200
		while time.time() < end:
		    libc.renameat2(-100, b"box/in/a", -100, b"box/in/b", 2)
	PY
	local swapper=$!
	run env -i KIHON_WASI_DIRS=box/in=/ ./race
	kill "$swapper"
	wait "$swapper" || true
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "no way out: /proc with the whole root preopened, as in a guest" {
	native proc
	env -i ./proc
}

@test "poll_oneoff" {
	native poll
	mkfifo in
	(echo input; exec sleep 200) >in &
	local writer=$!
	in_root poll <in
	kill "$writer"
	wait "$writer" || true
}

@test "sock_accept, sock_recv, sock_send, sock_shutdown: a socket handed over, and one of KIHON_WASI_LISTEN" {
	native sock
	cat >clients.py <<-'PY'
		import os, socket, subprocess, sys, time

		def clients(address):
		    def connect():
		        for _ in range(1200):
		            try:
		                return socket.create_connection(address, timeout=100)
		            except ConnectionRefusedError:
		                time.sleep(0.05)
		        sys.exit("nobody listens")
		    s = connect()
		    s.sendall(b"hello")
		    said = b""
		    while part := s.recv(100):
		        said += part
		    assert said == b"from the module\nwritten\n", said
		    s.close()
		    s = connect()
		    time.sleep(0.1)
		    s.sendall(b"again")
		    assert s.recv(100) == b""

		listener = socket.socket()
		listener.bind(("127.0.0.1", 0))
		address = listener.getsockname()
		listener.listen()
		def hand_over():
		    os.dup2(listener.fileno(), 3)
		if sys.argv[1] == "inherited":
		    p = subprocess.Popen(["./sock"], env={"LISTEN_FDS": "1", "KIHON_WASI_DIRS": "root=/"},
		                         preexec_fn=hand_over, close_fds=False)
		else:
		    listener.close()
		    p = subprocess.Popen(["./sock"], env={"KIHON_WASI_LISTEN": "127.0.0.1:%d" % address[1],
		                                          "KIHON_WASI_DIRS": "root=/"})
		clients(address)
		sys.exit(p.wait(100))
	PY
	python3 clients.py inherited
	python3 clients.py own
	run --separate-stderr env KIHON_WASI_LISTEN=nowhere ./sock
	[ "$status" -eq 125 ]
	[[ $stderr == *"'nowhere' is not an ADDRESS:PORT"* ]]
	run --separate-stderr env LISTEN_FDS=1 ./sock 3</dev/null
	[ "$status" -eq 125 ]
	[[ $stderr == *"descriptor 3 is not a socket"* ]]
}

@test "proc_exit: statuses; proc_raise: signals" {
	native exit
	for code in 0 1 42 126 255; do
		run ./exit exit "$code"
		[ "$status" -eq "$code" ]
	done
	# 8 bits go through; what is not 0 does not become 0.
	run ./exit exit 256
	[ "$status" -eq 255 ]
	run ./exit exit 4294967295
	[ "$status" -eq 255 ]
	# WASI's number and the kernel's.
	for pair in 9:9 6:6 15:15 10:10 12:12 13:13 11:11 2:2; do
		run ./exit raise "${pair%:*}"
		[ "$status" -eq $((128 + ${pair#*:})) ]
	done
	run ./exit raise 0
	[ "$status" -eq 0 ]
}

@test "memory grows to its limit and is zero; the program needs no page that the module does not touch" {
	native memory
	./memory
	# 2 GiB of memory of which nothing is used.
	text big <<-'WAT'
		(module (memory (export "memory") 32768) (func (export "_start") (i32.store (i32.const 2147483644) (i32.const 1))))
	WAT
	"$NATIVE" big.wasm big
	/usr/bin/time -f %M -o peak ./big
	[ "$(cat peak)" -lt 4096 ]
	run --separate-stderr bash -c 'ulimit -v 1000000; ./big'
	[ "$status" -eq 125 ]
	[[ $stderr == *"cannot reserve 8 GiB of addresses"* ]]
}

@test "tables and references; a memory of 4 GiB" {
	native table
	ln -s target root/link
	in_root table x
}

@test "traps end with 134 and say which; nothing is read from or written to what is not the module's" {
	native trap
	local expected=("" "unreachable" "out of bounds" "out of bounds" "out of bounds" "divide by zero" "integer overflow"
		"invalid conversion" "integer overflow" "indirect call" "indirect call" "indirect call" "call stack exhausted"
		"out of bounds" "out of bounds")
	local arguments=()
	for words in "${expected[@]}"; do
		run --separate-stderr ./trap "${arguments[@]}"
		echo "${#arguments[@]}: $status $stderr"
		if [ -z "$words" ]; then
			[ "$status" -eq 0 ]
		else
			[ "$status" -eq 134 ]
			[[ $stderr == "wasm trap: "*"$words"* ]]
			[ "${#stderr_lines[@]}" -eq 1 ]
		fi
		arguments+=(x)
	done
	# Whatever signals the one who started it had blocked.
	run --separate-stderr python3 -c "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSEGV]); os.execv('./trap', ['./trap', 'x', 'x'])"
	echo "$status $stderr"
	[ "$status" -eq 134 ]
	[[ $stderr == "wasm trap: out of bounds"* ]]
}

@test "a C program with its library: arguments, files, folders, errors" {
	[ -e /usr/lib/wasm32-wasi/libc.a ] || skip "wasi-libc is not installed (make deps)"
	clang --target=wasm32-wasi -O2 -Wall -Werror -o cat.wasm "$ROOT/tests/wasm/libc/cat.c"
	"$NATIVE" cat.wasm cat
	mkdir root/sub
	seq 100000 >root/sub/numbers
	echo end >root/end
	KIHON_WASI_DIRS=root=/ ./cat /sub/numbers end >got
	cat root/sub/numbers root/end | cmp - got
	echo piped | KIHON_WASI_DIRS=root=/ ./cat - >got
	[ "$(cat got)" = piped ]
	run --separate-stderr env KIHON_WASI_DIRS=root=/ ./cat /sub/none
	[ "$status" -eq 1 ]
	[[ $stderr == "/sub/none: No such file or directory" ]]
	run env KIHON_WASI_DIRS=root=/ ./cat -l /
	[ "$output" = "$(printf 'd sub\nf end')" ]
}

@test "a program is static, position-independent, and the same each time" {
	module args
	"$NATIVE" args.wasm one
	mkdir elsewhere
	echo '#error not this one' >elsewhere/stdint.h
	(cd elsewhere && umask 077 && TMPDIR=$PWD TZ=Asia/Tokyo LC_ALL=C CPATH=$PWD CFLAGS=-O0 "$NATIVE" ../args.wasm two)
	cmp one elsewhere/two
	"$ROOT/rootfs/check-static-pie" one
	! grep -q "$ROOT" one
	[ "$(stat -c %s one)" -lt 100000 ]
}

@test "what is installed is enough to compile a module" {
	module args
	mkdir -p data/guest
	cp -r "$ROOT/build/guest/wasm" data/guest/
	mkdir data/rootfs
	cp -r "$ROOT"/rootfs/{profiles,make-guest-cc,relro.c} data/rootfs/
	KIHON_DATA=$PWD/data "$NATIVE" args.wasm one
	"$NATIVE" args.wasm two
	cmp one two
	rm -r data/guest
	run --separate-stderr env KIHON_DATA="$PWD/data" "$NATIVE" args.wasm out
	[ "$status" -eq 4 ]
	[[ $stderr == *"the WASI layer"*"is missing; run make guest"* ]]
}

@test "numbers: what the same C gives natively" {
	[ -e /usr/lib/wasm32-wasi/libc.a ] || skip "wasi-libc is not installed (make deps)"
	clang --target=wasm32-wasi -O1 -o numbers.wasm "$ROOT/tests/wasm/libc/numbers.c"
	"$NATIVE" numbers.wasm numbers
	gcc -O1 -ffp-contract=off -o native "$ROOT/tests/wasm/libc/numbers.c" -lm
	./native >expected
	[ "$(wc -l <expected)" -gt 1000 ]
	./numbers | diff expected -
}

@test "interrupted while it compiles: nothing is left" {
	module args
	mkdir bin scratch
	printf '#!/bin/sh\ntouch started\nsleep 60 &\nwait\n' >bin/gcc
	chmod +x bin/gcc
	TMPDIR=$PWD/scratch PATH="$PWD/bin:$PATH" "$ROOT/build/host/bin/kata-image-tool" pack --quiet args.wasm -o image 2>err &
	local tool=$!
	. "$ROOT/tests/wait.bash"
	until_true eval '[ -n "$(find scratch -name started)" ] || is_gone $tool'
	kill -INT "$tool" 2>/dev/null || true
	local result=0
	wait "$tool" || result=$?
	echo "$result"
	cat err
	[ "$result" -eq 130 ]
	[ "$(cat err)" = "kata-image-tool: interrupted; nothing was written" ]
	[ -z "$(ls scratch)" ]
	[ ! -e image ]
}

@test "modules that are refused: broken, of another kind, importing what there is not" {
	module args
	: >empty.wasm
	refused 3 "not a WebAssembly module" empty.wasm
	head -c 600 args.wasm >cut.wasm
	refused 3 "ends in the middle" cut.wasm
	printf '\0asm\x0d\0\1\0' >component.wasm
	refused 3 "component" component.wasm
	printf '\0asm\2\0\0\0' >version.wasm
	refused 3 "version 2" version.wasm
	text unknown <<<'(module (import "wasi_snapshot_preview1" "fd_teleport" (func)) (memory (export "memory") 1) (func (export "_start")))'
	refused 3 "wasi_snapshot_preview1.fd_teleport" unknown.wasm
	text env <<<'(module (import "env" "foo" (func)) (import "env" "bar" (func)) (memory (export "memory") 1) (func (export "_start")))'
	refused 3 "env.foo and 1 more" env.wasm
	text old <<<'(module (import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))'
	refused 3 "preview 0" old.wasm
	text type <<<'(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))) (memory (export "memory") 1) (func (export "_start")))'
	refused 3 "fd_close with the type I:i; in WASI preview 1 it is i:i" type.wasm
	text global <<<'(module (import "wasi_snapshot_preview1" "fd_close" (global i32)) (memory (export "memory") 1) (func (export "_start")))'
	refused 3 "imports global" global.wasm
	text reactor <<<'(module (memory (export "memory") 1) (func (export "_initialize")))'
	refused 3 "reactor" reactor.wasm
	text library <<<'(module (memory (export "memory") 1) (func (export "main")))'
	refused 3 "_start" library.wasm
	text memoryless <<<'(module (func (export "_start")))'
	refused 3 "no memory named memory" memoryless.wasm
	text start <<<'(module (memory (export "memory") 1) (func (export "_start") (param i32)))'
	refused 3 "_start takes parameters" start.wasm
	text simd <<<'(module (memory (export "memory") 1) (func (export "_start") (drop (i32x4.extract_lane 0 (v128.load (i32.const 0))))))'
	refused 3 "SIMD" simd.wasm
	text twice <<-'WAT'
		(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
		  (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory (export "memory") 1)
		  (func (export "_start") (drop (i32x4.extract_lane 0 (v128.load (i32.const 0))))))
	WAT
	refused 3 "SIMD" twice.wasm
	# Sound sections, but code that is not valid: (i32.add) of nothing.
	printf '\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\5\3\1\0\1\7\x13\2\6_start\0\0\6memory\2\0\12\5\1\3\0\x6a\x0b' >invalid.wasm
	refused 3 "wasm2c refuses it" invalid.wasm
}

@test "names in a module are data: none of them becomes C" {
	text names <<-'WAT'
		(module $evil*/x
		  (memory (export "memory") 1)
		  (global (export "*/\n#include \"/etc/hostname\"\n#error injected\n/*") i32 (i32.const 0))
		  (func (export "int main")) (func (export "while")) (func (export "\e3\81\8d\22;"))
		  (func (export "_start")))
	WAT
	"$NATIVE" names.wasm names
	./names
}

@test "tools that are missing or old, no room to work in" {
	module args
	mkdir bin
	run --separate-stderr env PATH=/nonexistent "$NATIVE" args.wasm out
	[ "$status" -eq 4 ]
	[[ $stderr == *"wasm2c"*"install wabt"* ]]
	printf '#!/bin/sh\necho 1.0.20\n' >bin/wasm2c
	chmod +x bin/wasm2c
	run --separate-stderr env PATH="$PWD/bin:$PATH" "$NATIVE" args.wasm out
	[ "$status" -eq 4 ]
	[[ $stderr == *"wabt 1.0.20"*"1.0.32"* ]]
	run --separate-stderr env TMPDIR=/nonexistent "$NATIVE" args.wasm out
	[ "$status" -eq 4 ]
	[[ $stderr == *"TMPDIR"* ]]
	[ ! -e out ]
	mkdir scratch
	TMPDIR=$PWD/scratch "$NATIVE" args.wasm out
	[ -z "$(ls scratch)" ]
}

@test "a module is packed and booted: its status and output, files in the image, memory of 24 MiB" {
	make -s -C "$ROOT" kernel PROFILE=unikernel >&2
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon build/guest/bin/kihon-init >&2
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
	clang --target=wasm32-wasi -O2 -o cat.wasm "$ROOT/tests/wasm/libc/cat.c"
	"$ROOT/build/host/bin/kata-image-tool" pack --quiet cat.wasm -o image --cmd -l --cmd /
	run --separate-stderr "$ROOT/build/host/bin/kihon" boot --memory 24M image
	echo "$output $stderr"
	[ "$status" -eq 0 ]
	[[ $output == *"d proc"* ]]
	"$ROOT/build/host/bin/kata-image-tool" pack --quiet cat.wasm -o image --cmd /missing
	run "$ROOT/build/host/bin/kihon" boot --memory 24M image
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"/missing: No such file or directory"* ]]
}
