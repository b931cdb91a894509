"""A daemon with pinned links and maps, which starts again and again."""

import contextlib
import ctypes
import os
import signal
from types import SimpleNamespace

import bpfloader
import pytest

FIRST = 1_000_000 * (1 + os.getpid() % 1000)  # first_number of restart.bpf.c
libc = ctypes.CDLL(None)


def numbered(skeleton):
    """A skeleton's `open`, of an object that takes this run's numbers."""

    def opened(**options):
        bpf = skeleton.open(**options)
        bpf.rodata.first_number = FIRST
        return bpf

    return SimpleNamespace(open=opened)


@contextlib.contextmanager
def daemon(kind, folder, programs=("on_call",), version=0):
    """The daemon's object, loaded and attached with its pins; `taken` is how each link was come by."""
    with kind.open() as bpf:
        bpf.select(programs)
        bpf.rodata.version = version
        bpf.attach(pin=folder)
        yield bpf


def taken(bpf) -> dict[str, str]:
    return {link.program: link.takeover for link in bpf.links}


def forked(function) -> int:
    """Calls a function in a child, which ends without any clean-up. Returns its pid."""
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
    return child


def refused(opened, folder, programs=("on_call",)) -> str:
    opened.select(programs)
    with pytest.raises(bpfloader.BpfError) as caught:
        opened.attach(pin=folder)
    assert caught.value.fix
    return str(caught.value)
