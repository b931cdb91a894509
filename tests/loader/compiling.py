"""Compiles the tests' own BPF programs with the pinned clang, for this machine, and generates their skeletons.

A booted guest has no compiler: there they come out of the zip that prebuilt.py has made.
"""

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"
FLAGS = "-target bpfel -mcpu=v3 -O2 -g -std=gnu11 -Wall -Werror -nostdinc -ffile-compilation-dir=. -I.".split()
ARCHES = {"ppc64le": "powerpc", "armv7l": "arm"}  # where `uname -m` isn't the arch's name
PREBUILT = Path(__file__).resolve().parents[2] / "build" / "guest-tests.zip"
IN_GUEST = os.environ.get("BOOT_TEST") == "1"


def prebuilt(name: str) -> bytes:
    """Returns a file of the zip; skips where it holds none of that name."""
    with zipfile.ZipFile(PREBUILT) as archive:
        if name not in archive.namelist():
            pytest.skip(f"{name} is not made for guests")
        return archive.read(name)


def this_arch() -> str:
    """Returns this machine's arch as the core names it."""
    return ARCHES.get(platform.machine(), platform.machine())


def skeleton_text(data: bytes, name: str) -> str:
    """Returns the module that is generated for an object, which lies beside it as <name>.bpf.o."""
    if IN_GUEST:
        return prebuilt(f"{this_arch()}/{name}_skel.py").decode()
    from ebpfbuild.skeleton.skeleton import render

    return render(data, name, this_arch(), f"{name}.bpf.o")


def compile_program(clang: list[str], name: str) -> bytes:
    """Compiles testdata/loader/<name>.bpf.c for this machine's byte order; returns the object."""
    if IN_GUEST:
        return prebuilt(f"{name}.bpf.o")
    return _compiled(clang, f"loader/{name}.bpf.c", "")


def compile_text(clang: list[str], text: str) -> bytes:
    """Compiles a program's text in the same way."""
    return _compiled(clang, "-", text)


def _compiled(clang: list[str], source: str, text: str) -> bytes:
    if sys.byteorder != "little":
        pytest.skip("the test programs are compiled for little-endian machines")
    words = [*clang, *FLAGS, "-x", "c", "-c", source, "-o", "-"]
    done = subprocess.run(words, cwd=TESTDATA, input=text.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
