"""mypy --strict over the core, the loader and what brings pip: one run, one cache in build/mypy."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNTYPED = ["import-untyped", "import-not-found"]  # pycparser has no types, Python before 3.14 no `compression`

# Modules that mypy has something to say of yet. The list may only shrink: one that has become clean must leave it.
NOT_YET = """
apt.py archive.py artifacts.py btf.py btfext.py compile.py fetch.py mapspec.py minimize/fallback.py
minimize/fields.py minimize/names.py minimize/refs.py minimize/why.py minimized.py objectspec.py
packedskel.py proof.py prove_types.py pymaps.py pymerge.py pytext.py scan.py sizes.py sources.py store.py
tomlfile.py toolchain.py
""".split()


@pytest.fixture(scope="module")
def said():
    """mypy's lines by the file that they are about."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11", "--cache-dir", str(ROOT / "build" / "mypy")]
    command += [f"--disable-error-code={code}" for code in UNTYPED]
    command += ["-p", "ebpfbuild", "-p", "bpfloader", "-m", "fetch_pip"]
    environment = {**os.environ, "MYPYPATH": "site_scons:loader"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert re.search(r"^(Success|Found \d+ error).* \d{3} source files", done.stdout, re.MULTILINE), done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            found.setdefault(line.partition(":")[0].removeprefix("site_scons/ebpfbuild/"), []).append(line)
    return found


def test_types_agree(said):
    assert [line for file, lines in said.items() if file not in NOT_YET for line in lines] == []


def test_the_list_of_the_others_only_shrinks(said):
    assert sorted(said.keys() & set(NOT_YET)) == NOT_YET
