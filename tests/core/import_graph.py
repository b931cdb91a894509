"""Reads which module of a package imports which: at the top, inside functions and under TYPE_CHECKING alike."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One import of a module of the same package: `line` of the module `source` names `target`."""

    source: str
    target: str
    line: int


def modules(package: Path) -> dict[str, Path]:
    """The files of a package by their dotted names below it; its own `__init__` and `__main__` are left out."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and name != "__main__":
            found[name] = path
    return found


def imports(package: Path) -> list[Import]:
    """All imports between the modules of a package, each once, by line."""
    files = modules(package)
    return [found for name, path in files.items() for found in _imports(name, path, files)]


def _imports(name: str, path: Path, files: dict[str, Path]) -> Iterator[Import]:
    parents = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = parents[: len(parents) - node.level + 1] + (node.module.split(".") if node.module else [])
        for alias in node.names:
            whole = ".".join([*base, alias.name])
            target = whole if whole in files else ".".join(base)
            if target and target != name:
                yield Import(name, target, node.lineno)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The shortest way round from each node that leads back to itself, each circle once."""
    found = {}
    for start in sorted(edges):
        way = _way_back(start, edges)
        if way:
            found.setdefault(frozenset(way), way)
    return list(found.values())


def _way_back(start: str, edges: dict[str, set[str]]) -> list[str]:
    """The nodes of the shortest way from a node to itself; none where there is no such way."""
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:  # grows while it is walked: breadth first
        for target in sorted(edges.get(way[-1], ())):
            if target == start:
                return [*way, start]
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []
