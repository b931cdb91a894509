"""The kinds again with a newer libbpf than the machine's: one built from Debian's pinned source, where that can be had.

A system's .deb wouldn't do: a newer one wants a newer libc. Nor is it tested by its version alone: what an old libbpf
lacks (tcx, netfilter, uprobe.multi, sessions, a place among a cgroup's programs, cookies) must really attach.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.libbpf import library as libbpf
from bpfloader.kernel.versions import version_of
from ebpfbuild.pins.pins import HeaderPin, ArtifactSource

PROGRAMS = Path(__file__).parents[1] / "program"
MAPS = PROGRAMS.with_name("map")
# orig.tar.gz of Debian's source packages, the newest first: sid's leaves the pool when its next version comes.
RELEASES = {
    "1.7.0": ("7ab5feffbf78557f626f2e3e3204788528394494715a30fc2070fcddc2051b7b", 1063399),
    "1.5.0": ("53492aff6dd47e4da04ef5e672d753b9743848bdb38e9d90eafbe190b7983c44", 1036613),
}
BUILD = """-O0 -w -fPIC -shared -Wl,-soname,libbpf.so.1 -Wl,--version-script=libbpf.map -D_LARGEFILE64_SOURCE
-D_FILE_OFFSET_BITS=64 -I. -I../include -I../include/uapi""".split()
NEEDED = {"gcc": "apt install gcc", "/usr/include/libelf.h": "apt install libelf-dev",
          "/usr/include/zlib.h": "apt install zlib1g-dev"}  # fmt: skip


class TarPin(HeaderPin):
    """A source package, pinned and fetched as a header is."""

    title = property(lambda self: f"libbpf {self.kernel}'s source")


@pytest.fixture(scope="module")
def newer(pinned, kernel, tmp_path_factory) -> tuple[str, Path]:
    """(version, folder of its libbpf.so.1) of a libbpf that is newer than this machine's."""
    for thing, fix in NEEDED.items():
        if not (os.path.exists(thing) or shutil.which(thing)):
            pytest.skip(f"a libbpf can't be built without {thing} ({fix})")
    wanted = [version for version in RELEASES if version_of(version) > version_of(bpfloader.version())]
    if not wanted:
        pytest.skip(f"this machine's libbpf {bpfloader.version()} is as new as any that is pinned")
    folder = tmp_path_factory.mktemp("libbpf")
    version, archive = first_of(pinned, wanted)
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    source = folder / f"libbpf-{version}" / "src"
    files = sorted(path.name for path in source.glob("*.c"))
    subprocess.run(["gcc", *BUILD, *files, "-o", folder / "libbpf.so.1", "-lelf", "-lz"], cwd=source, check=True)
    return version, folder


def first_of(pinned, versions: list[str]) -> tuple[str, Path]:
    """(version, its source) of the first that a mirror or Debian's pool still has. Skips where there is none."""
    for version in versions:
        digest, size = RELEASES[version]
        where = f"{Path(__file__).name}: RELEASES"
        source = ArtifactSource("pool", f"pool/main/libb/libbpf/libbpf_{version}.orig.tar.gz", where)
        try:
            return version, pinned.file(TarPin("libbpf", "", version, source, digest, size, where))
        except pytest.skip.Exception as error:
            reason = error
    raise reason


def session_of(folder: Path, *tests: Path) -> subprocess.CompletedProcess:
    """Runs a session of these tests with the libbpf in a folder, in which all pass that don't skip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Another user than root may not read the folder, so what test_privileges.py does would be with the machine's libbpf.
    without = f"--ignore={PROGRAMS / 'test_privileges.py'}"
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", without, *tests]
    environment = {**kept, "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(command, env=environment, cwd=PROGRAMS.parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return done


@pytest.mark.slow
def test_every_type_of_map_works_with_a_newer_libbpf(newer):
    """It maps arenas itself, and has a descriptor for a map before there is one."""
    _, folder = newer
    kinds = ("queues", "lpm_trie", "map_in_map", "shared_memory", "stack_trace", "local_storage", "redirect")
    tests = [MAPS / f"test_{name}.py" for name in (*kinds, "before_load")]
    assert " passed" in session_of(folder, *tests).stdout


@pytest.mark.slow
def test_every_kind_attaches_with_a_newer_libbpf(newer):
    version, folder = newer
    done = session_of(folder, PROGRAMS)
    assert " passed" in done.stdout and f"libbpf {bpfloader.version()} has no" not in done.stdout
    missing = [line for line in done.stdout.splitlines() if f"libbpf {version.rpartition('.')[0]} has no" in line]
    assert not missing or version != max(RELEASES, key=version_of), missing


@pytest.mark.slow
def test_what_the_kernel_has_is_no_longer_refused_for_the_sake_of_libbpf(newer):
    version, folder = newer
    command = [sys.executable, "-m", "bpfloader", "probe", "--json"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(command, env=environment, cwd=PROGRAMS.parents[2] / "loader", capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert version_of(said["libbpf"]) == version_of(version)
    here = {name: bpfloader.attach_kind(name) for name in said["attach"]}
    for name, each in here.items():
        freed = each.ok is False and "the kernel has it; install libbpf" in each.reason
        if freed and version_of(each.reason.rpartition("install libbpf ")[2]) <= version_of(version):
            assert said["attach"][name]["ok"], said["attach"][name]
        elif not freed:
            assert said["attach"][name]["ok"] == each.ok, name


@pytest.mark.parametrize("source, named", [
    ('const char *libbpf_version_string(void) { return "v0.8"; }', "libbpf 0.8"), ("int older;", "libbpf 0.x"),
])  # fmt: skip
def test_a_libbpf_before_1_is_named_as_too_old(cc, tmp_path, monkeypatch, source, named):
    (tmp_path / "old.c").write_text(source)
    subprocess.run([*cc, "-shared", "-o", tmp_path / "libbpf.so.0", tmp_path / "old.c"], check=True)
    monkeypatch.setattr(libbpf, "OLD_LIBRARY", str(tmp_path / "libbpf.so.0"))
    with pytest.raises(bpfloader.LibraryError, match="install libbpf 1.0 or newer") as caught:
        libbpf.Library("libbpf-that-is-not-there.so.1")
    assert f"{named} (libbpf.so.0) is installed, which is too old" in str(caught.value)
