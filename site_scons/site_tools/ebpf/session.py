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
from ebpfbuild.rebuild.step_code import CHECKOUT
from ebpfbuild.rebuild.tree_lock import TreeLock

from . import jobs, sconsign
from .arguments import single
from .errors import StopError, check_mapped, check_name, user_error
from .include_scan import IncludeScan
from .project_files import ProjectFiles
from .run import run_of
from .step_inputs import StepInputs

OWN_TOOLCHAIN = str(CHECKOUT / "toolchain.toml")


def session_of(env):
    """Returns the session of an environment, one for all that share a build folder.

    So each sees what the others declare.
    """
    run, build, pins = run_of(env.fs), build_folder(env), _path(env, env.get("EBPF_TOOLCHAIN"), "EBPF_TOOLCHAIN")
    if build not in run.sessions:
        run.sessions[build] = Session(run, env.Dir("#").abspath, build, pins)
        of_the_project(env, build)
    if run.sessions[build].pins != pins:
        fix = "set it in Environment(…), or give one of the environments an EBPF_BUILD of its own"
        raise StopError(f"EBPF_TOOLCHAIN: two of them would share {build}; {fix}")
    return run.sessions[build]


def build_folder(env):
    """Returns the path of EBPF_BUILD: from the project's root, or absolute where it lies outside of that."""
    return _place(env.fs.Top.get_abspath(), _path(env, env["EBPF_BUILD"], "EBPF_BUILD") or "build")


def of_the_project(env, folder):
    """Has a build without targets, and -c, take in a folder of outputs outside of the project, as SCons does `.`."""
    if os.path.isabs(folder):
        env.fs.Top.add_dependency([env.fs.Dir(folder)])


def _path(env, given, name):
    """Returns the path, from the root, that a variable is given as a string or a node; None where it isn't set."""
    if given is not None and (not isinstance(given, str) or "$" in given):
        given = single(env, given, name)
    return None if given is None else str(given).removeprefix("#")


@cache
def _place(root, build):
    path = os.path.relpath(os.path.join(root, build), root)
    if path.split(os.sep)[0] == os.pardir:
        path = _outside(root, os.path.normpath(os.path.join(root, build)))
    check_name(path, "EBPF_BUILD")
    return path


def _outside(root, build):
    """Returns a build folder's absolute path; from the root where that is below the root by another name.

    Raises StopError for one that holds the project: all that lies there would be the build's.
    """
    real_root, real = os.path.realpath(root), os.path.realpath(build)
    if f"{real}{os.sep}".startswith(f"{real_root}{os.sep}"):
        return os.path.relpath(real, real_root)
    if f"{real_root}{os.sep}".startswith(f"{real.rstrip(os.sep)}{os.sep}"):
        fix = "name a folder of the build's own, in the project or elsewhere"
        raise StopError(f"EBPF_BUILD: {build} holds the project itself; {fix}")
    check_mapped(build, "EBPF_BUILD")
    return build


