"""CompileCommands(): compile_commands.json for clangd, for every object of every arch asked for."""

from pathlib import Path

from ebpfbuild.compile.compdb import compile_commands
from ebpfbuild.compile.object import with_header
from ebpfbuild.files import write_file

from .step import builder


class _Compiles:
    """The compiles that the database lists, known when every SConscript has been read; its text is what a null build compares."""

    def __init__(self, session):
        self.session = session

    def __str__(self):
        rows = (f"{args.source} {args.output} {full} {self.session.flags(args)}" for args, full in self.session.commands)
        return "\n".join([self.session.root, *sorted(rows)])


def compile_db(env):
    """The node of compile_commands.json in the project's root. Every object requires it, so each build keeps it fresh."""
    session = env["EBPF"]
    if "compdb" not in session.shared:
        node = session.shared["compdb"] = env.File("#compile_commands.json")
        if not node.has_builder():  # by another session of this run
            session.repair([node])
            COMPDB(env, target=node, source=env.Value(_Compiles(session)))
    return session.shared["compdb"]


def _write(target, source, env):
    session = source[0].value.session
    # An editor completes from the full header.
    compiles = [with_header(args, full) for args, full in session.commands]
    write_file(Path(target[0].abspath), compile_commands(compiles, session.root).encode())


COMPDB = builder(_write, "COMPDB   $TARGET")
METHODS = {"CompileCommands": compile_db}
