"""Takes what a step makes from the cache of CACHE=, and keeps there what the step made itself.

A result is found by all that the step's signature rests on: the digests of its code, its compiler, its flags and each
of its inputs. Where the outputs lie is no part of it, nor where the project or its build folder does.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

from SCons.Node.FS import File
from SCons.Node.Python import Value

from ebpfbuild.files import make_room, read_regular, write_file

from .arguments import named_cache
from .nodes import content_signature, signs_by_sha256
from .project_files import BUILD, is_below
from .run import run_of
from .step_inputs import InputsValue

FORMAT = 1  # of what results hold; another one is another result


class Proven(NamedTuple):
    """A step's proof: what it depends on beside the step's inputs, where it lies, and if the step makes it."""

    inputs: object
    path: str
    wanted: bool
    check: Callable


class Cacheable(NamedTuple):
    """A step whose result can be kept: its inputs, as JSON has them, and where its files lie, by name.

    `check` looks at their bytes and raises ValueError; `place` is a path that none of them may hold, as its result is
    to serve others. A `proof` may be one more file.
    """

    inputs: object
    files: dict[str, str]
    check: Callable
    proof: Proven | None = None
    place: str = ""


class CachedStep:
    """One run of a step: `run` takes what a cache has or calls `work`, `keep` puts there what that made.

    `describe(target, env)` returns the step's Cacheable, None for one that can't be kept; `said` is the step's Said.
    `taken` are the digests of what a cache gave by their paths, None where it gave nothing.
    """

    def __init__(self, describe, target, env, said, work):
        self._describe, self._target, self._env, self._said, self._work = describe, target, env, said, work
        self._step = self._cache = None
        self._sandboxed = run_of(env.fs).sandbox_mode == "require"  # others follow links out of the project
        self._proven, self._seconds = False, 0.0
        self.taken = None

    def run(self):
        """Makes the outputs, one way or the other."""
        self._cache = _cache_of(self._env)
        self._step = self._describe(self._target, self._env) if self._cache else None
        made = None
        if self._step:
            self._proven = bool(self._step.proof and self._step.proof.wanted)
            text = self._text(self._proven, self._sandboxed)
            made = self._cache.find(text, self._files(self._proven), self._check)
        if made is None:
            began = time.monotonic()
            self._work()
            self._seconds = time.monotonic() - began
        else:
            self._put(made)

    def keep(self):
        """Keeps what the step made: as what it is, and as the less that it is as well.

        A proven object is an object, and what was made in a sandbox without exceptions serves a build that has none.
        """
        if not self._step or self.taken:
            return
        from ebpfbuild.step_cache.cache import Made

        try:
            files = {name: read_regular(path) for name, path in self._files(self._proven).items()}
            self._check(files)
        except (OSError, ValueError):  # somebody was faster, and spoilt it
            return
        if self._step.place and any(os.fsencode(self._step.place) in data for data in files.values()):
            return
        kinds = product({self._proven, False}, {self._sandboxed, False})
        texts = {self._text(proven, sandboxed): self._files(proven) for proven, sandboxed in kinds}
        self._cache.keep(texts, Made(files, tuple(self._said.notices), self._said.warnings), self._seconds)

    def _files(self, proven):
        """Returns the paths of a result's files by name."""
        from ebpfbuild.step_cache.checks import PROOF

        return {**self._step.files, **({PROOF: self._step.proof.path} if proven else {})}

    def _text(self, proven, sandboxed):
        """Returns the text by whose digest a result is found."""
        inputs = {"inputs": self._step.inputs, "proof": self._step.proof.inputs if proven else None}
        return json.dumps({"format": FORMAT, "sandboxed": sandboxed, **inputs}, sort_keys=True)

    def _check(self, files):
        """Raises ValueError for files that no such step makes."""
        self._step.check(files)
        if self._proven:
            self._step.proof.check(files)

    def _put(self, made):
        """Puts a result's files in place as the step itself does, and says what it said."""
        if self._step.proof and not self._proven:
            make_room(self._step.proof.path)  # of an older object's
        files, targets = self._files(self._proven), {node.abspath for node in self._target}
        self.taken = {path: made.digests[name] for name, path in files.items()}
        for name, path in files.items():
            write_file(path, made.files[name])
            if path not in targets:  # of those, each step notes what it made
                self._env["EBPF"].ledger.built(path, sha256=self.taken[path])
        for text in made.notices:
            self._said.notice(text)
        self._said.warn(made.warnings)


def _cache_of(env):
    """Returns the StepCache of an environment; None where none is asked for or this build may not use it.

    Raises FetchError for a CACHE= that names none.
    """
    named, run, session = named_cache(env), run_of(env.fs), env["EBPF"]
    from ebpfbuild.step_cache.opening import is_on_network, open_cache

    if env["EBPF_RELEASE"]:
        run.notice_once("CACHE: RELEASE=1 makes each output itself, and neither reads a cache nor writes it")
        return None
    if env["EBPF_OFFLINE"] and is_on_network(named.place):
        run.notice_once("CACHE: --offline connects to nothing, and this cache is on the network")
        return None
    with run.opening_cache:
        if named not in run.step_caches:
            where = named.place, Path(session.root), os.environ
            run.step_caches[named] = open_cache(*where, run.reporter.notice, named.read_only)
        return run.step_caches[named]


def inputs_text(node):
    """Returns the text of the Value of a step's inputs, see step_inputs.py, by the step's first target."""
    return next(str(child.value) for child in node.all_children() if isinstance(child, InputsValue))


def inputs_of(node, name, without=()):
    """Returns the other dependencies of a step's first target, but for those `without`: as lists, sorted.

    A file is `name(path)` and its sha256. None where one of them is no file and no text, such as a folder, or where a
    file can't be read, or is another one than SCons decided by.
    """
    session, found = node.get_build_env()["EBPF"], []
    for child in node.all_children():
        if isinstance(child, InputsValue) or child in without:
            continue
        if isinstance(child, Value):
            found.append(["text", child.get_text_contents()])
        elif isinstance(child, File):
            path = child.rfile().get_abspath()
            with contextlib.suppress(OSError):
                if (signature := content_signature(path, child.fs)) == child.get_csig():
                    sha256 = signature if signs_by_sha256() else session.ledger.digest(path)
                    found.append([name(child.path), sha256])
                    continue
            return None
        else:
            return None
    return sorted(found)


def build_name(session):
    """Returns a function that names a path as it would be called in a build folder with the default's name."""
    return lambda path: (
        os.path.join(BUILD, os.path.relpath(path, session.build)) if is_below(path, session.build) else path
    )
