"""Says what newer headers mean: in ten lines for a person, as Markdown for a pull request, whole as JSON.

First comes what our own programs use; the rest is counted, or listed on request.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..escape import printable
from ..minimize.header_changes import ADDED, CHANGED, REMOVED, FieldChange, TypeChange, UsedChange
from ..pins.effective import SHOWN_DIGITS

MAX_SHOWN = 10  # changes that programs use, before `--all`
MAX_FIELDS = 3  # of one type in a line
MAX_TEXT = 60  # characters of a member's declaration in a line
SIGNS = {REMOVED: "-", CHANGED: "~", ADDED: "+"}


class HeaderFacts(NamedTuple):
    """A header's kernel, digest and size; each is None where there was no pin, or the pin didn't say it."""

    kernel: str | None
    sha256: str | None
    size: int | None


class HeaderUpdate(NamedTuple):
    """An arch's header, so far and from now on, and how they differ; `changes` is None where nothing was compared."""

    arch: str
    old: HeaderFacts
    new: HeaderFacts
    changes: Sequence[TypeChange] | None

    @property
    def same(self) -> bool:
        """True if it keeps its bytes."""
        return self.old.sha256 == self.new.sha256


class ProgramChanges(NamedTuple):
    """The changes of an arch's header that a program uses."""

    program: str
    arch: str
    used: Sequence[UsedChange]


class UpdateReport(NamedTuple):
    """An update of headers from one commit to another; `old` is empty where they had several, or none.

    Of a header that is made of a kernel, `repository` is the kernel's file, `new` its digest, and `day` is empty.
    """

    repository: str
    old: str
    new: str
    day: str
    headers: Sequence[HeaderUpdate]
    programs: Sequence[ProgramChanges]


class _Row(NamedTuple):
    """A change, the arches that have it, and the programs that use it."""

    change: TypeChange
    arches: tuple[str, ...]
    programs: tuple[str, ...] = ()


def as_text(report: UpdateReport, everything: bool = False) -> str:
    """Returns the lines for a terminal."""
    old = f"{_short(report.old)} -> " if report.old and report.old != report.new else ""
    width = max(len(header.arch) for header in report.headers)
    day = f" of {report.day}" if report.day else ""
    lines = [f"{report.repository}: {old}{_short(report.new)}{day}"]
    lines += [f"{header.arch:{width}}  {_summary(header, str)}" for header in report.headers]
    lines += _use_of(report, everything, str)
    if everything:
        lines += ["all changes:", *(f"  {_row_text(row, str, everything)}" for row in _all_rows(report))]
    return "\n".join(map(printable, lines))


def as_markdown(report: UpdateReport, everything: bool = False) -> str:
    """Returns the same as the text of a pull request. What comes out of a header stands in code spans."""
    url = f"https://github.com/{report.repository}"
    new = f"[`{_short(report.new)}`]({url}/commit/{report.new}) of {report.day}"
    if report.old and report.old != report.new:
        new += f" ([since `{_short(report.old)}`]({url}/compare/{report.old}...{report.new}))"
    lines = [f"### {report.repository}: {new}", "", "| arch | what changes |", "|---|---|"]
    lines += [f"| {header.arch} | {_summary(header, code_span)} |" for header in report.headers]
    first, *rows = _use_of(report, everything, code_span)
    lines += ["", f"**{first}**", "", *(f"- {row.strip()}" for row in rows)]
    if everything:
        rows = [f"- {_row_text(row, code_span, everything)}" for row in _all_rows(report)]
        lines += ["", f"<details><summary>{len(rows)} changes</summary>", "", *rows, "", "</details>"]
    return "\n".join(map(printable, lines)).rstrip()


def as_data(report: UpdateReport) -> dict[str, Any]:
    """Returns all of it for JSON."""
    uses: dict[tuple[str, str], dict[str, list[str]]] = {}
    for program, arch, used in report.programs:
        for each in used:
            names = [field.name for field in each.change.fields] if each.named else []
            uses.setdefault((arch, each.change.name), {})[program] = names
    return {
        "repository": report.repository,
        "commit": {"old": report.old or None, "new": report.new, "date": report.day or None},
        "headers": [_header_data(header, uses) for header in report.headers],
    }


def _header_data(header: HeaderUpdate, uses: Mapping[tuple[str, str], Mapping[str, list[str]]]) -> dict[str, Any]:
    changes = header.changes
    return {
        "arch": header.arch,
        **{fact: {"old": getattr(header.old, fact), "new": getattr(header.new, fact)} for fact in HeaderFacts._fields},
        "changes": None
        if changes is None
        else [
            {
                "type": change.name,
                "how": change.how,
                "members": [field._asdict() for field in change.fields],
                "used_by": uses.get((header.arch, change.name), {}),
            }
            for change in changes
        ],
    }


