"""The BTF that a package holds for kernels without BTF: chosen by release, checked, told, and used where the kernel's is hidden."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.package.manifest import PackedBtf, Packed
from ebpfbuild.arch import host_arch
from ebpfbuild.btf.reader import Btf
from ebpfbuild.core_relo.minimal import minimal_btf
from ebpfbuild.elf.reader import Elf
from ebpfbuild.package.content import KernelBtf, PackageContent, PackedProgram, package
from ebpfbuild.package.skeleton import PackedSkeleton
from ebpfbuild.skeleton.skeleton import skeleton
from ebpfbuild.spec.object import ObjectSpec

HERE = host_arch(platform.machine()).name
RELEASE = os.uname().release
HIDE = "mount -t tmpfs none /sys/kernel/btf && exec"
PROGRAM = """#include "mini_bpf.h"
struct task_struct { int pid; } __core;
SEC("raw_tp/sched_switch") long where(struct task_struct *task) { return __builtin_preserve_field_info(task->pid, 0); }
char LICENSE[] SEC("license") = "GPL";
"""
KERNEL = "struct task_struct {{ char before[{}]; int pid; }} x;"


@pytest.fixture(scope="session")
def btf_package(compile_bpf, tmp_path_factory):
    """A function: kernels by their `uname`, each with the offset of task_struct.pid there -> the folder of a package `probe`."""
    data = compile_bpf(PROGRAM)
    spec = ObjectSpec.from_bytes(data)
    loader = Path(bpfloader.__file__).parent
    python = {path.relative_to(loader).as_posix(): path.read_bytes() for path in loader.rglob("*.py")}

    def packed(**kernels: tuple[str, int]) -> Path:
        btfs = []
        for name, (uname, offset) in kernels.items():
            whole = Elf.parse(compile_bpf(KERNEL.format(offset))).section(".BTF").data
            btfs.append(KernelBtf(name, uname, "0" * 64, minimal_btf([spec], Btf.parse(whole, name, None))))
        text = skeleton({HERE: data}, "probe", "probe.bpf.o")
        made = PackedProgram("probe.bpf.o", {HERE: data}, PackedSkeleton("probe_skel.py", text.module, text.stub), {}, {HERE: btfs})
        folder = tmp_path_factory.mktemp("packed")
        for name, content in package("probe", "1", PackageContent([made], {}, python, {})).wheel.items():
            path = folder / "probe" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / "probe"

    return packed


@pytest.fixture(scope="session")
def compile_bpf(clang):
    """A function: C -> its object, without DWARF."""
    from ebpfbuild.elf.strip import strip_dwarf

    include = f"-I{Path(__file__).resolve().parents[2] / 'testdata'}"

    def compile_(source: str) -> bytes:
        command = [*clang, "-target", "bpfel", "-g", "-O2", "-mcpu=v3", include, "-c", "-xc", "-", "-o", "-"]
        return strip_dwarf(subprocess.run(command, input=source.encode(), capture_output=True, check=True).stdout)

    return compile_


@pytest.fixture(scope="session")
def hidden(kernel) -> list[str]:
    """The argv that hides this kernel's BTF from the command behind it."""
    hide = ["unshare", "-m", "sh", "-c", f'{HIDE} "$@"', "sh"]
    if os.geteuid() or subprocess.run([*hide, "test", "!", "-e", "/sys/kernel/btf/vmlinux"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody hide /sys/kernel/btf")
    return hide


def run(hidden: list[str], packed: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(packed.parent)}
    done = subprocess.run([*hidden, sys.executable, "-S", *arguments], capture_output=True, text=True, env=environment)
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def loaded(hidden: list[str], packed: Path) -> str:
    """What a program says that loads the package's object: its BTF and the offset, or the error."""
    return run(hidden, packed, "-c", """
import logging, sys
from probe import Probe, bpfloader
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
try:
    with Probe.open() as probe:
        probe.load()
        print(probe.progs.where.test_run().value, "by", probe.kernel_btf)
except bpfloader.BpfError as error:
    print(type(error).__name__, error)
""")  # fmt: skip


def test_a_kernel_without_btf_gets_the_package_s(btf_package, hidden):
    packed = btf_package(ours=(RELEASE, 40), others=("*", 80))
    shown = f"{HERE}/btf/ours/probe.btf of the package (for {RELEASE})"
    said = loaded(hidden, packed).splitlines()
    assert said == [f"probe.bpf.o: this kernel has no BTF of its own; taken is {shown}", f"40 by {shown}"]
    probed = run(hidden, packed, "-m", "probe.bpfloader", "probe", "--json")
    assert json.loads(probed)["environment"]["packed_btf"] == [f"{HERE}/btf/ours/probe.btf"]
    by_pattern = btf_package(far=("0.1", 8), near=(f"{RELEASE[:3]}*", 48), any=("*", 80))
    assert loaded(hidden, by_pattern).splitlines()[-1].startswith(f"48 by {HERE}/btf/near/")


def test_a_kernel_with_btf_takes_its_own(btf_package, hidden):
    own = loaded([], btf_package(ours=(RELEASE, 40)))
    assert own.endswith(" by /sys/kernel/btf/vmlinux") and not own.startswith("40 ")


def test_what_keeps_the_package_s_btf_from_use_is_one_line(btf_package, hidden):
    for_others = btf_package(a=("0.1-generic", 8), b=("0.2*", 16))
    assert loaded(hidden, for_others) == (
        f"MissingBtfError can't load probe.bpf.o: this kernel ({RELEASE}) has no BTF, and the package has it for 0.1-generic, "
        "0.2* alone; declare it in toolchain.toml and name it in kernel_btf, or give its BTF: open(btf=path)"
    )
    damaged = btf_package(ours=(RELEASE, 40))
    place = damaged / HERE / "btf/ours/probe.btf"
    for content in (place.read_bytes() + b"\0", b"", os.urandom(2048)):
        place.write_bytes(content)
        assert loaded(hidden, damaged).startswith(f"DigestError {place} has sha256 ")
    place.unlink()
    os.mkfifo(place)
    assert loaded(hidden, damaged).startswith(f"ObjectError {place} is a named pipe")


def test_inspect_lists_them(btf_package):
    packed = btf_package(ours=(RELEASE, 40), other=("5.4.0-91-generic", 80))
    import shutil

    from bpfloader.inspect.report import inspect
    from bpfloader.inspect.text import inspection_text

    wheel = shutil.make_archive(str(packed.parent / "probe"), "zip", packed.parent, "probe")
    found = inspect(wheel)
    text = inspection_text(found)
    assert f"  {HERE}/btf/ours/probe.btf  {HERE}  for kernels {RELEASE} without BTF, this kernel's\n" in text
    assert f"  {HERE}/btf/other/probe.btf  {HERE}  for kernels 5.4.0-91-generic without BTF\n" in text
    (packed / HERE / "btf/other/probe.btf").write_bytes(b"other")
    with pytest.raises(bpfloader.DigestError, match="btf/other/probe.btf has sha256"):
        inspect(shutil.make_archive(str(packed.parent / "probe"), "tar", packed.parent, "probe"))


@pytest.mark.parametrize(("kernels", "release", "chosen"), [
    (("5.4.0-91-generic", "5.4.0-*"), "5.4.0-91-generic", 0), (("5.4.0-*", "5.4.0-91-generic"), "5.4.0-91-generic", 1),
    (("5.4.0-*", "5.4*", "*"), "5.4.0-92-generic", 0), (("*-generic", "5.4*"), "5.4.0-92-generic", 0), (("5.4.0",), "5.4.0-91", None),
    (("5.4.0",), "5x4.0", None), (("5.4*generic",), "5.4-generic-rt", None), ((), "6.1", None), (("6.1+deb",), "6.1+deb", 0), (("6.1+",), "6.11", None),
])  # fmt: skip
def test_the_closest_release_is_chosen(kernels, release, chosen):
    btfs = tuple(PackedBtf(kernel, "x", "0" * 64, 1) for kernel in kernels)
    found = Packed("x", "0" * 64, 1, "", {}, btfs).btf_for(release)
    assert found == (None if chosen is None else btfs[chosen])
