"""The ledger: digests by stat, and outputs that somebody changed."""

import hashlib
import os

import pytest

from ebpfbuild.rebuild.ledger import Ledger


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_a_digest_follows_the_bytes(tmp_path):
    ledger, file = Ledger(tmp_path / "ledger"), tmp_path / "file"
    file.write_bytes(b"one")
    assert ledger.digest(str(file)) == digest(b"one")
    file.write_bytes(b"two")
    assert ledger.digest(str(file)) == digest(b"two")


def test_an_output_is_intact_until_its_bytes_change(tmp_path):
    ledger, file = Ledger(tmp_path / "ledger"), tmp_path / "file"
    file.write_bytes(b"made")
    assert not ledger.intact(str(file)), "nobody saw it built"
    ledger.built(str(file))
    os.utime(file)
    assert ledger.intact(str(file)), "a touch changes no byte"
    file.write_bytes(b"edit")
    assert not ledger.intact(str(file))
    assert not ledger.intact(str(file)), "looking at an edited output must not make it good"
    file.unlink()
    assert not ledger.intact(str(file))


def test_a_digest_that_is_told_is_that_of_what_was_written_and_no_edit_passes_for_it(tmp_path, monkeypatch):
    """Between the writing and the look at it somebody may edit it, within one tick of the clock or long after."""
    ledger, file = Ledger(tmp_path / "ledger"), tmp_path / "file"
    file.write_bytes(b"made")
    ledger.built(str(file), sha256=digest(b"made"))
    assert ledger.intact(str(file)) and ledger.digest(str(file)) == digest(b"made")
    file.write_bytes(b"edit")
    ledger.built(str(file), sha256=digest(b"made"))
    assert not ledger.intact(str(file))
    monkeypatch.setattr("ebpfbuild.rebuild.ledger.TICK", 0)
    ledger.built(str(file), sha256=digest(b"made"))
    assert ledger.digest(str(file)) == digest(b"edit"), "a stat that vouches is of the bytes that are there"


def test_an_edit_with_the_old_time_is_seen(tmp_path):
    ledger, file = Ledger(tmp_path / "ledger"), tmp_path / "file"
    file.write_bytes(b"made")
    ledger.built(str(file))
    stat = file.stat()
    file.write_bytes(b"edit")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not ledger.intact(str(file))


def test_it_is_remembered_across_builds_and_a_torn_line_is_passed_over(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"made")
    first = Ledger(tmp_path / "ledger")
    first.built(str(file))
    first.keep()
    assert first.fact("key", lambda: {"found": 1}) == {"found": 1}
    with open(tmp_path / "ledger", "a") as ledger:
        ledger.write('["file", "/torn", 1, 2\n[]\n{"not": "a line"}\nnull\n00000000 []\n["file"')
    second = Ledger(tmp_path / "ledger")
    assert second.intact(str(file))
    assert second.fact("key", lambda: 1 / 0) == {"found": 1}
    assert second.fact("behind a torn line", lambda: {"found": 2}) == {"found": 2}
    assert Ledger(tmp_path / "ledger").fact("behind a torn line", lambda: 1 / 0) == {"found": 2}


def test_it_does_not_grow_for_ever(tmp_path):
    file = tmp_path / "file"
    ledger = Ledger(tmp_path / "ledger")
    for number in range(300):
        file.write_bytes(str(number).encode())
        ledger.built(str(file))
    ledger.keep()
    Ledger(tmp_path / "ledger")
    assert len((tmp_path / "ledger").read_text().splitlines()) == 1
    assert Ledger(tmp_path / "ledger").intact(str(file))


def test_a_stat_of_this_very_tick_vouches_for_nothing(tmp_path, monkeypatch):
    """An edit within the tick of the clock in which the file was hashed leaves the same size, mtime and ctime."""
    ledger, file = Ledger(tmp_path / "ledger"), tmp_path / "file"
    file.write_bytes(b"one")
    stat = ledger._stat(str(file))
    monkeypatch.setattr(Ledger, "_stat", staticmethod(lambda path: stat))
    assert ledger.digest(str(file)) == digest(b"one")
    file.write_bytes(b"two")
    assert ledger.digest(str(file)) == digest(b"two")


@pytest.mark.parametrize("data", [b"[" * 100_000, bytes(range(256)), b'["fact", "key", 5]\n["file", [], 1]\n{}', b"\x80\x04]."])
def test_what_is_no_ledger_is_passed_over(tmp_path, data):
    (tmp_path / "ledger").write_bytes(data)
    assert Ledger(tmp_path / "ledger").fact("key", lambda: {"found": 1}) == {"found": 1}


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink("nowhere", path)])
def test_what_is_no_file_in_the_ledger_s_place_makes_room(tmp_path, put):
    file = tmp_path / "file"
    file.write_bytes(b"made")
    put(tmp_path / "ledger")
    ledger = Ledger(tmp_path / "ledger")
    ledger.built(str(file))
    ledger.keep()
    assert Ledger(tmp_path / "ledger").intact(str(file))


def test_what_a_killed_run_made_counts_for_no_later_one(tmp_path):
    """SCons remembers nothing of it, and would take it for what the run before made."""
    files = {name: tmp_path / name for name in ("before", "again", "new")}
    for file in files.values():
        file.write_bytes(b"made")

    def run(*names, killed=False):
        ledger = Ledger(tmp_path / "ledger")
        for name in names:
            ledger.built(str(files[name]), "wheel " if name == "new" else "")
            assert ledger.intact(str(files[name]), by="wheel " if name == "new" else "")
            ledger.digest(str(files[name]))
        if not killed:
            ledger.keep()

    def intact():
        ledger = Ledger(tmp_path / "ledger")
        return [name for name, file in files.items() if ledger.intact(str(file), by="wheel " if name == "new" else "")]

    run("before", "again")
    assert intact() == ["before", "again"]
    run("again", "new", killed=True)
    assert intact() == ["before"]
    run(killed=True)
    run()
    assert intact() == ["before"], "a run that made nothing vouches for nothing"
    run("again", killed=True)
    run("new")
    assert intact() == ["before", "new"]
    run("again")
    assert intact() == ["before", "again", "new"]


def test_one_that_only_looks_writes_nothing(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"made")
    assert Ledger(tmp_path / "build/ledger", read_only=True).digest(str(file)) == digest(b"made")
    assert not (tmp_path / "build").exists()
