"""The live table, on a terminal of the test's and elsewhere."""

import fcntl
import importlib
import os
import re
import select
import signal
import socket
import struct
import sys
import termios
import time
from ipaddress import ip_address

import pytest
from app import V4, send, stop
from sightings import PATIENCE

ENTER, LEAVE = "\033[?1049h", "\033[?1049l"


class Terminal:
    """A terminal with the app on it, of so many columns and lines; what it was sent, and a frame at a time."""

    def __init__(self, columns: int, lines: int = 12):
        self.leader, self.follower = os.openpty()
        self.resize(columns, lines)
        self.text = ""

    def resize(self, columns: int, lines: int = 12) -> None:
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.leader, keys.encode())

    def read(self, wanted) -> list[str]:
        """Returns the lines of the first frame from now on for which `wanted(lines)` is true."""
        end = time.monotonic() + PATIENCE
        start = len(self.text)
        while (left := end - time.monotonic()) > 0:
            if select.select([self.leader], [], [], left)[0]:
                self.text += os.read(self.leader, 65536).decode()
            for frame in self.text[start:].split("\033[H")[1:]:
                if "\033[J" in frame:
                    lines = [
                        re.sub(r"\033\[[0-9;]*[A-Za-z]", "", line) for line in frame.split("\033[J")[0].split("\r\n")
                    ]
                    if wanted(lines):
                        return lines
        raise AssertionError(self.text[start:])


@pytest.fixture
def terminal(run, monkeypatch):
    """A function (columns, the app's arguments) -> a Terminal on which the app shows its table, and the process."""
    made = []

    def show(columns: int, *arguments: str, colours: bool = True) -> tuple[Terminal, object]:
        for name in ("COLUMNS", "LINES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "" if colours else "1")
        terminal = Terminal(columns)
        made.append(terminal)
        follower, pid = terminal.follower, str(os.getpid())
        options = {"stdin": follower, "stdout": follower, "start_new_session": True, "preexec_fn": _controlled}
        return terminal, run("--top", "--interval", "0.2", "--pid", pid, *arguments, **options)

    yield show
    for terminal in made:
        os.close(terminal.leader)
        os.close(terminal.follower)


def _controlled() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_connections_come_and_go_on_the_table(terminal):
    shown, process = terminal(140)
    with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, peer = server.accept()
        ends = f"{V4}:{peer[1]}", f"{V4}:{server.getsockname()[1]}"
        lines = shown.read(lambda lines: sum(line.startswith("open") for line in lines) == 2)
        assert lines[0].startswith("0 lost; 2 events; by connection, last; ")
        assert lines[1].split() == "STATE PROTO PID COMM LOCAL REMOTE SENT RECV AGE".split()
        out = next(line for line in lines if "->" in line).split()
        assert out[1:3] == ["tcp", str(os.getpid())] and (out[-6], out[-4]) == ends
        client.sendall(b"x" * 1500)
        accepted.recv(1500, socket.MSG_WAITALL)
        accepted.close()
    lines = shown.read(lambda lines: sum(line.startswith("closed") for line in lines) == 2)
    assert next(line for line in lines if "->" in line).split()[-3:-1] == ["1.5kB", "0B"]
    assert "\033[7m" in shown.text
    shown.press("q")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert errors.endswith("socket_tracker: events: 1 accept, 2 close, 1 connect; 0 lost; 0 connections still open\n")


def test_keys_change_the_look(terminal):
    shown, process = terminal(80)
    send()
    shown.read(lambda lines: "by connection, last" in lines[0] and len(lines) == 3)
    shown.press("b")
    lines = shown.read(lambda lines: "by process, last" in lines[0] and len(lines) == 3)
    assert lines[1].split()[:2] == ["PID", "COMM"] and lines[2].split()[0] == str(os.getpid())
    shown.press("s")
    assert "SENT*" in shown.read(lambda lines: "by process, sent" in lines[0])[1]
    shown.press("r")
    assert "SENT+" in shown.read(lambda lines: "SENT+" in lines[1])[1]
    stop(process, signal.SIGINT)
    assert process.returncode == 0


def test_the_terminal_is_given_back(terminal):
    shown, process = terminal(80)
    before = termios.tcgetattr(shown.follower)
    shown.read(lambda lines: True)
    assert not termios.tcgetattr(shown.follower)[3] & termios.ECHO
    stop(process)
    shown.text += os.read(shown.leader, 65536).decode()
    assert shown.text.count(ENTER) == shown.text.count(LEAVE) == 1
    before[3] |= termios.ECHO | termios.ICANON
    assert termios.tcgetattr(shown.follower)[3] == before[3]


def test_it_fits_40_columns_and_does_without_colours(terminal):
    shown, process = terminal(40, colours=False)
    with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()):
        lines = shown.read(lambda lines: any("->" in line for line in lines))
        assert max(map(len, lines)) <= 40, lines
        assert lines[0].startswith("0 lost; ")
        assert any(line.endswith(f"-> {V4}:{server.getsockname()[1]}") for line in lines)
        assert "\033[7m" not in shown.text
        shown.resize(140)
        shown.read(lambda lines: "LOCAL" in lines[1])
    stop(process)


