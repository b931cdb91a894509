"""Runs one guest in QEMU: with KVM where this machine and the guest's arch allow it, else emulated (TCG)."""

import functools
import os
import platform
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..arch import host_arch
from ..errors import ArchError, BootError, StoppedError
from ..escape import printable

MAX_SERIAL = 16 << 20  # bytes of a guest's output; one that writes more is stopped
MEMORY = 1024  # MB
KVM = "/dev/kvm"


class Machine(NamedTuple):
    """How QEMU runs an arch: its program, the options of a machine and CPU, the console, and Debian's package of it."""

    program: str
    options: tuple[str, ...]
    console: str
    package: str


MACHINES = {
    # Kernels clear and copy pages byte by byte where a CPU says that it is fast at that (ERMS, FSRM): QEMU isn't.
    "x86_64": Machine("qemu-system-x86_64", ("-M", "q35", "-cpu", "max,erms=off,fsrm=off"), "ttyS0", "qemu-system-x86"),
    # Emulated pointer authentication is slow, and kernels use it in each function.
    "aarch64": Machine("qemu-system-aarch64", ("-M", "virt", "-cpu", "max,pauth=off"), "ttyAMA0", "qemu-system-arm"),
    "arm": Machine("qemu-system-arm", ("-M", "virt", "-cpu", "cortex-a15"), "ttyAMA0", "qemu-system-arm"),
    "riscv64": Machine("qemu-system-riscv64", ("-M", "virt"), "ttyS0", "qemu-system-misc"),
}
ENDED = "QEMU ended with"
SILENT = "it reported nothing for"
LATE = "it took longer than"
KVM_SILENCE = 60  # seconds; where KVM works, a guest has ended by then
KVM_FAULTS = (b"KVM internal error", b"error: kvm run failed")  # QEMU's accel/kvm/kvm-all.c; it then waits for ever
ASKED = 0.25  # seconds after which a build that is interrupted is seen
SAFE_TCG = 8, 1  # the first QEMU that emulates several CPUs safely
# The kernel's own words (kernel/panic.c), and a line of registers that names a function: of x86, arm64, riscv, arm.
PANIC = re.compile(rb"Kernel panic - not syncing(?:: ([^\r\n]{1,200}))?")
PLACE = re.compile(rb"\b(?:RIP: [0-9a-f]{4}:|e?pc : |PC is at )([\w.]{1,100}\+0x[0-9a-f]+/0x[0-9a-f]+)")


class Outcome(NamedTuple):
    """The end of a guest: its serial output, how long it ran, and why it was stopped; empty where it ended itself."""

    serial: bytes
    seconds: float
    stopped: str


def machine_for(arch: str) -> Machine:
    """Returns how QEMU runs an arch. Raises BootError where it doesn't, and where its program isn't installed."""
    if arch not in MACHINES:
        fix = f"declare a kernel of {', '.join(MACHINES)}"
        raise BootError(f"kernels of {arch} aren't booted", where="boot", fix=fix)
    machine = MACHINES[arch]
    if shutil.which(machine.program) is None:
        fix = f"apt install {machine.package}"
        raise BootError(f"{machine.program} is not installed, and {arch} needs it", where="boot", fix=fix)
    return machine


def accelerator(arch: str) -> str:
    """Returns `kvm` where /dev/kvm opens and the guest's arch is this machine's, else `tcg`."""
    try:
        same = host_arch(platform.machine()).name == arch
        if same:
            os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
        return "kvm" if same else "tcg"
    except (ArchError, OSError):
        return "tcg"


@functools.cache
def version(program: str) -> tuple[int, int]:
    """Returns the release of a QEMU, as (8, 1); (0, 0) where it doesn't say."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.match(rb"QEMU emulator version (\d{1,4})\.(\d{1,4})", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def cpus(program: str, accel: str) -> int:
    """Returns how many CPUs a guest gets: two at most, and one where the emulator isn't safe with more.

    Before 8.1 a write to code was lost while another CPU translated that page (mended by QEMU's commit deba78709a,
    "accel/tcg: Always lock pages before translation"). Kernels patch themselves for each probe, and panicked at times.
    """
    safe = accel != "tcg" or version(program) >= SAFE_TCG
    return min(2, os.cpu_count() or 1) if safe else 1


def command(machine: Machine, accel: str, kernel: Path, initramfs: Path, arguments: str) -> list[str]:
    """Returns the words that start a guest; `arguments` go to the kernel's command line."""
    options = ["host" if word.startswith("max") and accel == "kvm" else word for word in machine.options]
    cores = str(cpus(machine.program, accel))
    append = f"console={machine.console} panic=-1 loglevel=4 {arguments}".strip()
    return [
        machine.program,
        *options,
        *("-accel", "tcg,thread=multi" if accel == "tcg" else accel),
        *("-m", str(MEMORY), "-smp", cores, "-nodefaults", "-display", "none", "-no-reboot"),
        *("-serial", "stdio", "-kernel", str(kernel), "-initrd", str(initramfs), "-append", append),
    ]


def run(
    words: Sequence[str],
    log: Path,
    seconds: float,
    limit: int = MAX_SERIAL,
    silence: float = 0,
    sign: bytes = b"",
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs a guest until it ends, panics, writes more than `limit` bytes or takes longer than `seconds`.

    One that hasn't written `sign` in its first `silence` seconds is stopped as well, and at once where KVM gives up on
    it: what QEMU and a kernel's start write doesn't show that it works. Its serial output goes to `log` as it comes.
    Raises OSError, and StoppedError once `interrupted` is true.
    """
    began, serial, stopped = time.monotonic(), bytearray(), ""
    awaited = silence > 0
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file, _started(words) as process, selectors.DefaultSelector() as ready:
        assert process.stdout is not None
        ready.register(process.stdout, selectors.EVENT_READ)
        while not stopped:
            if interrupted():
                raise StoppedError("was interrupted", where="boot")
            left = seconds - (time.monotonic() - began)
            awaited = awaited and sign not in serial
            if awaited:
                left = min(left, silence - (time.monotonic() - began))
            if awaited and any(fault in serial for fault in KVM_FAULTS):
                stopped = "KVM gave up on it"
            elif left <= 0:
                stopped = f"{SILENT} {silence:g} s" if awaited and silence < seconds else f"{LATE} {seconds:g} s"
            elif ready.select(min(left, ASKED)):
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    break
                file.write(part)
                file.flush()
                serial += part
                if len(serial) > limit:
                    stopped = f"it wrote more than {limit} bytes"
        if stopped:
            process.kill()
        status = process.wait()
    if not stopped:
        stopped = panic(bytes(serial)) or (f"{ENDED} {status}" if status else "")
    return Outcome(bytes(serial), time.monotonic() - began, stopped)


def panic(serial: bytes) -> str:
    """Returns `its kernel panicked: REASON at FUNCTION+0x1/0x2` as far as the output names them; empty without a panic.

    The function is the one of the first fault's registers: an oops comes before the panic that it makes.
    """
    found = PANIC.search(serial)
    if found is None:
        return ""
    place = PLACE.search(serial)
    reason = f": {_text(found[1])}" if found[1] else ""
    return f"its kernel panicked{reason}{f' at {_text(place[1])}' if place else ''}"


def _text(raw: bytes) -> str:
    return printable(raw.decode(errors="replace").strip())


class _started:
    """Starts a process and kills it where the block ends by an exception, ^C among them."""

    def __init__(self, words: Sequence[str]):
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def __enter__(self) -> "subprocess.Popen[bytes]":
        return self._process

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
