"""Objects compiled by the pinned clang, their generated skeletons, networks and mounts of their own, stand-ins."""

import contextlib
import ctypes
import errno
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpfloader
import pytest
from bpfloader.btf.path import KERNEL_BTF
from bpfloader.testing.namespaces import CLONE_NEWNET, CLONE_NEWNS, raise_loopback
from compiling import compile_program, skeleton_text
from interrupts import interrupting

MS_PRIVATE = 1 << 18  # linux/mount.h


@pytest.fixture(scope="session", autouse=True)
def guest_btf():
    """In a guest whose kernel has no BTF, objects are opened with the one that `boot test` has for it."""
    path, ours = os.environ.get("BOOT_BTF"), bpfloader.Object.open.__func__

    def with_btf(cls, source=None, **given):
        return ours(cls, source, **{"btf": path, **given})

    with pytest.MonkeyPatch.context() as patch:
        if path:
            patch.setattr(bpfloader.Object, "open", classmethod(with_btf))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    """In such a guest skips a test of programs that need the kernel's own BTF: iterators, struct_ops, fentry, LSM."""
    try:
        return (yield)
    except bpfloader.MissingBtfError as error:
        if "BOOT_BTF" in os.environ:
            pytest.skip(error.what)
        raise


@pytest.fixture(scope="session")
def own_btf() -> None:
    """Skips on a kernel without BTF of its own."""
    if not os.path.exists(KERNEL_BTF):
        pytest.skip(f"this kernel has no {KERNEL_BTF}")


@pytest.fixture(scope="session")
def compiled(clang) -> bytes:
    """The object of testdata/loader/probe.bpf.c."""
    return compile_program(clang, "probe")


@pytest.fixture(scope="session")
def folder(compiled, tmp_path_factory) -> Path:
    """A folder with probe.bpf.o and probe_skel.py, generated for this machine."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "probe.bpf.o").write_bytes(compiled)
    (folder / "probe_skel.py").write_text(skeleton_text(compiled, "probe"))
    return folder


@pytest.fixture(scope="session")
def skeleton_module(clang, libbpf, tmp_path_factory) -> Callable[[str], ModuleType]:
    """A function: the name of a program in testdata/loader -> its generated module, its object beside it."""

    def module(name: str) -> ModuleType:
        folder = tmp_path_factory.mktemp(name)
        data = compile_program(clang, name)
        (folder / f"{name}.bpf.o").write_bytes(data)
        (folder / f"{name}_skel.py").write_text(skeleton_text(data, name))
        spec = importlib.util.spec_from_file_location(f"{name}_skel", folder / f"{name}_skel.py")
        made = sys.modules[f"{name}_skel"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return module


@pytest.fixture(scope="session")
def rings_skel(skeleton_module) -> ModuleType:
    """The generated module of testdata/loader/rings.bpf.c."""
    return skeleton_module("rings")


@pytest.fixture
def rings(rings_skel, kernel):
    """The producers of rings.bpf.c, loaded; destroyed after the test."""
    with rings_skel.Rings.open() as rings:
        rings.load()
        yield rings


@pytest.fixture(scope="session")
def skel(folder, libbpf) -> ModuleType:
    """The generated module probe_skel."""
    spec = importlib.util.spec_from_file_location("probe_skel", folder / "probe_skel.py")
    module = sys.modules["probe_skel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.fixture(scope="session")
def cgroup() -> str:
    """Where cgroup v2 is mounted."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    found = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
    return found or pytest.skip("no cgroup v2 is mounted")


@pytest.fixture(scope="session")
def maps_skel(skeleton_module):
    """The generated module of maps.bpf.c."""
    return skeleton_module("maps")


@pytest.fixture(scope="session")
def maps_object(maps_skel) -> Path:
    """The object of maps.bpf.c, to be opened without its skeleton."""
    return Path(maps_skel.__file__).parent / "maps.bpf.o"