def _summary(header: HeaderUpdate, code: Callable[[str], str]) -> str:
    old, new = header.old, header.new
    if header.same:
        return f"Linux {new.kernel}, the same bytes"
    kernel = f"Linux {new.kernel}" if old.kernel in (None, new.kernel) else f"Linux {old.kernel} -> {new.kernel}"
    if header.changes is None:
        return f"{kernel}, {new.size} bytes, {'not compared' if old.sha256 else 'new'}"
    members = [_how(field) for change in header.changes for field in change.fields]
    types = _counts([each.how for each in header.changes])
    sizes = f"{old.size or '?'} -> {new.size} bytes"
    return f"{kernel}, {sizes}: types {code(types)}, members {code(_counts(members))}"


def _counts(hows: Sequence[str]) -> str:
    return " ".join(f"{SIGNS[how]}{hows.count(how)}" for how in (ADDED, REMOVED, CHANGED))


def _use_of(report: UpdateReport, everything: bool, code: Callable[[str], str]) -> list[str]:
    if all(header.same for header in report.headers):
        return ["nothing changes for our programs"]
    if all(header.changes is None for header in report.headers if not header.same):
        return ["there is no header to compare with"]
    return used_lines(report.programs, everything, code)


def used_lines(programs: Sequence[ProgramChanges], everything: bool, code: Callable[[str], str]) -> list[str]:
    """Returns a heading, and a line for each change that programs name; others of what they hold are counted.

    `code` marks a name or a piece of C.
    """
    names = sorted({each.program for each in programs})
    if not names:
        return ["no program here includes these headers"]
    rows = _merged((each.change, arch, program) for program, arch, used in programs for each in used if each.named)
    held = {each.change.name for _, _, used in programs for each in used} - {row.change.name for row in rows}
    who, ends = (f"our {len(names)} programs", "") if len(names) > 1 else (f"our program {code(names[0])}", "s")
    lines = [f"of these changes {who} use{ends}:" if rows else f"{who} name{ends} nothing that changes"]
    shown = rows if everything else rows[:MAX_SHOWN]
    lines += [f"  {_row_text(row, code, everything, who=len(names) > 1)}" for row in shown]
    if len(shown) < len(rows):
        lines.append(f"  … {len(rows) - len(shown)} more (--all lists them)")
    if held:
        some = sorted(held)[: None if everything else MAX_FIELDS]
        more = ", …" if len(some) < len(held) else ""
        text = f"  what no program names changes in {len(held)} more of the types that they keep: "
        lines.append(f"{text}{', '.join(map(code, some))}{more}")
    return lines


def _all_rows(report: UpdateReport) -> list[_Row]:
    return _merged((change, header.arch, "") for header in report.headers for change in header.changes or ())


def _merged(found: Iterable[tuple[TypeChange, str, str]]) -> list[_Row]:
    """Returns a row for each change that is the same in several arches and programs: what breaks most comes first."""
    rows: dict[TypeChange, tuple[dict[str, None], dict[str, None]]] = {}
    for change, arch, program in found:
        arches, programs = rows.setdefault(change, ({}, {}))
        arches[arch] = programs[program] = None
    return sorted(
        (_Row(change, tuple(arches), tuple(filter(None, programs))) for change, (arches, programs) in rows.items()),
        key=_severity,
    )


def _severity(row: _Row) -> tuple[int, str]:
    hows = {row.change.how} if row.change.how != CHANGED else {_how(field) for field in row.change.fields}
    return min((list(SIGNS).index(how) for how in hows), default=len(SIGNS)), row.change.name


def _row_text(row: _Row, code: Callable[[str], str], everything: bool, who: bool = False) -> str:
    """Returns a change in a line, cut unless `everything` is wanted; `who` adds the programs that use it."""
    change, programs = row.change, f": {', '.join(map(code, row.programs))}" if who else ""
    where = f" ({' '.join(row.arches)}{programs})"
    if change.how != CHANGED:
        return f"{SIGNS[change.how]} {code(change.name)}{where}"
    if not change.fields:
        return f"~ {code(change.name)}: laid out anew, the same members{where}"
    fields = sorted(change.fields, key=lambda field: list(SIGNS).index(_how(field)))
    shown = fields if everything else fields[:MAX_FIELDS]
    texts = ", ".join(_field_text(field, code, everything) for field in shown)
    more = f", … {len(fields) - len(shown)} more" if len(shown) < len(fields) else ""
    return f"~ {code(change.name)}: {texts}{more}{where}"


def _field_text(field: FieldChange, code: Callable[[str], str], everything: bool) -> str:
    how = _how(field)
    old, new = (text if everything else _cut(text) for text in (field.old, field.new))
    return f"{code(old)} -> {code(new)}" if how == CHANGED else f"{SIGNS[how]} {code(old or new)}"


def _how(field: FieldChange) -> str:
    return ADDED if not field.old else REMOVED if not field.new else CHANGED


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _short(commit: str) -> str:
    return commit[:SHOWN_DIGITS]


def code_span(text: str) -> str:
    """Returns a code span in which no character of a header's means anything. Source: GitHub Flavored Markdown, 6.3."""
    text = " ".join(printable(text).split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"
