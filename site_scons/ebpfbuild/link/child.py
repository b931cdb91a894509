"""Links BPF objects by libbpf's linker: `python child.py LIBRARY… -- OUTPUT OBJECT…`, in a process of its own.

The libraries are loaded in their order, the last one is libbpf. It prints its reasons on stderr, and so does this: a
last line `REFUSED OBJECT: REASON` tells which object ended it. Exit statuses: 0, REFUSED, or UNLOADED for a library
that does not load here. Interface: libbpf's src/libbpf.h, "Linker APIs"; every call but `new` returns a negative errno.
"""

import ctypes
import os
import sys

REFUSED, UNLOADED = 3, 4


def loaded(libraries: list[str]) -> ctypes.CDLL:
    """Returns the last of the libraries; each finds what it needs among those loaded before it. Raises OSError."""
    *needed, last = libraries
    for path in needed:
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    libbpf = ctypes.CDLL(last, mode=ctypes.RTLD_GLOBAL, use_errno=True)
    libbpf.bpf_linker__new.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__new.restype = ctypes.c_void_p
    libbpf.bpf_linker__add_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__finalize.argtypes = [ctypes.c_void_p]
    return libbpf


def link(libbpf: ctypes.CDLL, output: str, objects: list[str]) -> None:
    """Writes `output`. Raises OSError with the file that the linker ended at."""
    linker = libbpf.bpf_linker__new(output.encode(), None)
    if not linker:
        raise OSError(ctypes.get_errno(), "", output)
    for each in objects:
        if status := libbpf.bpf_linker__add_file(linker, each.encode(), None):
            raise OSError(-status, "", each)
    if status := libbpf.bpf_linker__finalize(linker):
        raise OSError(-status, "", output)


def main(words: list[str]) -> int:
    """Runs the command line of this module's docstring and returns the exit status."""
    cut = words.index("--")
    try:
        libbpf = loaded(words[:cut])
    except OSError as error:
        print(error, file=sys.stderr)
        return UNLOADED
    try:
        link(libbpf, words[cut + 1], words[cut + 2 :])
    except OSError as error:
        print(f"REFUSED {error.filename}: {os.strerror(error.errno or 0)}", file=sys.stderr, flush=True)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
