"""The loader and a generated skeleton on Python 3.9, the oldest that a target may have."""

import shutil
import subprocess
from pathlib import Path

import pytest

LOADER = Path(__file__).resolve().parents[2] / "loader"


def python39() -> str | None:
    """A Python 3.9 that runs (pyenv's python3.9 on PATH may be a shim of none): one on PATH, or one that pyenv keeps."""
    found = [*sorted(map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python"))), shutil.which("python3.9")]
    runs = (path for path in found if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0)
    return next(runs, None)


def test_a_skeleton_works_with_python_3_9(folder, kernel):
    python = python39()
    if not python:
        pytest.skip("there is no Python 3.9 here")
    session = """
from probe_skel import Probe
with Probe.open() as probe:
    probe.load()
    print(probe.progs.emit.test_run(bytes(64)).value, len(list(probe.maps.events.events(0))))
"""
    command = [python, "-I", "-B", "-c", f"import sys; sys.path[:0] = [{str(LOADER)!r}, {str(folder)!r}]{session}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value, events = map(int, done.stdout.split())
    assert value >= 0 and events > 0


@pytest.mark.parametrize("arguments, said", [
    (["probe", "--json"], '"format": 1'), (["inspect", "probe.bpf.o"], "raw_tp/sys_enter"),
])  # fmt: skip
def test_the_command_works_with_python_3_9(folder, kernel, arguments, said):
    python = python39()
    if not python:
        pytest.skip("there is no Python 3.9 here")
    code = f"import sys; sys.path[:0] = [{str(LOADER)!r}]; from bpfloader.__main__ import main; sys.exit(main())"
    done = subprocess.run([python, "-I", "-B", "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and said in done.stdout, done.stderr
