"""README.md's tool of three files, as a reader makes it: built by scons, installed, and telling what is executed."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from pages import ROOT, build, install, platform_wheel, write_files

PAGE = ROOT / "README.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory, kernel):
    """The tool's project, built; `site` in it is as site-packages."""
    folder = tmp_path_factory.mktemp("readme")
    write_files(PAGE, folder)
    build(folder)
    install(platform_wheel(folder, "execs"), folder / "site")
    return folder


def run(folder, prefix: Sequence[str] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [*prefix, sys.executable, "execs_tool.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "site")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_tool_tells_what_is_executed(installed):
    process = run(installed)
    lines: list[str] = []
    while not any("/bin/echo" in line for line in lines):
        subprocess.run(["/bin/echo"], check=True, capture_output=True)
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    process.send_signal(2)
    rest, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert " echo\n" in rest and rest.endswith(" events lost\n")


def test_without_privileges_it_says_which_are_missing(installed):
    process = run(installed, prefix=["setpriv", "--inh-caps=-all", "--bounding-set=-all"])
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "") and "Traceback" not in said
    assert "CAP_BPF" in said.splitlines()[0]
