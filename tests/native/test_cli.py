"""`python -m socket_tracker` as a user runs it: out of the package, in a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

import pytest
from app import V4, finished, send, stop
from sightings import PATIENCE

FIELDS = """time boot_ns event protocol direction pid tid uid comm local_address local_port remote_address remote_port
socket duration_ns sent received error""".split()


def test_json_lines_have_the_documented_fields(run):
    process = run("--json", "--pid", str(os.getpid()))
    port = send()
    event = json.loads(process.stdout.readline())
    assert list(event) == FIELDS
    wanted = {"event": "send", "protocol": "udp", "direction": "out", "pid": os.getpid(), "uid": os.getuid(), "sent": 5}
    wanted |= {"local_address": V4, "local_port": port, "remote_address": V4, "remote_port": 9}
    wanted |= {"duration_ns": None, "received": None, "error": None}
    assert event == event | wanted
    assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(seconds=PATIENCE)
    assert abs(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - event["boot_ns"]) < PATIENCE * 1e9


def test_a_refused_connection_names_its_error(run):
    process = run("--json", "--pid", str(os.getpid()))
    with socket.create_server((V4, 0)) as server:
        port = server.getsockname()[1]
    with socket.socket() as client:
        client.connect_ex((V4, port))
    event = json.loads(process.stdout.readline())
    assert (event["event"], event["error"], event["remote_port"]) == ("fail", "ECONNREFUSED", port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(run, number):
    process = run("--pid", str(os.getpid()))
    header = process.stdout.readline()
    port = send()
    line = process.stdout.readline()
    assert header.split()[:3] == ["TIME", "EVENT", "PROTO"]
    assert line.split()[1:3] == ["send", "udp"] and f"{V4}:{port} -> {V4}:9" in line and "\033" not in line
    _, errors = stop(process, number)
    assert errors == "socket_tracker: events: 1 send; 0 lost; 0 connections still open\n"
    assert process.returncode == 0


def test_each_column_has_a_name_of_its_own(run):
    words = run("--pid", str(os.getpid())).stdout.readline().split()
    assert len(set(words)) == len(words) and words[-2:] == ["SENT/RECEIVED", "DURATION"]


@pytest.mark.parametrize("arguments", [(), ("-v",), ("--verbose",)])
def test_variants_that_this_kernel_refuses_are_told_where_that_is_asked_for(run, refusal, tracker, arguments):
    run(*arguments)
    works = next(position for position, name in enumerate(tracker.VARIANTS) if not refusal(name))
    told = [line.split(": ", 2)[1] for line in run.said[:-1]]
    assert told == [f"{name} doesn't work here" for name in tracker.VARIANTS[:works] if arguments]


def test_duration_ends_the_tracker(run):
    begin = time.monotonic()
    process = run("--duration", "0.5")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and time.monotonic() - begin >= 0.5


def test_a_reader_that_leaves_ends_it_quietly(run):
    process = run("--json", "--pid", str(os.getpid()))
    process.stdout.close()
    send()
    errors = process.stderr.read()
    assert process.wait(PATIENCE) == 0 and "Traceback" not in errors and "Broken" not in errors


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("no_colour", ["", "1"])
def test_lines_fit_a_terminal(run, columns, no_colour):
    leader, follower = os.openpty()
    environment = {"COLUMNS": str(columns), "NO_COLOR": no_colour, "TERM": "xterm"}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        process = run("--pid", str(os.getpid()), stdout=follower)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    os.close(follower)
    send()
    text = ""
    while text.count("\n") < 2:
        text += os.read(leader, 4096).decode()
    stop(process)
    os.close(leader)
    assert ("\033[33m" in text) == (not no_colour)
    plain = text.replace("\033[33m", "").replace("\033[1m", "").replace("\033[0m", "")
    assert all(len(line.rstrip("\r")) <= columns for line in plain.split("\n"))
    assert (f"{V4}:9" in plain) and ("5B" in plain or columns == 80)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pid", "0"], "is no process id"),
        (["--duration", "-1"], "is no number of seconds"),
        (["--variant", "x"], "invalid choice"),
    ],
)
def test_a_wrong_option_is_one_line(package, arguments, said):
    done = finished(package, *arguments)
    assert done.returncode == 2 and said in done.stderr.splitlines()[-1]


def test_a_user_without_the_capabilities_gets_one_line(package, tracker):
    """Not under the test's own folder, which only its owner may enter; nor in its interpreter, for the same reason."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python or subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode:
        pytest.skip("no python3 >= 3.11 in /usr/bin that every user can run")
    code = "import os, sys; os.setgroups([]); os.setuid(65534); from socket_tracker import cli; sys.exit(cli.main([]))"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(package, folder, dirs_exist_ok=True)
        os.chmod(folder, 0o755)
        done = subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "root" in line or "Permission denied" in line


def test_another_machine_is_told_what_the_package_holds(package, tracker):
    code = "import os, sys; os.uname = lambda: os.uname_result(('Linux', 'here', '6', '1', 'sparc64')); "
    code += "from socket_tracker import cli; sys.exit(cli.main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "socket_tracker.bpf.o was compiled for" in line and "this machine is sparc64" in line
