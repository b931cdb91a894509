"""Files that are none: what would hold a build up, or fill its memory, is refused before it is read."""

import os
import time

import pytest
from unfit import KINDS, make
from ebpfbuild.files import UnfitFileError, is_gone, open_regular, read_regular, require_regular

@pytest.mark.parametrize("read", [require_regular, open_regular, read_regular])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, read):
    path = make(tmp_path, kind)
    began = time.monotonic()
    with pytest.raises(UnfitFileError) as caught:
        read(path)
    assert caught.value.strerror == f"is {kind}, not a file" and caught.value.filename == str(path)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("read", [require_regular, open_regular, read_regular])
def test_a_file_of_gigabytes_is_refused_before_it_is_read(tmp_path, read):
    path = tmp_path / "input"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(UnfitFileError, match="is larger than the 67108864 bytes that are read"):
        read(path)


def test_a_file_up_to_the_limit_is_read_whole(tmp_path):
    path = tmp_path / "input"
    for size in (0, 1, 3 << 20):
        path.write_bytes(b"x" * size)
        assert read_regular(path, max(size, 1)) == b"x" * size
    with pytest.raises(UnfitFileError):
        read_regular(path, (3 << 20) - 1)


def test_a_size_that_is_told_wrongly_doesn_t_matter():
    assert read_regular("/proc/self/status").startswith(b"Name:")
    with pytest.raises(UnfitFileError):
        read_regular("/proc/self/status", 10)


def test_a_file_that_became_a_pipe_meanwhile_is_refused(tmp_path, monkeypatch):
    path, found = make(tmp_path, "a named pipe"), os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda path: found)
    with pytest.raises(UnfitFileError, match="a named pipe"):
        open_regular(path)


def test_what_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "input")


def test_a_symlink_in_a_circle_is_told_by_the_first_that_is_one(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").symlink_to("file")
    with pytest.raises(UnfitFileError, match="is a symlink that leads back to itself") as caught:
        read_regular(tmp_path / "folder" / "file")
    assert caught.value.strerror.startswith("is a symlink")
    with pytest.raises(UnfitFileError, match="lies behind one, which is a symlink that leads back to itself"):
        read_regular(tmp_path / "one" / "deep" / "file")


def test_what_is_gone(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("none")
    (tmp_path / "file").touch()
    gone = {name for name in ("circle", "circle/x", "nowhere", "nowhere/x", "file", "file/x", "none") if is_gone(tmp_path / name)}
    assert gone == {"nowhere/x", "file/x", "none"}
