"""Measures what it costs to read a kernel's BTF, to make its vmlinux.h and to check a program against it.

Beside each figure stands its target, and at the end bpftool's for the header.

    .venv/bin/python benchmarks/kernels.py [runs] [kernel] [object.bpf.o]

The kernel is this machine's, or the file given: BTF, vmlinux, boot image, package. Seconds of CPU, medians: each step is
one thread, and other work on the machine changes them less than wall time.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import ROOT

sys.path.insert(0, str(ROOT / "site_scons"))

from ebpfbuild.btf.index import dump_index, load_index
from ebpfbuild.btf.reader import Btf
from ebpfbuild.c_header.header import header_of
from ebpfbuild.kernel_image.open_btf import kernel_btf, read_kernel_file
from ebpfbuild.kernels.check import ObjectCheck
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.spec.object import ObjectSpec

HOST = "/sys/kernel/btf/vmlinux"
TARGETS = {"find": None, "open": 1.0, "open by index": 0.1, "look up a name": 20e-6, "header": 2.5, "check an object": 20e-3}


def seconds(action, runs):
    """The median CPU time of some runs, and what the last of them gave."""
    taken = []
    for _ in range(runs):
        started = time.process_time()
        result = action()
        taken.append(time.process_time() - started)
    return statistics.median(taken), result


def looked_up(btf, names):
    """Looks up each name."""
    return [btf.find(name) for name in names]


def checked(data, name, btf):
    """Checks an object's programs against a kernel, as the first one that it is held against."""
    return ObjectCheck(ObjectSpec.from_bytes(data, name)).on(Kernel("k", "", "", btf))


def main(runs=5, path=HOST, program=None):
    """Prints a line for each step."""
    found = {}
    found["find"], kernel = seconds(lambda: kernel_btf(read_kernel_file(path), path), runs)
    found["open"], btf = seconds(lambda: Btf.parse(kernel.data, path, None), runs)
    index = dump_index(btf, kernel.data)
    found["open by index"], again = seconds(lambda: load_index(index, path), runs)
    names = [btf[number].name for number in btf.by_name[::50]]
    taken, _ = seconds(lambda: looked_up(again, names), 1)
    found["look up a name"] = taken / len(names)
    found["header"], text = seconds(lambda: header_of(Btf.parse(kernel.data, path, None)), runs)
    if program:
        data = Path(program).read_bytes()
        found["check an object"], _ = seconds(lambda: checked(data, program, again), runs + 1)
    print(f"{path}: {kernel.inside or 'BTF'}, {len(kernel.data) / 1e6:.1f} MB, {len(btf)} types")
    for step, taken in found.items():
        target = TARGETS[step]
        print(f"{step:16} {taken * 1e3:10.3f} ms" + (f"   at most {target * 1e3:g}" if target else ""))
    print(f"header: {len(text) / 1e6:.1f} MB, {text.count(chr(10))} lines")
    if tool := shutil.which("bpftool"):
        with tempfile.TemporaryDirectory() as folder:
            blob = Path(folder, "vmlinux.btf")
            blob.write_bytes(kernel.data)
            started = time.perf_counter()
            subprocess.run([tool, "btf", "dump", "file", blob, "format", "c"], stdout=subprocess.DEVNULL, check=True)
            print(f"bpftool          {(time.perf_counter() - started) * 1e3:10.3f} ms of wall time")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    objects = [word for word in sys.argv[1:] if word.endswith(".bpf.o")]
    paths = [word for word in sys.argv[1:] if not word.isdigit() and word not in objects]
    main(*(numbers or [5]), *(paths or [HOST]), *objects)
