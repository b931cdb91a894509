"""The sources pass ruff by ruff.toml, and the packages mypy by mypy.ini."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a linter says of the whole project; skips where it isn't installed."""
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_ruff_finds_nothing():
    done = run("ruff", "check", "--no-cache", "--quiet", ".")
    assert (done.returncode, done.stdout) == (0, "")


def test_both_packages_are_laid_out_by_ruff():
    done = run("ruff", "format", "--check", "--no-cache", "site_scons", "loader")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_mypy_finds_nothing():
    done = run("mypy")
    assert (done.returncode, [line for line in done.stdout.splitlines() if ": error: " in line]) == (0, []), done.stdout + done.stderr


@pytest.mark.parametrize("script", [path for path in sorted((ROOT / ".ci").iterdir()) if "ebpfbuild" in path.read_text()], ids=lambda path: path.name)
def test_what_a_script_of_ci_imports_is_there(script):
    """No linter reads the Python in a shell script."""
    for module, name in re.findall(r"^from (ebpfbuild[\w.]*) import (\w+)", script.read_text(), re.MULTILINE):
        assert hasattr(importlib.import_module(module), name)
