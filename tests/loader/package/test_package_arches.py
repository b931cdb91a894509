"""A package that holds several arches, with the loader inside it as a wheel has it."""

import platform
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader import arch
from ebpfbuild.arch import host_arch
from ebpfbuild.package.content import PackageContent, PackedProgram, package
from ebpfbuild.package.skeleton import PackedSkeleton
from ebpfbuild.skeleton.skeleton import skeleton

HERE = host_arch(platform.machine()).name
ELSEWHERE = "os.uname = lambda: os.uname_result(('Linux', 'here', '6', '1', 'sparc64'))"


@pytest.fixture
def packed(compiled, tmp_path) -> Path:
    """The folder of a package `probe` without an app, for two arches with the same object."""
    objects = {HERE: compiled, "riscv64" if HERE != "riscv64" else "aarch64": compiled}
    text = skeleton(objects, "probe", "probe.bpf.o")
    folder = Path(bpfloader.__file__).parent
    loader = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    made = PackedProgram("probe.bpf.o", objects, PackedSkeleton("probe_skel.py", text.module, text.stub), {})
    parts = PackageContent([made], {}, loader, {})
    for name, data in package("probe", "1", parts).wheel.items():
        path = tmp_path / "probe" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "probe"


def run(packed: Path, code: str) -> tuple[str, str]:
    """Runs a program that uses the package; returns its stdout and stderr."""
    text = f"import os, sys; sys.path.insert(0, {str(packed.parent)!r})\n{code}"
    done = subprocess.run([sys.executable, "-S", "-c", text], capture_output=True, text=True, cwd=packed)
    return done.stdout, done.stderr


def refused(packed: Path, before: str = "") -> str:
    """Returns the error of opening the package's program."""
    code = f"""
from probe import Probe, bpfloader
{before}
try:
    Probe.open()
except bpfloader.BpfError as error:
    print(type(error).__name__, error)
"""
    said, errors = run(packed, code)
    assert not errors and said.count("\n") == 1, errors + said
    return said.strip()


def test_a_package_gives_its_program_by_its_own_loader(packed, kernel):
    said = run(packed, """
from probe import Probe, bpfloader
with Probe.open() as probe:
    probe.load()
    print(probe.progs.emit.test_run(bytes(64)).value, bpfloader.__name__, "bpfloader" in sys.modules)
""")  # fmt: skip
    assert said == ("7 probe.bpfloader False\n", "")


def test_a_class_derived_elsewhere_finds_the_object(packed, libbpf):
    said = run(packed, "import probe\nclass Mine(probe.Probe): pass\nwith Mine.open() as it: print(it)")
    assert said == ("<Mine probe.bpf.o opened>\n", "")


def test_another_machine_is_told_what_the_package_is_for(packed):
    said = refused(packed, ELSEWHERE)
    assert said.startswith("ObjectError probe.bpf.o was compiled for ") and HERE in said
    assert said.endswith("this machine is sparc64; build it with ARCH=sparc64")


def test_an_altered_manifest_is_refused(packed):
    path = packed / "manifest.json"
    path.write_text(path.read_text().replace('"version": "1"', '"version": "2"'))
    said = refused(packed)
    assert said.startswith(f"DigestError {path} has sha256 ") and "; install the package again" in said


def test_a_missing_manifest_is_named(packed):
    (packed / "manifest.json").unlink()
    assert refused(packed) == (
        f"ObjectError can't read {packed / 'manifest.json'} (ENOENT: No such file or directory); "
        "install the package again, from a wheel that you trust"
    )


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + b"x", lambda data: data[:1000], lambda data: b""])
def test_an_altered_object_is_refused_in_one_line(packed, libbpf, damage):
    (path,) = packed.rglob("probe.bpf.o")
    path.write_bytes(damage(path.read_bytes()))
    said = refused(packed)
    assert said.startswith(f"DigestError {path} has sha256 ") and "; install the package again" in said


def test_a_missing_object_is_named(packed):
    (path,) = packed.rglob("probe.bpf.o")
    path.unlink()
    assert refused(packed).startswith(f"ObjectError can't read {path} (ENOENT: No such file or directory); install")


@pytest.mark.parametrize("machine, folder", [
    ("x86_64", "x86_64"), ("aarch64", "aarch64"), ("armv7l", "arm"), ("riscv64", "riscv64"), ("ppc64le", "powerpc"),
    ("s390x", "s390x"), ("loongarch64", "loongarch64"),
])  # fmt: skip
def test_each_machine_has_its_folder(machine, folder):
    assert arch.folder_of(machine) == folder == host_arch(machine).name
