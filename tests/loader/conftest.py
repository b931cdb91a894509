"""Objects compiled by the pinned clang, their generated skeletons, and what this kernel must allow to load them."""

import ctypes
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"
FLAGS = """-target bpfel -mcpu=v3 -O2 -g -std=gnu11 -Wall -Werror -nostdinc
-ffile-compilation-dir=. -I.""".split()
ARCHES = {"ppc64le": "powerpc", "armv7l": "arm"}


def compile_program(clang, name: str) -> bytes:
    """The object of testdata/loader/<name>.bpf.c, compiled for this machine's byte order."""
    if sys.byteorder != "little":
        pytest.skip("the test programs are compiled for little-endian machines")
    done = subprocess.run([*clang, *FLAGS, "-c", f"loader/{name}.bpf.c", "-o", "-"], cwd=TESTDATA, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="session")
def compiled(clang) -> bytes:
    """The object of testdata/loader/probe.bpf.c."""
    return compile_program(clang, "probe")


@pytest.fixture(scope="session")
def folder(compiled, tmp_path_factory) -> Path:
    """A folder with probe.bpf.o and probe_skel.py, generated for this machine."""
    from ebpfbuild.skeleton import render

    folder = tmp_path_factory.mktemp("built")
    machine = platform.machine()
    (folder / "probe.bpf.o").write_bytes(compiled)
    (folder / "probe_skel.py").write_text(render(compiled, "probe", ARCHES.get(machine, machine), "probe.bpf.o"))
    return folder


@pytest.fixture(scope="session")
def rings_skel(clang, libbpf, tmp_path_factory) -> ModuleType:
    """The generated module of testdata/loader/rings.bpf.c."""
    from ebpfbuild.skeleton import render

    folder, machine = tmp_path_factory.mktemp("rings"), platform.machine()
    data = compile_program(clang, "rings")
    (folder / "rings.bpf.o").write_bytes(data)
    (folder / "rings_skel.py").write_text(render(data, "rings", ARCHES.get(machine, machine), "rings.bpf.o"))
    spec = importlib.util.spec_from_file_location("rings_skel", folder / "rings_skel.py")
    module = sys.modules["rings_skel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rings(rings_skel, kernel):
    """The producers of rings.bpf.c, loaded; destroyed after the test."""
    with rings_skel.Rings.open() as rings:
        rings.load()
        yield rings


@pytest.fixture(scope="session")
def libbpf() -> None:
    """Skips where there is no libbpf.so.1."""
    try:
        ctypes.CDLL("libbpf.so.1")
    except OSError:
        pytest.skip("libbpf.so.1 is not installed (apt install libbpf1)")


@pytest.fixture(scope="session")
def skel(folder, libbpf) -> ModuleType:
    """The generated module probe_skel."""
    spec = importlib.util.spec_from_file_location("probe_skel", folder / "probe_skel.py")
    module = sys.modules["probe_skel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kernel(libbpf) -> None:
    """Skips where this process or this kernel can't load BPF objects."""
    if os.geteuid() != 0:
        pytest.skip("loading BPF programs needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no BTF (/sys/kernel/btf/vmlinux)")


@pytest.fixture
def opened(skel, kernel):
    """The probe, opened; destroyed after the test."""
    with skel.Probe.open() as probe:
        yield probe


@pytest.fixture
def loaded(opened):
    """The probe, loaded; destroyed after the test."""
    opened.load()
    return opened
