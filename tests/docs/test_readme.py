"""README.md's tool of three files, as a reader makes it: built by scons, run out of the wheel, telling what is executed."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence

import pytest
from pages import ROOT, build, platform_wheel, write_files

PAGE = ROOT / "README.md"


@pytest.fixture(scope="module")
def built(tmp_path_factory, kernel):
    """The tool's project, built."""
    folder = tmp_path_factory.mktemp("readme")
    write_files(PAGE, folder)
    build(folder)
    return folder


def run(folder, prefix: Sequence[str] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [*prefix, sys.executable, "execs_tool.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(platform_wheel(folder, "execs"))}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_tool_tells_what_is_executed(built):
    process = run(built)
    lines: list[str] = []
    while not any("/bin/echo" in line for line in lines):
        subprocess.run(["/bin/echo"], check=True, capture_output=True)
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    process.send_signal(2)
    rest, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert " echo\n" in rest and rest.endswith(" events lost\n")


def test_an_altered_wheel_is_refused(built, tmp_path):
    with zipfile.ZipFile(platform_wheel(built, "execs")) as wheel, zipfile.ZipFile(tmp_path / "bad.whl", "w") as bad:
        for name in wheel.namelist():
            data = wheel.read(name)
            bad.writestr(name, data[:-1] + b"x" if name.endswith(".bpf.o") else data)
    done = subprocess.run(
        [sys.executable, "execs_tool.py"],
        cwd=built, env={**os.environ, "PYTHONPATH": str(tmp_path / "bad.whl")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "execs.bpf.o has sha256 " in done.stderr and "Traceback" not in done.stderr


def test_without_privileges_it_says_which_are_missing(built):
    process = run(built, prefix=["setpriv", "--inh-caps=-all", "--bounding-set=-all"])
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "") and "Traceback" not in said
    assert "CAP_BPF" in said.splitlines()[0]
