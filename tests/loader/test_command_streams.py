"""The command line writes to any stdout: one of another encoding, one that is closed, one whose reader has left."""

import os
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest

LOADER = str(Path(bpfloader.__file__).parents[1])


def command(*arguments: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess:
    """Runs the loader's command by a line of sh, in which "$@" are its words."""
    words = ["sh", "-c", shell, "sh", sys.executable, "-W", "error", "-m", "bpfloader", *arguments]
    given = {**os.environ, "PYTHONPATH": LOADER, **environment}
    return subprocess.run(words, env=given, capture_output=True)


@pytest.mark.parametrize("environment", [
    {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
])  # fmt: skip
def test_an_encoding_that_lacks_a_character_shows_it_as_an_escape(folder, bpffs, loaded, environment):
    name = os.fsencode(bpffs) + "/é".encode()
    loaded.maps.events.pin(os.fsdecode(name))
    done = command("ps", **environment)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.isascii() and b"events" in done.stdout
    done = command("inspect", str(folder / "probe.bpf.o"), **environment)
    assert (done.returncode, done.stderr) == (0, b"") and b"raw_tp/sys_enter" in done.stdout
    done = command("detach", "--pin", os.fsdecode(name), **environment)
    assert done.returncode == 0 and not os.path.exists(name), done.stderr


@pytest.mark.parametrize("arguments", [("ps",), ("detach",), ("probe", "xdp"), ("verify",), ("inspect",)])
def test_stdout_may_be_closed_and_have_no_reader(folder, kernel, arguments):
    words = arguments if len(arguments) > 1 or arguments[0] in ("ps", "detach") else (*arguments, str(folder / "probe.bpf.o"))
    for shell in ('"$@" >&-', '"$@" >&- 2>&-', '"$@" <&- >&- 2>&-', '"$@" | true'):
        done = command(*words, shell=shell)
        assert (done.returncode in (0, 1), done.stdout, done.stderr) == (True, b"", b""), shell
