"""Runs the machine's bpftool, which makes an object's C skeleton: for images without Python.

It isn't pinned: no package index has it, and kernels bring their own. So it is asked for on purpose, found in the
system's folders alone, and its bytes, its libraries and what it calls itself are part of what the step depends on.
"""

import hashlib
import os
import re
import subprocess
from typing import Any, NamedTuple

from ..errors import ToolError
from ..host_tools import CLEAN_ENVIRONMENT, Action, Runner, libraries, loaded
from ..rebuild.ledger import Ledger
from ..scratch import scratch_folder

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin")
MISSING = (
    "apt install bpftool (Debian), linux-tools-generic (Ubuntu), dnf install bpftool (Fedora), or set EBPF_BPFTOOL"
)


class Bpftool(NamedTuple):
    """A bpftool: its path, what `bpftool version` says, a sha256 over that, its bytes and the libraries it loads."""

    path: str
    version: str
    fingerprint: str


def locate_bpftool(path: str | None, ledger: Ledger) -> Bpftool:
    """Returns the bpftool at a path, else the first in the system's folders.

    Raises ToolError if there is none that runs.
    """
    found = path or next((f"{folder}/bpftool" for folder in FOLDERS if os.access(f"{folder}/bpftool", os.X_OK)), "")
    if not found or not os.access(found, os.X_OK) or not os.path.isfile(found):
        raise ToolError(
            f"no bpftool at {path}" if path else "this machine has no bpftool", where="BpfCSkeleton", fix=MISSING
        )
    digest = ledger.digest(os.path.realpath(found))
    # A distribution's script picks a bpftool by the running kernel: what it is told today says nothing of tomorrow.
    with open(found, "rb") as file:
        script = file.read(2) == b"#!"
    facts = _facts(found) if script else ledger.fact(f"bpftool {found} {digest}", lambda: _facts(found))
    parts = sorted(ledger.digest(library) for library in facts["libraries"])
    text = "\n".join([facts["version"], digest, *parts])
    return Bpftool(found, facts["version"], hashlib.sha256(text.encode()).hexdigest())


def _facts(path: str) -> dict[str, Any]:
    done = _run([path, "version"])
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode or not re.match(r"\S*bpftool v\d", text):
        raise ToolError(f"{path} does not run as bpftool does", where="BpfCSkeleton", fix=MISSING, details=_lines(done))
    return {"version": " ".join(text.split()), "libraries": libraries(path)}


def c_skeleton(tool: Bpftool, object_path: str, name: str, sandbox: Runner | None = None) -> bytes:
    """Returns the text of an object's skeleton in C, `struct <name>`. Raises ToolError with what bpftool says."""
    identifier = re.sub(r"^(?=\d)|\W", "_", name, flags=re.ASCII)
    words = [tool.path, "gen", "skeleton", object_path, "name", identifier]
    done = _sandboxed(words, object_path, sandbox) or _run(words)
    if done.returncode or not done.stdout:
        what = f"{tool.version.split(',')[0].split(' using')[0]} makes no skeleton of {os.path.basename(object_path)}"
        fix = "take one that is as new as the program's features (bpftool 7.6 reads objects of the other byte order)"
        raise ToolError(what, where="BpfCSkeleton", fix=fix, details=_lines(done))
    return done.stdout


def _run(argv: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(argv, env=CLEAN_ENVIRONMENT, capture_output=True)
    except OSError as error:
        raise ToolError(f"{argv[0]} does not run ({error.strerror})", where="BpfCSkeleton", fix=MISSING) from None


def _sandboxed(words: list[str], path: str, sandbox: Runner | None) -> subprocess.CompletedProcess[bytes] | None:
    """Runs a bpftool in a sandbox; None for a distribution's script, which must look at the machine."""
    binary = os.path.realpath(words[0])
    if not sandbox:
        return None
    folder, name = os.path.split(os.path.abspath(path))
    with scratch_folder(folder) as scratch:
        command = [binary, *words[1:3], name, *words[4:]]
        action = Action(command, binary, folder, [name], os.path.basename(scratch), mounts=[binary, *loaded(binary)])
        done = sandbox.run(action)
    if done is None:
        return None
    streams = [text.encode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(words, done.returncode, *streams)


def _lines(done: subprocess.CompletedProcess[bytes]) -> tuple[str, ...]:
    return tuple(filter(None, done.stderr.decode("utf-8", "replace").splitlines()))[:10]
