"""What the loader's tests bring where the machine has no libbpf.so.1: which library, from where, and what is said if none."""

import os
import subprocess
import sys
from pathlib import Path

import libraries
import pytest
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.errors import MismatchError
from libraries import Missing, fitting, provide

TESTS = Path(__file__).resolve().parents[1]
# A process in which nothing is installed: it gets all three, loads libbpf by its name, and so does a process that it starts.
BARE = """if True:
    import contextlib, ctypes, subprocess, sys
    from pathlib import Path
    sys.path[:0] = sys.argv[2:]
    import libraries
    from ebpfbuild.fetch.options import FetchOptions
    from ebpfbuild.fetch.store import cache_folder
    import os
    libraries._loads = lambda soname: False
    offline = os.environ.get("SCONS_BPF_OFFLINE") == "1"
    try:
        libraries.provide(FetchOptions(cache_folder(os.environ), offline=offline), Path(sys.argv[1]))
    except libraries.Missing as error:
        sys.exit(f"missing: {error}")
    show = "import ctypes; ctypes.CDLL('libbpf.so.1'); print(*{line.split()[-1] for line in open('/proc/self/maps') if '/lib' in line})"
    exec(show)
    subprocess.run([sys.executable, "-c", show], check=True)
"""


@pytest.fixture
def bare(monkeypatch):
    """A machine that has none of the libraries."""
    monkeypatch.setattr(libraries, "_loads", lambda soname: False)


@pytest.fixture
def nowhere(tmp_path):
    """A way to fetch that finds nothing: no cache, no apt, no network."""
    return FetchOptions(tmp_path / "cache", offline=True, machine=tmp_path)


def test_a_machine_without_them_gets_them(tmp_path):
    command = [sys.executable, "-c", BARE, str(tmp_path / "libs"), str(TESTS), str(TESTS.parent / "site_scons")]
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.stderr.startswith("missing: "):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    ours = {str(tmp_path / "libs" / soname) for soname in ("libz.so.1", "libelf.so.1", "libbpf.so.1")}
    for line in done.stdout.splitlines():
        assert ours <= set(line.split())


def test_a_machine_with_libbpf_is_left_alone(tmp_path, monkeypatch, nowhere):
    monkeypatch.setattr(libraries, "_loads", lambda soname: soname == "libbpf.so.1")
    before = os.environ.get("LD_LIBRARY_PATH")
    provide(nowhere, tmp_path / "libs")
    assert not (tmp_path / "libs").exists() and os.environ.get("LD_LIBRARY_PATH") == before


@pytest.mark.parametrize(("glibc", "files"), [
    ((2, 41), ["libz.so.1.2.13", "libelf-0.188.so", "libbpf.so.1.5.0"]),
    ((2, 36), ["libz.so.1.2.13", "libelf-0.188.so", "libbpf.so.1.1.2"]),
])  # fmt: skip
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_newest_that_the_machine_can_load(glibc, files, machine):
    trees = list(fitting(machine, glibc))
    assert [file for tree in trees for file in tree.files] == files
    assert all(f"/{machine}-linux-gnu" in f"/{source.inside}" for tree in trees for source in tree.sources)


@pytest.mark.parametrize(("glibc", "machine", "said"), [
    ((2, 31), "x86_64", "this machine has 2.31, and no other is pinned"),
    ((2, 41), "s390x", "is not pinned for this machine, s390x"),
    ((), "x86_64", "this machine's C library is another one"),
])  # fmt: skip
def test_a_machine_that_none_is_pinned_for(bare, monkeypatch, nowhere, tmp_path, glibc, machine, said):
    monkeypatch.setattr(libraries, "this_machine", lambda: (machine, glibc))
    with pytest.raises(Missing, match=said):
        provide(nowhere, tmp_path / "libs")


def test_a_pool_that_can_not_be_reached_is_a_reason_to_skip(bare, nowhere, tmp_path):
    with pytest.raises(Missing, match="^libbpf.so.1 is not installed .*libz.so.1 can't be fetched: .*--offline") as caught:
        provide(nowhere, tmp_path / "libs")
    assert "\n" not in str(caught.value)


def test_other_bytes_are_no_reason_to_skip(bare, tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "this_machine", lambda: ("x86_64", (2, 41)))
    package = tmp_path / "mirror" / next(fitting("x86_64", (2, 41))).sources[0].location
    package.parent.mkdir(parents=True)
    package.write_bytes(b"!<arch>\n other")
    options = FetchOptions(tmp_path / "cache", mirror=str(tmp_path / "mirror"), offline=True, machine=tmp_path)
    with pytest.raises(MismatchError):
        provide(options, tmp_path / "libs")


def test_what_does_not_load_is_a_reason_to_skip(tmp_path):
    (tmp_path / "libbpf.so.1").write_bytes(b"no library")
    with pytest.raises(Missing, match="libbpf.so.1 of Debian's pool does not load here: "):
        libraries._load(tmp_path / "libbpf.so.1")
