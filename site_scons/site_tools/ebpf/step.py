"""Makes builders whose action's signature is constant.

A step depends on its sources and its Value, not on Python's bytecode.
"""

import contextlib
import os
import sys
from types import SimpleNamespace

import SCons.Action
import SCons.Builder
import SCons.Errors

from ebpfbuild.errors import EbpfError
from ebpfbuild.escape import printable, printable_lines
from ebpfbuild.rebuild.ledger import FROM_CACHE, ITS_STEP

from .arguments import from_root, named_cache
from .by_arch import check_installs
from .command_targets import name_short
from .errors import StopError, file_error
from .jobs import NO_THREAD, no_thread
from .nodes import Output, output


class Said:
    """Prints what a step says, and holds it for the cache: its notices, and clang's warnings."""

    def __init__(self, notice):
        self._notice = notice
        self.notices, self.warnings = [], ""

    def notice(self, text):
        """Prints a notice."""
        self.notices.append(text)
        self._notice(text)

    def warn(self, text):
        """Prints a compiler's warnings, as lines."""
        self.warnings += text
        sys.stderr.write(printable_lines(text))


class _Execution:
    """Runs a step.

    SCons signs the bytecode of what it is to call as soon as that is declared, a closure's functions too: so it is one
    short method.
    """

    def __init__(self, run, more, verb, cacheable):
        self.run, self.more, self.verb, self.cacheable = run, more, verb, cacheable

    def __call__(self, target, source, env):
        _execute(self, target, source, env)


def _execute(step, target, source, env):
    session = env["EBPF"]
    session.run.begun.append((target, session.ledger, session.ledger.noted))
    _notice_cache(env)
    try:
        work, end = _work(step, target, source, env)
        work()
        end()
    except EbpfError as error:
        raise SCons.Errors.BuildError(target[0], errstr=str(error), status=2, exitstatus=2) from None
    except (OSError, RuntimeError) as error:
        cause = no_thread() if str(error) == NO_THREAD else error
        if not isinstance(cause, OSError):
            raise
        said = str(file_error(cause, target[0].path))
        raise SCons.Errors.BuildError(target[0], errstr=said, status=2, exitstatus=2) from None
    session.run.made.append((target[0], env))


def _work(step, target, source, env):
    """Returns two functions: one makes a step's outputs, the other tells the ledger of them, and keeps them.

    What a cache gives is of the inputs that it was asked for, whatever happens to the files meanwhile: only a step that
    reads them is watched.
    """
    ledger = env["EBPF"].ledger
    if not step.cacheable:
        return lambda: _run(step, target, source, env), lambda: _note(target, ledger, ITS_STEP)
    said = Said(env["EBPF"].reporter.notice)

    def work():
        _run(step, target, source, env, said)

    if not named_cache(env).place:
        return work, lambda: _own(target, ledger)
    from .caching import CachedStep

    cached = CachedStep(step.cacheable, target, env, said, work)

    def end():
        if cached.taken:
            _note(target, ledger, ITS_STEP, FROM_CACHE, sha256=cached.taken)
        else:
            _own(target, ledger)
            cached.keep()

    return cached.run, end


def _note(target, ledger, *by, sha256=None):
    """Has the ledger know what a step's outputs hold, and by whom they are; `sha256` are known digests by path."""
    for node in target:
        node.sign_as_made(ledger.built(node.abspath, *by, sha256=sha256[node.abspath] if sha256 else ""))


def _own(target, ledger):
    """Notes that this build made a step's outputs itself, whatever a cache gave before."""
    _note(target, ledger, ITS_STEP)
    for node in target:
        ledger.forget(node.abspath, by=FROM_CACHE)


