"""Files out of tar archives and .debs: real ones, and damaged at random. tests/faults has hostile ones."""

import contextlib
import lzma
import shutil
import subprocess
import sys

import pytest
from archives import FILES, deb, tar
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.archive import unpack
from ebpfbuild.archive.members import ar_members, deb_data, read_members
from ebpfbuild.errors import ArchiveError


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_only_what_is_asked_for_comes_out(mode):
    assert read_members(tar(mode=mode), ["src/a.h"]) == {"src/a.h": FILES["src/a.h"]}
    assert read_members(tar(mode=mode), list(FILES)) == FILES


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_a_deb_whatever_its_data_is_compressed_with(mode):
    files = {f"./{name}": data for name, data in FILES.items()}  # as dpkg writes them
    assert read_members(deb(tar(files, mode)), ["src/b.h"]) == {"src/b.h": FILES["src/b.h"]}


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb on this machine")
def test_a_deb_that_dpkg_made(tmp_path):
    root = tmp_path / "root"
    (root / "usr/include").mkdir(parents=True)
    (root / "usr/include/x.h").write_bytes(b"x" * 4321)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n")
    for kind in ("xz", "gzip"):
        out = tmp_path / f"{kind}.deb"
        subprocess.run(["dpkg-deb", f"-Z{kind}", "--build", root, out], check=True, capture_output=True)
        assert read_members(out.read_bytes(), ["usr/include/x.h"]) == {"usr/include/x.h": b"x" * 4321}


@pytest.fixture
def zstd():
    """The module that compresses with zstd: Python 3.14's, or the one of requirements.lock."""
    return pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def test_a_deb_that_is_compressed_with_zstd(zstd, monkeypatch):
    """As Ubuntu's are. A damaged one, in any byte, is an error or the same files; a bomb is an error."""
    packed = zstd.compress(tar(mode="w"))
    assert read_members(deb(packed, "data.tar.zst"), list(FILES)) == FILES
    for at in range(4, len(packed)):
        broken = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        for data in (broken, packed[:at]):
            with contextlib.suppress(ArchiveError):
                read_members(deb(data, "data.tar.zst"), ["src/a.h"])
    with pytest.raises(ArchiveError, match="holds compressed data that can.t be read"):
        read_members(deb(packed[:4] + b"rest", "data.tar.zst"), ["src/a.h"])
    monkeypatch.setattr(unpack, "MAX_UNPACKED_SIZE", 1 << 20)
    with pytest.raises(ArchiveError, match="unpacks to more than 1048576 bytes"):
        read_members(zstd.compress(tar({"zeros": bytes(2 << 20), **FILES}, "w")), ["src/a.h"])


def test_where_nothing_reads_zstd_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(ArchiveError, match=r"compressed with zstd, .*; run ./sconsw, or pip install .* \(backports.zstd\)"):
        read_members(deb(b"\x28\xb5\x2f\xfd rest", "data.tar.zst"), ["src/a.h"])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300).map(lambda tail: b"!<arch>\n" + tail) | st.binary(max_size=50))
def test_any_bytes_are_an_ar_archive_or_an_error(data):
    try:
        members = ar_members(data)
    except ArchiveError:
        return
    assert sum(60 + len(content) for _, content in members) <= len(data)


SEEDS = [tar(), tar(mode="w"), tar(mode="w:xz"), deb(tar(mode="w:xz")), deb(tar(mode="w"), "data.tar")]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=6),
       st.integers(0, 12000))
def test_a_damaged_archive_gives_files_or_an_error(seed, edits, length):
    data = bytearray(seed[:length] if length < len(seed) else seed)
    for at, value in edits:
        if data:
            data[at % len(data)] = value
    try:
        assert set(read_members(bytes(data), list(FILES), limit=1 << 20)) == set(FILES)
    except ArchiveError as error:
        assert "\n" not in error.what


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=512, max_size=512), st.binary(max_size=1024))
def test_a_random_tar_header_gives_files_or_an_error(header, rest):
    block = bytearray(header)
    block[257:263] = b"ustar\0"
    checksum = sum(block[:148]) + sum(block[156:]) + 8 * 32
    block[148:156] = b"%06o\0 " % checksum
    try:
        read_members(bytes(block) + rest, ["src/a.h"])
    except ArchiveError:
        return
    pytest.fail("a random header can't hold src/a.h")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,120}", fullmatch=True), st.binary(max_size=2000), max_size=5))
def test_what_goes_in_comes_out(files):
    assert read_members(lzma.compress(tar(files, "w")), list(files)) == files
    packed = tar(files)
    assert deb_data(deb(packed)) == packed
