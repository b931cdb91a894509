"""Programs of every kind, and a binary with probes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from compiling import IN_GUEST, compile_program, prebuilt, skeleton_text, this_arch
from daemons import numbered
from probed_binary import BINARY

GET_ATTACH_COOKIE = "#174"  # as each kernel's verifier ends a helper's name with its number


@pytest.fixture(scope="session")
def skeleton_of(clang, tmp_path_factory, libbpf):
    """A function: the name of a program in testdata/loader -> its generated module."""
    folder = tmp_path_factory.mktemp("kinds")

    def generated(name: str):
        module = f"{name}_skel"
        if module not in sys.modules:
            data = compile_program(clang, name)
            (folder / f"{name}.bpf.o").write_bytes(data)
            (folder / f"{module}.py").write_text(skeleton_text(data, name))
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
    path = tmp_path_factory.mktemp("probed") / "probed"
    if IN_GUEST:
        path.write_bytes(prebuilt(f"{this_arch()}/probed"))
        path.chmod(0o755)
    else:
        subprocess.run([*cc, "-O1", "-x", "c", "-", "-o", path], input=BINARY, text=True, check=True)
    return path


@pytest.fixture
def attached():
    """A function that calls attach, and skips where the kernel or libbpf refuses that kind, with its reason."""
    from bpfloader import LibraryError, RefusedError
    from bpfloader.testing.reasons import reason_of

    def call(attach, *arguments, **options):
        try:
            return attach(*arguments, **options)
        except (RefusedError, LibraryError) as error:
            vague = "the target is no such thing" in error.what
            section = getattr(getattr(attach, "__self__", None), "section", "") if vague else ""
            pytest.skip(reason_of(error, [section] if section else ()) or error.what)

    return call


@pytest.fixture(scope="session")
def restart(skeleton_of):
    return numbered(skeleton_of("restart").Restart)


@pytest.fixture(scope="session")
def next_version(skeleton_of):
    return numbered(skeleton_of("restart_next").RestartNext)


@pytest.fixture
def layout(skeleton_of):
    return skeleton_of("layout").Layout


@pytest.fixture
def pins(bpffs):
    """Where a daemon pins."""
    return str(bpffs / "daemon")


@pytest.fixture
def unloaded(restart, kernel):
    with restart.open() as bpf:
        yield bpf
