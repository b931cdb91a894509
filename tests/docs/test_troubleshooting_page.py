"""docs/troubleshooting.md shows messages that the code has: each holds a passage of a string in the sources."""

import ast
import re
from collections.abc import Iterator

import pytest
from pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
SOURCES = [path for folder in ("site_scons", "loader") for path in sorted((ROOT / folder).rglob("*.py"))]
LEAST = 10  # characters that a message and a string share; what is filled in stands between such passages


def messages() -> list[tuple[int, str]]:
    """The first lines of the page's messages with their numbers: what is wrong; what to do next."""
    lines = enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if re.match(r"    \S.*; ", line)]


def passages() -> Iterator[str]:
    """The fixed text of all strings in the sources, cut where a value or a line's end stands."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from re.split(r"\n|\{\w*\}", node.value)
    yield from re.split(r"\n|\"|\$\w+", (ROOT / "sconsw").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def known() -> set[str]:
    return {text.strip() for text in passages() if len(text.strip()) >= LEAST}


def test_each_message_is_one_of_the_code_s(known):
    assert len(messages()) > 100
    assert [each for each in messages() if not any(text in each[1] for text in known)] == []
