"""Compiles the tests' own BPF programs with the pinned clang, for this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"
FLAGS = "-target bpfel -mcpu=v3 -O2 -g -std=gnu11 -Wall -Werror -nostdinc -ffile-compilation-dir=. -I.".split()
ARCHES = {"ppc64le": "powerpc", "armv7l": "arm"}  # where `uname -m` isn't the arch's name


def compile_program(clang: list[str], name: str) -> bytes:
    """Compiles testdata/loader/<name>.bpf.c for this machine's byte order; returns the object."""
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
