#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second implementation of launch measurements, for tests: written from the specifications (AMD SEV-SNP firmware
ABI 8.17.2, AMD APM volume 2 table B-4, TDX module base architecture 12.2, Authenticode, Linux boot.rst), not from lib/measure.

    reference.py snp FIRMWARE KERNEL INITRD|- CMDLINE CPUS SIGNATURE FEATURES
    reference.py sev FIRMWARE KERNEL INITRD|- CMDLINE
    reference.py tdx FIRMWARE KERNEL INITRD|- CMDLINE        (initrd= first, header as in the file)
    reference.py tpm BANK MEMORY_MIB KERNEL INITRD|- CMDLINE (initrd= last, header as QEMU fills it in)

prints "NAME HEX" lines. The files that it needs it can make, too:

    reference.py sev-firmware OUT PAGES       the tables of edk2's OvmfPkg/AmdSev, random content
    reference.py tdx-firmware OUT PAGES       those of OvmfPkg/IntelTdx
    reference.py kernel OUT stub|nostub|CODE  a bzImage with an EFI stub (of random bytes, or CODE), or without
"""
import hashlib
import random
import struct
import sys
import uuid

PAGE = 4096


def read(path):
    if path == "-":
        return b""
    with open(path, "rb") as f:
        return f.read()


def le_guid(text):
    return uuid.UUID(text).bytes_le


FOOTER = le_guid("96b582de-1fb2-45f7-baea-a366c55a082d")
SEV = le_guid("dc886566-984a-4798-a75e-5585a7bf67cc")
RESET = le_guid("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
HASHES = le_guid("7255371f-3a3b-4b04-927b-1da6efa8d454")
TDX = le_guid("e47a6535-984a-4798-865e-4685a7bf8ec2")


def table_of(firmware):
    """GUID -> data, from the table that ends 32 bytes before the end."""
    end = len(firmware) - 32
    total, guid = struct.unpack("<H16s", firmware[end - 18:end])
    assert guid == FOOTER
    body = firmware[end - total:end - 18]
    out = {}
    while body:
        size, guid = struct.unpack("<H16s", body[-18:])
        out[guid] = body[len(body) - size:-18]
        body = body[:-size]
    return out


def metadata_of(firmware, guid, form):
    offset = len(firmware) - struct.unpack("<I", table_of(firmware)[guid][:4])[0]
    count = struct.unpack_from("<4sIII", firmware, offset)[3]
    size = struct.calcsize(form)
    return [struct.unpack_from(form, firmware, offset + 16 + size * i) for i in range(count)]


# ---- SEV-SNP

class LaunchDigest:
    """DIGEST_CUR of the firmware ABI."""

    def __init__(self):
        self.value = bytes(48)

    def page(self, kind, gpa, content=None):
        contents = hashlib.sha384(content).digest() if content is not None else bytes(48)
        info = struct.pack("<48s48sHBBBBBBQ", self.value, contents, 0x70, kind, 0, 0, 0, 0, 0, gpa)
        assert len(info) == 0x70
        self.value = hashlib.sha384(info).digest()


def vmsa(eip, signature, features):
    """Segments are (selector, attributes, limit, base) in the order ES CS SS DS FS GS GDTR LDTR IDTR TR."""
    data = (0, 0x93, 0xffff, 0)
    segments = [data, (0xf000, 0x9b, 0xffff, eip & ~0xffff), data, data, data, data,
                (0, 0, 0xffff, 0), (0, 0x82, 0xffff, 0), (0, 0, 0xffff, 0), (0, 0x8b, 0xffff, 0)]
    page = bytearray(b"".join(struct.pack("<HHIQ", *s) for s in segments))
    page += bytes(0xd0 - len(page)) + struct.pack("<Q", 1 << 12)                    # EFER.SVME
    page += bytes(0x148 - len(page)) + struct.pack("<QQQQQQQ", 1 << 6, 0, 1 << 4, 0x400, 0xffff0ff0, 2, eip & 0xffff)
    page += bytes(0x268 - len(page)) + bytes([6, 4, 7, 0, 6, 4, 7, 0])               # PAT
    page += bytes(0x310 - len(page)) + struct.pack("<Q", signature)                 # RDX
    page += bytes(0x3b0 - len(page)) + struct.pack("<Q", features)
    page += bytes(0x3e8 - len(page)) + struct.pack("<Q", 1)                         # XCR0
    page += bytes(0x408 - len(page)) + struct.pack("<IHHH", 0x1f80, 0, 0, 0x37f)    # MXCSR, FTW, FSW, FCW
    return bytes(page).ljust(PAGE, b"\0")


def hash_table(kernel, initrd, cmdline):
    entries = [("97d02dd8-bd20-4c94-aa78-e7714d36ab2a", cmdline.encode() + b"\0"),
               ("44baf731-3a2f-4bd7-9af1-41e29169781d", initrd),
               ("4de79437-abd2-427f-b835-d5b172d2045b", kernel)]
    body = b"".join(le_guid(g) + struct.pack("<H", 50) + hashlib.sha256(d).digest() for g, d in entries)
    return le_guid("9438d606-4f22-4cc9-b479-a793d411fd21") + struct.pack("<H", 18 + len(body)) + body


def snp(firmware, kernel, initrd, cmdline, cpus, signature, features):
    ld = LaunchDigest()
    base = (1 << 32) - len(firmware)
    for i in range(0, len(firmware), PAGE):
        ld.page(1, base + i, firmware[i:i + PAGE])
    table = table_of(firmware)
    for gpa, size, kind in metadata_of(firmware, SEV, "<III"):
        for at in range(gpa, gpa + size, PAGE):
            if kind == 0x10:
                offset = struct.unpack("<II", table[HASHES])[0] % PAGE
                page = bytes(offset) + hash_table(kernel, initrd, cmdline)
                ld.page(1, at, page.ljust(PAGE, b"\0"))
            else:
                ld.page({1: 3, 2: 5, 3: 6, 4: 3}[kind], at)
    reset = struct.unpack("<I", table[RESET])[0]
    for cpu in range(cpus):
        ld.page(2, 0xfffffffff000, vmsa(reset if cpu else 0xfffffff0, signature, features))
    print("launch_digest", ld.value.hex())


def sev(firmware, kernel, initrd, cmdline):
    """LAUNCH_UPDATE_DATA of the firmware, then of QEMU's table, padded to 16 bytes."""
    print("launch_digest", hashlib.sha256(firmware + hash_table(kernel, initrd, cmdline).ljust(176, b"\0")).hexdigest())


