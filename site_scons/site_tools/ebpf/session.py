"""What the builders of one environment share: the pins, the ledger of outputs, the compiler."""

import contextlib
import json
import os
from functools import cached_property

import SCons.Script
from ebpfbuild import code, toolchain
from ebpfbuild.compiler import locate
from ebpfbuild.errors import EbpfError
from ebpfbuild.ledger import Ledger
from ebpfbuild.scan import project_headers
from SCons.Errors import StopError

OWN_TOOLCHAIN = str(code.CORE.parent.parent / "toolchain.toml")


class Session:
    """The state behind `env["EBPF"]`. Clones of an environment share it."""

    def __init__(self, env):
        self.root = env.Dir("#").abspath
        self.build = env["EBPF_BUILD"]
        self.ledger = Ledger(os.path.join(self.root, self.build, ".ebpf-ledger"))
        self.commands = []  # what compile_commands.json holds
        self.compiled = {}  # how each object is compiled, by its node
        self.minimized = {}  # how each minimized header is made, by its node
        self._toolchain_path = env.get("EBPF_TOOLCHAIN")
        self.fetch_options = self.reporter = self.indexes = None  # made by the first step that needs them
        self._code, self._texts, self._headers = {}, {}, {}

    @cached_property
    def toolchain(self):
        """The project's pins: its own toolchain.toml, or the one that this tool came with."""
        own = os.path.join(self.root, "toolchain.toml")
        path = self._toolchain_path or (own if os.path.exists(own) else OWN_TOOLCHAIN)
        with contextlib.chdir(self.root):  # a SConscript is read in its own folder; messages name paths from the root
            return user_error(toolchain.load, os.path.relpath(path))

    @cached_property
    def compiler(self):
        """The pinned clang, its version checked."""
        spec = self.toolchain.compiler
        return user_error(locate, spec.package, spec.path, spec.version, spec.where, self.ledger)

    def value(self, env, entry, *parts):
        """The Value node of all that a step depends on beside its sources: its code, and what it is told."""
        if entry not in self._code:
            self._code[entry] = code.step_code(entry, self.ledger.digest, self.ledger.fact)
        return env.Value(json.dumps([entry, self._code[entry], *parts], sort_keys=True, default=str))

    def repair(self, nodes, good=None):
        """Removes outputs that somebody changed since they were made: SCons never looks at a target again."""
        if SCons.Script.GetOption("no_exec") or SCons.Script.GetOption("question"):
            return
        for node in nodes:
            path = node.abspath
            if os.path.lexists(path) and not (good or self.ledger.intact)(path):
                os.unlink(path)

    def headers(self, source, include_dirs):
        """The project's headers that a source includes, as paths: scanned once a run, however many arches ask."""
        key = source, tuple(include_dirs)
        if key not in self._headers:
            pinned = {"vmlinux.h", *(f"bpf/{name}" for name in self.toolchain.libbpf.files)}
            self._headers[key] = user_error(project_headers, source, include_dirs, self._text, pinned.__contains__)
        return self._headers[key]

    def _text(self, path):
        """A project file's text, or None."""
        if path not in self._texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                    self._texts[path] = file.read()
            except OSError:
                self._texts[path] = None
        return self._texts[path]


def user_error(call, *args):
    """What `call(*args)` returns; the core's errors become SCons's kind that is one line and names no line of this tool."""
    try:
        return call(*args)
    except EbpfError as error:
        raise StopError(str(error)) from None
