"""The sources pass ruff by ruff.toml, and the loader passes mypy --strict."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "ruff": ["check", "--no-cache", "--quiet", "."],
    "mypy": ["--strict", "--no-error-summary", "--cache-dir", "/dev/null", "loader/bpfloader"],
}


@pytest.mark.parametrize("tool", COMMANDS)
def test_the_sources_pass(tool):
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([sys.executable, "-m", tool, *COMMANDS[tool]], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
