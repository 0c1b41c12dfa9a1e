#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Kata runtime in the place of the real ones: ttrpc and protobuf written here a second time, from their own
descriptions, so that agent and test cannot be wrong in the same way.

  runtime.py go|rust|exec SOCKET ROOTFS CGROUP  the calls of a runtime in their order, on one connection
  runtime.py hostile|good SOCKET ROOTFS CGROUP  every method: with empty and hostile messages, with good ones
  runtime.py golden                             encodes tests/data/proto/golden.txt's messages in both packed forms
  runtime.py disconnect|slow|lie SOCKET ROOTFS CGROUP"""
import random
import re
import socket
import struct
import sys
import threading
import time

PROTO = ['agent', 'csi', 'empty', 'health', 'memagent', 'oci', 'types', 'ttrpc']
VARINTS = {'int32', 'int64', 'uint32', 'uint64', 'bool'}
OK, INVALID, DEADLINE, NOT_FOUND, DENIED, EXHAUSTED, PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = \
    0, 3, 4, 5, 7, 8, 9, 12, 13, 14
MESSAGES, ENUMS, METHODS = {}, {}, {}


# ---- protobuf

def find(kind, package):
    for name in (kind, f'{package}.{kind}'):
        if name in MESSAGES or name in ENUMS:
            return name
    raise KeyError(kind)


def read_schema():
    for name in PROTO:
        text = re.sub(r'//.*', '', open(f'lib/rpc/proto/{name}.proto').read())
        package = re.search(r'package ([\w.]+);', text).group(1)
        for m in re.finditer(r'enum (\w+) \{(.*?)\}', text, re.S):
            ENUMS[f'{package}.{m.group(1)}'] = [int(n) for n in re.findall(r'= (\d+);', m.group(2))]
        for m in re.finditer(r'^message (\w+) \{(.*?)^\}', text, re.S | re.M):
            body = re.sub(r'oneof \w+ \{(.*?)\}', r'\1', m.group(2), flags=re.S)
            fields = re.findall(r'(repeated |optional )?(map<\w+, [\w.]+>|[\w.]+) (\w+) = (\d+);', body)
            MESSAGES[f'{package}.{m.group(1)}'] = {f: (int(n), label.strip(), kind, package)
                                                   for label, kind, f, n in fields}
        for service in re.finditer(r'^service (\w+) \{(.*?)^\}', text, re.S | re.M):
            for method, asked, answered in re.findall(r'rpc (\w+)\(([\w.]+)\) returns \(([\w.]+)\)', service.group(2)):
                METHODS[method] = (f'{package}.{service.group(1)}', asked, answered, package)


def varint(n):
    n &= 2**64 - 1
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, wire, data):
    return varint(number << 3 | wire) + (varint(len(data)) + data if wire == 2 else data)


def encode_one(number, kind, package, value):
    if kind in VARINTS or (kind not in ('string', 'bytes') and find(kind, package) in ENUMS):
        return field(number, 0, varint(int(value)))
    if kind == 'string':
        return field(number, 2, value if isinstance(value, bytes) else value.encode())
    if kind == 'bytes':
        return field(number, 2, value)
    return field(number, 2, encode(find(kind, package), value))


def encode(message, values, packed=True):
    out = b''
    for name, value in values.items():
        number, label, kind, package = MESSAGES[message][name]
        m = re.match(r'map<(\w+), ([\w.]+)>', kind)
        if m:
            for k, v in value.items():
                out += field(number, 2, encode_one(1, m.group(1), package, k) + encode_one(2, m.group(2), package, v))
        elif label != 'repeated':
            out += encode_one(number, kind, package, value)
        elif packed and kind in VARINTS:
            out += field(number, 2, b''.join(varint(int(v)) for v in value)) if value else b''
        else:
            out += b''.join(encode_one(number, kind, package, v) for v in value)
    return out


def decode(data):
    """{field number: [value]}: numbers, or bytes."""
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            n |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                return n
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        elif tag & 7 == 2:
            size = number()
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f'wire type {tag & 7}')
        out.setdefault(tag >> 3, []).append(value)
    return out


# ---- ttrpc

def frame(stream, payload, kind=1, flags=0, size=None):
    return struct.pack('>IIBB', len(payload) if size is None else size, stream, kind, flags) + payload


def envelope(service, method, payload, timeout=0):
    return field(1, 2, service.encode()) + field(2, 2, method.encode()) + field(3, 2, payload) + \
        (field(4, 0, varint(timeout)) if timeout else b'')


class Call:
    def __init__(self):
        self.done, self.code, self.text, self.reply = threading.Event(), None, '', {}

    def wait(self, seconds=100):
        if not self.done.wait(seconds):
            raise TimeoutError('no answer')
        return self


class Agent:
    """One connection, any number of calls at once."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream, self.calls, self.lock, self.lost = 1, {}, threading.Lock(), False
        threading.Thread(target=self.read, daemon=True).start()

    def exactly(self, n):
        data = b''
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def read(self):
        try:
            while True:
                size, stream, kind, _ = struct.unpack('>IIBB', self.exactly(10))
                answer = decode(self.exactly(size))
                call = self.calls.pop(stream)
                assert kind == 2
                status = decode(answer.get(1, [b''])[0])
                call.code = status.get(1, [0])[0]
                call.text = status.get(2, [b''])[0].decode()
                call.reply = decode(answer.get(2, [b''])[0])
                call.done.set()
        except (EOFError, OSError):
            self.lost = True
        for call in list(self.calls.values()):
            call.code, call.text = UNAVAILABLE, 'the connection ended'
            call.done.set()

    def begin(self, method, payload=b'', timeout=0, service=None):
        call = Call()
        with self.lock:
            self.calls[self.stream] = call
            if self.lost:
                raise EOFError
            self.socket.sendall(frame(self.stream, envelope(service or METHODS[method][0], method, payload, timeout)))
            self.stream += 2
        return call

    def go(self, method, values=None, timeout=60 * 10**9):
        service, asked, _, package = METHODS[method]
        return self.begin(method, encode(find(asked, package), values or {}), timeout)

    def call(self, method, values=None, want=(OK,)):
        call = self.go(method, values).wait()
        if call.code not in want:
            sys.exit(f'{method}: status {call.code} ({call.text}), expected {want}')
        return call

    def output(self, method, container, exec_id):
        """Until the end, as Go's io.Copy does."""
        data = b''
        while True:
            call = self.go(method, {'container_id': container, 'exec_id': exec_id, 'len': 32768}, 0).wait()
            more = call.reply.get(1, [b''])[0]
            if call.code or not more:
                return data
            data += more

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def shm():
    return {'driver': 'ephemeral', 'source': 'shm', 'fstype': 'tmpfs', 'mount_point': '/run/kata-containers/sandbox/shm',
            'options': ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864']}


def spec(root, group, *args, terminal=False):
    def mount(destination, kind, source, *options):
        return {'destination': destination, 'type': kind, 'source': source, 'options': options}
    return {
        'Version': '1.0.2-dev',
        'Process': {'Terminal': terminal, 'User': {'AdditionalGids': [0, 10]}, 'Args': args, 'Env': ['PATH=/bin'], 'Cwd': '/',
                    'Capabilities': {k: ['CAP_CHOWN', 'CAP_KILL'] for k in ('Bounding', 'Effective', 'Permitted')},
                    'Rlimits': [{'Type': 'RLIMIT_NOFILE', 'Hard': 1024, 'Soft': 1024}], 'NoNewPrivileges': True},
        'Root': {'Path': root},
        'Mounts': [mount('/proc', 'proc', 'proc', 'nosuid', 'noexec', 'nodev'),
                   mount('/dev', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
                   mount('/dev/pts', 'devpts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'),
                   mount('/dev/shm', 'bind', '/run/kata-containers/sandbox/shm', 'rbind'),
                   mount('/run', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k')],
        'Linux': {'CgroupsPath': group, 'Namespaces': [{'Type': t} for t in ('ipc', 'uts', 'mount')]},
    }


def same(what, got, wanted):
    if got != wanted:
        sys.exit(f'{what} is {got!r}, not {wanted!r}')


# ---- the orders of calls

def life(agent, rootfs, group, exec_id):
    """A container from beginning to end; the runtimes differ in what they call its first process."""
    agent.call('CreateContainer', {'container_id': 'c2', 'exec_id': exec_id,
                                   'OCI': spec(rootfs, f'{group}/c2', 'sh', '-c', 'echo hi; echo oops >&2; exit 3')})
    agent.call('StartContainer', {'container_id': 'c2'})
    oom = agent.go('GetOOMEvent', timeout=0)
    result = {}
    readers = [threading.Thread(target=lambda m=m: result.__setitem__(m, agent.output(m, 'c2', exec_id)))
               for m in ('ReadStderr', 'ReadStdout')]
    for r in readers:
        r.start()
    return oom, readers, result


def end(agent, oom, readers, result, exec_id):
    for r in readers:
        r.join(100)
    same('output', result, {'ReadStdout': b'hi\n', 'ReadStderr': b'oops\n'})
    wait = agent.call('WaitProcess', {'container_id': 'c2', 'exec_id': exec_id})
    same('exit status', wait.reply, {1: [3]})
    agent.call('SignalProcess', {'container_id': 'c2', 'signal': 9}, (OK, NOT_FOUND))
    agent.call('WaitProcess', {'container_id': 'c2', 'exec_id': exec_id}, (OK, NOT_FOUND))
    agent.call('RemoveContainer', {'container_id': 'c2'})
    agent.call('RemoveStaleVirtiofsShareMounts')
    agent.call('DestroySandbox')
    same('GetOOMEvent at the end', oom.wait().code in (INTERNAL, UNAVAILABLE), True)


def order_go(path, rootfs, group):
    agent = Agent(path)
    agent.call('Check')
    agent.call('UpdateInterface', {'interface': {'name': 'lo', 'device': 'lo', 'mtu': 65536, 'hwAddr': '00:00:00:00:00:00'}},
               range(17))
    agent.call('UpdateRoutes', {'routes': {}})
    agent.call('AddARPNeighbors', {'neighbors': {}})
    agent.call('CreateSandbox', {'sandbox_id': 'c2', 'storages': [shm()]})
    details = agent.call('GetGuestDetails', {'mem_block_size': True, 'mem_hotplug_probe': True})
    same('agent details', 2 in details.reply, True)
    running = life(agent, rootfs, group, 'c2')
    end(agent, *running, 'c2')


def order_rust(path, rootfs, group):
    agent, health = Agent(path), Agent(path)
    agent.call('AddARPNeighbors', {'neighbors': {}})
    agent.call('UpdateRoutes', {'routes': {}})
    agent.call('CreateSandbox', {'sandbox_id': 'c2', 'storages': [shm()]})
    agent.call('GetGuestDetails', {'mem_block_size': True, 'mem_hotplug_probe': True})
    running = life(agent, rootfs, group, '')
    for _ in range(3):
        health.call('Check')
    health.call('Version')
    health.call('StatsContainer', {'container_id': 'c2'}, (OK, NOT_FOUND))
    health.call('GetMetrics')
    end(agent, *running, '')


def order_exec(path, rootfs, group):
    """ctr task exec, with a pod of two containers and sized resources."""
    agent = Agent(path)
    agent.call('CreateSandbox', {'sandbox_id': 'sb', 'storages': [shm()], 'hostname': 'pod'})
    agent.call('OnlineCPUMem', {'nb_cpus': 1})
    for name in ('sb', 'c1'):
        agent.call('CreateContainer', {'container_id': name, 'exec_id': name, 'OCI': spec(rootfs, f'{group}/{name}', 'sleep', '1000')})
        agent.call('StartContainer', {'container_id': name})
    waits = [agent.go('WaitProcess', {'container_id': n, 'exec_id': n}, 0) for n in ('sb', 'c1')]
    exec_id = '0b6c7f1e-5d7e-4b43-9a61-2f2f7cc6ab0d'
    agent.call('ExecProcess', {'container_id': 'c1', 'exec_id': exec_id,
                               'process': {'Args': ['sh', '-c', 'cat; hostname'], 'Env': ['PATH=/bin'], 'Cwd': '/'}})
    agent.call('WriteStdin', {'container_id': 'c1', 'exec_id': exec_id, 'data': b'in '})
    agent.call('WriteStdin', {'container_id': 'c1', 'exec_id': exec_id, 'data': b''})
    same('output', agent.output('ReadStdout', 'c1', exec_id), b'in pod\n')
    agent.output('ReadStderr', 'c1', exec_id)
    same('exit status', agent.call('WaitProcess', {'container_id': 'c1', 'exec_id': exec_id}).reply, {})
    agent.call('UpdateContainer', {'container_id': 'c1', 'resources': {}})
    agent.call('StatsContainer', {'container_id': 'c1'})
    for name, wait in zip(('c1', 'sb'), reversed(waits)):
        same('a waiter has its answer too early', wait.done.is_set(), False)
        agent.call('SignalProcess', {'container_id': name, 'signal': 9})
        same('exit status', wait.wait().reply, {1: [137]})
        agent.call('RemoveContainer', {'container_id': name})
    agent.call('DestroySandbox')


# ---- every method

ANY = tuple(range(17))
# What a method says to a message that is right, where it is not OK on any machine.
GOOD = {
    'CreateSandbox': ({'sandbox_id': 'sb', 'storages': [shm()]}, (OK,)),
    'CreateContainer': (None, (OK,)),
    'StartContainer': ({'container_id': 'c1'}, (OK,)),
    'ExecProcess': ({'container_id': 'c1', 'exec_id': 'e1', 'process': {'Args': ['/bin/sleep', '1000'], 'Cwd': '/'}}, (OK,)),
    'SignalProcess': ({'container_id': 'c1', 'exec_id': 'e1', 'signal': 9}, (OK,)),
    'WaitProcess': ({'container_id': 'c1', 'exec_id': 'e1'}, (OK,)),
    'UpdateContainer': ({'container_id': 'c1', 'resources': {}}, (OK,)),
    'UpdateEphemeralMounts': ({'storages': [shm()]}, (OK,)),
    'StatsContainer': ({'container_id': 'c1'}, (OK,)),
    'PauseContainer': ({'container_id': 'c1'}, (OK,)),
    'ResumeContainer': ({'container_id': 'c1'}, (OK,)),
    'RemoveStaleVirtiofsShareMounts': ({}, (OK,)),
    'GetDiagnosticData': ({'container_id': 'c1', 'log_type': 'termination_log'}, ANY),
    'WriteStdin': ({'container_id': 'c1', 'data': b'line\n'}, (OK,)),
    'ReadStdout': ({'container_id': 'c1', 'len': 100}, (OK,)),
    'CloseStdin': ({'container_id': 'c1'}, (OK,)),
    'ReadStderr': ({'container_id': 'c1', 'len': 100}, (INTERNAL, OK)),
    'TtyWinResize': ({'container_id': 'c1', 'row': 24, 'column': 80}, (UNAVAILABLE,)),
    'UpdateInterface': ({'interface': {'name': 'nothing', 'hwAddr': '02:00:00:00:00:99'}}, (NOT_FOUND, INTERNAL)),
    'UpdateRoutes': ({'routes': {}}, (OK,)),
    'ListInterfaces': ({}, (OK,)),
    'ListRoutes': ({}, (OK,)),
    'AddARPNeighbors': ({'neighbors': {'ARPNeighbors': [{'toIPAddress': {'address': '192.0.2.9'}, 'device': 'lo',
                                                          'lladdr': '02:00:00:00:00:09', 'state': 128}]}}, (OK,)),
    'GetIPTables': ({}, ANY),
    'SetIPTables': ({'data': b'*filter\nCOMMIT\n'}, ANY),
    'GetMetrics': ({}, (OK,)),
    'MemAgentMemcgSet': ({'disabled': True}, (UNIMPLEMENTED,)),
    'MemAgentCompactSet': ({'disabled': True}, (UNIMPLEMENTED,)),
    'OnlineCPUMem': ({'nb_cpus': 1}, (OK,)),
    'ReseedRandomDev': ({'data': b'0123456789abcdef'}, (OK, PRECONDITION, DENIED)),
    'GetGuestDetails': ({'mem_block_size': True}, (OK,)),
    'MemHotplugByProbe': ({'memHotplugProbeAddr': []}, ANY),
    'SetGuestDateTime': ({'Sec': int(time.time())}, (OK, DENIED)),
    'CopyFile': ({'path': '/run/kata-containers/shared/containers/f', 'file_size': 1, 'file_mode': 0o100644, 'dir_mode': 0o755,
                  'data': b'x'}, (OK,)),
    'GetOOMEvent': ({}, (DEADLINE,)),
    'AddSwap': ({'PCIPath': [1, 2]}, ANY),
    'AddSwapPath': ({'path': '/run/no-swap'}, (NOT_FOUND,)),
    'GetVolumeStats': ({'volume_guest_path': '/run'}, (OK,)),
    'ResizeVolume': ({'volume_guest_path': '/run', 'size': 1}, ANY),
    'Check': ({}, (OK,)),
    'Version': ({}, (OK,)),
    'RemoveContainer': ({'container_id': 'c1'}, (OK,)),
    'SetPolicy': ({'policy': '{"schema": 1, "allow": {"DestroySandboxRequest": true}}'}, (OK,)),
    'DestroySandbox': ({}, (OK,)),
}
LAST = ['RemoveContainer', 'SetPolicy', 'DestroySandbox']

HOSTILE = {
    'long': {'string': 'A' * 70000, 'bytes': b'\xff' * 70000, 'number': 2**64 - 1, 'repeat': 3},
    'nul': {'string': b'c1\0/../../etc', 'bytes': b'', 'number': 2**63, 'repeat': 1},
    'not text': {'string': b'\xff\xfe\xc0\xaf%n%s\n', 'bytes': b'\0' * 100, 'number': 2**31, 'repeat': 2},
    'paths': {'string': '/../../../../../../proc/self/fd/0', 'bytes': b'x', 'number': 2**32 - 1, 'repeat': 2},
    'many': {'string': '', 'bytes': b'', 'number': 7, 'repeat': 40},
}


def hostile(message, how, depth=0):
    """A message with every field set."""
    out = {}
    for name, (_, label, kind, package) in MESSAGES[message].items():
        m = re.match(r'map<(\w+), ([\w.]+)>', kind)
        kinds = [m.group(1), m.group(2)] if m else [kind]
        values = []
        for k in kinds:
            if k in ('string', 'bytes'):
                values.append(how[k])
            elif k in VARINTS or find(k, package) in ENUMS:
                values.append(how['number'])
            else:
                values.append(hostile(find(k, package), how, depth + 1))
        repeat = how['repeat'] if depth < 2 else 1
        out[name] = {values[0]: values[1]} if m else [values[0]] * repeat if label == 'repeated' else values[0]
    return out


def raw_hostile(first_field):
    deep = b''
    for _ in range(5000):
        deep = field(99, 2, deep)
    return {
        'unknown fields': b''.join(field(n, 2, b'x' * 50) + field(n, 0, varint(n)) for n in range(1000, 3000)),
        'nested unknown': deep,
        'groups': varint(99 << 3 | 3) * 10000,
        'cut short': field(first_field, 2, b'c1')[:-1],
        'endless number': varint(first_field << 3) + b'\xff' * 20,
        'wrong wire types': b''.join(field(n, 0, varint(1)) + field(n, 2, b'\x08\x01') for n in range(1, 20)),
        'noise': random.Random(1).randbytes(5000),
    }


def every_hostile(path, rootfs, group):
    """Whatever comes, there is an answer, and a good request is answered next."""
    agent = Agent(path)
    n = 0
    same('methods', len(METHODS), 44)
    for method in METHODS:
        if method in ('SetPolicy', 'DestroySandbox'):
            continue
        service, asked, _, package = METHODS[method]
        messages = {k: encode(find(asked, package), hostile(find(asked, package), v)) for k, v in HOSTILE.items()}
        messages.update(raw_hostile(1))
        messages['empty'] = b''
        # All at once: an answer to one must not wait for another's.
        calls = {what: agent.begin(method, message[:3 << 20], 200 * 10**6) for what, message in messages.items()}
        for what, call in calls.items():
            call.wait()
            n += 1
            if agent.lost:
                sys.exit(f'{method}, {what}: the connection ended')
            if call.code and not call.text and method != 'GetOOMEvent':
                sys.exit(f'{method}, {what}: status {call.code} without a word')
            same(f'a NUL in the text after {method}, {what}', '\0' in call.text, False)
        agent.call('Check')
    print(f'hostile: {n} messages answered')


def every_good(path, rootfs, group):
    agent = Agent(path)
    methods = list(GOOD)
    same('methods without a good message', sorted(set(METHODS) - set(methods)), [])
    for method in [m for m in methods if m not in LAST] + LAST:
        values, want = GOOD[method]
        if values is None:
            values = {'container_id': 'c1', 'OCI': spec(rootfs, f'{group}/c1', 'cat')}
        service, asked, _, package = METHODS[method]
        call = agent.begin(method, encode(find(asked, package), values),
                           300 * 10**6 if method == 'GetOOMEvent' else 60 * 10**9).wait()
        if call.code not in want:
            sys.exit(f'{method}: status {call.code} ({call.text}), expected {want}')
    print(f'good: {len(methods)} methods')


# ---- clients that misbehave

def prepare(path, rootfs, group):
    agent = Agent(path)
    agent.call('CreateSandbox', {'sandbox_id': 'sb', 'storages': [shm()]})
    agent.call('CreateContainer', {'container_id': 'c1', 'OCI': spec(rootfs, f'{group}/c1', 'cat')})
    agent.call('StartContainer', {'container_id': 'c1'})
    return agent


def finish(agent):
    agent.call('Check')
    agent.call('RemoveContainer', {'container_id': 'c1'})
    agent.call('DestroySandbox')


def disconnect(path, rootfs, group):
    """Gone in the middle of a header, of a message, of calls that wait, of an answer."""
    agent = prepare(path, rootfs, group)
    request = frame(1, envelope('grpc.AgentService', 'GetMetrics', b''))
    for cut in range(1, len(request) + 1, 3):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(request[:cut])
        s.close()
    for method, values in (('WaitProcess', {'container_id': 'c1'}), ('ReadStdout', {'container_id': 'c1', 'len': 10}),
                           ('GetOOMEvent', {}), ('WriteStdin', {'container_id': 'c1', 'data': b'x' * 500000}),
                           ('CreateContainer', {'container_id': 'c5', 'OCI': spec(rootfs, f'{group}/c5', 'cat')}),
                           ('ExecProcess', {'container_id': 'c1', 'exec_id': 'gone', 'process': {'Args': ['/bin/cat'], 'Cwd': '/'}})):
        for _ in range(3):
            other = Agent(path)
            other.go(method, values, 0)
            other.close()
    for _ in range(2000):  # what was begun is undone in its own time
        left = agent.go('RemoveContainer', {'container_id': 'c5'}).wait()
        if left.code == NOT_FOUND:
            break
        time.sleep(0.02)
    finish(agent)


def slow(path, rootfs, group):
    """A byte at a time, and answers that nobody reads."""
    agent = prepare(path, rootfs, group)
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    for byte in frame(1, envelope('grpc.Health', 'Check', b'')):
        s.sendall(bytes([byte]))
        agent.call('Check')
    same('an answer', s.recv(10)[8], 2)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(path)
    deaf.setblocking(False)
    stream, sent = 1, 0
    try:
        while sent < 20000:
            deaf.sendall(frame(stream, envelope('grpc.AgentService', 'GetMetrics', b'')))
            stream, sent = stream + 2, sent + 1
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    same('requests without an end were taken from who reads no answers', sent < 20000, True)
    for _ in range(20):
        agent.call('Check')
    deaf.close()
    s.close()
    finish(agent)


def lie(path, rootfs, group):
    """Lengths, ids, types and flags that are not so."""
    agent = prepare(path, rootfs, group)
    good = envelope('grpc.Health', 'Check', b'')
    lies = {
        'more announced than comes': frame(1, good, size=len(good) + 100),
        'nothing announced': frame(1, good, size=0),
        'five megabytes': frame(1, b'x' * (5 << 20)),
        'four gigabytes': frame(1, good, size=2**32 - 1),
        'an even id': frame(2, good),
        'id 0': frame(0, good),
        'the same id twice': frame(1, good) * 2,
        'an older id': frame(9, good) + frame(3, good),
        'an answer': frame(1, field(2, 2, b'x'), kind=2),
        'data': frame(1, b'data', kind=3),
        'an unknown type': frame(1, good, kind=200),
        'flags': frame(1, good, flags=255),
        'no such service': frame(1, envelope('grpc.Nothing', 'Check', b'')),
        'no such method': frame(1, envelope('grpc.Health', 'Nothing', b'')),
        'a method of another service': frame(1, envelope('grpc.Health', 'CreateSandbox', b'')),
        'a negative time limit': frame(1, envelope('grpc.Health', 'Check', b'', -1)),
        'noise': random.Random(2).randbytes(20000),
    }
    for bytes_sent in lies.values():
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.settimeout(0.05)
        try:
            s.sendall(bytes_sent)
            s.recv(4096)
        except OSError:
            pass
        agent.call('Check')
        s.close()
    # After what can be told apart, the same connection goes on.
    other = Agent(path)
    for service, method, code in (('grpc.Nothing', 'Check', INVALID), ('grpc.Health', 'Nothing', UNIMPLEMENTED)):
        same(method, other.begin(method, b'', 0, service).wait().code, code)
    other.calls.update({1001: Call(), 1002: Call()})
    other.socket.sendall(frame(1001, b'x' * (4 << 20) + b'x') + frame(1002, good) + frame(1003, good, kind=3))
    other.call('Check')
    finish(agent)


# ---- golden bytes

def golden():
    """Each repeated number of each message, packed and not: "TYPE PACKED UNPACKED" for the unit test."""
    for message, fields in sorted(MESSAGES.items()):
        repeated = {f: [1, 300, 0, 2**31] for f, (_, label, kind, _) in fields.items() if label == 'repeated' and kind in VARINTS}
        if repeated:
            print(message, encode(message, repeated).hex(), encode(message, repeated, packed=False).hex())


read_schema()
if sys.argv[1] == 'golden':
    golden()
else:
    {'go': order_go, 'rust': order_rust, 'exec': order_exec, 'hostile': every_hostile, 'good': every_good, 'disconnect': disconnect, 'slow': slow,
     'lie': lie}[sys.argv[1]](*sys.argv[2:])
