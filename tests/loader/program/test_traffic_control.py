"""Programs in traffic control: tcx links or filters, what is left of them when Python ends, and ingress qdiscs."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel.netlink import filters, ingress_qdisc
from probing import ends
from test_network_programs import seen

NO_TC = pytest.mark.skipif(not shutil.which("tc"), reason="there is no tc (apt install iproute2)")
LO = 1  # the index of lo in a namespace of its own
ATTACH = """
import os, signal, sys
import bpfloader
bpf = bpfloader.Object.open(sys.argv[1])
bpf.select(["on_tc"])
bpf.load()
bpf.progs.on_tc.attach("lo", "ingress", priority=3)
bpf.progs.on_tc.attach("lo", "egress", priority=3)
"""
# How a process may end: the last lines of its script.
ENDS = {
    "falls off the end": "",
    "exits": "sys.exit(3)",
    "raises": "raise RuntimeError('uncaught')",
    "is interrupted": "os.kill(os.getpid(), signal.SIGINT)\nsignal.pause()",
}


@pytest.fixture
def filters_work(kernel):
    """Skips where the kernel has no clsact or no classifier bpf."""
    if not (said := bpfloader.attach_kind("tc")):
        pytest.skip(said.reason)


@pytest.fixture
def script(kinds, filters_work):
    """A function: the last lines of a script that attaches two filters to lo -> its Popen, in this thread's network."""
    file = Path(sys.modules[kinds.__module__].__file__).parent / "kinds.bpf.o"
    loader = str(Path(bpfloader.__file__).parents[1])

    def run(last: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", ATTACH + last, file],
            env={**os.environ, "PYTHONPATH": loader},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def left() -> int:
    """Returns how many filters lo has."""
    return len(filters(LO, "ingress")) + len(filters(LO, "egress"))


def test_a_kernel_without_clsact_is_told_so(start, monkeypatch):
    from bpfloader.program import tc

    class Lacking:
        @staticmethod
        def bpf_tc_hook_create(_):
            raise bpfloader.CallError("bpf_tc_hook_create failed", errno=2)

    bpf = start("on_tc")
    monkeypatch.setattr(tc, "library", Lacking)
    with pytest.raises(bpfloader.AttachError) as caught:
        bpf.progs.on_tc.attach("lo", "ingress", priority=1)
    assert str(caught.value) == (
        "can't attach on_tc (ENOENT: No such file or directory): this kernel has no clsact; modprobe sch_ingress cls_bpf"
    )


def test_filters(start, own_network, filters_work):
    def run():
        bpf = start("on_tc")
        into = bpf.progs.on_tc.attach("lo", "ingress", priority=5, handle=1)
        out = bpf.progs.on_tc.attach("lo", "egress", priority=1)
        assert seen(bpf) == 2 and len(bpf.links) == 2 == left()
        assert ingress_qdisc(LO) == "clsact"
        (found,) = filters(LO, "ingress")
        assert (found.priority, found.handle, found.name) == (5, 1, "on_tc") and len(found.tag) == 16
        with pytest.raises(bpfloader.AttachError, match=r"EEXIST.*there already; .*replace=True"):
            bpf.progs.on_tc.attach("lo", "ingress", priority=5, handle=1)
        again = bpf.progs.on_tc.attach("lo", "ingress", priority=5, handle=1, replace=True)
        assert seen(bpf) == 2
        out.detach()
        assert seen(bpf) == 1
        again.detach()
        into.detach()  # what it made is gone by now: that's no error
        assert seen(bpf) == 0 == left()
        with pytest.raises(ValueError, match='"ingress" or "egress"'):
            bpf.progs.on_tc.attach("lo")
        with pytest.raises(ValueError, match="either a filter, placed by priority and handle, or a tcx link"):
            bpf.progs.on_tc.attach("lo", "ingress", first=True, priority=1)

    own_network(run)


def test_without_a_priority_it_is_a_link_where_the_kernel_has_tcx(start, own_network):
    """It ends with its process, however that ends, and runs for egress beside any qdisc."""

    def run():
        bpf = start("on_tc")
        links = [bpf.progs.on_tc.attach("lo", direction) for direction in ("ingress", "egress")]
        assert all(link.id for link in links) and left() == 0
        assert seen(bpf) == 2
        with pytest.raises(bpfloader.AttachError, match="EEXIST.*this program is at that place already, which takes none twice; detach it there"):
            bpf.progs.on_tc.attach("lo", "ingress", first=True)
        first = start("on_tc").progs.on_tc.attach("lo", "ingress", first=True)
        first.detach()
        links[0].detach()
        assert ends(seen, bpf, at=1)
        links[1].update(bpf.progs.on_tc)

    if not bpfloader.attach_kind("tcx/ingress") and "libbpf" not in bpfloader.attach_kind("tcx/ingress").reason:
        pytest.skip("this kernel has no tcx")
    own_network(run)


@pytest.mark.parametrize("number", [22, 95, 524])
def test_without_tcx_it_is_a_filter(start, own_network, filters_work, monkeypatch, number):
    def refuse(self, function, *arguments, ours=bpfloader.TcProgram._call, **request):
        if function == "bpf_link_create":
            raise bpfloader.AttachError("no tcx", errno=number)
        return ours(self, function, *arguments, **request)

    def run():
        bpf = start("on_tc")
        bpf.progs.on_tc.attach("lo", "egress")
        assert seen(bpf) == 1 == left()
        with pytest.raises(bpfloader.AttachError, match="no tcx"):
            bpf.progs.on_tc.attach("lo", "egress", first=True)

    monkeypatch.setattr(bpfloader.TcProgram, "_call", refuse)
    own_network(run)


def test_every_normal_end_of_python_detaches_filters(script, own_network):
    def run():
        processes = {name: script(last) for name, last in ENDS.items()}
        errors = {name: process.communicate()[1] for name, process in processes.items()}
        assert left() == 0, errors
        for name, process in processes.items():
            assert process.returncode == {"falls off the end": 0, "exits": 3}.get(name, process.returncode)
            assert ("Traceback" in errors[name]) == (name in ("raises", "is interrupted")), errors[name]

    # One after another would take longer; the kernel gives equal filters other handles.
    own_network(run)


def test_a_child_of_fork_detaches_nothing(script, own_network):
    """Neither by its normal end nor by raising; the parent is killed afterwards, so that its own end counts for nothing."""
    last = """
for last in (lambda: sys.exit(0), lambda: 1 / 0):
    pid = os.fork()
    if not pid:
        last()
    os.waitpid(pid, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""

    def run():
        process = script(last)
        _, error = process.communicate()
        assert process.returncode == -signal.SIGKILL, error
        assert left() == 2

    own_network(run)


def test_what_a_kill_leaves_is_named_by_the_next_attach(script, start, own_network, recwarn):
    def run():
        process = script("os.kill(os.getpid(), signal.SIGKILL)")
        process.communicate()
        (old,) = filters(LO, "ingress")
        bpf = start("on_tc")
        for options in ({}, {"priority": 9}):
            with pytest.warns(RuntimeWarning) as warned:
                link = bpf.progs.on_tc.attach("lo", "ingress", **options)
            assert [str(each.message) for each in warned] == [
                "a process that has ended left the filter on_tc at lo (ingress, priority 3, handle 0x1), which still runs; "
                f"remove it: python -m bpfloader detach --tc lo --program {old.program}"
            ]
            assert Path(warned[0].filename) == Path(__file__)
            link.detach()
        held = bpf.progs.on_tc.attach("lo", "egress", priority=3, handle=1, replace=True)  # takes the left one's place
        recwarn.clear()
        bpf.progs.on_tc.attach("lo", "egress", priority=4)  # what this process holds isn't left by another
        assert not [each for each in recwarn if each.category is RuntimeWarning]
        held.detach()

    own_network(run)


@NO_TC
def test_egress_beside_an_ingress_qdisc(start, own_network, filters_work):
    """The kernel takes the filter, and would run it on ingress."""

    def run():
        subprocess.run(["tc", "qdisc", "add", "dev", "lo", "ingress"], check=True)
        bpf = start("on_tc")
        with pytest.raises(bpfloader.AttachError) as caught:
            bpf.progs.on_tc.attach("lo", "egress", priority=1)
        assert str(caught.value) == (
            "can't attach on_tc: lo has an ingress qdisc, which would run a filter of egress on ingress; replace it, and "
            "the filters in it: tc qdisc del dev lo ingress && tc qdisc add dev lo clsact"
        )
        assert left() == 0
        bpf.progs.on_tc.attach("lo", "ingress", priority=1)
        assert seen(bpf) == 1
        for command in ("tc qdisc del dev lo ingress", "tc qdisc add dev lo clsact"):
            subprocess.run(command.split(), check=True)
        bpf.progs.on_tc.attach("lo", "egress", priority=1)
        assert seen(bpf) == 1

    own_network(run)