class Step(SCons.Action.FunctionAction):
    """Runs `run(target, source, env)`, remembers the outputs' digests, and raises a core's error as a BuildError.

    `more(target, env)` returns the files that it reads and no dependency stands for, as Watch takes them; `verb` says
    what it does with its inputs, for an error; `count(target, env)` returns a text that the message ends in.
    `cacheable(target, env)` is how caching.py describes a step whose outputs a cache may give; its `run` has a Said as
    its last argument.
    """

    def __init__(self, run, message, more, verb, count, cacheable):
        super().__init__(_Execution(run, more, verb, cacheable), {"cmdstr": message, "varlist": ()})
        self._count = count

    def get_presig(self, target, source, env):
        """Returns nothing: a new Python version compiles to other bytecode and must not rebuild the world."""
        return b""

    def print_cmd_line(self, s, target, source, env):
        """Prints the step's message: a file may have a name that steers the terminal."""
        super().print_cmd_line(printable(s) + (self._count(target, env) if self._count else ""), target, source, env)

    def get_implicit_deps(self, target, source, env, executor=None):
        """Returns nothing: a step depends on what is declared."""
        return []


def _run(step, target, source, env, *said):
    """Runs a step; where an input moved meanwhile, none of its outputs stays."""
    from ebpfbuild.errors import MovedInputError

    from .watch import Watch, watched

    more = step.more(target, env) if step.more else {}
    try:
        watched(Watch(target[0], env["EBPF"].ledger, more, step.verb), lambda: step.run(target, source, env, *said))
    except MovedInputError:
        for node in target:
            with contextlib.suppress(OSError):
                os.unlink(node.abspath)
        raise


def _notice_cache(env):
    """Prints a notice where the project has a CacheDir, which this tool's outputs keep out of."""
    cache = env.get_CacheDir()
    if cache.is_enabled():
        what = "takes and gives no output of this tool: SCons serves what lies in it unverified"
        env["EBPF"].run.notice_once(f"CacheDir {cache.path} {what}")


def step_args(**values):
    """Returns a step's arguments as an override of its environment.

    SCons makes a list of any tuple that it is handed bare.
    """
    return {"EBPF_STEP_ARGS": SimpleNamespace(**values)}


def builder(run, message, more=None, verb="used", count=None, kind=Output, cacheable=None, **kwargs):
    """Returns a builder of one Step, which prints `message` when it runs; its targets are Outputs, of a `kind`."""
    declared = SCons.Builder.Builder(action=Step(run, message, more, verb, count, cacheable), **kwargs)

    def declare(env, target, source, **overrides):
        session = env["EBPF"]
        if not session.declares:
            session.declares = True
            _refuse_repository(env.fs.Top)
            if session.run.ledger:
                check_installs()  # two build folders have objects of the same names
            session.run.ledger = session.run.ledger or session.ledger
        nodes = declared(env, target=target, source=source, **overrides)
        for node in nodes:
            output(node, kind)
            name_short(env, node)
        if cacheable and env["EBPF_RELEASE"] and _came_from_cache(session, nodes):
            session.repair(nodes, stale=True)
        return nodes

    return declare


def _came_from_cache(session, nodes):
    return any(session.ledger.intact(node.abspath, by=FROM_CACHE) for node in nodes)


def _refuse_repository(top):
    """Refuses SCons's Repository(): clang reads this project alone, and nobody verifies what lies in another."""
    for other in top.repositories:
        what = "BPF programs are made of this project alone; name the build's place by EBPF_BUILD instead"
        raise StopError(f"Repository {other.get_internal_path()}: {what}")


def output_path(env, *parts):
    """Returns a path among a program's outputs as build_path does: in its variant_dir, or in the build folder."""
    variant = env["EBPF_VARIANT"] if "EBPF_VARIANT" in env else None
    return from_root(os.path.join(variant.outputs, *parts)) if variant else build_path(env, *parts)


def build_path(env, *parts):
    """Returns a path in the build folder: behind a `#`, the root, or absolute where it is outside of the project."""
    return from_root(os.path.join(env["EBPF"].build, *parts))
