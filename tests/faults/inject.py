"""Strikes a build at a chosen moment of one of its stages. An SConstruct imports it; EBPF_FAULT says what to do.

The moments of a stage are what Python's audit hooks tell of it: each file, folder, process or socket that it opens,
renames or removes. What a stage does in memory alone has one moment, its call.
"""

import atexit
import contextlib
import errno
import functools
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

STAGES = {
    "fetch": "/ebpfbuild/fetch/",
    "index": "/ebpfbuild/minimize/",
    "compile": "/ebpfbuild/compile/",
    "sandbox": "/ebpfbuild/sandbox/",
    "link": "/ebpfbuild/link/",
    "prove": "/ebpfbuild/prove/",
    "skeleton": "/ebpfbuild/skeleton/",
    "package": "/ebpfbuild/package/",
    "papers": "/ebpfbuild/release/",
    "cache": "/ebpfbuild/step_cache/",
    "ledger": "/ebpfbuild/rebuild/",
    "scons": "/SCons/",
}
EVENTS = ("open", "os.", "fcntl.", "socket.", "subprocess.")  # https://docs.python.org/3/library/audit_events.html
IN_MEMORY = {"strip": ("ebpfbuild.elf.strip", "stripped")}


def start() -> None:
    """Counts, or strikes, as EBPF_FAULT says: {"count": FILE} {"threads": number}, or {"do": …, "stage": …, "at": number, …}."""
    order = json.loads(os.environ.get("EBPF_FAULT", "{}"))
    if "count" in order:
        _count(Path(order["count"]))
    elif "threads" in order:
        _limit_threads(order["threads"])
    elif order:
        _strike(order)


def _watch(hook) -> None:
    """Calls hook(stage, event, details) at each moment."""
    sys.addaudithook(lambda event, details: event.startswith(EVENTS) and hook(_stage(), event, details))
    for stage, (module, function) in IN_MEMORY.items():
        _announce(importlib.import_module(module), function, lambda stage=stage: hook(stage, "", ()))


def _announce(module, name, moment) -> None:
    function = getattr(module, name)

    @functools.wraps(function)
    def announced(*arguments, **more):
        moment()
        return function(*arguments, **more)

    setattr(module, name, announced)


def _stage():
    """Returns the stage whose code runs in this thread; None for code that is of none."""
    frame = sys._getframe(2)
    while frame:
        for stage, part in STAGES.items():
            if part in frame.f_code.co_filename:
                return stage
        frame = frame.f_back
    return None


def _count(file: Path) -> None:
    """Counts the moments of each stage, and writes them when the build ends."""
    counts = dict.fromkeys([*STAGES, *IN_MEMORY, None], 0)

    def hook(stage, event, details):
        counts[stage] += 1

    atexit.register(lambda: file.write_text(json.dumps({stage: count for stage, count in counts.items() if stage})))
    _watch(hook)


def _strike(order) -> None:
    """Strikes once, when the stage's moment has come."""
    left = order["at"]

    def hook(stage, event, details):
        nonlocal left
        left -= stage == order["stage"]
        if left == 0:
            left = -1
            globals()[f"_{order['do']}"](**order, event=event, details=details)

    _watch(hook)


def _kill(later: float, **unused) -> None:
    """Kills this process in `later` seconds, whatever it does then."""
    mine = os.getpid()
    _beside(later, lambda: os.kill(mine, signal.SIGKILL))


def _kill_children(later: float, **unused) -> None:
    """Kills the programs and the helper that this process has started, in `later` seconds."""
    mine = os.getpid()

    def kill():
        for pid in _below(mine):
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    _beside(later, kill)


def _beside(later: float, do) -> None:
    """Does something in a process of its own, in `later` seconds."""
    if os.fork() == 0:
        try:
            time.sleep(later)
            do()
        finally:
            os._exit(0)


def _below(pid: int) -> list[int]:
    """Returns the processes that a process has started, and those that these have."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_below(child)]
    return found


def _fill(filler: str, inodes: bool, **unused) -> None:
    """Leaves no byte, or no inode, of a file system: in files below the folder `filler`."""
    os.makedirs(filler, exist_ok=True)
    try:
        if inodes:
            for number in range(1 << 20):
                os.close(os.open(f"{filler}/{number}", os.O_CREAT | os.O_WRONLY))
        with open(f"{filler}/bytes", "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue
    except OSError:
        return


def _refuse(code: str, event: str, details, **unused) -> None:
    """Has the call fail as if the kernel had said so.

    But not a removal, which takes nothing that could be short, nor a lock, by which EAGAIN says that another has it.
    """
    if event in ("os.remove", "os.rmdir", "fcntl.flock"):
        return
    number = getattr(errno, code)
    raise OSError(number, os.strerror(number), *(path for path in details[:1] if isinstance(path, str)))


def _no_descriptor(**unused) -> None:
    """Lets this process open nothing more."""
    limit = 1 + max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _limit_threads(count: int) -> None:
    """Has no more than so many threads start, as CPython says it where pthread_create(3) fails."""
    start, left = threading.Thread.start, [None] * count

    def start_if_possible(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)
        time.sleep(0.2)  # the new thread comes far before this one goes on, which then notes it

    threading.Thread.start = start_if_possible
