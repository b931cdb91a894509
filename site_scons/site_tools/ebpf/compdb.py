"""CompileCommands(): compile_commands.json for clangd, for every object of every arch asked for."""

from pathlib import Path

from ebpfbuild.compdb import compile_commands
from ebpfbuild.files import write_file

from .step import builder


class _Text:
    """The database's text when it is asked for: by then every SConscript has been read."""

    def __init__(self, session):
        self.session = session

    def __str__(self):
        return compile_commands(self.session.commands, self.session.root)


def compile_db(env):
    """The node of compile_commands.json in the project's root. Every object requires it, so each build keeps it fresh."""
    session, node = env["EBPF"], env.File("#compile_commands.json")
    if not node.has_builder():
        session.repair([node])
        COMPDB(env, target=node, source=env.Value(_Text(session)))
    return node


def _write(target, source, env):
    write_file(Path(target[0].abspath), str(source[0].value).encode())


COMPDB = builder(_write, "COMPDB   $TARGET")
METHODS = {"CompileCommands": compile_db}
