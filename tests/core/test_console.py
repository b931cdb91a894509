"""What a fetch says: a bar on a terminal, lines in a log, colours only where they are wanted."""

import io
import os
import pty
import threading

import pytest

from ebpfbuild import console
from ebpfbuild.console import Console, Reporter, bar, console_for


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def transfer(report: Reporter) -> None:
    for done in range(0, 1_200_001, 100_000):
        report.progress("vmlinux.h", done, 1_200_000)
    report.done("vmlinux.h", 1_200_000, "a.example")
    report.notice("took the alternate")


def test_a_log_gets_short_lines_only():
    stream = io.StringIO()
    transfer(console_for(stream, {"TERM": "xterm"}))
    assert stream.getvalue() == "ebpf: fetched vmlinux.h, 1.2 MB, from a.example\nebpf: took the alternate\n"


def test_a_terminal_gets_a_bar_that_the_next_line_replaces(monkeypatch):
    monkeypatch.setattr(console, "REDRAW", 0)
    stream = Terminal()
    transfer(console_for(stream, {"TERM": "xterm"}))
    text = stream.getvalue()
    assert "\r\x1b[Kvmlinux.h [############------------] 50% of 1.2 MB" in text
    last = text.rsplit("vmlinux.h [", 1)[1]
    assert last.split("\n")[0].endswith("\r\x1b[Kebpf: fetched vmlinux.h, 1.2 MB, from a.example")
    assert "\x1b[33mebpf: took the alternate\x1b[0m\n" in text


def test_the_bar_is_not_drawn_for_every_chunk():
    stream = Terminal()
    report = console_for(stream, {"TERM": "xterm"})
    for done in range(10_000):
        report.progress("vmlinux.h", done, 10_000)
    assert 1 <= stream.getvalue().count("\r") < 100


@pytest.mark.parametrize("environ, live, colour", [
    ({"TERM": "xterm"}, True, True), ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
    ({"TERM": "xterm", "NO_COLOR": ""}, True, True), ({"TERM": "dumb"}, False, False), ({}, False, False)])
def test_what_the_environment_wants(environ, live, colour):
    report = console_for(Terminal(), environ)
    assert (report.live, report.colour) == (live, colour)
    log = console_for(io.StringIO(), environ)
    assert (log.live, log.colour) == (False, False)


def test_a_long_step_is_told_in_the_live_line_and_now_and_then_in_a_log(monkeypatch):
    monkeypatch.setattr(console, "REDRAW", 0)
    live, log = Terminal(), io.StringIO()
    for stream, environ in ((live, {"TERM": "xterm"}), (log, {})):
        clock = iter(range(0, 1000, 10))
        monkeypatch.setattr(console.time, "monotonic", lambda clock=clock: next(clock))
        report = console_for(stream, environ)
        for number in range(1, 5):
            report.status("old", f"test {number}\x1b of 4")
        report.stopped("old")
        report.notice("over")
    assert log.getvalue() == "ebpf: old: test 4\\x1b of 4\nebpf: over\n"
    assert live.getvalue().split("\r\x1b[K")[1:] == [*(f"old: test {each}\\x1b of 4" for each in (1, 2, 3, 4)), "", "\x1b[33mebpf: over\x1b[0m\n"]


def test_two_downloads_share_the_line_and_never_mix(monkeypatch):
    monkeypatch.setattr(console, "REDRAW", 0)
    stream = Terminal()
    report = Console(stream, live=True)

    def download(name: str) -> None:
        for done in range(200):
            report.progress(name, done, 200)
        report.done(name, 200, "a.example")

    threads = [threading.Thread(target=download, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for piece in stream.getvalue().split("\r\x1b[K"):
        assert piece == "" or piece.startswith(("one [", "two [", "ebpf: fetched "))
        assert len(piece) < 160


def test_the_bar_fits_the_terminal(monkeypatch):
    monkeypatch.setattr(console, "REDRAW", 0)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, os.fdopen(ours, "rb", buffering=0) as screen:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        console_for(stream, {"TERM": "xterm"}).progress("a rather long name", 50, 100)
        assert screen.read(1000) == b"\r\x1b[Ka rather long name [#########"[: 4 + 29]


def test_a_total_that_nobody_knows():
    assert bar("x", 2_500_000, None) == "x 2.5 MB"
    assert bar("x", 500, 0) == "x 500 bytes"
    assert bar("x", 12_300, 1000) == "x [########################] 100% of 1 kB"


def test_a_stream_that_can_not_spell_it_still_gets_it():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console_for(stream, {}).notice("Ünïcode …")
    stream.flush()
    assert raw.getvalue() == b"ebpf: \\xdcn\\xefcode \\u2026\n"
