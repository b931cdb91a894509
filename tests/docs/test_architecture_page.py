"""docs/ARCHITECTURE.md: the types that it draws and lists are in the code, in the rooms that it gives."""

import ast
import re

import pytest
from pages import ROOT

PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
FOLDERS = ("site_scons/ebpfbuild", "site_scons/site_tools/ebpf", "loader/bpfloader")
OTHERS = {"Python", "Value", "Foo"}  # SCons's node, the class of an example's skeleton


def classes(folder):
    """The names of the classes below a folder, or in a module of that name."""
    paths = sorted((ROOT / folder).rglob("*.py")) or [ROOT / f"{folder}.py"]
    return {node.name for path in paths for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def rows():
    """The pairs of a type and its room, of the table of types."""
    for names, rooms in re.findall(r"^\| (`[A-Z][^|]*) \| ([^|]+) \|[^|]+\|$", PAGE, re.MULTILINE):
        found = re.findall(r"`(\w+)`", rooms)
        for number, name in enumerate(re.findall(r"`(\w+)`", names)):
            room = found[min(number, len(found) - 1)] if found else ""
            yield name, f"site_scons/ebpfbuild/{room}" if room else "site_scons/site_tools/ebpf"


def test_the_table_has_rows():
    assert {"Toolchain", "Session"} <= {name for name, _ in rows()}


@pytest.mark.parametrize("name, folder", list(rows()))
def test_each_type_of_the_table_is_in_its_room(name, folder):
    assert name in classes(folder)


def test_each_type_of_the_drawings_is_a_class():
    flows = PAGE.partition("## What flows through a build")[2].partition("## Rooms")[0]
    drawn = {word for fence in re.findall(r"^```\n(.*?)^```$", flows, re.MULTILINE | re.DOTALL)
             for word in re.findall(r"(?<![\w./])[A-Z][a-z]+(?:[A-Z][a-z]+)*(?![\w./])", fence)}  # fmt: skip
    assert {"Toolchain", "Reader"} <= drawn
    assert drawn - OTHERS - {name for folder in FOLDERS for name in classes(folder)} == set()
