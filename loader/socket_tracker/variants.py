"""Starts the tracker by the first variant of its programs that this kernel takes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from .bpfloader import AttachError, Choice, Program, choose
from .kernel import cgroup2_root, with_tracefs
from .socket_tracker_skel import SocketTracker

VARIANTS = ("fentry", "kprobe", "tp_btf")  # the cheapest first; a program's name ends in its variant's


def start(pid: int = 0, variant: str | None = None) -> Choice[Any]:
    """The running tracker (`.object`, a SocketTracker), its `.variant`, and why others were `.refused`.

    `pid` limits it to one process, `variant` to one of VARIANTS. The caller destroys the object: use it in a `with`.
    Raises BpfError: ObjectError where the package holds no object for this machine, PrivilegeError, VariantsError …
    """
    return choose(SocketTracker.open, {name: partial(run, name, pid) for name in ([variant] if variant else VARIANTS)})


def run(variant: str, pid: int, skel: Any) -> None:
    """Loads and attaches one variant of an opened SocketTracker. Raises BpfError, OSError."""
    skel.select(program.name for program in skel.progs if program.name.endswith(f"_{variant}"))
    skel.rodata.target_pid = pid
    skel.load()
    attach: Callable[[Any], None] = _attach_tp_btf if variant == "tp_btf" else type(skel).attach
    attach(skel)


def _attach_tp_btf(skel: Any) -> None:
    cgroup = cgroup2_root()
    with_tracefs(lambda: _attach_any(skel.progs.accept_tp_btf, skel.progs.accept4_tp_btf))
    skel.progs.send_tp_btf.attach(cgroup)
    skel.progs.state_tp_btf.attach()


def _attach_any(*programs: Program) -> None:
    """Attaches those of which the kernel has the hook: s390x has an accept4 system call and no accept."""
    refused = []
    for program in programs:
        try:
            program.attach()
        except AttachError as error:
            refused.append(error)
    if len(refused) == len(programs):
        raise refused[0]
