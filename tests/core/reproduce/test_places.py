"""A program in the second place sees another clock, host, order of entries; what the machine refuses is told."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from ebpfbuild.errors import ReproduceError
from ebpfbuild.reproduce import child
from ebpfbuild.reproduce.shim import make_shim

SHOWN = "import json, os, socket, time; print(json.dumps([time.gmtime().tm_year, time.time_ns(), socket.gethostname(), os.listdir('.'), os.umask(0)]))"


@pytest.fixture
def shim(clang, open_folder):
    """A function: a library by its seconds and its order."""

    def make(offset, backwards):
        try:
            return make_shim(open_folder / f"shim{offset}.so", offset, backwards)
        except ReproduceError as error:
            pytest.skip(str(error))

    return make


def start(folder, preload, *before, command=("-c", SHOWN), **environment):
    """Runs this Python by the child and returns what it printed and what was refused."""
    report = folder / "report"
    report.unlink(missing_ok=True)
    plan = json.dumps({"umask": 0o027, "cpus": [min(os.sched_getaffinity(0))], "host": "elsewhere", "preload": preload})
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    words = [*before, python, "-I", "-S", "-B", child.__file__, str(report), plan, python, *command]
    done = subprocess.run(words, cwd=folder, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(report.read_text())


def test_clock_order_host_and_umask_are_others(shim, open_folder):
    for name in ("a", "b", "c"):
        (open_folder / name).touch()
    seen = []
    for offset, backwards in ((0, False), (3 * 366 * 24 * 3600, True)):
        text, refused = start(open_folder, shim(offset, backwards))
        seen.append(json.loads(text))
        assert seen[-1][4] == 0o027
        if not {"namespaces", "host"} & refused.keys():
            assert seen[-1][2] == "elsewhere"
    (year, then, *_), (later, now, *_) = seen
    assert later - year in (3, 4) and now - then > 9 * 10**16
    orders = [[name for name in each[3] if name in "abc"] for each in seen]
    assert orders == [["a", "b", "c"], ["c", "b", "a"]]


def test_a_program_with_an_empty_environment_is_reached(shim, open_folder):
    command = ("-c", "import os; os.execve('/bin/date', ['date', '+%Y'], {})")
    text, refused = start(open_folder, shim(9 * 366 * 24 * 3600, False), command=command)
    if {"namespaces", "preload"} & refused.keys():
        pytest.skip(f"this machine refuses: {refused}")
    text, plain = int(text), int(subprocess.run(["date", "+%Y"], capture_output=True).stdout)
    assert text - plain in (9, 10)
    assert not os.path.exists(child.PRELOADED), "only there"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be somebody else (setpriv)")
def test_a_plain_user_has_it_too_or_is_told_why(shim, open_folder):
    library = shim(9 * 366 * 24 * 3600, False)
    open_folder.chmod(0o777)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    text, refused = start(open_folder, library, *user)
    year, _, host, *_ = json.loads(text)
    assert year > 2030, "by the environment where nothing else is allowed"
    assert host == "elsewhere" or refused.keys() & {"namespaces", "host"}
