"""Pins the headers of libbpf's newest release, and says which of their macros and functions change."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..archive.members import read_members
from ..errors import FetchError, MismatchError, PinError
from ..escape import printable
from ..fetch.github import Commit, GitHub, git_id
from ..fetch.store import Store, sha256sums
from ..files import MAX_FILE_SIZE, read_regular
from ..minimize.header_changes import ADDED, CHANGED, REMOVED, FieldChange, TypeChange, UsedChange
from ..pins.edit import TomlFile
from ..pins.pins import TreePin
from .report import ProgramChanges, code_span, used_lines

REPOSITORY = "libbpf/libbpf"
_ARCHIVE = f"https://github.com/{REPOSITORY}/archive/"
_TAG = re.compile(r"v(\d+(?:\.\d+)+)")
_WORD = re.compile(r"\w+")
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:[^\n\\]|\\.)*", re.M | re.S)
_HELPER = re.compile(r"^static [^;{}=]*?\(\s*\*\s*const\s+(\w+)\)[^;]*;", re.M)
_FUNCTION = re.compile(
    r"^(?:static|extern)\b[^;{}()=#]*?\b(\w+)\s*\((?!\s*\*)[^;{}]*\)[^;{}]*(?:;|\{.*?^\})", re.M | re.S
)


class Release(NamedTuple):
    """libbpf's newest release: its commit, its headers by name, the digest over them, and where they were had."""

    version: str
    commit: Commit
    files: Mapping[str, bytes]
    sha256: str
    url: str
    folder: str
    archive_sha256: str


class LibbpfReport(NamedTuple):
    """An update of libbpf's headers: what changes in each file, what programs use of it, and the sources left out."""

    old: str
    new: Release
    changes: Mapping[str, Sequence[TypeChange]]
    programs: Sequence[ProgramChanges]
    dropped: Sequence[str]


def newest_release(github: GitHub, pin: TreePin, store: Store) -> Release | None:
    """Returns the newest release, its headers in the store; None where the pin is of it or of a later one.

    The archive that the new pin will name is read, and each file held against the id that git has for it. Raises
    FetchError, ArchiveError.
    """
    tag = github.latest_release()
    found = _TAG.fullmatch(tag)
    if not found:
        raise FetchError(f"{tag} is no release that a pin can name", where=REPOSITORY, fix="write the pin by hand")
    version = found[1]
    if _numbers(pin.version) >= _numbers(version):
        return None
    commit = github.tag(tag)
    tree, url, folder = github.tree(commit.id), f"{_ARCHIVE}refs/tags/{tag}.tar.gz", f"libbpf-{version}/src"
    archive = github.download(url, MAX_FILE_SIZE, f"libbpf {version}")
    members = read_members(archive, [f"{folder}/{name}" for name in pin.files], url)
    files = {name: members[f"{folder}/{name}"] for name in pin.files}
    for name, data in files.items():
        entry = tree.get(f"src/{name}")
        if entry is None or entry.id != git_id(data):
            what = f"holds another src/{name} than commit {commit.id[:12]} of the tag {tag}, and was not used"
            raise MismatchError(what, where=url, fix="find out who changed it before you pin it")
    listing = sha256sums({name: store.add(data).name for name, data in files.items()})
    return Release(version, commit, files, store.add(listing).name, url, folder, hashlib.sha256(archive).hexdigest())


def require_own(file: TomlFile) -> None:
    """Refuses a file that leaves libbpf to that of the checkout. Raises PinError."""
    if "libbpf" not in file.data:
        fix = "update the checkout of scons-bpf, whose pins count, or copy its table [libbpf]"
        raise PinError("pins no libbpf itself", where=str(file.path), fix=fix)


def repin_libbpf(file: TomlFile, release: Release) -> list[str]:
    """Has a file's [libbpf] be a release, and returns the sources that it no longer names: they have other bytes.

    Raises PinError where none of its sources is GitHub's archive.
    """
    sources = file.data["libbpf"]["source"]
    kept = next((number for number, each in enumerate(sources) if each.get("url", "").startswith(_ARCHIVE)), None)
    if kept is None:
        fix = f'add [[libbpf.source]] with url = "{release.url}" and folder = "{release.folder}" by hand'
        raise PinError(f"names no archive of {REPOSITORY}", where=f"{file.path}: libbpf.source", fix=fix)
    values = {"version": release.version, "sha256": release.sha256, "date": release.commit.day}
    for key, value in values.items():
        file.set(("libbpf", key), value)
    place = ("libbpf", "source", kept)
    file.set((*place, "url"), release.url)
    file.set((*place, "folder"), release.folder)
    if "archive_sha256" in sources[kept]:
        file.set((*place, "archive_sha256"), release.archive_sha256)
    others = [number for number in range(len(sources)) if number != kept]
    dropped = [
        next(str(sources[number][kind]) for kind in ("url", "pool", "path") if kind in sources[number])
        for number in others
    ]
    for number in reversed(others):
        file.remove(("libbpf", "source", number))
    return dropped


