"""The first program that a reader is shown, word for word: it prints real connections, and type checkers take it."""

import os
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from app import V4

SNIPPET = """\
from socket_tracker import SocketTracker            # generated; an IDE completes all of it

with SocketTracker.open() as bpf:                   # this machine's arch, digest checked
    bpf.rodata.filter_pid = 42                      # typed, before load
    bpf.maps.events.max_entries = 1 << 20
    bpf.load()
    bpf.attach()
    for event in bpf.maps.events:                   # typed: event.comm is str, event.daddr an address
        print(event.pid, event.comm, event.daddr, event.dport)
"""
TYPES = """
from socket_tracker import SocketTracker, start

with SocketTracker.open(variant="tp_btf") as bpf:
    for event in bpf.maps.events:
        reveal_type(event.daddr)
        reveal_type(event.comm)
    bpf.rodata.filter_pid = "42"
    bpf.rodata.filter_pit = 42
reveal_type(start().object)
"""


def test_it_prints_what_a_process_connects_to(package, run):
    run().kill()  # skips where no variant works
    attached = SNIPPET.replace("    for event", "    print(bpf.variant, flush=True)\n    for event")
    code = attached.replace("= 42 ", f"= {os.getpid()} ").replace("event.dport)", "event.dport, flush=True)")
    with subprocess.Popen([sys.executable, "-c", code], cwd=package, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() in ("fentry", "kprobe", "tp_btf")
        with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()) as client:
            ports = server.getsockname()[1], client.getsockname()[1]
            server.accept()[0].close()
        said = {process.stdout.readline() for _ in range(2)}
        process.kill()
    comm = Path("/proc/self/comm").read_text().strip()
    assert said == {f"{os.getpid()} {comm} {V4} {port}\n" for port in ports}


def test_a_variant_that_does_not_work_names_the_others(tracker, refusal):
    for variant in tracker.VARIANTS:
        if refusal(variant):
            break
    else:
        pytest.skip("this kernel takes every variant")
    with tracker.SocketTracker.open(variant=variant) as bpf, pytest.raises(tracker.bpfloader.RefusedError) as caught:
        bpf.load()
        bpf.attach()
    one, other = (name for name in tracker.VARIANTS if name != variant)
    assert f'try SocketTracker.open(variant="{one}"), or "{other}"' in str(caught.value)


def test_the_chosen_variant_is_one_that_works(tracker, refusal):
    with tracker.SocketTracker.open() as bpf:
        works = [variant for variant in tracker.VARIANTS if not refusal(variant)]
        if not works:
            pytest.skip("this kernel takes no variant")
        assert bpf.variant == works[0]


@pytest.fixture(scope="module")
def installed(package, tmp_path_factory):
    """The Python of an empty venv in which the package is installed."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    venv.create(folder)
    (place,) = folder.glob("lib/python3*/site-packages")
    shutil.copytree(package, place, dirs_exist_ok=True)
    return folder / "bin" / "python"


def checked(installed, tmp_path, *what: str) -> str:
    """Returns mypy --strict's findings about files or packages."""
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, *what]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "No module named mypy" in done.stderr:
        pytest.skip("mypy is not installed")
    return done.stdout


@pytest.mark.slow
def test_type_checkers_take_it_and_see_what_is_wrong(installed, tmp_path):
    (tmp_path / "snippet.py").write_text(SNIPPET)
    (tmp_path / "program.py").write_text(TYPES)
    assert checked(installed, tmp_path, "snippet.py").startswith("Success: ")
    said = checked(installed, tmp_path, "program.py")
    for words in (
        'program.py:6: note: Revealed type is "ipaddress.IPv4Address | ipaddress.IPv6Address"',
        'program.py:7: note: Revealed type is "str"',
        "program.py:8: error: Incompatible types in assignment",
        'program.py:9: error: "SocketTrackerRodata" has no attribute "filter_pit"; maybe "filter_pid"',
        'Revealed type is "socket_tracker.tracker.SocketTracker"',
    ):
        assert words in said, said
    assert checked(installed, tmp_path, "-p", "socket_tracker").startswith("Success: "), "the app's own Python"
