"""How far a guest is, told while it runs: from whatever it writes, in whatever pieces."""

import json
import zlib

import pytest
from ebpfbuild.boot import progress
from ebpfbuild.boot.progress import Progress, followed
from ebpfbuild.console import Reporter
from hypothesis import given, strategies as st

UP = {"kind": "guest", "release": "6.1.0-50"}
FOUND = {"kind": "tests", "count": 9}
BEGUN = {"kind": "begin", "test": "a.py::b"}
FAILED, PASSED = ({"kind": "test", "test": "a.py::b", "outcome": outcome} for outcome in ("failed", "passed"))


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.notices, self.states, self.over = [], [], []

    def notice(self, text):
        self.notices.append(text)

    def status(self, name, text):
        self.states.append((name, text.rpartition(", ")[0]))

    def stopped(self, name):
        self.over.append(name)


def line(report, nonce="n") -> bytes:
    data = json.dumps(report).encode()
    return b"@boot %s %08x %s\r\n" % (nonce.encode(), zlib.crc32(data), data)


@pytest.mark.parametrize(("said", "text"), [
    ([], "it boots"), ([UP], "Linux 6.1.0-50 is up"), ([UP, {"kind": "program"}], "1 of 3 programs are loaded"), ([UP, FOUND], "9 tests were found"),
    ([UP, BEGUN], "test 1: a.py::b"), ([FOUND, BEGUN, PASSED, BEGUN], "test 2 of 9: a.py::b"),
    ([FOUND, BEGUN, FAILED, {**FAILED, "outcome": "error"}, {**FAILED, "outcome": "odd"}], "test 1 of 9, 1 failed, 1 error: a.py::b"),
])  # fmt: skip
def test_what_a_guest_has_reported_is_told_in_words(said, text):
    found = Progress(3)
    told = [found.take(each) for each in said]
    assert found.text() == text
    assert [each for each in told if each] == [f"{each['outcome']}: a.py::b" for each in said if each.get("outcome") in ("failed", "error")]


@given(st.lists(st.dictionaries(st.sampled_from(["kind", "test", "outcome", "release", "count"]), st.one_of(
    st.sampled_from(["guest", "program", "tests", "begin", "test", "failed"]), st.text(), st.integers(), st.none(), st.lists(st.integers())
))))  # fmt: skip
def test_whatever_a_guest_says_of_its_progress_is_text(said):
    found = Progress()
    assert all(isinstance(found.take(each), str) for each in said) and found.text()


@pytest.mark.parametrize("part", [1, 7, 1 << 20])
def test_a_failure_is_told_at_once_also_where_its_line_comes_in_pieces(tmp_path, monkeypatch, part):
    monkeypatch.setattr(progress, "MAX_PART", part)
    monkeypatch.setattr(progress, "POLL", 0.001)
    serial, report = tmp_path / "serial.log", Told()
    serial.write_bytes(line({**FAILED, "test": "an earlier guest's"}))
    with followed(serial, "n", Progress(), "old (tcg)", report):
        assert not serial.exists()
        with serial.open("wb", buffering=0) as file:
            for piece in (line(FOUND), line(BEGUN)[:20], line(BEGUN)[20:], b"\n[ 1.0] noise\n", line(FAILED, "another's"), line(FAILED)[:-9], line(FAILED)[-9:]):
                file.write(piece)
    assert report.notices == ["old (tcg): failed: a.py::b"] and report.over == ["old (tcg)"]
    assert all(name == "old (tcg)" for name, _ in report.states)


def test_a_guest_that_could_not_be_started_is_followed_to_its_end(tmp_path):
    report = Told()
    with pytest.raises(OSError), followed(tmp_path / "serial.log", "n", Progress(), "old (tcg)", report):
        raise OSError
    assert report.over == ["old (tcg)"] and not report.notices
