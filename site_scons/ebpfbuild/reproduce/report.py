"""Builds twice, or once beside somebody else's build, compares, and prints what was varied and what differs."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReproduceError
from .differences import differences
from .outputs import NOT_COMPARED, look, made, read_both, read_output
from .parameters import unlike_parameters
from .places import BuildPlace, kept, prepare, run, scratch_folder, two_places, varied
from .tree import SourceTree, tree_of


@dataclass(frozen=True)
class ReproduceArgs:
    """What is built: the command of a build but for its jobs, and the folder below the project's in which it runs.

    `root` is the project's, `tool` the checkout's that it is built with, `builds` are the build folders from the root,
    `named` the paths that its pins name; `environment` is the caller's.
    """

    root: str
    tool: str
    command: tuple[str, ...]
    folder: str
    builds: tuple[str, ...] = ("build",)
    named: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Comparison:
    """Counts what was compared and prints what differs; `told` are the texts by which each build shows its place."""

    say: Callable[[str], None]
    told: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    same: int = 0
    unlike: int = 0

    def compare(self, name: str, one: bytes, two: bytes) -> None:
        """Compares an output's two versions."""
        if one == two:
            self.same += 1
            return
        self.unlike += 1
        self.say(f"DIFFERS  {name}")
        for line in [*differences(one, two), *self._reasons(one, two)]:
            self.say(f"           {line}")

    def missing(self, name: str, where: str) -> None:
        """Counts an output that only one of the builds made."""
        self.unlike += 1
        self.say(f"DIFFERS  {name}: {where}")

    def _reasons(self, one: bytes, two: bytes) -> list[str]:
        first, second = self.told
        return [
            f"it holds {what}: {first[what]} | {second[what]}"
            for what in first
            if first[what].encode() in one and second[what].encode() in two and first[what].encode() not in two
        ]


def reproduce(args: ReproduceArgs, say: Callable[[str], None]) -> bool:
    """Builds in two places and tells if all outputs are the same. Raises ReproduceError, OSError."""
    with scratch_folder() as scratch:
        tree, places = _planned(args, scratch, say)
        for place in places:
            prepare(place, tree, args.tool)
        for place in places:
            say(f"BUILD    {place.number} of 2 in {place.root}")
            # The first one fetches. By the clock of the second one each server's certificate has expired.
            _build(place, args, *(["--offline"] if place.offset else []))
        for name, values in varied(places):
            say(f"VARIED   {name}: {values}")
        for name, reason in [*kept(places), *_shared(tree, args)]:
            say(f"KEPT     {name}: {reason}")
        say(f"LEFT OUT {NOT_COMPARED}")
        comparison = _Comparison(say, (places[0].told, places[1].told))
        _compare(places, comparison)
        return _told(comparison, "both builds'", scratch, say)


def _compare(places: Sequence[BuildPlace], comparison: _Comparison) -> None:
    first, second = (set(_made(place)) for place in places)
    if not first | second:
        raise ReproduceError("the build made nothing", where="reproduce", fix="name a target that it makes")
    for name in sorted(first | second):
        if name in first and name in second:
            comparison.compare(name, read_output(places[0].root, name), read_output(places[1].root, name))
        else:
            comparison.missing(name, f"only build {1 if name in first else 2} made it")


def reproduce_against(args: ReproduceArgs, other: Path, say: Callable[[str], None]) -> bool:
    """Builds in a place unlike this one and tells if the outputs are those of `other`, a folder or a file.

    Raises ReproduceError, OSError.
    """
    if not other.exists():
        raise ReproduceError(f"{other} is not there", where="--against", fix="name a folder of outputs, or a wheel")
    with scratch_folder() as scratch:
        tree, (place, _) = _planned(args, scratch, say)
        prepare(place, tree, args.tool)
        say(f"BUILD    in {place.root}")
        _build(place, args)
        ours, comparison = _made(place), _Comparison(say)
        pairs = _pairs(ours, other, [os.path.normpath(os.path.join(place.project, each)) for each in args.builds])
        if not pairs:
            what = f"{other} has none of the {len(ours)} outputs"
            raise ReproduceError(what, where="--against", fix="name a build folder, a folder of outputs, or a wheel")
        for name, theirs in pairs.items():
            if unlike := unlike_parameters(Path(place.root, name), theirs):
                say(f"UNLIKE   {name}: {unlike}")
        for name, theirs in pairs.items():
            comparison.compare(name, *read_both(place.root, name, theirs))
        # One file isn't meant to have the others.
        for name in (each for each in ours if each not in pairs and other.is_dir()):
            say(f"NOT IN   {other}: {name}")
        return _told(comparison, "this build's", scratch, say)


def _planned(args: ReproduceArgs, scratch: Path, say: Callable[[str], None]) -> tuple[SourceTree, list[BuildPlace]]:
    """Finds what is to be copied, and plans both places."""
    tree = tree_of(args.root, args.builds, args.named)
    say(f"COPIED   {tree.origin}")
    return tree, two_places(scratch, tree, args.root, args.tool, args.environment)


def _shared(tree: SourceTree, args: ReproduceArgs) -> list[tuple[str, str]]:
    outside = os.path.commonpath([tree.base, args.tool]) != tree.base
    return [(f"the tool in {args.tool}", "it lies outside of what is copied")] if outside else []


def _build(place: BuildPlace, args: ReproduceArgs, *more: str) -> None:
    run(place, [*args.command, f"-j{place.jobs}", *more], args.folder)


def _made(place: BuildPlace) -> list[str]:
    return made(place.before, look(place.root))


def _pairs(ours: Sequence[str], other: Path, builds: Sequence[str]) -> dict[str, Path]:
    """Returns the other build's file for each output that has one there: by its path, or by its name alone."""
    if other.is_file():
        named = [name for name in ours if os.path.basename(name) == other.name]
        alike = named or [name for name in ours if name.endswith(other.suffix) and other.suffix == ".whl"]
        return {alike[0]: other} if len(alike) == 1 else {}
    by_name: dict[str, list[Path]] = {}
    for path in sorted(other.rglob("*")):
        if path.is_file() or path.is_symlink():
            by_name.setdefault(path.name, []).append(path)
    pairs = {}
    for name in ours:
        below = next((os.path.relpath(name, build) for build in builds if name.startswith(f"{build}{os.sep}")), name)
        placed = [path for path in (other / name, other / below) if path.is_file() or path.is_symlink()]
        alone = by_name.get(os.path.basename(name), [])
        unique = sum(os.path.basename(each) == os.path.basename(name) for each in ours) == 1
        if placed or (unique and len(alone) == 1):
            pairs[name] = (placed or alone)[0]
    return pairs


def _told(comparison: _Comparison, whose: str, scratch: Path, say: Callable[[str], None]) -> bool:
    total = comparison.same + comparison.unlike
    if comparison.unlike == 0:
        shutil.rmtree(scratch)
        say(f"SAME     {total} {'output' if total == 1 else 'outputs'}, byte for byte")
        return True
    viewer = shutil.which("diffoscope")
    more = f"; {viewer} shows more of each" if viewer else ""
    how_many = "the one output differs" if total == 1 else f"{comparison.unlike} of {total} outputs differ"
    say(f"         {how_many}; {whose} files stay in {scratch}{more}")
    return False
