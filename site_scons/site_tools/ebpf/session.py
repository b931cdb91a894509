"""What the builders of one environment share: the pins, the ledger of outputs, the compiler."""

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import replace
from errno import EACCES, EISDIR, ELOOP, EPERM
from functools import cache, cached_property

import SCons.Errors
import SCons.Node.FS
import SCons.Script
from ebpfbuild.rebuild import step_code as code
from ebpfbuild.compile import directives as includes
from ebpfbuild.pins import toolchain
from ebpfbuild.compile.clang import locate
from ebpfbuild.errors import EbpfError
from ebpfbuild.files import UnfitFileError, make_room, read_regular, require_regular, symlink_loop
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.paths import Tree
from ebpfbuild.escape import printable
from ebpfbuild.compile.includes import project_headers
from ebpfbuild.rebuild.tree_lock import hold
from SCons.Errors import UserError

from . import sconsign
from .fetching import reporter
from .nodes import remember_in
from .stop import StopError

OWN_TOOLCHAIN = str(code.CORE.parent.parent / "toolchain.toml")


_MADE = SCons.Node.executed, SCons.Node.up_to_date
_SESSIONS = {}  # by build folder


def session_of(env):
    """The session of an environment, one for all that share a build folder: each sees what the others declare."""
    build, pins = build_folder(env), env.get("EBPF_TOOLCHAIN")
    if build not in _SESSIONS:
        _SESSIONS[build] = Session(env.Dir("#").abspath, build, pins)
    if _SESSIONS[build].pins != pins:
        fix = "give one of the environments an EBPF_BUILD of its own"
        raise StopError(f"EBPF_TOOLCHAIN: two of them would share {build}; {fix}")
    return _SESSIONS[build]


def build_folder(env):
    """The path of EBPF_BUILD below the project's root. From outside, this machine's paths would get into objects."""
    return _below(env.fs.Top.get_abspath(), env["EBPF_BUILD"])


@cache
def _below(root, build):
    path = os.path.relpath(os.path.join(root, build.removeprefix("#")), root)
    check_name(path, "EBPF_BUILD")
    if path.split(os.sep)[0] == os.pardir:
        what = "is outside of the project, and its path would get into the objects"
        raise StopError(f"EBPF_BUILD: {build} {what}; name a folder below {root}")
    return path


