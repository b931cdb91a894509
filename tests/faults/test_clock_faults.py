"""Clocks."""

import os
import subprocess
import sys
import time

import pytest
from ebpfbuild.errors import ReproduceError
from ebpfbuild.reproduce.shim import make_shim
from rows import rows

YEAR = 365.25 * 86400  # seconds


@rows({"a clock in 1970, and sources of that year": 1970, "a clock in 2100, and sources of that year": 2100})
def test_another_year(staged, tmp_path, fault):
    """The same bytes, fetched, compiled and packed in that year; the next build, today, has nothing to do."""
    then = int((fault - 1970) * YEAR + 86400)
    try:
        clock = make_shim(tmp_path / "clock.so", then - int(time.time()), False)
    except ReproduceError as error:
        pytest.skip(str(error))
    shown = [sys.executable, "-c", "import time; print(time.gmtime().tm_year)"]
    assert int(subprocess.run(shown, env={"LD_PRELOAD": clock}, capture_output=True).stdout) == fault
    staged.prepare("fetch")
    for path in (staged.project.folder / "src").iterdir():
        os.utime(path, (then, then))
    done = staged.build(LD_PRELOAD=clock)
    assert done.returncode == 0, done.stdout + done.stderr
    assert staged.now() == staged.outputs[staged.version]
    staged.require_null()
