"""Makes boot images, ELF files and packages around a BTF, in memory."""

import bz2
import gzip
import lzma
import struct

from archives import deb, tar
from btfwriter import assemble, info
from ebpfbuild.btf.types import Kind
from ebpfbuild.elf.reader import Elf

# struct task_struct { int pid; };
TYPES = [(1, info(Kind.INT), 4, 1 << 24 | 32), (2, info(Kind.STRUCT, 1), 4, 17, 1, 0)]
STRINGS = ("", "int", "task_struct", "pid")


def kernel_btf(order="<"):
    """A kernel's BTF: task_struct alone."""
    return assemble(TYPES, STRINGS, order)


def elf(sections, wide=True, order="<", machine=62):
    """An ELF file with these sections' bytes by name, of either class and byte order."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    parts = {**sections, ".shstrtab": names}
    size = 64 if wide else 52
    row = struct.Struct(order + ("IIQQQQIIQQ" if wide else "10I"))
    body, rows = b"", [row.pack(*[0] * 10)]
    for name, data in parts.items():
        body += b"\0" * (-len(body) % 8)
        kind = 3 if name == ".shstrtab" else 1
        rows.append(row.pack(names.index(name.encode() + b"\0"), kind, 0, 0, size + len(body), len(data), 0, 0, 1, 0))
        body += data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    fields = (2, machine, 1, 0, 0, size + len(body), 0, size, 0, 0, row.size, len(rows), len(rows) - 1)
    return ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields) + body + b"".join(rows)


def vmlinux_of(bpf_object, machine=62):
    """A kernel's ELF file with the types that a compiler made for BPF: a BPF object itself is no kernel."""
    return elf({".text": b"\x90" * 100, ".BTF": Elf.parse(bpf_object).section(".BTF").data}, machine=machine)


def lz4_legacy(data):
    """What `lz4 -l` writes, and a kernel's build behind it: the unpacked size."""
    import lz4.block

    blocks = [lz4.block.compress(data[at : at + (8 << 20)], store_size=False) for at in range(0, len(data), 8 << 20)]
    packed = b"".join(struct.pack("<I", len(block)) + block for block in blocks)
    return b"\x02\x21\x4c\x18" + packed + struct.pack("<I", len(data))


def lz4_frame(data):
    """What `lz4` writes."""
    import lz4.frame

    return lz4.frame.compress(data)


def zstd(data):
    """What `zstd` writes, by Python 3.14's module or its backport."""
    try:
        from compression import zstd as module
    except ImportError:
        from backports import zstd as module
    return module.compress(data)


COMPRESSORS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "lz4": lz4_legacy,
    "lz4 frame": lz4_frame,
    "zstd": zstd,
}


def bzimage(payload):
    """An x86 boot image: the setup sectors, code, the payload where the header says, and code behind it."""
    image = bytearray(b"\x90" * (512 * 3 + 700) + payload + b"\x90" * 300)
    image[0x1F1] = 2
    image[0x202:0x206] = b"HdrS"
    image[0x248:0x250] = struct.pack("<II", 700, len(payload))
    return bytes(image)


def zboot(payload):
    """An EFI zboot image, as arm64, riscv64 and loongarch64 have it."""
    head = b"MZ\0\0zimg" + struct.pack("<II", 512, len(payload)) + bytes(8) + b"gzip\0"
    return head.ljust(512, b"\0") + payload + bytes(100)


def flat_image(btf):
    """An arm64 Image: the kernel's memory, and a BPF object's BTF before its own."""
    other = assemble([(1, info(Kind.INT), 4, 32)], ("", "int"))
    return b"MZ@\xfa".ljust(56, b"\0") + b"ARMd" + bytes(500) + b"\x9f\xeb\x01junk" + other + bytes(91) + btf + bytes(77)


def zimage(payload):
    """An arm zImage: a decompressor and the payload somewhere behind it."""
    return (bytes(36) + struct.pack("<I", 0x016F2818)).ljust(900, b"\x1f") + payload + bytes(64)


def kernel_deb(image, name="boot/vmlinuz-6.12-amd64"):
    """A Debian package with a kernel in it."""
    files = {"./boot/config-6.12-amd64": b"CONFIG_BPF=y\n", f"./{name}": image, "./lib/modules/x.ko": b"module"}
    return deb(tar(files, "w:xz"))


def cpio(files):
    """A cpio archive as rpm writes it."""
    out = b""
    for name, data in {**files, "TRAILER!!!": b""}.items():
        text = name.encode() + b"\0"
        fields = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + text
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def rpm(files, compress=zstd):
    """An .rpm: a lead, a signature that ends at no multiple of 8, a header, the compressed files."""
    header = b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", 1, 5) + bytes(16) + b"abcd\0"
    lead = (b"\xed\xab\xee\xdb\x03\0").ljust(96, b"\0")
    return lead + header + bytes(-len(header) % 8) + header + compress(cpio(files))