class Session:
    """The state behind `env["EBPF"]`. Clones of an environment share it."""

    commands = []  # the CompileArgs in compile_commands.json: one file for all sessions

    def __init__(self, root, build, pins):
        self.root, self.pins, self.build = root, pins, build
        self.tree = Tree(root)
        looks = looks_only()
        if not looks:
            _lock(root)
        sconsign.guard()
        self.ledger = user_error(Ledger, os.path.join(root, build, ".ebpf-ledger"), read_only=looks)
        remember_in(self.ledger)
        self.told_of_cache = False
        self.compiled = {}  # how each object is compiled, by its node
        self.proofs = {}  # the node of each object's proof, by the object's
        self.minimized = {}  # how each minimized header is made, by the node of the step that makes it
        self.shared = {}  # the nodes that all programs share, by their folder or name
        self.fetch_options = self.reporter = self.indexes = None  # made by the first step that needs them
        self._code, self._digests, self._texts, self._headers, self._flags = {}, {}, {}, {}, {}
        self._fit = set()  # the flags that were looked at
        self._places, self._strays = {}, {}  # nodes' paths below the root; the symlinks by which paths lead out of it

    @cached_property
    def toolchain(self):
        """The project's pins: its own toolchain.toml, or the one that this tool came with."""
        own = os.path.join(self.root, "toolchain.toml")
        path = self.pins or (own if os.path.lexists(own) else OWN_TOOLCHAIN)  # a link to nothing is told
        with contextlib.chdir(self.root):  # a SConscript is read in its own folder; messages name paths from the root
            return user_error(toolchain.load, os.path.relpath(path))

    @cached_property
    def compiler(self):
        """The pinned clang, its version checked."""
        spec = self.toolchain.compiler
        with contextlib.chdir(self.root):  # its path may be relative to the root
            return user_error(locate, spec.package, spec.path, spec.version, spec.where, self.ledger)

    def value(self, env, entry, *parts):
        """The Value node of all that a step depends on beside its sources: its code, and what it is told."""
        return env.Value(json.dumps([entry, self.step_code(entry), *parts], sort_keys=True, default=str))

    @cached_property
    def _core(self):
        return code.core_digests(self.ledger.digest)

    def digest(self, path):
        """The sha256 of a file that many steps are told of, as it was when the first of them was declared. Raises OSError."""
        if path not in self._digests:
            self._digests[path] = self.ledger.digest(path)
        return self._digests[path]

    def step_code(self, entry):
        """The digest of the core's code that a step beginning in module `entry` runs."""
        if entry not in self._code:
            self._code[entry] = code.step_code(entry, self._core, self.ledger.fact)
        return self._code[entry]

    def flags(self, args):
        """The sha256 of a compile's flags. Where its vmlinux.h lies is not part of it."""
        key = args.arch.name, args.include_dirs, args.cflags
        if key not in self._flags:
            flags = replace(args, header_dir="").flags()
            self._flags[key] = hashlib.sha256(json.dumps(flags).encode()).hexdigest()
        return self._flags[key]

    def repair(self, nodes, good=None, stale=False):
        """Removes outputs that somebody changed since they were made: SCons never looks at a target again.

        They all go where they are `stale`: something isn't intact that their step makes as well, unknown to SCons.
        """
        if looks_only():
            return
        for node in nodes:
            path = node.abspath
            if os.path.lexists(path) and (stale or not os.path.isfile(path) or not (good or self.ledger.intact)(path)):
                make_room(path)

    def cflags(self, flags, what):
        """Flags that SConscripts give, as a tuple. Raises FlagError for those that read or write files."""
        if isinstance(flags, str):
            raise StopError(f"{what}: {flags!r} is one string; write a list: {what}={flags.split()}")
        flags = tuple(map(str, flags))
        if flags and flags not in self._fit:
            from ebpfbuild.cflags import check_cflags  # its table takes 5 ms, which a build without flags needn't pay

            check_cflags(flags, what)
            self._fit.add(flags)
        return flags

    def place(self, node, what):
        """The path of a node below the project's root. Raises StopError for what is neither pinned nor part of the project."""
        if node in self._places:
            return self._places[node]
        path = self.tree.plain(node.get_abspath())
        check_name(path.removeprefix(f"{self.root}{os.sep}"), what)
        self._check_links(path, what)
        if os.path.isabs(path):
            path = self.tree.plain(self.tree.real(path))  # the root may have another name
        if os.path.isabs(path):
            raise StopError(f"{what}: {node.path} is outside of the project; copy what you need of it into the project")
        self._places[node] = path
        return path

    def _check_links(self, path, what):
        """Stops at a path that the kernel can't follow: SCons would name it as it lies on this machine, clang pass it over."""
        try:
            os.stat(os.path.join(self.root, path))
        except OSError as error:
            if error.errno == ELOOP:
                raise _unfit(symlink_loop(os.path.join(self.root, path)), f"{what}: {path}") from None

    def stray(self, path, env):
        """Tells once of a symlink that leads out of the project, or in a release raises StopError; what is built may lie anywhere."""
        if path in self._strays:
            return
        link = self._strays[path] = None if path.startswith(f"{self.build}{os.sep}") else self.tree.way_out(path)
        if link is None or link in self._strays and link != path:
            return
        self._strays[link] = link
        what = f"{link} leads out of the project, to {self.tree.real(link)}"
        if env["EBPF_RELEASE"]:
            raise StopError(f"{what}; a release is made of the project alone: copy what you need of it into the project")
        reporter(env).notice(f"{what}; another checkout may find something else there, and RELEASE=1 refuses it")

    def headers(self, source, include_dirs, depends, env):
        """The project's files that a source includes, as paths: scanned once a run, however many arches ask."""
        key = source, tuple(include_dirs), tuple(depends)
        if key in self._headers:
            return self._headers[key]
        pinned = {"vmlinux.h", *(f"bpf/{name}" for name in self.toolchain.libbpf.files)}
        libbpf = env.LibbpfHeaders()
        system = os.path.join(os.path.dirname(libbpf.path), "include")
        generated = [] if libbpf.get_state() in _MADE else [libbpf]  # those in place may be an older pin's

        def read(path):
            if path.startswith(f"{system}{os.sep}"):
                return self._pinned_text(path, pinned)
            if not derived(path):
                return self._text(path)
            generated.append(path)  # it has still to be made, or made anew
            return self._read(path) or ""

        headers = user_error(project_headers, source, include_dirs, read, pinned.__contains__, self.tree.plain, depends, system)
        for header in headers:
            check_name(header, source)
            self.stray(header, env)
        if not generated:
            self._headers[key] = headers
        return headers

    def require_file(self, path):
        """Stops at an input that is there and no file: to hash a pipe, SCons would wait for ever."""
        name = os.path.relpath(path, self.root) if os.path.isabs(path) else path
        path = os.path.join(self.root, path)
        if not name.isprintable():  # SCons puts it on the terminal as it stands
            raise StopError(f"{name} is no name for a file of a build; take letters, digits and signs that print")
        try:
            require_regular(path)
        except UnfitFileError as error:
            raise _unfit(error, name) from None
        except OSError:
            return  # who reads it will say why it can't be read

    def _pinned_text(self, path, pinned):
        """The directives of one of libbpf's headers, remembered by its content, or None where it hasn't been fetched."""
        if "/".join(path.split(os.sep)[-2:]) not in pinned:
            return None
        try:
            digest = self.ledger.digest(os.path.join(self.root, path))
        except OSError:
            return None
        key = f"directives of {digest} by {self.digest(includes.__file__)}"
        return self.ledger.fact(key, lambda: {"text": includes.essence(self._read(path) or "")})["text"]

    def _text(self, path):
        """A project file's text, or None."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path):
        try:
            # A name in an #include is bytes, and so is one of the file system.
            text = read_regular(os.path.join(self.root, path)).decode("utf-8", "surrogateescape")
            return text.replace("\r\n", "\n").replace("\r", "\n")
        except OSError as error:
            if isinstance(error, UnfitFileError) and error.errno != EISDIR:
                raise _unfit(error, path) from None  # clang would wait for a pipe for ever
            return None


def file_nodes(env, files):
    """The nodes of files that are handed to a builder. Stops at one that no step makes and that is no file."""
    return _required(env, [env.File(file) for file in env.Flatten(files)])


def dependencies(env, files):
    """The same of what a compile reads besides, which may be a folder."""
    nodes = env.arg2nodes(env.Flatten(files), env.fs.Entry)
    _required(env, [node for node in nodes if not os.path.isdir(node.abspath)])
    return nodes


def _required(env, nodes):
    for node in nodes:
        if not node.has_builder():
            env["EBPF"].require_file(node.path)
    return nodes


def looks_only():
    """Whether this run builds nothing: -n and -q."""
    return SCons.Script.GetOption("no_exec") or SCons.Script.GetOption("question")


def _lock(root):
    """Waits until no other build runs in the project's folder."""

    def waiting(text):
        print(f"ebpf: {printable(text)}", file=sys.stderr, flush=True)

    if user_error(hold, root, waiting) and sconsign.was_read():
        what = "another build ran in this folder after this one had read what SCons remembers"
        raise StopError(f"{what}; build again")


