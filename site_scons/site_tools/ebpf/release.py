"""RELEASE=1: collects what a release refuses while SConscripts are read, and ends the run with one list of it."""

import os
import sys
import sysconfig
from pathlib import Path

import SCons.Errors
import SCons.Node.FS
import SCons.Script
import SCons.Script.Main

from ebpfbuild.compile.clang_release import LOCK
from ebpfbuild.errors import ReleaseError, SandboxError
from ebpfbuild.git import git_paths, last_commit
from ebpfbuild.release_check import epoch_refusals, package_refusals, pin_refusals, refuse, tree_refusals

from .fetching import bundled_pins
from .run import run_of
from .session import looks_only


def watch(env):
    """Has SCons come here once all SConscripts are read and before it builds anything."""
    run, build_targets = run_of(env.fs), SCons.Script.Main._build_targets
    run.refusals = []

    def checked(fs, options, targets, target_top):
        if not looks_only() and not options.clean:
            _end_if_refused(_refusals(fs, run))
        run.refusals = None
        return build_targets(fs, options, targets, target_top)

    SCons.Script.Main._build_targets = checked


def _end_if_refused(lines):
    """Ends the run as SCons does while it reads SConscripts: by now it would print a StopError as one of its own."""
    try:
        refuse(lines)
    except ReleaseError as error:
        sys.stderr.write(f"scons: *** {error}\n")
        sys.exit(2)


def source_date_epoch(env):
    """Returns SOURCE_DATE_EPOCH as the caller sets it, or the time of the last commit; empty where there is neither.

    A value that is none is refused with all else.
    """
    run = run_of(env.fs)
    if run.epoch is None:
        given = os.environ.get("SOURCE_DATE_EPOCH")
        commit = last_commit(env.Dir("#").abspath) if given is None else None
        run.epoch = str(commit.seconds) if commit else given or ""
        if given is not None and run.refusals is not None:
            run.refusals += epoch_refusals(given)
    return run.epoch


def _refusals(fs, run):
    """Returns all that is refused, in lines."""
    inputs = set()
    for session in run.sessions.values():
        for node, step in session.compiled.items():
            inputs |= _inputs_of(fs, session, node, step)
    inputs |= _known_untracked(fs, run) | _packed(fs, run)
    outputs = tuple(f"{build}{os.sep}" for build in run.sessions)
    own = {path for path in inputs if not path.startswith(outputs)}
    lines = [*run.refusals, *tree_refusals(fs.Top.get_abspath(), own)]
    lines += package_refusals(LOCK, Path(sysconfig.get_paths()["purelib"]))
    for session in run.sessions.values():
        lines += _session_refusals(session)
    if run.sandbox_mode == "require" and any(session.compiled for session in run.sessions.values()):
        lines += _sandbox_refusals(run.sandbox)
    return lines


def _sandbox_refusals(sandbox):
    try:
        sandbox.require()
    except SandboxError as error:
        return [f"{error}"]
    return []


def _inputs_of(fs, session, node, step):
    """Returns the paths of the project's files that a compile reads and no step makes. They are looked through here."""
    args = getattr(step, "args", None)
    if args is None:  # an object that is linked of others
        return set()
    env = node.get_build_env()
    found = session.includes.headers(args.source, step.include_dirs, step.depends, env, step.uapi_dirs)
    return {path for path in (args.source, *found.own, *step.depends) if not fs.File(f"#{path}").has_builder()}


def _known_untracked(fs, run):
    """Returns the paths of files that git neither tracks nor ignores and that SCons knows as inputs of any builder."""
    found = set()
    for path in git_paths(fs.Top.get_abspath(), "ls-files", "--others", "--exclude-standard") or ():
        try:
            node = fs.Entry(f"#{path}", create=False)
        except SCons.Errors.UserError:  # nobody has asked for it
            continue
        # What no action has looked at yet may still be an Entry, SCons's node of a file or a folder.
        if not isinstance(node, SCons.Node.FS.Dir) and not node.has_builder() and not node.side_effect:
            found.add(path)
    return found


def _packed(fs, run):
    """Returns the paths of the Python that packages take from the project."""
    root = f"{fs.Top.get_abspath()}{os.sep}"
    return {file.removeprefix(root) for file in run.listed_files() if file.startswith(root)}


def _session_refusals(session):
    """Returns what a build folder's pins, compiler and caches give reason to refuse."""
    steps = session.compiled
    if not steps:
        return []
    arches = {step.arch.name for step in steps.values() if step.full}
    linked = any(getattr(step, "parts", ()) for step in steps.values())
    libraries = [tree for trees in session.linker.libraries.values() for tree in trees] if linked else []
    uapi = [session.uapi] if "uapi" in session.shared else []
    more = [*uapi, *libraries, *bundled_pins(session)]
    lines = pin_refusals([*map(session.toolchain.header, sorted(arches)), session.toolchain.libbpf, *more])
    spec, compiler = session.toolchain.compiler, session.compiler
    if spec.package and compiler.packed == compiler.fingerprint:
        what = f"{spec.where}: the clang of {spec.package} is not one that {LOCK.name} pins"
        lines.append(f"{what}; remove .venv and run ./sconsw")
    caches = {node.get_build_env().get_CacheDir() for node in steps}
    for path in sorted(str(cache.path) for cache in caches if cache.is_enabled()):
        lines.append(f"CacheDir {path} gives what nobody verified to the project's own builders; add --cache-disable")
    return lines
