"""Finds the release of the kernel in a file: in its banner, in x86's boot header, or in a name."""

import re

X86_SETUP_MAGIC, X86_VERSION = 0x202, 0x20E  # Documentation/arch/x86/boot.rst: "HdrS", kernel_version
BANNER = re.compile(rb"Linux version (\d+\.\d+[\w.+~-]*)")
IN_NAME = re.compile(r"(?:^|[-_])([3-9]\.\d+(?:\.\d+)?[a-zA-Z0-9.+~]*)")
ENDINGS = re.compile(r"(?:\.(?:gz|xz|zst|lz4|bz2|lzma|deb|rpm|btf|img|efi|tar))+$")
MAX_VERSION = 64  # bytes of x86's string that are looked at


def release_of(data: bytes, *paths: str) -> str:
    """Returns a kernel's release: by its banner, by x86's boot header, else by the first path that has one.

    Empty where nothing says it. `data` may be mapped.
    """
    if bytes(data[X86_SETUP_MAGIC : X86_SETUP_MAGIC + 4]) == b"HdrS":
        start = int.from_bytes(data[X86_VERSION : X86_VERSION + 2], "little") + 0x200
        text = bytes(data[start : start + MAX_VERSION]).split(b"\0")[0].split(b" ")[0]
        if re.fullmatch(rb"\d+\.\d+[\w.+~-]*", text):
            return text.decode()
    if banner := BANNER.search(data):
        return banner[1].decode()
    for path in paths:
        for name in reversed(path.split("/")):
            if named := IN_NAME.search(ENDINGS.sub("", name)):
                return named[1]
    return ""
