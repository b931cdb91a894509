"""Plans two places that are as unlike as this machine allows, and runs a command in each."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReproduceError
from . import child
from .outputs import Seen, look
from .shim import make_shim
from .tree import YEAR_2001, SourceTree, copy_tree

YEARS = ((8 * 365 + 158) * 24 + 7) * 3600 + 660  # seconds of the second clock: month, day and hour differ as well
_Variables = dict[str, str]
LOG_LINES = 30  # of a build that failed


@dataclass
class BuildPlace:
    """A place for a build: its folder `root`, that of the project below it, and what is special there.

    `told` are the texts by which an output shows that it depends on the place, by what they are of; `refused` is why
    the machine left something as it was, by the keys of child.py and `shim`; `before` is what lies there at first.
    """

    number: int
    scratch: Path
    root: str
    project: str
    environment: dict[str, str]
    host: str
    umask: int
    cpus: tuple[int, ...]
    jobs: int
    modified: int | None
    offset: int
    backwards: bool
    told: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    before: dict[str, Seen] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """The file with all that the build printed."""
        return self.scratch / "log"


def two_places(
    scratch: Path, tree: SourceTree, project: str, tool: str, environment: Mapping[str, str]
) -> list[BuildPlace]:
    """Returns the plan of two places below `scratch`. `project` and `tool` are absolute paths; nothing is made yet."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    above, below = _around(tree.base, tool), os.path.relpath(project, tree.base)
    first = BuildPlace(
        1,
        scratch / "a",
        os.path.join(scratch, "a", "tree", *above[:-1], above[-1] or "p"),
        below,
        _environment(environment, scratch / "a", "first", "C.UTF-8", "AAA+11", "user-a"),
        "host-a",
        0o022,
        tuple(cpus[:1]),
        1,
        None,
        0,
        False,
    )
    long = scratch / "the-second-place" / "is" / "much" / "deeper" / "and-its-path-is-longer-by-many-characters"
    second = BuildPlace(
        2,
        long,
        os.path.join(long, "tree", *(f"{part}-again" for part in above)),
        below,
        _environment(environment, long, "home/of/second", _locale(), "BBB-13:45", "user-b"),
        "host-b.example",
        0o077,
        tuple(cpus),
        max(4, 2 * len(cpus)),
        YEAR_2001,
        YEARS,
        True,
    )
    for place in (first, second):
        place.told = _told(place)
    return [first, second]


def _around(base: str, tool: str) -> list[str]:
    """Returns the names of the folders from what `base` and the tool have in common down to `base`."""
    common = os.path.commonpath([base, tool])
    return [os.path.basename(base)] if common == base else os.path.relpath(base, common).split(os.sep)


def _environment(given: Mapping[str, str], scratch: Path, home: str, locale: str, zone: str, user: str) -> _Variables:
    own = {"HOME": str(scratch / home), "TMPDIR": str(scratch / "tmp"), "LC_ALL": locale, "LANG": locale, "TZ": zone}
    own |= {"USER": user, "LOGNAME": user, "PWD": "", "OLDPWD": ""}
    # The login of a mirror is looked for in the user's own home.
    netrc = os.path.join(given.get("HOME", "/nonexistent"), ".netrc")
    return {**({"NETRC": netrc} if os.path.isfile(netrc) else {}), **given, **own}


def _locale() -> str:
    """Returns a locale unlike C that this machine has, or one that it lacks: its name reaches each program."""
    with contextlib.suppress(OSError):
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, errors="replace").stdout.split()
        others = [name for name in listed if not name.startswith(("C", "POSIX", "en"))] or [
            name for name in listed if name.startswith("en")
        ]
        if others:
            return others[-1]
    return "tr_TR.UTF-8"


def _told(place: BuildPlace) -> dict[str, str]:
    return {
        "the build's folder": place.root,
        "the home folder": place.environment["HOME"],
        "the folder for temporary files": place.environment["TMPDIR"],
        "the host's name": place.host,
        "the user's name": place.environment["USER"],
        "the locale": place.environment["LC_ALL"],
        "the time zone": place.environment["TZ"][:3],
        "the clock's year": time.strftime("%Y", time.gmtime(time.time() + place.offset)),
    }


