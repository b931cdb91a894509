"""Measures what a boot to its result costs, beside QEMU's own boot of the same kernel to a bare init.

    .venv/bin/python benchmarks/boot.py [runs] [kernel of toolchain.toml]

Seconds of QEMU's CPU and of wall time, minima: other work on the machine only adds. The two kinds of boots alternate.
A bare init is a program of 25 bytes that switches the machine off (x86_64); its boot is QEMU's own: the kernel as it is
packaged, a CPU with all that QEMU emulates, and no words for the kernel. The other is that of `./sconsw boot`, with the
wheel in build/dist. The kernel and the guest's packages come from the store: run `./sconsw boot` once.
"""

import os
import resource
import struct
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from build import ROOT

sys.path.insert(0, str(ROOT / "site_scons"))

from ebpfbuild.archive.deb_tree import deb_entries
from ebpfbuild.boot import qemu
from ebpfbuild.boot.cpio import Device, File, cpio
from ebpfbuild.boot.guests import BootKernel, Booter
from ebpfbuild.boot.initramfs import GuestObject
from ebpfbuild.console import Reporter
from ebpfbuild.fetch.obtain import obtain_header
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.fetch.store import cache_folder
from ebpfbuild.kernel_image.packages import KERNEL_NAME
from ebpfbuild.pins.toolchain import load
from ebpfbuild.spec.object import ObjectSpec

TARGET = 1.5  # times the bare boot
# reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF), as linux/reboot.h has them
POWER_OFF = bytes.fromhex("bfaddee1fe be69191228 badcfe2143 b8a9000000 0f05 ebfe")


def bare_init():
    """A static x86_64 executable that switches the machine off."""
    size, at = 64 + 56 + len(POWER_OFF), 0x400000
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, at + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, size, size, 0x1000) + POWER_OFF


def packed_image(package, member):
    """The kernel as its package has it, which unpacks itself."""
    return next(each.data for each in deb_entries(package, lambda path: path == member if member else KERNEL_NAME.search(path)))


def measured(boot):
    """What a boot takes: seconds of its child's CPU, and of wall time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    boot()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def bare_boot(machine, image, initramfs):
    """The words for QEMU's own boot, with as many CPUs as a guest gets."""
    words = qemu.command(machine, "tcg", image, initramfs, "")
    words[words.index("-cpu") + 1] = "max"
    return words


def files_of(wheel):
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def main(runs=3, kernel="trixie"):
    """Prints the two minima and their ratio."""
    chain = load(ROOT / "toolchain.toml")
    options, pin = FetchOptions(cache_folder(os.environ)), chain.kernels[kernel]
    assert pin.file.arch == "x86_64", "the bare init is of x86_64"

    def package(file):
        return file.where, lambda: Path(obtain_header(file, options, Reporter()).path).read_bytes(), file.sha256

    data = (ROOT / "build/x86_64/socket_tracker.bpf.o").read_bytes()
    programs = {each.name: each.section for each in ObjectSpec.from_bytes(data, "o").programs}
    files = files_of(next((ROOT / "build/dist").glob("*_x86_64.whl")))
    assert data in files.values(), "the wheel is of another build: ./sconsw"
    found = BootKernel(pin.name, pin.file.arch, pin.file.kernel, tuple(map(package, pin.files)), pin.member)
    with tempfile.TemporaryDirectory() as folder, Booter(Path(folder), lambda arch: [package(each) for each in chain.guests[arch]], "x86_64", "", Reporter()) as booter:
        booter.give({"wheel": files}, [GuestObject("tracker", data, programs, "wheel", "socket_tracker.bpfloader")])
        states = [each.state for each in booter.run(found, 600).programs]  # what is derived is made, and the image lies there
        bare = Path(folder, "bare")
        bare.write_bytes(cpio({"init": File(bare_init(), 0o755), "dev/console": Device(5, 1)}))
        image = Path(folder, "image")
        image.write_bytes(packed_image(package(pin.files[0])[1](), pin.member))
        words = bare_boot(qemu.machine_for("x86_64"), image, bare)
        takes = [(measured(lambda: qemu.run(words, Path(folder, "log"), 600)), measured(lambda: booter.run(found, 600))) for _ in range(runs)]
    print(f"{kernel}: {len(states)} programs, {', '.join(sorted({str(state) for state in states}))}")
    for number, what in enumerate(("CPU", "wall")):
        own, whole = (min(take[kind][number] for take in takes) for kind in (0, 1))
        print(f"{what:5} bare init {own:6.1f} s   to the result {whole:6.1f} s   {whole / own:.2f} times, at most {TARGET}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(*(numbers or [3]), *(word for word in sys.argv[1:] if not word.isdigit()))
