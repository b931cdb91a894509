"""A page's examples, found in its fences and built by real scons, as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?://|#) ([\w/.]+)$", re.MULTILINE)  # an example's first line, where the example is a file
# A chroot's `/` is no mount that could be made private: it is the one that holds the folder which has to be.
MOUNT = """for folder in /sys/kernel/tracing /sys/kernel /sys /; do mount --make-private "$folder" 2>/dev/null && break; done
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$@"
"""


class Example(NamedTuple):
    """A fence of a page: its language, its text, the line where that begins, and the file that it is, if it is one."""

    language: str
    text: str
    line: int
    file: str


def examples(page: Path) -> list[Example]:
    """The fences of a page in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        first = FILE.match(match[2])
        found.append(Example(match[1], match[2], text.count("\n", 0, match.start(2)) + 1, first[1] if first else ""))
    return found


def write_files(page: Path, folder: Path) -> None:
    """Puts the page's files into a folder, with this checkout where they expect it."""
    for each in examples(page):
        if each.file:
            path = folder / each.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each.text)
    (folder / "third_party").mkdir()
    (folder / "third_party" / "scons-bpf").symlink_to(ROOT)


def build(folder: Path, *arguments: str) -> str:
    """Runs scons there, and returns what it printed on stdout; skips where the pinned inputs can't be had."""
    mirror = os.environ.get("SCONS_BPF_MIRROR")
    command = [sys.executable, "-m", "SCons", "-Q", *arguments, *([f"MIRROR={mirror}"] if mirror else [])]
    command += ["--offline"] if os.environ.get("SCONS_BPF_OFFLINE") == "1" else []
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if any(said in done.stdout + done.stderr for said in ("can be reached", "connects to nothing")):
        pytest.skip("the pinned headers can't be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_tracefs(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen:
    """A process that has /sys/kernel/tracing, in a mount namespace of its own."""
    return started(["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", MOUNT, "sh", *command], folder, environment)


def started(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen:
    """A process in that folder, in this environment with changes, whose output is read."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, text=True, **pipes)
