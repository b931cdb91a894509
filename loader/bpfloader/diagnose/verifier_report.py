"""Reads the report that verifiers end their logs with since Linux 7.3: reason, place, the path there, a suggestion.

Its form is that of kernel/bpf/diagnostics.c. A field begins with its name and a colon at the line's start and goes on
in lines that are indented or empty. A place is `function @ file:line:column`, or `insn N` where the object tells no
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
PLACE = re.compile(r"  (?:.* @ )?(?P<place>\S.*:\d+):\d+\s*")
INSTRUCTION = re.compile(r"  insn (?P<number>\d{1,10})\s*")
SOURCE_CONTEXT = "  Source context:"
INSTRUCTION_CONTEXT = "  Instruction context:"
MARKED = re.compile(r"\s*>>>\s*\d+ \| (?P<text>.*)")
ACQUIRED = re.compile(r"\s*\| +\^-- acquired: .*(?P<id>\(id=\d+\))")
RESOURCE = re.compile(r"\(id=\d+\)")


class Place(NamedTuple):
    """A line of the source with its `file:line`, and the number of the instruction; "" and -1 where unknown."""

    text: str = ""
    place: str = ""
    instruction: int = -1

    def __str__(self) -> str:
        if not self.text:
            return self.place
        return f"`{self.text}` ({self.place})" if self.place else f"`{self.text}`"


class VerifierReport(NamedTuple):
    """A report's fields, empty where it lacks one; `begins` and `ends` are its lines' range in the log."""

    reason: str
    place: Place
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
    place = next((place for place, _ in _places(fields.get("At", []))), Place())
    reason = _text(fields.get("Reason", [])) + _acquired(fields.get("Reason", []), fields.get("Causal path", []))
    return VerifierReport(reason, place, _text(fields.get("Suggestion", [])), begins, ends)


def _text(lines: Sequence[str]) -> str:
    """Joins a field's sentences into one line, without the final stop; an empty line ends them."""
    words = [line.split() for line in lines]
    sentences = takewhile(bool, dropwhile(operator.not_, words))
    return " ".join(chain.from_iterable(sentences)).removesuffix(".")


def _acquired(reason: Sequence[str], path: Sequence[str]) -> str:
    """Tells where the resource that the reason names was acquired: the report's own place is the exit after it."""
    named = RESOURCE.search(" ".join(reason))
    for place, resource in _places(path):
        if named and resource == named[0] and str(place):
            return f" (acquired at {place})"
    return ""


def _places(lines: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """Yields each place of a field, with the id of the resource that is acquired there ("" if none is)."""
    place, resource, in_source = None, "", False
    for line in lines:
        if named_place := _place_in(line):
            if place:
                yield place, resource
            place, resource, in_source = named_place, "", False
        elif line.rstrip() in (SOURCE_CONTEXT, INSTRUCTION_CONTEXT):
            in_source = line.rstrip() == SOURCE_CONTEXT
        elif place and in_source and not place.text and (marked := MARKED.fullmatch(line)):
            place = place._replace(text=marked["text"].strip())
        elif in_source and (acquired := ACQUIRED.fullmatch(line)):
            resource = acquired["id"]
    if place:
        yield place, resource


def _place_in(line: str) -> Place | None:
    """Returns the place that a line names; None for every other line."""
    if named := PLACE.fullmatch(line):
        return Place(place=named["place"])
    numbered = INSTRUCTION.fullmatch(line)
    return Place(instruction=int(numbered["number"])) if numbered else None
