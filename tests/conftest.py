"""Puts the core and the loader on sys.path, as SCons and a wheel would; and the pinned inputs, for all tests."""

import functools
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for folder in ("site_scons", "loader"):
    sys.path.insert(0, str(ROOT / folder))

# ruff: noqa: E402  what stands above makes these importable
from ebpfbuild.artifacts import FetchOptions, obtain_header, obtain_tree
from ebpfbuild.console import Reporter
from ebpfbuild.errors import FetchError, MismatchError
from ebpfbuild.store import cache_folder
from ebpfbuild.toolchain import load


@pytest.fixture(scope="session")
def clang() -> list[str]:
    """The argv that starts the pinned wheel's clang."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the compiler's wheel (ziglang) is not installed")
    return [str(Path(spec.submodule_search_locations[0], "zig")), "clang", "--no-default-config"]


class Pinned:
    """The pinned headers, had as a build has them: from the cache, SCONS_BPF_MIRROR, their origins or an alternate.

    SCONS_BPF_MIRROR is what MIRROR= is for a build; unset, it is ../shared/mirror where there is one, and empty, none.
    What can't be had skips the test that wants it.
    """

    def __init__(self):
        beside = ROOT.parent / "shared" / "mirror"
        mirror = os.environ.get("SCONS_BPF_MIRROR", str(beside) if beside.is_dir() else "")
        self.toolchain = load(ROOT / "toolchain.toml")
        self.options = FetchOptions(cache_folder(os.environ), mirror or None)

    @functools.cache
    def vmlinux(self, arch: str) -> Path:
        """An arch's vmlinux.h: the pinned one or an alternate."""
        return self._had(obtain_header, self.toolchain.header(arch)).path

    @functools.cache
    def libbpf(self) -> Mapping[str, Path]:
        """libbpf's headers by name."""
        return self._had(obtain_tree, self.toolchain.libbpf).files

    def file(self, pin) -> Path:
        """What a pin of a single file stands for."""
        return self._had(obtain_header, pin).path

    def _had(self, obtain, pin):
        try:
            return obtain(pin, self.options, Reporter())
        except MismatchError:
            raise
        except FetchError as error:
            reasons = sorted({detail.rpartition(": ")[2].removesuffix(" (a moment ago)") for detail in error.details})
            pytest.skip(f"{error.what} ({', '.join(reasons)})")


@pytest.fixture(scope="session")
def pinned() -> Pinned:
    """The pinned headers of this session; a host that can't be reached is asked once."""
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
