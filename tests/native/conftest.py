"""The tracker's objects by the pinned compiler and headers, its package as in the wheel, and each variant running."""

import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ebpfbuild.compile import object as compiling
from ebpfbuild.arch import Arch, host_arch
from ebpfbuild.package.content import PackageContent, PackedProgram
from ebpfbuild.package.content import package as packed
from ebpfbuild.package.skeleton import PackedSkeleton
from ebpfbuild.skeleton.skeleton import skeleton
from sightings import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
HOST = host_arch(os.uname().machine)


@pytest.fixture(scope="session")
def compiled(clang, pinned, tmp_path_factory):
    """A function arch -> the object's bytes and clang's warnings, compiled as the build does; -Wextra on top."""
    root = tmp_path_factory.mktemp("tracker")
    shutil.copytree(ROOT / "bpf", root / "bpf")

    @functools.cache
    def compile_(arch: Arch) -> compiling.CompiledObject:
        header, tree = pinned.vmlinux(arch.name), pinned.libbpf()
        folder = root / arch.name
        (folder / "libbpf" / "bpf").mkdir(parents=True)
        shutil.copy(header, folder / "vmlinux.h")
        for name, path in tree.items():
            shutil.copy(path, folder / "libbpf" / "bpf" / name)
        known = [str(path.relative_to(root)) for path in root.rglob("*.h")]
        output = f"{arch.name}/socket_tracker.bpf.o"
        folders = arch.name, f"{arch.name}/libbpf"
        source = "bpf/socket_tracker.bpf.c"
        args = compiling.CompileArgs(tuple(clang), arch, source, output, *folders, cflags=("-Wextra",))
        return compiling.compiled(args, known, str(root))

    return compile_


def _files(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def package(request, tmp_path_factory):
    """A folder for sys.path with the package `socket_tracker` for this machine, laid out as in the wheel.

    In a booted guest the wheel itself is installed.
    """
    if os.environ.get("BOOT_TEST") == "1":
        folders = map(Path, os.environ["PYTHONPATH"].split(":"))
        return next(folder for folder in folders if (folder / "socket_tracker" / "bpfloader").is_dir())
    objects = {HOST.name: request.getfixturevalue("compiled")(HOST).data}
    text = skeleton(objects, "socket_tracker", "socket_tracker.bpf.o")
    made = PackedSkeleton("socket_tracker_skel.py", text.module, text.stub)
    app, loader = _files(ROOT / "loader" / "socket_tracker"), _files(ROOT / "loader" / "bpfloader")
    parts = PackageContent([PackedProgram("socket_tracker.bpf.o", objects, made, {})], app, loader, {})
    folder = tmp_path_factory.mktemp("package")
    for name, content in packed("socket_tracker", "1", parts).wheel.items():
        path = folder / "socket_tracker" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def tracker(package, libbpf):
    """The module `socket_tracker` of the package; skips where no BPF program can be loaded at all."""
    if os.geteuid():
        pytest.skip("loading BPF programs wants root")
    sys.path.insert(0, str(package))
    try:
        module = importlib.import_module("socket_tracker")
    finally:
        sys.path.remove(str(package))
    assert Path(module.__file__).is_relative_to(package)
    return module


@pytest.fixture(scope="session")
def refusal(tracker):
    """A function variant -> why this kernel doesn't take it, "" if it does; asked once a session."""

    @functools.cache
    def ask(variant: str) -> str:
        try:
            tracker.start(variant=variant).object.destroy()
        except tracker.bpfloader.VariantsError as error:
            return f"{variant}: {error.refused[variant].what}"
        except tracker.bpfloader.LibraryError as error:
            return str(error)
        return ""

    return ask


@pytest.fixture
def bpf_testbed(tracker):
    """The testbed of the loader in the tracker's package."""
    with importlib.import_module("socket_tracker.bpfloader.testing").private_testbed() as bed:
        yield bed


@pytest.fixture(params=["fentry", "kprobe", "tp_btf"])
def start(request, tracker, refusal, bpf_testbed):
    """A function that starts one variant of the tracker; its object is destroyed after the test."""
    if reason := refusal(request.param):
        pytest.skip(reason)

    def run(**options):
        filters = importlib.import_module("socket_tracker.filters").Filters(**options)
        return bpf_testbed.open(lambda: tracker.start(filters, request.param).object)

    run.variant = request.param
    return run


@pytest.fixture
def traffic():
    """A function that runs one of traffic.py's kinds in a process of its own and returns what it did."""

    def make(name: str) -> dict:
        script = Path(__file__).with_name("traffic.py")
        done = subprocess.run([sys.executable, str(script), name], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return make


@pytest.fixture
def run(package, tracker):
    """A function that starts the app, waits until it watches, and returns the process; skips where no variant works.

    Its `said` is what the app last said on stderr until then, the line that it watches at the end.
    """
    started = []

    def start(*arguments: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-u", "-m", "socket_tracker", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(package)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        start.said = []
        for line in started[-1].stderr:
            start.said.append(line)
            if line.startswith("socket_tracker: variant "):
                return started[-1]
        said = "".join(start.said)
        if "this kernel takes none" in said:
            pytest.skip(said[said.index("this kernel takes none") :].strip())
        pytest.fail(said)

    yield start
    for process in started:
        process.kill()
        process.communicate()
