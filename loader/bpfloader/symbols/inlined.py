"""Names functions that the compiler inlined, by DWARF, which pyelftools reads where it is installed.

DWARF 5, 3.3.8.2: a DW_TAG_inlined_subroutine has the ranges of its code and the function that it is of. Python takes 50
microseconds for an entry, a second for a large C++ file's, so units are read as their addresses are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from ..errors import LibraryError
from .readable import readable

MAX_SECTIONS = 256 << 20  # bytes of all DWARF sections of a file, as they are when they are decompressed
MAX_UNITS, MAX_ENTRIES = 20_000, 200_000  # compilation units of a file, entries of a unit
MAX_ORIGINS = 8  # steps from an inlined function to the declaration with its name


class Span(NamedTuple):
    """A range of addresses, without its end."""

    start: int
    end: int


class Call(NamedTuple):
    """A range of addresses in which a function is inlined; of two equal ones the later one is the inner one."""

    start: int
    end: int
    order: int
    name: str


def require_library() -> Any:
    """Returns pyelftools' module of ELF files. Raises LibraryError without it."""
    try:
        return importlib.import_module("elftools.elf.elffile")
    except ImportError:
        raise LibraryError("inlined functions need pyelftools", fix="pip install pyelftools") from None


class InlinedCalls:
    """The inlined functions of a file with DWARF. Raises ValueError for a file without, or a broken or huge one."""

    def __init__(self, file: BinaryIO):
        self._units: list[tuple[Span, Any]] = []
        self._calls: dict[int, list[Call]] = {}  # by the offset of the unit
        try:
            elf = require_library().ELFFile(file)
            names = (".debug_", ".zdebug_", ".eh_frame")
            sections = [each for each in elf.iter_sections() if each.name.startswith(names)]
            self.size = sum(each.data_size for each in sections)
            unbounded = any(each.name.startswith(".zdebug_") for each in sections)  # pyelftools unpacks all of those
            if unbounded or self.size > MAX_SECTIONS or not elf.has_dwarf_info(strict=True):
                raise ValueError("no DWARF, too much of it, or in an old compression")
            self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
            self._lists = self._dwarf.range_lists()
            for unit in islice(self._dwarf.iter_CUs(), MAX_UNITS):
                self._units += [(span, unit) for span in self._spans(unit.get_top_DIE(), unit)]
        except LibraryError:
            raise
        except Exception as error:  # whatever a damaged file makes pyelftools raise
            raise ValueError(f"broken DWARF: {error}") from None

    def at(self, address: int) -> list[str]:
        """Returns the functions that are inlined at an address, the innermost first."""
        found = []
        for span, unit in self._units:
            if span.start <= address < span.end:
                if unit.cu_offset not in self._calls:
                    self._calls[unit.cu_offset] = self._read(unit)
                found += [each for each in self._calls[unit.cu_offset] if each.start <= address < each.end]
                break
        return [each.name for each in sorted(found, key=lambda each: (each.end - each.start, -each.order))]

    def _read(self, unit: Any) -> list[Call]:
        """Reads a unit's inlined functions; those before a broken entry, if there is one."""
        calls: list[Call] = []
        try:
            for entry in islice(unit.iter_DIEs(), MAX_ENTRIES):
                if entry.tag == "DW_TAG_inlined_subroutine" and (name := _name(entry)):
                    calls += [Call(*span, len(calls), name) for span in self._spans(entry, unit)]
        except Exception:  # noqa: S110  whatever a damaged file makes pyelftools raise
            pass
        return calls

    def _spans(self, entry: Any, unit: Any) -> Iterator[Span]:
        """Yields the ranges of an entry's code."""
        attributes = entry.attributes
        if "DW_AT_ranges" in attributes and self._lists is not None:
            top = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
            base = top.value if top else 0
            for each in self._lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
                if hasattr(each, "base_address"):
                    base = each.base_address
                else:
                    start = 0 if each.is_absolute else base
                    yield Span(start + each.begin_offset, start + each.end_offset)
        elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            start, end = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield Span(start, end.value if end.form.startswith("DW_FORM_addr") else start + end.value)


def _name(entry: Any) -> str:
    """Returns an inlined function's name: that of the declaration that it leads to; empty without one."""
    plain = ""
    for _ in range(MAX_ORIGINS):
        attributes = entry.attributes
        if linkage := attributes.get("DW_AT_linkage_name") or attributes.get("DW_AT_MIPS_linkage_name"):
            return readable(linkage.value.decode("utf-8", "replace"))
        if "DW_AT_name" in attributes and not plain:
            plain = attributes["DW_AT_name"].value.decode("utf-8", "replace")
        link = next((each for each in ("DW_AT_abstract_origin", "DW_AT_specification") if each in attributes), None)
        if link is None:
            break
        entry = entry.get_DIE_from_attribute(link)
    return plain
