"""A pytest plugin: runs BPF programs in tests, on packets and contexts, in namespaces of their own.

A project switches it on with one line in its topmost conftest.py or in a module of tests. The package is the tool's,
so the plugin is of the loader that the tool was built with:

    pytest_plugins = ["opens.bpfloader.testing"]

    def test_a_packet_is_dropped(bpf_testbed):
        demo = bpf_testbed.load(Demo, "on_packet")
        assert bpf_testbed.run(demo.progs.on_packet, bytes(64)).value == XdpAction.XDP_DROP

Nothing else of the loader imports this room: pytest is no dependency of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest  # type: ignore[import-not-found,unused-ignore]

from .contexts import BpfSkLookup, SkAction, SkBuff, TcAction, XdpAction, XdpMd
from .testbed import BpfTestbed, ProgramRun, private_testbed

__all__ = [
    "BpfSkLookup", "BpfTestbed", "ProgramRun", "SkAction", "SkBuff", "TcAction", "XdpAction", "XdpMd",
    "bpf_testbed", "private_testbed",
]  # fmt: skip


@pytest.fixture  # type: ignore[untyped-decorator,unused-ignore]
def bpf_testbed() -> Iterator[BpfTestbed]:
    """Opens, loads, attaches and runs programs in a private network and /sys/fs/bpf; all of it ends with the test."""
    with private_testbed() as bed:
        yield bed
