"""A package that holds several arches, with the loader inside it as a wheel has it."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader import arch


@pytest.fixture
def package(folder, tmp_path) -> Path:
    """A package `probe` with the loader and one arch, this machine's, laid out as packaging does."""
    held = tmp_path / "probe" / arch.folder_of(platform.machine())
    held.mkdir(parents=True)
    shutil.copytree(Path(bpfloader.__file__).parent, tmp_path / "probe" / "bpfloader")
    shutil.copy(folder / "probe.bpf.o", held)
    text = (folder / "probe_skel.py").read_text()
    (held / "probe_skel.py").write_text(text.replace("\nimport bpfloader\n", "\nfrom .. import bpfloader\n"))
    for place in (tmp_path / "probe", held):
        (place / "__init__.py").touch()
    return tmp_path


def run(package: Path, code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(package)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=package)


def test_a_package_finds_this_machine_s_skeleton_and_its_own_loader(package, kernel):
    done = run(package, """
from probe.bpfloader import skeleton_module
skel = skeleton_module("probe")
with skel.Probe.open() as probe:
    probe.load()
    print(probe.progs.emit.test_run(bytes(64)).value, skel.bpfloader.__name__, "bpfloader" in sys.modules)
""")  # fmt: skip
    assert (done.stdout, done.stderr) == ("7 probe.bpfloader False\n", "")


def test_an_arch_that_is_not_there_is_named_with_those_that_are(package):
    done = run(package, """
import os
os.uname = lambda: os.uname_result(("Linux", "here", "6", "1", "sparc64"))
from probe.bpfloader import ObjectError, skeleton_module
try:
    skeleton_module("probe")
except ObjectError as error:
    print(error)
""")  # fmt: skip
    here = arch.folder_of(platform.machine())
    said = f"the package probe has no object for this machine (sparc64); it holds {here}: build it with ARCH=sparc64\n"
    assert (done.stdout, done.stderr) == (said, "")


@pytest.mark.parametrize("machine, folder", [
    ("x86_64", "x86_64"), ("aarch64", "aarch64"), ("armv7l", "arm"), ("riscv64", "riscv64"), ("ppc64le", "powerpc"),
    ("s390x", "s390x"), ("loongarch64", "loongarch64"),
])  # fmt: skip
def test_each_machine_has_its_folder(machine, folder):
    from ebpfbuild.arch import host_arch

    assert arch.folder_of(machine) == folder == host_arch(machine).name
