"""Runs the machine's own programs (clang, ldd, bpftool) in an environment that is the same on every machine."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

# CPATH, C_INCLUDE_PATH, CCC_OVERRIDE_OPTIONS, HOME and the locale stay outside.
CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

SANDBOX_ROOT = "/src"  # where a sandboxed action finds the folder that it starts in, on every machine


class Action(NamedTuple):
    """A program that a step runs, with all that it may see: paths below `root`, the folder in which it starts.

    command, executable   its words and the file that is started
    inputs, folders       the files that it may read, and folders that are there though they hold none of these
    scratch               the folder below `root` for what it writes
    trees                 folders with many inputs, each with those files: they are laid out once for all actions
    anywhere              folders that may be links out of `root`: those of the build
    mounts                what a program that is linked dynamically needs of this machine: absolute paths
    """

    command: Sequence[str]
    executable: str
    root: str
    inputs: Iterable[str]
    scratch: str
    folders: Sequence[str] = ()
    trees: Mapping[str, Sequence[str]] = {}
    anywhere: Sequence[str] = ()
    mounts: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    seconds: float = 0


class Runner(Protocol):
    """Runs actions in a sandbox; None says that an action is to run without one."""

    def run(self, action: Action) -> subprocess.CompletedProcess[str] | None:
        """Runs an action. Raises SandboxError."""


def loaded(binary: str) -> list[str]:
    """Returns the paths by which ld.so finds a dynamic binary's libraries, itself among them. Source: ldd(1)."""
    try:
        listed = subprocess.run(["ldd", binary], env=CLEAN_ENVIRONMENT, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return sorted(set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE)))


def libraries(binary: str) -> list[str]:
    """Returns the real paths of the libraries that ld.so loads for a dynamic binary; none for a static one."""
    return sorted(set(map(os.path.realpath, loaded(binary))))
