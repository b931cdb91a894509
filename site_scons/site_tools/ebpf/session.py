"""Holds what the builders of one build folder share: pins, compiler, ledger of outputs, declared nodes."""

import contextlib
import os
import sys
from functools import cache, cached_property

import SCons.Script

from ebpfbuild.compile.clang import locate
from ebpfbuild.escape import printable
from ebpfbuild.files import make_room
from ebpfbuild.pins import toolchain
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.rebuild.step_code import CORE
from ebpfbuild.rebuild.tree_lock import TreeLock

from . import sconsign
from .arguments import single
from .errors import StopError, check_name, user_error
from .include_scan import IncludeScan
from .project_files import ProjectFiles
from .run import run_of
from .step_inputs import StepInputs

OWN_TOOLCHAIN = str(CORE.parent.parent / "toolchain.toml")


def session_of(env):
    """Returns the session of an environment, one for all that share a build folder.

    So each sees what the others declare.
    """
    run, build, pins = run_of(env.fs), build_folder(env), _path(env, env.get("EBPF_TOOLCHAIN"), "EBPF_TOOLCHAIN")
    if build not in run.sessions:
        run.sessions[build] = Session(run, env.Dir("#").abspath, build, pins)
    if run.sessions[build].pins != pins:
        fix = "give one of the environments an EBPF_BUILD of its own"
        raise StopError(f"EBPF_TOOLCHAIN: two of them would share {build}; {fix}")
    return run.sessions[build]


def build_folder(env):
    """Returns the path of EBPF_BUILD below the project's root.

    From outside, this machine's paths would get into objects.
    """
    return _below(env.fs.Top.get_abspath(), _path(env, env["EBPF_BUILD"], "EBPF_BUILD") or "build")


def _path(env, given, name):
    """Returns the path, from the root, that a variable is given as a string or a node; None where it isn't set."""
    if given is not None and (not isinstance(given, str) or "$" in given):
        given = single(env, given, name)
    return None if given is None else str(given).removeprefix("#")


@cache
def _below(root, build):
    path = os.path.relpath(os.path.join(root, build), root)
    check_name(path, "EBPF_BUILD")
    if path.split(os.sep)[0] == os.pardir:
        what = "is outside of the project, and its path would get into the objects"
        raise StopError(f"EBPF_BUILD: {build} {what}; name a folder below {root}")
    return path


class Session:
    """The state behind `env["EBPF"]`. Clones of an environment share it.

    compiled   the arguments of each object's step, by the object's node; of a linked one also its parts
    parts      the nodes of objects that are there to be linked, by all that shapes them
    full_objects  the bytes that the full header gives for an object, by its node
    proofs     the node of each object's proof, by the object's node
    minimized  how each minimized header is made, a Minimizing by the node of the step that makes it
    shared     the nodes that all programs share, by their folder or name
    vendored   the vendor folders that hold all pins of this build
    """

    def __init__(self, run, root, build, pins):
        self.run, self.root, self.build, self.pins = run, root, build, pins
        looks = looks_only()
        if not looks and run.lock is None:
            run.lock = _locked(root)
        sconsign.guard()
        self.ledger = user_error(Ledger, os.path.join(root, build, ".ebpf-ledger"), read_only=looks)
        run.ledger = run.ledger or self.ledger
        self.files = ProjectFiles(root, build, run)
        self.includes = IncludeScan(self)
        self.inputs = StepInputs(self)
        self.compiled, self.proofs, self.minimized, self.shared = {}, {}, {}, {}
        self.parts, self.full_objects = {}, {}
        self.parts, self.whole = {}, {}
        self.vendored = set()
        self.variants = {}  # each Variant by its folder
        self._digests = {}  # by path
        self._accepted = set()  # tuples of flags that check_cflags took

    @property
    def reporter(self):
        """The run's one Console."""
        return self.run.reporter

    @cached_property
    def toolchain(self):
        """The project's pins: its own toolchain.toml completed by the tool's, or the tool's alone."""
        with contextlib.chdir(self.root):  # a SConscript is read in its own folder; messages name paths from the root
            return user_error(toolchain.load, *self.toolchain_files)

    @cached_property
    def toolchain_files(self):
        """The paths, from the root, of the project's toolchain.toml and of the tool's; one where they are the same."""
        own = os.path.join(self.root, "toolchain.toml")
        given = os.path.join(self.root, self.pins) if self.pins else None
        path = given or (own if os.path.lexists(own) else OWN_TOOLCHAIN)  # a link to nothing is refused with its name
        files = (path,) if os.path.realpath(path) == os.path.realpath(OWN_TOOLCHAIN) else (path, OWN_TOOLCHAIN)
        return tuple(os.path.relpath(file, self.root) for file in files)

    @cached_property
    def linker(self):
        """The pinned linker: the project's or, where it pins none, that of the tool's toolchain.toml."""
        return self.toolchain.linker or user_error(toolchain.load, OWN_TOOLCHAIN).linker

    @cached_property
    def uapi(self):
        """The pin of the UAPI headers: the project's or, where it has none, that of the toolchain.toml of this tool."""
        return self.toolchain.uapi or user_error(toolchain.load, OWN_TOOLCHAIN).uapi

    @cached_property
    def compiler(self):
        """The pinned clang, its version checked."""
        spec = self.toolchain.compiler
        with contextlib.chdir(self.root):  # its path may be relative to the root
            return user_error(locate, spec.package, spec.path, spec.version, spec.where, self.ledger)

    @cached_property
    def indexes(self):
        """The cache of header indexes."""
        from ebpfbuild.fetch.store import cache_folder
        from ebpfbuild.minimize.index_cache import IndexCache

        return IndexCache(cache_folder(os.environ), self.ledger.fact, self.inputs.code("minimize/index.py"))

    def digest(self, path):
        """Returns the sha256 of a file that many steps read, as it was when the first of them was declared.

        Raises OSError.
        """
        if path not in self._digests:
            self._digests[path] = self.ledger.digest(path)
        return self._digests[path]

    def repair(self, nodes, good=None, stale=False):
        """Removes outputs that somebody changed since they were made: SCons never looks at a target again.

        They all go where they are `stale`: something isn't intact that their step makes as well, unknown to SCons.
        """
        paths = [node.abspath for node in nodes]
        doubtful = [path for path in paths if stale or good or not self.ledger.intact(path)]
        if not doubtful or looks_only():
            return
        for path in doubtful:
            if os.path.lexists(path) and not (good and not stale and os.path.isfile(path) and good(path)):
                make_room(path)

    def cflags(self, flags, what):
        """Returns a tuple of flags that SConscripts give. Raises FlagError for those that read or write files."""
        if flags and flags not in self._accepted:
            from ebpfbuild.cflags import check_cflags  # its table takes 5 ms, which a build without flags needn't pay

            check_cflags(flags, what)
            self._accepted.add(flags)
        return flags


def looks_only():
    """Returns True if this run builds nothing: -n and -q."""
    return SCons.Script.GetOption("no_exec") or SCons.Script.GetOption("question")


def _locked(root):
    """Waits until no other build runs in the project's folder, and returns its TreeLock."""

    def waiting(text):
        print(f"ebpf: {printable(text)}", file=sys.stderr, flush=True)

    lock = user_error(TreeLock, root, waiting)
    if lock.waited and sconsign.was_read():
        what = "another build ran in this folder after this one had read what SCons remembers"
        raise StopError(f"{what}; build again")
    return lock
