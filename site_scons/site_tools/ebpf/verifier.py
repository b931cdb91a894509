"""The command `verify`: what this kernel's verifier says of each object that was built for this machine."""

import os
import platform
import re
import subprocess
import sys

import SCons.Errors
import SCons.Script

from ebpfbuild.arch import host_arch
from ebpfbuild.escape import printable

from .errors import StopError
from .package import LOADER
from .run import run_of

FIGURES = "verifier-figures.txt"  # beside toolchain.toml: of this kernel and of those that `boot` boots
LIMIT = r"\d{1,5}(\.\d{1,3})?%?"  # as bpfloader/verifier/baseline.py reads it
DEARER = 2  # the exit status of the loader's command for a program that got dearer, and for what it can't read


def verify(target, env):
    """Has the project's loader print its figures, and hold them against the baseline where the project has one.

    `--record` writes the baseline instead; VERIFY_LIMIT= says how much dearer a program may be. Raises BuildError where
    a program got dearer or nothing could be verified, StopError where no object is for this machine.
    """
    root, objects = env["EBPF"].root, _objects(env)
    if not objects:
        raise StopError(f"verify: no object is for this machine; name its arch: ARCH={_host()}")
    words = objects
    if SCons.Script.GetOption("record"):
        words += ["--record", FIGURES]
    elif os.path.lexists(os.path.join(root, FIGURES)):
        words += ["--compare", FIGURES]
    if is_dearer(root, words):
        what = f"programs are dearer than {FIGURES} allows, or can't be verified"
        fix = f"make them cheaper, or accept it by `verify --record` and commit {FIGURES}"
        raise SCons.Errors.BuildError(target[0], errstr=printable(f"{what}; {fix}"), status=DEARER, exitstatus=DEARER)


def is_dearer(root, words):
    """Has the project's loader verify, record or compare; returns True for a program that got dearer, or can't be read.

    Raises StopError for a VERIFY_LIMIT= that is none.
    """
    command = [sys.executable, "-P", "-m", "bpfloader", "verify", *words]
    command += [f"--limit={limit}"] if (limit := _limit()) else []
    sys.stdout.flush()
    environment = {**os.environ, "PYTHONPATH": str(LOADER.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.call(command, cwd=root, env=environment) == DEARER


def _limit():
    """Returns VERIFY_LIMIT=, empty for none. Raises StopError for what the loader doesn't take as a limit."""
    text = SCons.Script.ARGUMENTS.get("VERIFY_LIMIT", "")
    if text and not re.fullmatch(LIMIT, text):
        raise StopError(f"VERIFY_LIMIT={text}: is no limit; give percents, such as 20%")
    return text


def _objects(env):
    """Returns the paths, seen from the root, of the objects for this machine that are no part of another one."""
    found, arch = run_of(env.fs).for_verify, _host()
    parts = {part for made_in, node in found for part in getattr(made_in["EBPF"].compiled[node], "parts", ())}
    nodes = [node for made_in, node in found if made_in["EBPF"].compiled[node].arch.name == arch and node not in parts]
    return sorted(os.path.relpath(node.abspath, env["EBPF"].root) for node in nodes)


def _host():
    return host_arch(platform.machine()).name
