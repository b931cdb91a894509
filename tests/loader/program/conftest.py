"""Programs of every kind, and a binary with probes."""

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from compiling import ARCHES, compile_program
from probed_binary import BINARY

GET_ATTACH_COOKIE = "#174"  # as each kernel's verifier ends a helper's name with its number


@pytest.fixture(scope="session")
def skeleton_of(clang, tmp_path_factory, libbpf):
    """A function: the name of a program in testdata/loader -> its generated module."""
    from ebpfbuild.skeleton.skeleton import render

    folder, machine = tmp_path_factory.mktemp("kinds"), platform.machine()

    def generated(name: str):
        module = f"{name}_skel"
        if module not in sys.modules:
            data = compile_program(clang, name)
            (folder / f"{name}.bpf.o").write_bytes(data)
            text = render(data, name, ARCHES.get(machine, machine), f"{name}.bpf.o")
            (folder / f"{module}.py").write_text(text)
            spec = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
            loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
        return sys.modules[module]

    return generated


@pytest.fixture(scope="session")
def kinds(skeleton_of):
    """The skeleton's class of kinds.bpf.c."""
    return skeleton_of("kinds").Kinds


@pytest.fixture
def start(kinds, kernel):
    """A function: names of programs -> the object with these loaded. It is destroyed after the test.

    Its `rodata.with_cookies` says whether the kernel lets these programs ask for their cookie.
    """
    from bpfloader import VerifierError

    opened = []

    def load(programs: tuple[str, ...], pid: int, cookies: bool):
        bpf = kinds.open()
        opened.append(bpf)
        bpf.select(programs)
        bpf.rodata.target_pid = pid
        bpf.rodata.with_cookies = cookies
        bpf.load()
        return bpf

    def started(*programs: str, pid: int = 0):
        if "on_usdt" in programs and tuple(map(int, bpfloader.version().split(".")[:2])) >= (1, 7):
            pytest.skip(f"libbpf {bpfloader.version()} has other specs of static probes than the program's own")
        try:
            return load(programs, pid, True)
        except VerifierError as error:
            if GET_ATTACH_COOKIE not in error.what:
                raise
        return load(programs, pid, False)

    yield started
    for bpf in opened:
        bpf.destroy()


@pytest.fixture
def permitted(start):
    """`start`, but skips where the kernel doesn't permit such programs and its verifier says nothing of them."""
    from bpfloader import LoadError, VerifierError

    def started(*programs: str, pid: int = 0):
        try:
            return start(*programs, pid=pid)
        except LoadError as error:
            if error.errno_name != "EPERM" or isinstance(error, VerifierError):
                raise
            pytest.skip(error.what)

    return started


@pytest.fixture(scope="session")
def binary(cc, tmp_path_factory) -> Path:
    """A program with functions `work` and `more` and the static probe tests:beat; its argument is how often."""
    folder = tmp_path_factory.mktemp("probed")
    (folder / "probed.c").write_text(BINARY)
    subprocess.run([*cc, "-O1", "-o", folder / "probed", folder / "probed.c"], check=True)
    return folder / "probed"


@pytest.fixture
def attached():
    """A function that calls attach, and skips where the kernel or libbpf refuses that kind, with its reason."""
    from bpfloader import LibraryError, RefusedError

    def call(attach, *arguments, **options):
        try:
            return attach(*arguments, **options)
        except (RefusedError, LibraryError) as error:
            pytest.skip(error.what)

    return call