@pytest.fixture
def opened_with(maps_skel, kernel):
    """A function: names of maps and programs -> the object, opened, which will load these and no other."""
    with contextlib.ExitStack() as stack:

        def open_(maps: str, programs: str = "", kind=maps_skel.Maps, source=None):
            bpf = stack.enter_context(kind.open(source))
            bpf.select(programs.split())
            for part in bpf.maps:
                if type(part) is not bpfloader.Map:  # the data sections of an object without a skeleton
                    part.autocreate = part.name in maps.split()
            return bpf

        yield open_


@pytest.fixture
def using(opened_with):
    """A function: names of maps and programs -> the object with these, loaded; skips what this kernel can't create."""

    def load(maps: str, programs: str = "", **how):
        bpf = opened_with(maps, programs, **how)
        try:
            bpf.load()
        except bpfloader.LoadError as error:
            if any("failed to create" in detail for detail in error.details) and error.errno_name == "EINVAL":
                pytest.skip(f"this kernel has no such map: {maps} ({error.what})")
            raise
        return bpf

    return load


@pytest.fixture
def cached(opened_with):
    """A function (name, how to load it) -> a map, loaded at its first call in a test: what hypothesis calls again."""
    made = {}

    def get(name, load):
        if name not in made:
            made[name] = load(opened_with, name)
        return made[name]

    return get


@pytest.fixture
def no_batches(monkeypatch):
    """As in a kernel that has no batch operations."""

    def refuse(self, verb, *arguments, ours=bpfloader.Map._call):
        if verb.endswith("_batch"):
            raise bpfloader.MapError("no batches", errno=errno.EINVAL)
        ours(self, verb, *arguments)

    monkeypatch.setattr(bpfloader.Map, "_call", refuse)


@pytest.fixture
def storm():
    """A function that calls another one again and again until it returns True, while signals interrupt it."""
    with interrupting() as under_fire:
        yield under_fire


def in_thread(setup, function):
    """Calls a function in a thread of its own, after a set-up that only that thread sees; returns its result."""
    result = {}

    def run():
        try:
            setup()
            result["value"] = function()
        except BaseException as error:
            result["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result.get("value")


def _own_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        pytest.skip(f"no network namespace can be made ({os.strerror(ctypes.get_errno())})")
    raise_loopback()


@pytest.fixture
def own_network(kernel):
    """A function that calls another in a network namespace of its own, whose lo is up."""
    return lambda function: in_thread(_own_network, function)


def _make_private(libc, folder: bytes) -> bool:
    """Makes the mount that holds a folder private, `/` or, in a chroot, another; whether that failed."""
    while libc.mount(b"none", folder, None, ctypes.c_ulong(MS_PRIVATE), None):
        if folder == b"/":
            return True
        folder = os.path.dirname(folder)
    return False


def _mounted(kind: bytes, place: bytes):
    with open("/proc/self/mounts", "rb") as file:
        if any((fields[1], fields[2]) == (place, kind) for fields in map(bytes.split, file)):
            return
    libc = ctypes.CDLL(None, use_errno=True)
    failed = (
        libc.unshare(CLONE_NEWNS)
        or _make_private(libc, place)
        or libc.mount(kind, place, kind, ctypes.c_ulong(0), None)
    )
    if failed:
        pytest.skip(f"{kind.decode()} can't be mounted ({os.strerror(ctypes.get_errno())})")


@pytest.fixture
def with_mount(kernel):
    """A function: a file system, a folder, a function -> what that gives in a thread where it is mounted."""
    return lambda kind, place, function: in_thread(lambda: _mounted(kind.encode(), os.fsencode(place)), function)


@pytest.fixture
def bpffs(kernel, tmp_path):
    """A new folder in a BPF file system, mounted for the test where there is none; gone afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = tmp_path / "bpf"
    mounted.mkdir()
    if libc.mount(b"bpf", os.fsencode(mounted), b"bpf", 0, None):
        pytest.skip(f"can't mount a BPF file system: {os.strerror(ctypes.get_errno())}")
    yield mounted
    libc.umount2(os.fsencode(mounted), 2)