class Session:
    """The state behind `env["EBPF"]`. Clones of an environment share it.

    home       the folder of SCons's file, of compile_commands.json and of the lock: the project's root, or the build
               folder where that lies outside of it
    compiled   the arguments of each object's step, by the object's node; of a linked one also its parts
    parts      the nodes of objects that are there to be linked, by all that shapes them
    full_objects  the bytes that the full header gives for an object, by its node
    proofs     the node of each object's proof, by the object's node
    papers     what papers say of pins, as inputs of a step, by what the objects of a package need
    minimized  how each minimized header is made, a Minimizing by the node of the step that makes it
    shared     the nodes that all programs share, by their folder or name
    vendored   the vendor folders that hold all pins of this build
    """

    def __init__(self, run, root, build, pins):
        self.run, self.root, self.build, self.pins = run, root, build, pins
        self.home = _home(root, build)
        self._ledger_path = os.path.join(root, build, ".ebpf-ledger")
        sconsign.guard()
        jobs.guard()
        self.files = ProjectFiles(root, build, run)
        self.includes = IncludeScan(self)
        self.inputs = StepInputs(self)
        self.compiled, self.proofs, self.minimized, self.shared = {}, {}, {}, {}
        self.parts, self.full_objects, self.papers = {}, {}, {}
        self.vendored = set()
        self.variants = {}  # each Variant by its folder
        self._digests = {}  # by path
        self._accepted = set()  # tuples of flags that check_cflags took
        self.declares = False  # whether any of its environments has declared a target

    @cached_property
    def ledger(self):
        """The session's Ledger. From its first use on, no other build runs in the session's home."""
        looks = looks_only()
        if not looks and self.home not in self.run.locks:
            self.run.locks[self.home] = _locked(self.home)
        return user_error(Ledger, self._ledger_path, read_only=looks)

    def keep(self):
        """Has the ledger keep what this run made, if it was opened."""
        if "ledger" in vars(self):
            self.ledger.keep()

    @property
    def reporter(self):
        """The run's one Console."""
        return self.run.reporter

    @cached_property
    def toolchain(self):
        """The project's pins: its own toolchain.toml completed by the tool's, or the tool's alone."""
        with contextlib.chdir(self.root):  # a SConscript is read in its own folder; messages name paths from the root
            pins, given = user_error(toolchain.load, *self.toolchain_files), self.run.vmlinux
            pins = pins if self.has_own_pins else pins._replace(kernels={})
            return pins._replace(vmlinux={**pins.vmlinux, given.arch: given}) if given else pins

    @cached_property
    def toolchain_files(self):
        """The paths, from the root, of the project's toolchain.toml and of the tool's; one where they are the same."""
        own = os.path.join(self.root, "toolchain.toml")
        given = os.path.join(self.root, self.pins) if self.pins else None
        path = given or (own if os.path.lexists(own) else OWN_TOOLCHAIN)  # a link to nothing is refused with its name
        files = (path,) if os.path.realpath(path) == os.path.realpath(OWN_TOOLCHAIN) else (path, OWN_TOOLCHAIN)
        return tuple(os.path.relpath(file, self.root) for file in files)

    @cached_property
    def has_own_pins(self):
        """True where the project has a toolchain.toml of its own: only there it can have declared kernels."""
        return len(self.toolchain_files) > 1 or os.path.realpath(self.root) == os.path.realpath(CHECKOUT)

    @cached_property
    def linker(self):
        """The pinned linker: the project's or, where it pins none, that of the tool's toolchain.toml."""
        return self.toolchain.linker or user_error(toolchain.load, OWN_TOOLCHAIN).linker

    @cached_property
    def bundle(self):
        """The pins of a bundled libbpf: the project's or, where it has none, those of the tool's toolchain.toml."""
        return self.toolchain.bundle or user_error(toolchain.load, OWN_TOOLCHAIN).bundle

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


def _home(root, build):
    """Returns the root, or the build folder where it lies elsewhere or nothing can be written beside it.

    A tree that can't be written any more is held against what SCons remembered there.
    """
    inside = not os.path.isabs(build) and (os.access(root, os.W_OK) or sconsign.is_kept_in(root))
    return root if inside else os.path.join(root, build)


def looks_only():
    """Returns True if this run builds nothing: -n and -q."""
    return SCons.Script.GetOption("no_exec") or SCons.Script.GetOption("question")


def _locked(root):
    """Waits until no other build runs in a folder, a session's home, and returns its TreeLock."""

    def waiting(text):
        print(f"ebpf: {printable(text)}", file=sys.stderr, flush=True)

    with contextlib.suppress(OSError):  # whoever writes there will say why
        os.makedirs(root, exist_ok=True)
    lock = user_error(TreeLock, root, waiting)
    if lock.waited and sconsign.was_read():
        what = "another build ran in this folder after this one had read what SCons remembers"
        raise StopError(f"{what}; build again")
    return lock
