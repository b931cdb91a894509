"""Reads the report that verifiers end their logs with since Linux 7.3: reason, location, the path there, a suggestion.

Its form is that of kernel/bpf/diagnostics.c. A field begins with its name and a colon at the line's start and goes on
in lines that are indented or empty. A location is `function @ file:line:column`, or `insn N` where the object tells no
source, with the lines around it: `>>>` marks the line meant, `^--` tells what it does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from itertools import chain, dropwhile, takewhile
from typing import NamedTuple

BEGINS = "Verification failed: "
FIELD = re.compile(r"(Reason|At|Causal path|Suggestion):\s*")
SOURCE_LOCATION = re.compile(r"  (?:.* @ )?(?P<line>\S.*:\d+):\d+\s*")
INSTRUCTION_LOCATION = re.compile(r"  insn (?P<number>\d{1,10})\s*")
SOURCE_CONTEXT = "  Source context:"
INSTRUCTION_CONTEXT = "  Instruction context:"
MARKED = re.compile(r"\s*>>>\s*\d+ \| (?P<text>.*)")
ACQUIRED = re.compile(r"\s*\| +\^-- acquired: .*(?P<id>\(id=\d+\))")
RESOURCE = re.compile(r"\(id=\d+\)")


class SourceLocation(NamedTuple):
    """A line of the source with its `file:line`, and the number of the instruction; "" and -1 where unknown."""

    text: str = ""
    line: str = ""
    instruction: int = -1

    def __str__(self) -> str:
        if not self.text:
            return self.line
        return f"`{self.text}` ({self.line})" if self.line else f"`{self.text}`"


class PathStep(NamedTuple):
    """A location on the path to the failure, and the id of the resource that is acquired there, "" if none is."""

    location: SourceLocation
    resource: str


class VerifierReport(NamedTuple):
    """A report's fields, empty where it lacks one; `begins` and `ends` are its lines' range in the log."""

    reason: str
    location: SourceLocation
    suggestion: str
    begins: int
    ends: int


def read_report(log: Sequence[str]) -> VerifierReport | None:
    """Reads the last report in a log's lines; None if there is none."""
    begins = next((index for index in range(len(log) - 1, -1, -1) if log[index].startswith(BEGINS)), -1)
    if begins < 0:
        return None
    fields: dict[str, list[str]] = {}
    ends = begins + 1
    current: list[str] = []
    for ends in range(begins + 1, len(log)):
        line = log[ends]
        if found := FIELD.fullmatch(line):
            current = fields.setdefault(found[1], [])
        elif line and not line[0].isspace():
            break
        else:
            current.append(line)
    else:
        ends = len(log)
    location = next((location for location, _ in _locations(fields.get("At", []))), SourceLocation())
    reason = _sentences(fields.get("Reason", [])) + _acquired(fields.get("Reason", []), fields.get("Causal path", []))
    return VerifierReport(reason, location, _sentences(fields.get("Suggestion", [])), begins, ends)


def _sentences(lines: Sequence[str]) -> str:
    """Joins a field's sentences into one line, without the final stop; an empty line ends them."""
    words = [line.split() for line in lines]
    sentences = takewhile(bool, dropwhile(operator.not_, words))
    return " ".join(chain.from_iterable(sentences)).removesuffix(".")


def _acquired(reason: Sequence[str], path: Sequence[str]) -> str:
    """Returns where the resource that the reason names was acquired: the report's own location is the exit after it."""
    named = RESOURCE.search(" ".join(reason))
    for location, resource in _locations(path):
        if named and resource == named[0] and str(location):
            return f" (acquired at {location})"
    return ""


def _locations(lines: Sequence[str]) -> Iterator[PathStep]:
    """Yields the steps that a field lists."""
    location, resource, in_source = None, "", False
    for line in lines:
        if named_location := _location_in(line):
            if location:
                yield PathStep(location, resource)
            location, resource, in_source = named_location, "", False
        elif line.rstrip() in (SOURCE_CONTEXT, INSTRUCTION_CONTEXT):
            in_source = line.rstrip() == SOURCE_CONTEXT
        elif location and in_source and not location.text and (marked := MARKED.fullmatch(line)):
            location = location._replace(text=marked["text"].strip())
        elif in_source and (acquired := ACQUIRED.fullmatch(line)):
            resource = acquired["id"]
    if location:
        yield PathStep(location, resource)


def _location_in(line: str) -> SourceLocation | None:
    """Returns the location that a line names; None for every other line."""
    if named := SOURCE_LOCATION.fullmatch(line):
        return SourceLocation(line=named["line"])
    numbered = INSTRUCTION_LOCATION.fullmatch(line)
    return SourceLocation(instruction=int(numbered["number"])) if numbered else None