# ---- registers

def authenticode(image, algorithm):
    pe = struct.unpack_from("<I", image, 0x3c)[0]
    assert image[pe:pe + 4] == b"PE\0\0"
    sections, = struct.unpack_from("<H", image, pe + 6)
    optional_size, = struct.unpack_from("<H", image, pe + 20)
    optional = pe + 24
    plus = struct.unpack_from("<H", image, optional)[0] == 0x20b
    headers, = struct.unpack_from("<I", image, optional + 60)
    directory = optional + (112 if plus else 96) + 4 * 8
    has_directory = struct.unpack_from("<I", image, optional + (108 if plus else 92))[0] > 4
    signatures = struct.unpack_from("<II", image, directory)[1] if has_directory else 0
    h = hashlib.new(algorithm)
    skip = [(optional + 64, 4)] + ([(directory, 8)] if has_directory else [])
    at = 0
    for start, size in skip:
        h.update(image[at:start])
        at = start + size
    h.update(image[at:headers])
    done = headers
    raw = [struct.unpack_from("<II", image, optional + optional_size + 40 * i + 16) for i in range(sections)]
    for size, place in sorted((r for r in raw if r[0]), key=lambda r: r[1]):
        h.update(image[place:place + size])
        done += size
    h.update(image[done:len(image) - signatures])
    return h.digest()


def replay(algorithm, digests):
    value = bytes(hashlib.new(algorithm).digest_size)
    for d in digests:
        value = hashlib.new(algorithm, value + d).digest()
    return value.hex()


