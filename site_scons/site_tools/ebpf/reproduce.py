"""The command `reproduce`: builds what the command line asks for in two unlike places and compares each output."""

import os
import re
import sys
from pathlib import Path

import SCons.Errors
import SCons.Script

from ebpfbuild.errors import ReproduceError
from ebpfbuild.escape import printable
from ebpfbuild.rebuild.step_code import CHECKOUT

from .errors import user_error
from .run import run_of


def reproduce_command(target, source, env):
    """Prints what was varied and what differs. Raises BuildError where an output differs."""
    from ebpfbuild.reproduce.report import reproduce, reproduce_against

    launched = SCons.Script.GetLaunchDir()
    args = user_error(_args, env, launched)
    if against := SCons.Script.GetOption("against"):
        same = user_error(reproduce_against, args, Path(launched, against), _say)
    else:
        same = user_error(reproduce, args, _say)
    if not same:
        raise SCons.Errors.BuildError(target[0], errstr="the outputs differ", status=1, exitstatus=1)


def _say(text):
    print(printable(text), flush=True)


def _args(env, launched):
    """Returns the core's ReproduceArgs, for the caller's command line."""
    from ebpfbuild.fetch.store import cache_folder
    from ebpfbuild.reproduce.report import ReproduceArgs

    root, sessions = env["EBPF"].root, run_of(env.fs).sessions
    if outside := next((build for build in sessions if os.path.isabs(build) and sessions[build].declares), None):
        fix = "have it inside for this command, which gives the same bytes"
        raise ReproduceError(f"both builds would be made in {outside}, by EBPF_BUILD", where="reproduce", fix=fix)
    named = [path for session in sessions.values() for path in _named(session)]
    isolated = ["-I"] if sys.flags.isolated else []
    words = [*isolated, "-m", "SCons", *asked(sys.argv[1:], root)]
    folder = os.path.relpath(launched, root)
    return ReproduceArgs(
        root=os.path.realpath(root),
        tool=str(CHECKOUT),
        command=(sys.executable, *words),
        folder="." if folder.startswith(os.pardir) else folder,
        builds=tuple(sessions),
        named=tuple(named),
        environment={**os.environ, "EBPF_CACHE": str(cache_folder(os.environ))},
    )


def asked(words, root):
    """Returns the command line for a build elsewhere, which makes all itself: no CACHE= gives it anything.

    Without `reproduce`, `--against`, `-j` and SIGN=, whose signatures differ each time. A folder of MIRROR= is named
    from the root, which is another one there.
    """
    words, kept = iter(words), []
    for word in words:
        if word in ("--against", "-j", "--jobs"):
            next(words, None)
        elif word == "reproduce" or re.match(r"--against=|--jobs=|-j\d|SIGN=|CACHE=", word):
            continue
        elif word.startswith("MIRROR=") and "://" not in word and word != "MIRROR=":
            kept.append(f"MIRROR={os.path.join(root, word.removeprefix('MIRROR='))}")
        else:
            kept.append(word)
    return [*kept, "CACHE="]


def _named(session):
    """Returns the paths of the project's files and folders that its pins name, from git's view maybe ignored ones."""
    pins = session.toolchain
    headers = [each for pin in pins.vmlinux.values() for each in (pin, *pin.alternates)]
    kernels = [file.source for pin in pins.kernels.values() for file in pin.files]
    sources = [*(each.source for each in headers), *kernels, *pins.libbpf.sources]
    paths = [path for source in sources if source.in_project for path in source.files]
    paths += [pins.uapi.path] if pins.uapi and pins.uapi.path else []
    return [os.path.join(session.root, path) for path in paths]
