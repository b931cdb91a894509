"""CompileCommands(): compile_commands.json for clangd, for every object of every arch asked for."""

import os
from pathlib import Path
from typing import NamedTuple

from ebpfbuild.compile.args import CompileArgs, with_header
from ebpfbuild.files import write_file

from .step import builder


class Compilation(NamedTuple):
    """One object's compile, and the path of the full vmlinux.h from the root: an editor completes from that."""

    args: CompileArgs
    full: str


class _Compiles:
    """The compiles that the database lists, known when every SConscript has been read.

    A null build compares their text.
    """

    def __init__(self, session):
        self.session = session

    def __str__(self):
        inputs = self.session.inputs
        compiles = {
            f"compile of {args.output}": [args.source, full, inputs.flags(args)]
            for args, full in self.session.run.commands[self.session.home]
        }
        return inputs.text(root=self.session.root, compiles=compiles)


def compile_db(env):
    """Returns the node of compile_commands.json in the project's root, or in a build folder outside of the project.

    Every object requires it, so each build keeps it fresh.
    """
    session = env["EBPF"]
    if "compdb" not in session.shared:
        node = session.shared["compdb"] = env.File(os.path.join(session.home, "compile_commands.json"))
        if not node.has_builder():  # by another session of this run
            session.repair([node])
            COMPDB(env, target=node, source=session.inputs.value(_Compiles(session)))
    return session.shared["compdb"]


def _write(target, source, env):
    from ebpfbuild.compile.database import compile_commands

    session = source[0].value.session
    compiles = [with_header(args, full) if full else args for args, full in session.run.commands[session.home]]
    write_file(Path(target[0].abspath), compile_commands(compiles, session.root).encode())


COMPDB = builder(_write, "COMPDB   $TARGET")
METHODS = {"CompileCommands": compile_db}