def events(algorithm, kernel, initrd, options):
    h = lambda data: hashlib.new(algorithm, data).digest()
    return {"image": authenticode(kernel, algorithm), "calling": h(b"Calling EFI Application from Boot Option"),
            "separator": h(bytes(4)), "exit": h(b"Exit Boot Services Invocation"),
            "exited": h(b"Exit Boot Services Returned with Success"),
            "options": h((options + "\0").encode("utf-16-le")), "initrd": h(initrd)}


def mrtd(firmware):
    h = hashlib.sha384()
    record = lambda name, gpa: h.update(name.encode().ljust(16, b"\0") + struct.pack("<Q", gpa) + bytes(104))
    for offset, raw, gpa, size, _, attributes in metadata_of(firmware, TDX, "<IIQQII"):
        content = (firmware[offset:offset + raw]).ljust(size, b"\0")
        for at in range(0, size, PAGE):
            record("MEM.PAGE.ADD", gpa + at)
            for chunk in range(at, at + PAGE, 256) if attributes & 1 else ():
                record("MR.EXTEND", gpa + chunk)
                h.update(content[chunk:chunk + 256])
    return h.hexdigest()


def tdx(firmware, kernel, initrd, cmdline):
    e = events("sha384", kernel, initrd, ("initrd=initrd " if initrd else "") + cmdline)
    print("MRTD", mrtd(firmware))
    print("RTMR[1]", replay("sha384", [e[n] for n in ("image", "calling", "separator", "exit", "exited")]))
    print("RTMR[2]", replay("sha384", [e["options"]] + ([e["initrd"]] if initrd else [])))
    print("RTMR[3]", bytes(48).hex())


