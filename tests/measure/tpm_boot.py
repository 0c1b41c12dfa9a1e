#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel with QEMU, OVMF and a TPM of swtpm, and prints the TPM's PCRs as "PCR[N] HEX" lines.

    tpm_boot.py FIRMWARE KERNEL INITRD|- CMDLINE MEMORY_MIB BANK MARKER

QEMU is killed when MARKER appears on the serial console; the TPM outlives it and is asked then, so that the guest needs
no driver.
"""
import array
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

LIMIT = 400  # seconds for the guest to come to its marker
SET_DATA_FD = 0x10  # swtpm's control channel, CMD_SET_DATAFD
BANKS = {"sha256": (0x000b, 32), "sha384": (0x000c, 48), "sha512": (0x000d, 64)}


def wait_for(path):
    for _ in range(1200):
        if os.path.exists(path):
            return
        time.sleep(0.05)
    sys.exit(f"{path} does not appear")


def boot(args, socket_path):
    firmware, kernel, initrd, cmdline, memory, _, marker = args
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-cpu", "max",
               "-m", f"{memory}M", "-display", "none", "-no-reboot", "-serial", "stdio", "-bios", firmware,
               "-chardev", f"socket,id=tpm,path={socket_path}", "-tpmdev", "emulator,id=tpm,chardev=tpm",
               "-device", "tpm-crb,tpmdev=tpm", "-kernel", kernel, "-append", cmdline]
    if initrd != "-":
        command += ["-initrd", initrd]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
    seen, end = b"", time.monotonic() + LIMIT
    os.set_blocking(qemu.stdout.fileno(), False)
    try:
        while marker.encode() not in seen:
            chunk = qemu.stdout.read(65536)
            if chunk:
                seen += chunk
            elif chunk == b"" or qemu.poll() is not None or time.monotonic() > end:
                sys.exit("the guest did not come to its marker; its console:\n" + seen.decode(errors="replace"))
            else:
                time.sleep(0.05)
    finally:
        qemu.kill()
        qemu.wait()


def read_pcrs(control_path, bank):
    algorithm, size = BANKS[bank]
    control = socket.socket(socket.AF_UNIX)
    control.connect(control_path)
    ours, theirs = socket.socketpair()
    control.sendmsg([struct.pack(">I", SET_DATA_FD)],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
    assert control.recv(4) == bytes(4), "swtpm takes no new connection"
    for pcr in range(24):
        selection = struct.pack(">IHB3s", 1, algorithm, 3, (1 << pcr).to_bytes(3, "little"))
        ours.sendall(struct.pack(">HII", 0x8001, 10 + len(selection), 0x17e) + selection)  # TPM2_PCR_Read
        answer = ours.recv(4096)
        code = struct.unpack(">HII", answer[:10])[2]
        assert code == 0, f"TPM2_PCR_Read: {code:#x}"
        print(f"PCR[{pcr}]", answer[-size:].hex())


def main(args):
    folder = tempfile.mkdtemp(prefix="kihon-tpm.", dir="/tmp")  # the sockets' paths must be short
    path = os.path.join(folder, "control")
    os.mkdir(os.path.join(folder, "state"))
    tpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}/state", "--ctrl", f"type=unixio,path={path}"])
    try:
        wait_for(path)
        boot(args, path)
        read_pcrs(path, args[5])
    finally:
        tpm.kill()  # SIGTERM may be ignored: make hands that down
        tpm.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    if len(sys.argv) != 8:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that nothing is left behind
    main(sys.argv[1:])
