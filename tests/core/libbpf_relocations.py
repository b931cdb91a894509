"""What libbpf itself does with an object's CO-RE relocations for a kernel's BTF, read from its debug messages.

As a program, `libbpf_relocations.py OBJECT BTF`, it loads an object and prints them all: in a process of its own, since
libbpf has one print function a process.
"""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

MESSAGE = re.compile(
    r"prog '(?P<program>.*?)': relo #(?P<number>\d+): (?:"
    r"patched insn #(?P<at>\d+) \(\S+\) (?:imm|off|imm64) (?P<old>\d+) -> (?P<new>\d+)"
    r"|substituting insn #(?P<poisoned>\d+) w/ invalid insn|(?P<refused>failed to (?:relocate|patch).*))"
)


def loads_of(objects: list[Path], btf: Path) -> dict[str, dict[tuple[str, int], tuple | str]]:
    """For each object, by its name: (instruction, old, new), "poisoned" or "refused" by program and number."""
    command = [sys.executable, __file__, str(btf), *map(str, objects)]
    output = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300).stdout
    return {part.split("\n", 1)[0]: _relocations(part) for part in output.split("\nOBJECT ")[1:]}


def _relocations(text: str) -> dict[tuple[str, int], tuple | str]:
    found: dict[tuple[str, int], tuple | str] = {}
    for row in MESSAGE.finditer(text):
        key = row["program"], int(row["number"])
        if row["at"]:
            found[key] = int(row["at"]), int(row["old"]), int(row["new"])
        else:
            found[key] = "poisoned" if row["poisoned"] else "refused"
    return found


class OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts of libbpf.h, as far as btf_custom_path."""

    _fields_ = [
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("unused", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
    ]


def _main(btf: str, *objects: str) -> None:
    lib, libc = ctypes.CDLL("libbpf.so.1"), ctypes.CDLL(None)
    text = ctypes.create_string_buffer(8192)

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    def say(level, form, arguments):  # a va_list is passed by its address on x86-64 and arm64
        libc.vsnprintf(text, len(text), form, ctypes.c_void_p(arguments))
        sys.stdout.write(text.value.decode("utf-8", "replace"))
        return 0

    lib.libbpf_set_print(say)
    lib.bpf_object__open_file.restype = ctypes.c_void_p
    options = OpenOptions(ctypes.sizeof(OpenOptions), btf_custom_path=btf.encode())
    for path in objects:
        print(f"\nOBJECT {Path(path).name}")
        opened = ctypes.c_void_p(lib.bpf_object__open_file(path.encode(), ctypes.byref(options)))
        if opened:
            lib.bpf_object__load(opened)
            lib.bpf_object__close(opened)


if __name__ == "__main__":
    _main(*sys.argv[1:])