def derived(path):
    """Whether a path below the root is one that this build makes."""
    try:
        return SCons.Node.FS.get_default_fs().Entry(f"#{path}", create=False).has_builder()
    except UserError:  # no node has that path
        return False


def user_error(call, *args, **kwargs):
    """What `call(*args)` returns; the core's errors and the file system's become SCons's kind that is one line."""
    try:
        return call(*args, **kwargs)
    except EbpfError as error:
        raise SCons.Errors.StopError(str(error)) from None  # it may have details, each in a line of its own
    except OSError as error:
        raise _file_error(error) from None


def _file_error(error):
    """The StopError of what the file system refused, with the path from the project's root."""
    root = SCons.Node.FS.get_default_fs().Top.get_abspath()
    path = str(error.filename).removeprefix(f"{root}{os.sep}")
    if error.errno == ELOOP:
        error = symlink_loop(error.filename)
    if isinstance(error, UnfitFileError):
        return _unfit(error, path)
    denied = error.errno in (EACCES, EPERM)
    hint = '; if a build as root made it, take it back: sudo chown -R "$USER" .' if denied else ""
    return StopError(f"{path}: {error.strerror}{hint}")


def _unfit(error, path):
    """The StopError of an input that is no file to read."""
    fix = "point the link at what is meant" if error.errno == ELOOP else "put a file in its place"
    return StopError(f"{path}: {error.strerror}; {fix}")


def check_name(path, what):
    """Stops at a path that clang's list of what it read spells differently: `\\` as `/`, a tab as the end of a name."""
    if "\\" in path:
        raise StopError(f"{what}: {path} has a backslash in its name, which clang writes as a slash; rename it")
    if any(character.isspace() and character != " " for character in path):
        raise StopError(f"{what}: {path} has a tab or the like in its name, which clang's list doesn't mark; rename it")
