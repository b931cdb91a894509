"""Entries of the store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_world import HEADER, digest
from rows import rows
from unfit import KINDS, make

SITE = Path(__file__).resolve().parents[2] / "site_scons"


def rewrite(data):
    """Puts other bytes into an entry, which is read-only."""

    def damage(path):
        path.unlink()
        path.write_bytes(data)

    return damage


def link(target):
    """Puts a symlink in an entry's place."""

    def damage(path):
        path.unlink()
        path.symlink_to(target)

    return damage


def unfit(kind):
    """Puts what is no file in an entry's place."""

    def damage(path):
        path.unlink()
        make(path.parent, kind).rename(path)

    return damage


def full_folder(path):
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def gigabytes(path):
    path.unlink()
    with path.open("wb") as file:
        file.truncate(20 << 30)


DAMAGE = {
    "an edited entry": rewrite(b"X" + HEADER[1:]),
    "an entry of the right size with one bit flipped": rewrite(HEADER[:-1] + bytes([HEADER[-1] ^ 1])),
    "a truncated entry": rewrite(HEADER[:-1]),
    "a longer entry": rewrite(HEADER + b"x"),
    "an empty entry": rewrite(b""),
    "an entry of gigabytes": gigabytes,
    "an entry that is a symlink to another file": link("/etc/passwd"),
    "an entry that is a symlink to nothing": link("nowhere"),
    "an entry that is a symlink to itself": link(digest(HEADER)),
    "an entry that is a folder with files": full_folder,
    **{f"an entry that is {kind}": unfit(kind) for kind in KINDS},
}


@rows(DAMAGE)
def test_a_damaged_entry(world, fault):
    """It is set aside with a notice and fetched anew; nothing is used that isn't the pinned bytes."""
    entry = world.header().path
    for _ in range(2):  # what was set aside before is in nobody's way
        del world.heard.notices[:]
        fault(entry)
        gone = os.path.islink(entry) and os.readlink(entry) == "nowhere"  # is no entry: nothing to tell of
        assert world.header().path.read_bytes() == HEADER
        assert entry.is_file() and not entry.is_symlink() and entry.stat().st_mode & 0o777 == 0o444
        assert len(world.heard.notices) == (not gone)
        assert gone or "was corrupt; it is set aside as " in world.heard.notices[0]
    world.down()
    assert world.header().path.read_bytes() == HEADER, "the store has it"


@rows(DAMAGE)
def test_a_damaged_entry_offline(world, fault):
    """Without a network: one line, and nothing is used. With one, the next fetch gives the right bytes."""
    fault(world.header().path)
    with pytest.raises(Exception, match="vmlinux.h for x86_64.*is not in the cache .*, and --offline connects to nothing"):
        world.header(offline=True)
    assert world.header().path.read_bytes() == HEADER


FETCH = """\
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ebpfbuild.console import Reporter
from ebpfbuild.fetch.obtain import obtain_header, obtain_tree
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.minimize.index_cache import IndexCache
from ebpfbuild.pins import toolchain
pins, options = toolchain.load(sys.argv[2]), FetchOptions(Path(sys.argv[3]), machine=Path(sys.argv[4]))
header = obtain_header(pins.header("x86_64"), options, Reporter())
tree = obtain_tree(pins.libbpf, options, Reporter())
index = IndexCache(Path(sys.argv[3]), lambda key, find: find()).get(header.path, header.sha256)
print(header.sha256, *sorted(path.name for path in tree.files.values()), len(index.text))
"""


@rows(["8 builds at once on one store"])
def test_builds_at_once(world, fault):
    """Each has the right bytes, and each artifact is fetched once."""
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, "-c", FETCH, SITE, world.folder / "toolchain.toml", world.cache, world.machine]
    builds = [subprocess.Popen(command, env=environ, text=True, stdout=-1, stderr=-1) for _ in range(8)]
    said = {build.communicate(timeout=120) for build in builds}
    assert [build.returncode for build in builds] == [0] * 8, said
    assert len(said) == 1 and digest(HEADER) in said.pop()[0]
    assert world.server.seen.count("/vmlinux.h") == world.server.seen.count("/libbpf.tar.gz") == 1
    for path in (world.cache / "sha256").iterdir():
        assert digest(path.read_bytes()) == path.name