def test_elsewhere_than_on_a_terminal_it_is_plain_lines(run):
    process = run("--top", "--interval", "0.1", "--by", "process", "--pid", str(os.getpid()))
    send()
    row = next(line for line in process.stdout if line.split()[:1] == [str(os.getpid())])
    assert row.split()[2:] == ["0", "0", "1", "5B", "0B"]
    out, _ = stop(process)
    assert "\033" not in out and "\n\n" in out


def test_a_reader_that_leaves_ends_it_quietly(run):
    process = run("--top", "--interval", "0.1")
    process.stdout.close()
    assert process.wait(PATIENCE) == 0 and "Traceback" not in process.stderr.read()


def test_loss_is_told_while_it_happens_and_at_the_end(package, tracker):
    """With a ring of one page, of a process that the test floods."""
    code = f"""
import sys
from socket_tracker import cli, watch
drain = watch.Watch.drain
def drain_slowly(self):  # slower than the flood
    watch.time.sleep(0.3)
    return drain(self)
watch.Watch.drain = drain_slowly
sys.exit(cli.main(["--pid", "{os.getpid()}", "--duration", "2", "--buffer", "1"]))
"""
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=package, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "this kernel takes none" in line:
            pytest.skip(line)
        if "variant" in line and "Ctrl-C" in line:
            break
    for _ in range(500):
        send()
    said = process.stderr.read()
    assert process.wait() == 0, said
    told = re.findall(
        r"(\d+) lost so far: this machine is busier than the tracker; a filter or a larger --buffer helps", said
    )
    kept, lost = re.search(r"events: (\d+) send; (\d+) lost; ", said).groups()
    assert told and int(told[-1]) <= int(lost) and int(kept) + int(lost) == 500 and int(lost) > 0


@pytest.fixture
def parts(tracker):
    """The modules of the table, for what no traffic makes."""
    names = ("tally", "frame", "text")
    return tracker, *(importlib.import_module(f"socket_tracker.{name}") for name in names)


def event(tracker, number: int, **changes):
    ends = {"saddr": ip_address("10.0.0.1"), "daddr": ip_address("10.0.0.2"), "sport": number % 60000, "dport": 443}
    facts = {"pid": number, "protocol": 6, "direction": 1, "kind": 1, "time": number, "comm": "a", **ends, **changes}
    return tracker.Event(**facts)


def test_rows_are_forgotten_from_the_oldest_and_it_is_said(parts):
    tracker, tally, _, _ = parts
    counted = tally.Tally(max_rows=10)
    for number in range(1, 13):
        counted.add(event(tracker, number))
    counted.add(event(tracker, 3, kind=4, time=99, sent=5))
    assert counted.forgotten == 4 and len(list(counted.rows("connection"))) == 10
    first, *_ = tally.ordered(counted.rows("connection"), "last")
    assert (first.pid, first.state, first.sent, first.events) == (3, "closed", 5, 2)
    assert [row.pid for row in tally.ordered(counted.rows("process"), "pid")][:2] == [3, 4]


@pytest.mark.parametrize("width", [40, 60, 72, 80, 112, 200])
@pytest.mark.parametrize("by", ["connection", "process"])
def test_every_line_fits_whatever_is_in_it(parts, width, by):
    tracker, tally, frame, text = parts
    counted = tally.Tally()
    long = ip_address("2001:db8:1234:5678:9abc:def0:1234:5678")
    counted.add(event(tracker, 1, comm="日本語日本", saddr=long, daddr=long, sent=1 << 50))
    counted.add(event(tracker, 4194303, comm="\033[2Jevil\r\n", protocol=255, time=1 << 60))
    lines = frame.frame(counted, frame.View(by, "sent"), "0 lost; 2 events; " + "x" * 300, width, 24)
    assert len(lines) == 4 and all(text.columns(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    if by == "connection":
        assert "443" in lines[2], "an endpoint that is too long is cut in its middle"


@pytest.mark.parametrize(
    "ns, said",
    [(0, "0.00ms"), (999_999, "1.00ms"), (1_500_000, "1.5ms"), (59.96e9, "60.0s"), (61e9, "1m01s"), (3600e9, "1h00m"),
     (90_000e9, "1d01h")],
)  # fmt: skip
def test_times_are_short(parts, ns, said):
    assert parts[3].duration(ns) == said


@pytest.mark.parametrize(
    "count, said", [(0, "0B"), (999, "999B"), (1000, "1.0kB"), (999_960, "1.0MB"), (1 << 60, "1152921.5TB")]
)
def test_sizes_are_short(parts, count, said):
    assert parts[3].size(count) == said
