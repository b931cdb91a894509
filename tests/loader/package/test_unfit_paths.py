"""Paths given as an object, a package, its BTF or a binary that are no files: refused in one line, before a read."""

import os
import socket
import subprocess
import sys
import time

import bpfloader
import pytest
from bpfloader.inspect.report import inspect
from bpfloader.package.manifest import NAME, packed_object
from bpfloader.files import MAX_BYTES
from bpfloader.btf.kernel import kernel_types
from bpfloader.diagnose.attach_target import _binary_fault
from bpfloader.symbols.user import Region, _open_below_root, _read
from probing import LOADER

KINDS = {"a named pipe": os.mkfifo, "a device": lambda path: os.symlink("/dev/zero", path)}


@pytest.fixture(params=[*KINDS, "a socket", "gigabytes"])
def unfit(request, tmp_path, monkeypatch):
    """The path of something that is no file to read, and what it is called."""
    path, kind = tmp_path / NAME, request.param
    monkeypatch.chdir(tmp_path)
    if kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(NAME)
    elif kind == "gigabytes":
        with path.open("wb") as file:
            file.truncate(20 << 30)
        return path, f"is larger than {MAX_BYTES >> 20} MiB"
    else:
        KINDS[kind](path)
    return path, f"is {kind}, not a file"


OPENERS = {
    "open": bpfloader.Object.open,
    "inspect": inspect,
    "btf": lambda path: bpfloader.Object.open(b"", btf=str(path)),
    "manifest": lambda path: packed_object(str(path.parent), "x.bpf.o", "0" * 64),
}


@pytest.mark.parametrize("way", OPENERS)
def test_an_unfit_path_is_refused_at_once(unfit, way):
    path, why = unfit
    began = time.monotonic()
    with pytest.raises(bpfloader.ObjectError) as caught:
        OPENERS[way](path)
    assert f"{path} {why}; " in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - began < 10


def test_what_is_read_to_explain_a_refusal_is_never_waited_for(unfit):
    path, why = unfit
    began = time.monotonic()
    assert kernel_types(str(path)) is None
    what, _ = _binary_fault(str(path), -1, lambda path, file: pytest.fail("opened"))
    assert "is no program or library" in what
    with pytest.raises(ValueError), _open_below_root(Region(0, 0, 0, str(path)), os.getpid()) as file:
        _read(file)
    assert time.monotonic() - began < 10


def test_inspect_says_so_in_one_line(unfit):
    path, why = unfit
    command = [sys.executable, "-m", "bpfloader", "inspect", str(path)]
    done = subprocess.run(command, cwd=LOADER, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"bpfloader: {path} {why}; give the path of a file that this user may read\n"