def libbpf_changes(old: Mapping[str, Path], new: Mapping[str, bytes]) -> dict[str, list[TypeChange]]:
    """Returns which macros, helpers and functions differ, by header."""
    found = {}
    for name, data in new.items():
        before = _definitions(read_regular(old[name]).decode(errors="replace")) if name in old else {}
        after = _definitions(data.decode(errors="replace"))
        changed = [each for each in sorted(before.keys() & after.keys()) if before[each] != after[each]]
        found[name] = [
            *(TypeChange(each, REMOVED) for each in sorted(before.keys() - after.keys())),
            *(TypeChange(each, CHANGED, (FieldChange("", before[each], after[each]),)) for each in changed),
            *(TypeChange(each, ADDED) for each in sorted(after.keys() - before.keys())),
        ]
    return found


def words_used(changes: Mapping[str, Sequence[TypeChange]], program: str, texts: Iterable[str]) -> list[ProgramChanges]:
    """Returns the changes whose names are words of a program's own files, by header."""
    words = {word for text in texts for word in _WORD.findall(text)}
    return [
        ProgramChanges(program, name, [UsedChange(each, True) for each in changed if each.name in words])
        for name, changed in changes.items()
    ]


def libbpf_text(report: LibbpfReport, everything: bool = False) -> str:
    """Returns the lines for a terminal."""
    lines = [f"libbpf: {_versions(report)}", *(f"  {line}" for line in _summary(report, everything, str))]
    return "\n".join(map(printable, [*lines, *_notes(report, str)]))


def libbpf_markdown(report: LibbpfReport, everything: bool = False) -> str:
    """Returns the same as the text of a pull request."""
    lines = [f"### libbpf: {_versions(report)}", "", *(f"- {line}" for line in _summary(report, everything, code_span))]
    return "\n".join(map(printable, [*lines, "", *_notes(report, code_span)]))


def libbpf_data(report: LibbpfReport) -> dict[str, Any]:
    """Returns all of it for JSON."""
    new = report.new
    uses: dict[tuple[str, str], list[str]] = {}
    for program, name, used in report.programs:
        for each in used:
            uses.setdefault((name, each.change.name), []).append(program)
    return {
        "repository": REPOSITORY,
        "version": {"old": report.old, "new": new.version},
        "commit": {"new": new.commit.id, "date": new.commit.day.isoformat()},
        "sha256": new.sha256,
        "dropped_sources": list(report.dropped),
        "headers": [
            {
                "name": name,
                "changes": [
                    {"name": each.name, "how": each.how, "used_by": uses.get((name, each.name), [])} for each in changes
                ],
            }
            for name, changes in report.changes.items()
        ],
    }


def _versions(report: LibbpfReport) -> str:
    commit = report.new.commit
    return f"{report.old} -> {report.new.version}, commit {commit.id[:12]} of {commit.day}"


def _summary(report: LibbpfReport, everything: bool, code: Callable[[str], str]) -> list[str]:
    lines = []
    for name, changes in report.changes.items():
        hows = [each.how for each in changes]
        counts = ", ".join(f"{hows.count(how)} {how}" for how in (ADDED, REMOVED, CHANGED))
        lines.append(f"{code(name)}: {counts}" if changes else f"{code(name)}: no macro or function changes")
        if everything:
            lines += [f"{each.how} {code(each.name)} of {code(name)}" for each in changes]
    return lines + [line.strip() for line in used_lines(report.programs, everything, code)]


def _notes(report: LibbpfReport, code: Callable[[str], str]) -> list[str]:
    lines = [f"no longer a source, since it has {report.old}'s bytes: {code(each)}" for each in report.dropped]
    if "usdt.bpf.h" in report.changes:
        lines.append(f"{code('usdt.bpf.h')} has to match the libbpf that loads it: load with {report.new.version}")
    return lines


def _definitions(text: str) -> dict[str, str]:
    """Returns the macros, helpers and functions of a header of libbpf's, each with its text, blanks aside."""
    found: dict[str, list[str]] = {}
    for pattern in (_MACRO, _HELPER, _FUNCTION):
        for each in pattern.finditer(text):
            found.setdefault(each[1], []).append(" ".join(each[0].split()))
    return {name: " | ".join(texts) for name, texts in found.items()}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))