def fill_header(kernel, memory, initrd):
    """The fields of boot.rst that QEMU's loader writes."""
    k = bytearray(kernel)
    k[0x210] = 0xb0                                  # type_of_loader
    k[0x211] |= 0x80                                 # CAN_USE_HEAP
    struct.pack_into("<H", k, 0x224, 0xfe00)         # heap_end_ptr
    struct.pack_into("<I", k, 0x228, 0x20000)        # cmd_line_ptr
    if initrd:
        below = memory if memory < 0xb0000000 else 0x80000000
        top = 0xffffffff if k[0x236] & 2 else struct.unpack_from("<I", k, 0x22c)[0]
        top = min(top, below - 0x28000 - 1)
        struct.pack_into("<II", k, 0x218, (top - len(initrd)) // PAGE * PAGE, len(initrd))
    return bytes(k)


def tpm(bank, memory, kernel, initrd, cmdline):
    e = events(bank, fill_header(kernel, memory << 20, initrd), initrd, cmdline + (" initrd=initrd" if initrd else ""))
    zero = bytes(hashlib.new(bank).digest_size).hex()
    values = {n: zero for n in (8, 11, 12, 13, 14, 15)}
    values[4] = replay(bank, [e["image"], e["calling"], e["separator"]])
    values[5] = replay(bank, [e["separator"], e["exit"], e["exited"]])
    values[9] = replay(bank, [e["options"]] + ([e["initrd"]] if initrd else []))
    for n in sorted(values):
        print(f"PCR[{n}]", values[n])


# ---- files

def write_firmware(out, pages, signature, guid, sections, extra):
    fw = bytearray(random.Random(pages).randbytes(pages * PAGE))
    listing = signature + struct.pack("<III", 16 + sum(map(len, sections)), 1, len(sections)) + b"".join(sections)
    at = len(fw) - 1024
    fw[at:at + len(listing)] = listing
    entries = extra + [(guid, struct.pack("<I", len(fw) - at))]
    body = b"".join(d + struct.pack("<H", len(d) + 18) + g for g, d in entries)
    tail = body + struct.pack("<H", len(body) + 18) + FOOTER + bytes(32)
    fw[len(fw) - len(tail):] = tail
    with open(out, "wb") as f:
        f.write(fw)


def sev_firmware(out, pages):
    layout = [(0x800000, 0x9000, 1), (0x80a000, 0x3000, 1), (0x80d000, PAGE, 2), (0x80e000, PAGE, 3), (0x80f000, PAGE, 4),
              (0x811000, 0xf000, 1), (0x810000, PAGE, 0x10)]
    write_firmware(out, pages, b"ASEV", SEV, [struct.pack("<III", *s) for s in layout],
                   [(HASHES, struct.pack("<II", 0x810c00, 0x400)), (RESET, struct.pack("<I", 0x80b004))])


def tdx_firmware(out, pages):
    half = pages // 2 * PAGE
    layout = [(half, pages * PAGE - half, (1 << 32) - pages * PAGE + half, pages * PAGE - half, 0, 1),
              (0, half, (1 << 32) - pages * PAGE, half, 1, 0), (0, 0, 0x810000, 0x10000, 3, 0), (0, 0, 0x80b000, PAGE, 3, 1),
              (0, 0, 0x809000, 2 * PAGE, 2, 0)]
    write_firmware(out, pages, b"TDVF", TDX, [struct.pack("<IIQQII", *s) for s in layout], [])


def kernel(out, code):
    """code: "stub" an EFI stub of random bytes, "nostub" none, else a file with its instructions."""
    k = bytearray(random.Random(7).randbytes(0x6000))
    k[:0x1000] = bytes(0x1000)
    if code not in ("stub", "nostub"):
        text = read(code)
        k[0x1000:0x1000 + len(text)] = text
        assert len(text) < 0x3000
    k[0x1f1] = 7
    struct.pack_into("<H", k, 0x1fe, 0xaa55)
    struct.pack_into("<4sHH", k, 0x202, b"HdrS", 0x20f, 0)
    k[0x211] = 1
    struct.pack_into("<I", k, 0x22c, 0x7fffffff)
    k[0x236] = 0x3f
    k[0x5800:0x5800 + 60] = b"x Linux version 6.12.0-measure (a@b) y".ljust(60, b"\0")
    if code != "nostub":
        k[:2] = b"MZ"
        struct.pack_into("<I", k, 0x3c, 0x40)
        struct.pack_into("<4sHHIIIHH", k, 0x40, b"PE\0\0", 0x8664, 2, 0, 0, 0, 160, 0x206)
        # entry, base of code; image base, alignment of sections and file; sizes of image and headers, checksum, EFI application
        struct.pack_into("<HBBIIIII", k, 0x58, 0x20b, 2, 0, 0x4e00, 0, 0, 0x1000, 0x1000)
        struct.pack_into("<QII", k, 0x58 + 24, 0, 0x1000, 0x200)
        struct.pack_into("<IIIH", k, 0x58 + 56, 0x10000, 0x1000, 0xdeadbeef, 10)
        struct.pack_into("<I", k, 0x58 + 108, 6)
        # In another order than in the file; the first has memory for the program's data behind its content.
        for i, (name, size, place, memory, flags) in enumerate([(b".data", 0x1000, 0x5000, 0x1000, 0xc0000040),
                                                                (b".text", 0x3e00, 0x1000, 0x3e00, 0xe0000020)]):
            struct.pack_into("<8sIIII", k, 0x58 + 160 + 40 * i, name, memory, place, size, place)
            struct.pack_into("<I", k, 0x58 + 160 + 40 * i + 36, flags)
    with open(out, "wb") as f:
        f.write(k)


def main(argv):
    what, rest = argv[0], argv[1:]
    if what == "snp":
        snp(*map(read, rest[:3]), rest[3], int(rest[4]), int(rest[5], 16), int(rest[6], 16))
    elif what == "sev":
        sev(*map(read, rest[:3]), rest[3])
    elif what == "tdx":
        tdx(*map(read, rest[:3]), rest[3])
    elif what == "tpm":
        tpm(rest[0], int(rest[1]), read(rest[2]), read(rest[3]), rest[4])
    elif what == "sev-firmware":
        sev_firmware(rest[0], int(rest[1]))
    elif what == "tdx-firmware":
        tdx_firmware(rest[0], int(rest[1]))
    elif what == "kernel":
        kernel(rest[0], rest[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
