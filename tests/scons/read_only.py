"""Runs scons where the project's folder can't be written, by root neither."""

import os
import subprocess

import pytest
from scons_project import TIMEOUT

_MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && '


def read_only(project, *arguments, before="", behind=""):
    """Runs scons there and returns the finished process; skips where no such mount can be had.

    `before` and `behind` are text of the shell's around it, in which `scons` runs it once more.
    """
    probe = subprocess.run(["unshare", "-m", "sh", "-c", f"{_MOUNT}true", str(project.folder)], capture_output=True, text=True)
    if os.geteuid() != 0 or probe.returncode:
        pytest.skip(f"no folder can be mounted read-only here: {probe.stderr.strip()}")
    text = f'scons() {{ "$@"; }}; {_MOUNT}{before} "$@" {behind.replace("scons", chr(34) + "$@" + chr(34))}'
    command = ["unshare", "-m", "sh", "-c", text, str(project.folder), *project.command, *arguments]
    return subprocess.run(command, **project.place(), capture_output=True, text=True, timeout=TIMEOUT)
