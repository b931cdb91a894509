"""Puts the core and the loader on sys.path, as SCons and a wheel would; and the pinned inputs, for all tests."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

try:
    from hypothesis import settings
except ImportError:  # a booted guest has pure Python alone
    settings = None

ROOT = Path(__file__).resolve().parent.parent
for folder in ("site_scons", "loader"):
    sys.path.insert(0, str(ROOT / folder))

# ruff: noqa: E402  what stands above makes these importable
from ebpfbuild.errors import EbpfError, FetchError, MismatchError
from ebpfbuild.console import Reporter
from ebpfbuild.pins.toolchain import load

IN_GUEST = os.environ.get("BOOT_TEST") == "1"  # a booted kernel's, where `boot test` runs tests
if not IN_GUEST:  # which has no network, and none of what builds
    import libraries
    from ebpfbuild.fetch.mirror import mirror_login
    from ebpfbuild.fetch.obtain import obtain_header, obtain_tree
    from ebpfbuild.fetch.options import FetchOptions
    from ebpfbuild.fetch.install import install_tree
    from ebpfbuild.fetch.store import cache_folder
    from ebpfbuild.link.libraries import PROGRAM_LOADER, Linker, libraries_for, linker as linker_of, this_machine
    from scons_project import built, built_once, compiler, declare, known, make_project, one_program, project  # noqa: F401  fixtures

# A red run is about the change, so each test has the same examples in each run, but for the constants that hypothesis
# takes from whatever modules are loaded. `--hypothesis-profile=fuzz` draws others.
if settings:
    settings.register_profile("same", derandomize=True, database=None)
    settings.register_profile("fuzz", print_blob=True)
    settings.load_profile("same")

NO_LIBBPF = pytest.StashKey[str]()  # why there is no libbpf.so.1


class NoCompiler(list):
    """The argv of a compiler in a guest, which has none: a test that starts it is skipped.

    What the tests compile most is there, see loader/prebuilt.py.
    """

    def __iter__(self):
        pytest.skip("a guest has no compiler")

    def __getitem__(self, index):
        pytest.skip("a guest has no compiler")


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(tmp_path_factory):
    """All calls of mypy in a run share a cache: reading the standard library's types takes most of their time."""
    workers = os.environ.get("PYTEST_XDIST_WORKER") is not None
    base = tmp_path_factory.getbasetemp()
    os.environ["MYPY_CACHE_DIR"] = str((base.parent if workers else base) / "mypy")


@pytest.fixture(scope="session")
def clang() -> list[str]:
    """The argv that starts the pinned wheel's clang."""
    if IN_GUEST:
        return NoCompiler()
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the compiler's wheel (ziglang) is not installed")
    return [str(Path(spec.submodule_search_locations[0], "zig")), "clang", "--no-default-config"]


def fetch_options() -> FetchOptions:
    """How tests fetch what is pinned: through SCONS_BPF_MIRROR, or ../shared/mirror where there is one.

    With SCONS_BPF_OFFLINE=1, which `./sconsw --offline test` sets, nothing is connected to.
    """
    beside = ROOT.parent / "shared" / "mirror"
    mirror = os.environ.get("SCONS_BPF_MIRROR", str(beside) if beside.is_dir() else "")
    offline = os.environ.get("SCONS_BPF_OFFLINE") == "1"
    login = None if offline else mirror_login(mirror, os.environ, ROOT)
    return FetchOptions(cache_folder(os.environ), mirror or None, offline=offline, login=login)