def prepare(place: BuildPlace, tree: SourceTree, tool: str) -> None:
    """Makes a place: its folders, the copy of the tree, the way to the tool. Raises OSError, ReproduceError."""
    for folder in (place.environment["HOME"], place.environment["TMPDIR"]):
        os.makedirs(folder)
    with _umask(place.umask):
        copy_tree(tree, place.root, place.backwards, place.modified)
    if os.path.commonpath([tree.base, tool]) != tree.base:  # where the project expects it, seen from its own folder
        link = os.path.normpath(os.path.join(place.root, os.path.relpath(tool, tree.base)))
        if link.startswith(f"{place.scratch}{os.sep}") and not os.path.lexists(link):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(tool, link)
    place.before = look(place.root)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def run(place: BuildPlace, command: Sequence[str], folder: str) -> None:
    """Runs a build in a place, in `folder` below the project's; notes what could not be changed.

    Raises ReproduceError with the end of what a failed one printed, OSError.
    """
    preload = ""
    try:
        preload = make_shim(place.scratch / "shim.so", place.offset, place.backwards)
    except ReproduceError as error:
        place.refused["shim"] = f"{error.where} {error.what}"
    plan = {"umask": place.umask, "cpus": place.cpus, "host": place.host, "preload": preload}
    report = place.scratch / "report"
    launch = [sys.executable, "-I", "-S", "-B", child.__file__, str(report), json.dumps(plan)]
    where = os.path.join(place.root, place.project, folder)
    with open(place.log, "wb") as log:
        done = subprocess.run(
            [*launch, *command],
            cwd=where,
            env={**place.environment, "PWD": where, "OLDPWD": place.root},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    with contextlib.suppress(OSError, ValueError):
        place.refused |= json.loads(report.read_text(encoding="utf-8"))
    if done.returncode:
        lines = place.log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise ReproduceError(
            f"build {place.number} ended with status {done.returncode}",
            where="reproduce",
            fix="build it without reproduce first; a file that git ignores is in no copy, so add it to git",
            details=tuple(lines[-LOG_LINES:]),
        )


def varied(places: Sequence[BuildPlace]) -> list[tuple[str, str]]:
    """Returns what differed between the two builds: pairs of a name and both values in words."""
    first, second = places
    rows = [
        ("folder", *(f"{each.root} ({len(each.root)} characters)" for each in places)),
        *((name, *(each.environment[name] for each in places)) for name in ("HOME", "TMPDIR", "LC_ALL", "TZ", "USER")),
        ("umask", *(f"{each.umask:04o}" for each in places)),
        ("jobs", *(f"-j{each.jobs}" for each in places)),
        ("mtimes of inputs", "now", "2001-01-01"),
    ]
    if first.cpus != second.cpus and not _refused(places, "cpus"):
        rows.append(("CPUs", *(f"{len(each.cpus)}" for each in places)))
    if not _refused(places, "namespaces", "host"):
        rows.append(("host name", first.host, second.host))
    if not _refused(places, "shim"):
        now = time.time()
        days = (time.strftime("%Y-%m-%d", time.gmtime(now + each.offset)) for each in places)
        rows.append(("clock", *days))
        rows.append(("order of a folder's entries", "A to Z", "Z to A"))
    return [(name, f"{one} | {two}") for name, one, two in rows]


def kept(places: Sequence[BuildPlace]) -> list[tuple[str, str]]:
    """Returns what was the same for both builds though it might matter, each with the reason."""
    rows = [
        ("user and group, kernel, CPU, file system, Python", "one machine builds both"),
        ("the store of verified artifacts", "each build verifies what it takes"),
    ]
    first, second = places
    if reason := _refused(places, "cpus"):
        rows.append(("CPUs", reason))
    elif first.cpus == second.cpus:
        rows.append(("CPUs", "this machine has one"))
    if reason := _refused(places, "namespaces", "host"):
        rows.append(("host name", reason))
    if reason := _refused(places, "shim"):
        rows.append(("clock, order of a folder's entries", reason))
    elif reason := _refused(places, "namespaces", "preload"):
        rows.append(("clock and order of entries for programs that don't get LD_PRELOAD", reason))
    else:
        rows.append(("clock and order of entries for programs that are linked statically", "no library reaches them"))
    if platform.libc_ver()[0] != "glibc":
        rows.append(("locale", "this machine's C library has only one"))
    return rows


def _refused(places: Sequence[BuildPlace], *keys: str) -> str:
    """Returns why one of the keys was left as it was in either place; empty if none was."""
    return next((each.refused[key] for each in places for key in keys if key in each.refused), "")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Makes the folder in which both places lie; it goes where an error ends the comparison."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="reproduce-")))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
