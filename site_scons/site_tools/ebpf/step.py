"""A builder whose action's signature is constant: a step depends on its sources and its Value, not on Python's bytecode."""

import os
from types import SimpleNamespace

import SCons.Action
import SCons.Builder
import SCons.Errors
from ebpfbuild.errors import EbpfError
from ebpfbuild.plain import printable

from .session import build_folder


class Step(SCons.Action.FunctionAction):
    """Runs `run(target, source, env)`, remembers what the outputs hold, and tells a core's error in its own words."""

    def __init__(self, run, message):
        def execute(target, source, env):
            try:
                run(target, source, env)
            except EbpfError as error:
                raise SCons.Errors.BuildError(target[0], errstr=str(error), status=2, exitstatus=2) from None
            for node in target:
                env["EBPF"].ledger.built(node.abspath)

        super().__init__(execute, {"cmdstr": message, "varlist": ()})

    def get_presig(self, target, source, env):
        """Nothing: a new Python version compiles to other bytecode and must not rebuild the world."""
        return b""

    def print_cmd_line(self, s, target, source, env):
        """Prints the step's message: a file may have a name that steers the terminal."""
        super().print_cmd_line(printable(s), target, source, env)

    def get_implicit_deps(self, target, source, env, executor=None):
        """Nothing that isn't declared."""
        return []


def told(**values):
    """A step's arguments as an override of the environment: SCons makes a list of any tuple that it is handed bare."""
    return {"EBPF_TOLD": SimpleNamespace(**values)}


def builder(run, message, **kwargs):
    """A Builder of one Step; `message` is what a person sees of it."""
    return SCons.Builder.Builder(action=Step(run, message), **kwargs)


def build_path(env, *parts):
    """A path in the build folder, relative to the project's root."""
    return "#" + os.path.join(build_folder(env), *parts)
