"""Builds README.md's tool of three files as a reader does, and runs it."""

import select
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence

import pytest
from pages import ROOT, build, started, write_files

PAGE = ROOT / "README.md"


@pytest.fixture(scope="module")
def built(tmp_path_factory, kernel):
    """The tool's project, built."""
    folder = tmp_path_factory.mktemp("readme")
    write_files(PAGE, folder)
    build(folder)
    return folder


@pytest.fixture
def wheel(built):
    """The wheel that the build made."""
    (found,) = (built / "build" / "dist").glob("execs-*.whl")
    return found


def run(folder, prefix: Sequence[str] = (), path: str = "") -> subprocess.Popen:
    """The tool, by what the build laid out, or by another path for Python."""
    command = [*prefix, sys.executable, "execs_tool.py"]
    return started(command, folder, {"PYTHONPATH": path or str(*folder.glob("build/*/python"))})


@pytest.mark.parametrize("way", ["laid out", "wheel"])
def test_the_tool_tells_what_is_executed(built, wheel, way):
    process = run(built, path=str(wheel)) if way == "wheel" else run(built)
    while process.poll() is None and not select.select([process.stdout], [], [], 0.1)[0]:
        subprocess.run(["/bin/echo"], check=True, capture_output=True)
    for _ in range(3):  # what is executed beside it may be the line that came
        subprocess.run(["/bin/echo"], check=True, capture_output=True)
    time.sleep(0.2)
    process.send_signal(2)
    rest, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert " echo             /bin/echo\n" in rest and rest.endswith(" events lost\n")


def test_an_altered_wheel_is_refused(built, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(tmp_path / "bad.whl", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            bad.writestr(name, data[:-1] + b"x" if name.endswith(".bpf.o") else data)
    process = run(built, path=str(tmp_path / "bad.whl"))
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "") and "Traceback" not in said
    assert "execs.bpf.o has sha256 " in said


def test_without_privileges_it_says_which_are_missing(built):
    process = run(built, prefix=["setpriv", "--inh-caps=-all", "--bounding-set=-all"])
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "") and "Traceback" not in said
    assert "CAP_BPF" in said.splitlines()[0]
