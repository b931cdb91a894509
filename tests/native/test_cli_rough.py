"""The app in rough conditions: killed, without its streams, in a narrow terminal, with a broken package."""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from app import V4, finished, send, stop
from sightings import PATIENCE


def numbers_of(pid: int, kind: str) -> set[int]:
    """Returns the kernel's numbers of a process's programs (`prog_id`) or links (`link_id`)."""
    texts = (path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    rows = (line.split() for text in texts for line in text.splitlines())
    return {int(row[1]) for row in rows if row[0] == f"{kind}_id:"}


def alive(kind: str, number: int) -> bool:
    """Returns true if the kernel still has that program or link."""
    fd = getattr(ctypes.CDLL("libbpf.so.1"), f"bpf_{kind}_get_fd_by_id")(number)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def shell(package, script: str) -> subprocess.CompletedProcess:
    """Runs a shell's script in which "$@" is the app for half a second, with a stream of datagrams to see."""
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "socket_tracker", "--duration", "0.5"]
    done = threading.Event()

    def talk() -> None:
        while not done.wait(0.05):
            send()

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        environment = {**os.environ, "PYTHONPATH": str(package)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    finally:
        done.set()
        thread.join()


def test_a_killed_app_leaves_nothing_in_the_kernel(run):
    process = run()
    numbers = {(kind, number) for kind in ("prog", "link") for number in numbers_of(process.pid, kind)}
    assert {kind for kind, _ in numbers} == {"prog", "link"} and all(alive(*it) for it in numbers)
    process.kill()
    process.wait()
    end = time.monotonic() + PATIENCE  # the kernel frees a program after a grace period
    while any(alive(*it) for it in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(*it) for it in numbers)
    assert stop(run())[1].startswith("socket_tracker: events: ")


def test_two_trackers_end_independently(run):
    first, second = run("--pid", str(os.getpid())), run("--pid", str(os.getpid()))
    stop(second)
    port = send()
    assert first.stdout.readline().startswith("TIME") and f":{port} -> {V4}:9" in first.stdout.readline()


@pytest.mark.parametrize("stream", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(package, run, stream):
    stop(run())  # skips where the app can't run
    done = shell(package, f'"$@" {stream}')
    assert done.returncode == 0 and "Traceback" not in done.stderr + done.stdout


def test_readers_of_both_streams_leave(package, run):
    stop(run())
    done = shell(package, '{ "$@" 2>&1; echo $? >&3; } 3>&2 | head -n 1')
    assert done.stderr == "0\n" and done.stdout.startswith("socket_tracker: ")


def test_a_full_disk_is_named_and_the_events_are_summed_up(package, run):
    stop(run())
    done = shell(package, '"$@" >/dev/full')
    assert done.returncode == 1
    *_, said, summary = done.stderr.splitlines()
    assert said == "socket_tracker: can't write the events (ENOSPC: No space left on device); give stdout another place"
    assert summary.startswith("socket_tracker: events: ")


def test_python_3_9_is_enough(package, run):
    stop(run())
    found = sorted(Path.home().glob(".pyenv/versions/3.9*/bin/python3.9"))
    if not found:
        pytest.skip("there is no Python 3.9 here")
    for arguments in (["--json"], ["--top", "--interval", "0.1"], ["--protocol", "udp", "--address", "::1"]):
        command = [found[0], "-B", "-m", "socket_tracker", "--duration", "0.3", *arguments]
        done = subprocess.run(command, cwd=package, capture_output=True, text=True)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_a_long_time_is_a_duration(run):
    process = run("--duration", "1e300")
    process.stdout.readline()
    send()
    assert process.stdout.readline()
    stop(process)
    assert process.returncode == 0


def test_a_process_that_does_not_run_is_pointed_out(run):
    gone = subprocess.Popen(["true"])
    gone.wait()
    _, errors = stop(run("--pid", str(gone.pid)))
    assert f"no process {gone.pid} runs here" in run.said[0] and "0 connections" in errors


def test_a_thread_is_told_its_process(run):
    numbers = []
    leave = threading.Event()
    thread = threading.Thread(target=lambda: (numbers.append(threading.get_native_id()), leave.wait(PATIENCE)))
    thread.start()
    try:
        while not numbers:
            time.sleep(0.01)
        stop(run("--pid", str(numbers[0])))
        assert f"{numbers[0]} is a thread of the process {os.getpid()}" in run.said[0]
    finally:
        leave.set()
        thread.join()


def test_a_narrow_terminal_shows_who_and_whom(run, monkeypatch):
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    process = run("--pid", str(os.getpid()), stdout=follower)
    os.close(follower)
    with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()):
        port = server.getsockname()[1]
        text = ""
        while text.count("\n") < 2:
            text += os.read(leader, 4096).decode()
    stop(process)
    os.close(leader)
    header, line = text.splitlines()[:2]
    assert header == "EVENT       PID    REMOTE" and len(line) <= 40 and "\033" not in text
    assert line.split() == ["connect", str(os.getpid()), "->", f"{V4}:{port}"]


@pytest.fixture
def broken(package, tracker, tmp_path):
    """A copy of the package, and the path of this machine's object in it."""
    shutil.copytree(package / "socket_tracker", tmp_path / "socket_tracker")
    (found,) = tmp_path.rglob("socket_tracker.bpf.o")
    return tmp_path, found


def refusal(package) -> str:
    """Returns the app's line on stderr when it can't start."""
    done = finished(package)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.removeprefix("socket_tracker: ")


def test_a_corrupted_object_is_refused(broken):
    package, path = broken
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (said,) = refusal(package).splitlines()
    assert said.startswith(f"{path} has sha256 ") and "; install the package again" in said


def test_a_missing_object_is_named(broken):
    package, path = broken
    path.unlink()
    assert refusal(package).startswith(f"can't read {path} (ENOENT: No such file or directory); install ")


def test_a_libbpf_that_does_not_load_is_named(package, tracker, tmp_path):
    (tmp_path / "libbpf.so.1").write_bytes(b"no library")
    done = finished(package, LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 1
    said, reason = done.stderr.splitlines()
    assert said.startswith("socket_tracker: can't load libbpf.so.1; install it: apt install libbpf1")
    assert str(tmp_path) in reason
