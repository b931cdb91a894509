"""Prints at a build's end what it made, and the seconds: objects with headers and proofs, wheels, tars, images."""

import contextlib
import os
import sys
import time
from pathlib import Path

import SCons.Script
import SCons.Script.Main

from .command_targets import requested
from .image import Layout
from .proof import proof_node
from .run import run_of


def print_summary(fs):
    """Prints the summary of a build, once.

    Nothing with --silent, after a failure, or where nothing was made. `prove` prints a verdict for each object instead.
    """
    run = run_of(fs)
    steps, run.made = run.made, []
    if not steps or SCons.Script.GetOption("silent") or SCons.Script.Main.exit_status or "prove" in requested():
        return
    from ebpfbuild.summary import MadePackage, summary

    objects, packages = [], []
    for node, env in steps:
        with contextlib.suppress(OSError):  # an action of the project's may have moved it away
            if node in env["EBPF"].compiled:
                objects.append(_object(env, node))
            elif node.name.endswith((".whl", ".tar")):
                packages.append(MadePackage(node.path, os.path.getsize(node.abspath)))
            elif isinstance(node, Layout):
                packages.append(MadePackage(node.dir.path, node.size_of_all()))
    how = ", ".join(filter(None, [run.sandbox_used(), run.cache_used()]))
    text = summary(objects, packages, time.time() - SCons.Script.start_time, how)
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # `sconsw | head` has read enough; Python would try once more as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _object(env, node):
    """Returns the core's MadeObject of a step. Raises OSError."""
    from ebpfbuild.summary import MadeObject

    root, step, compiled = env["EBPF"].root, env["EBPF_STEP_ARGS"], env["EBPF"].compiled[node]
    args = getattr(step, "args", None)  # of clang: an object that is linked has none
    lines = None if args is None else Path(root, args.vmlinux).read_bytes().count(b"\n") if args.vmlinux else 0
    proof = "proven" if os.path.exists(proof_node(node).abspath) else "not proven"
    if compiled.full is None:
        proof = ""
    elif args is not None and args.vmlinux == step.full.path:
        proof = "full header"
    return MadeObject(node.path, compiled.arch.name, os.path.getsize(node.abspath), lines, proof)
