#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden.txt: one line a message of lib/rpc/proto, "TYPE HEX", encoded by protoc from text with every
field set. Run from the project's root when a message is added: tests/data/proto/make.py >tests/data/proto/golden.txt"""
import re
import subprocess
import sys

FILES = ['agent', 'csi', 'empty', 'health', 'memagent', 'oci', 'ttrpc', 'types']
NUMBERS = {'uint32': 4000000000, 'uint64': 2**63 + 5, 'int32': -7, 'int64': -(2**40)}


def parse(name):
    """{message: [(label, type, field)]}, {enum: last word}, package"""
    text = re.sub(r'//.*', '', open(f'lib/rpc/proto/{name}.proto').read())
    package = re.search(r'package ([\w.]+);', text).group(1)
    messages, enums = {}, {}
    for m in re.finditer(r'enum (\w+) \{(.*?)\}', text, re.S):
        enums[f'{package}.{m.group(1)}'] = re.findall(r'(\w+) =', m.group(2))[-1]
    for m in re.finditer(r'^message (\w+) \{(.*?)^\}', text, re.S | re.M):
        body = re.sub(r'oneof \w+ \{(.*?)\}', r'\1', m.group(2), flags=re.S)
        fields = re.findall(r'(repeated |optional )?(map<\w+, \w+>|[\w.]+) (\w+) = \d+;', body)
        messages[f'{package}.{m.group(1)}'] = fields
    return messages, enums, package


MESSAGES, ENUMS = {}, {}
for f in FILES:
    messages, enums, _ = parse(f)
    MESSAGES.update({k: (v, f) for k, v in messages.items()})
    ENUMS.update(enums)


def find(kind, package, table):
    return kind if kind in table else f'{package}.{kind}' if f'{package}.{kind}' in table else None


def value(kind, package, n):
    if kind == 'string':
        return f'"text {n} \u00fc"'
    if kind == 'bytes':
        return '"\\000\\377\\n"'
    if kind == 'bool':
        return 'true'
    if kind in NUMBERS:
        return str(NUMBERS[kind] - n)
    if find(kind, package, ENUMS):
        return ENUMS[find(kind, package, ENUMS)]
    return '{ ' + text(find(kind, package, MESSAGES)) + ' }'


def text(message):
    package = message.rsplit('.', 1)[0]
    out = []
    for label, kind, field in MESSAGES[message][0]:
        m = re.match(r'map<(\w+), (\w+)>', kind)
        if m:
            out.append(f'{field} {{ key: "k" value: {value(m.group(2), package, 1)} }}')
            continue
        for n in range(2 if label == 'repeated ' else 1):
            out.append(f'{field}: {value(kind, package, n)}')
    return ' '.join(out)


for message in sorted(MESSAGES):
    r = subprocess.run(['protoc', f'--encode={message}', f'lib/rpc/proto/{MESSAGES[message][1]}.proto'],
                       input=text(message).encode(), capture_output=True, check=False)
    if r.returncode:
        sys.exit(f'{message}: {r.stderr.decode()}')
    print(message, r.stdout.hex() or '-')