@pytest.fixture
def open_folder():
    """A temporary folder that every user can reach; pytest's own are closed to others, again by each session that starts."""
    with tempfile.TemporaryDirectory(prefix="scons-bpf-tests-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def online() -> None:
    """Skips where nothing but this machine may be connected to."""
    if fetch_options().offline:
        pytest.skip("--offline connects to nothing")


def pytest_addoption(parser) -> None:
    parser.addoption("--runslow", action="store_true", help="run the tests that are marked as slow, too")


def pytest_collection_modifyitems(config, items) -> None:
    """Leaves out slow tests of a whole run without --runslow; where files or folders are named, all of theirs run."""
    whole = {Path(name).resolve() for name in config.args} <= {ROOT, ROOT / "tests"}
    if whole and not config.option.runslow:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_configure(config) -> None:
    """Sets pytest up, and brings libbpf.so.1 where the machine has none, before a worker or a test starts."""
    config.addinivalue_line("markers", "slow: a whole run leaves it out, unless asked for by --runslow")
    # Python 3.12 warns of it in each worker, which has threads; tests fork on purpose, and their children do little.
    config.addinivalue_line("filterwarnings", "ignore:.*use of fork:DeprecationWarning")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background; tests interrupt their children
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if IN_GUEST:  # libbpf is part of it
        return
    try:
        libraries.provide(fetch_options())
    except libraries.Missing as error:
        config.stash[NO_LIBBPF] = str(error)
    except EbpfError as error:  # bytes that are not the pinned ones
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def libbpf(pytestconfig) -> None:
    """Skips where there is no libbpf.so.1."""
    if NO_LIBBPF in pytestconfig.stash:
        pytest.skip(pytestconfig.stash[NO_LIBBPF])


@pytest.fixture(scope="session")
def kernel(libbpf) -> None:
    """Skips where this process or this kernel can't load BPF objects."""
    if os.geteuid() != 0:
        pytest.skip("loading BPF programs needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux") and "BOOT_BTF" not in os.environ:
        pytest.skip("this kernel has no BTF (/sys/kernel/btf/vmlinux)")


@pytest.fixture(scope="session")
def cc() -> list[str]:
    """The argv of a C compiler for this machine: its own, else zig's, which comes with the compiler's wheel."""
    if IN_GUEST:
        return NoCompiler()
    own = next(filter(shutil.which, ("gcc", "cc", "clang")), None)
    if own:
        return [own]
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no C compiler (apt install gcc), and the wheel ziglang is not installed")
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(ROOT / "build" / "zig-cache"))
    return [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all"]


class Pinned:
    """The pinned headers, had as a build has them: from the cache, SCONS_BPF_MIRROR, their origins or an alternate.

    SCONS_BPF_MIRROR is what MIRROR= is for a build; unset, it is ../shared/mirror where there is one, and empty, none.
    What can't be had skips the test that wants it.
    """

    def __init__(self):
        self.toolchain = load(ROOT / "toolchain.toml")
        self.options = fetch_options()

    @functools.cache
    def vmlinux(self, arch: str) -> Path:
        """An arch's vmlinux.h: the pinned one or an alternate."""
        return self._had(obtain_header, self.toolchain.header(arch)).path

    @functools.cache
    def libbpf(self) -> Mapping[str, Path]:
        """libbpf's headers by name."""
        return self._had(obtain_tree, self.toolchain.libbpf).files

    def tree(self, pin) -> Mapping[str, Path]:
        """The files of another tree that is pinned, by name."""
        return self._had(obtain_tree, pin).files

    def file(self, pin) -> Path:
        """What a pin of a single file stands for."""
        return self._had(obtain_header, pin).path

    def _had(self, obtain, pin):
        try:
            return obtain(pin, self.options, Reporter())
        except MismatchError:
            raise
        except FetchError as error:
            pytest.skip(libraries.reasons(error))


@pytest.fixture(scope="session")
def linker(pinned, tmp_path_factory) -> Linker:
    """The pinned linker of this machine, as a build installs it."""
    folder = tmp_path_factory.mktemp("linker")
    needed = libraries_for(pinned.toolchain.linker, *this_machine())
    for tree in [*needed.libraries, *filter(None, [needed.c_library])]:
        pinned.tree(tree)  # skips where it can't be had
        install_tree(tree, pinned.options, Reporter(), folder / tree.key, folder / tree.key / "files.sha256")
    for path in folder.rglob(f"{PROGRAM_LOADER}*"):
        path.chmod(0o755)
    return linker_of(needed, lambda tree: folder / tree.key)


@pytest.fixture(scope="session")
def pinned() -> Pinned:
    """The pinned headers of this session; a host that can't be reached is asked once."""
    if IN_GUEST:
        pytest.skip("a guest has no network")
    return Pinned()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Places a skip where its reason was found, not where it was wanted: so `-rs` lists each reason once."""
    report = yield
    if report.skipped and call.excinfo and call.excinfo.errisinstance(pytest.skip.Exception):
        raised = call.excinfo.traceback.filter(call.excinfo)[-1]
        if Path(raised.path).is_relative_to(ROOT / "tests"):  # a mark is raised by pytest
            report.longrepr = str(raised.path), raised.lineno + 1, report.longrepr[2]
    return report
