"""Checks that each imported name exists, also inside functions, where a wrong one fails no earlier than they run."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"ebpfbuild": ROOT / "site_scons", "ebpf": ROOT / "site_scons" / "site_tools", "bpfloader": ROOT / "loader"}


@cache
def names(path):
    """The names that a module binds anywhere, and those of a package's modules."""
    tree = ast.parse(path.read_text())
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if path.name == "__init__.py":
        found |= {each.stem for each in path.parent.iterdir() if each.is_dir() or each.suffix == ".py"}
    return found


def module_file(top, parts):
    """The file of a module by its dotted name, whose first word is a package at `top`; None for what isn't there."""
    place = top.joinpath(*parts)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def missing(packages):
    """A line for each name that is imported of a module of these packages and that isn't there."""
    for package, top in packages.items():
        for path in sorted((top / package).rglob("*.py")):
            own = path.relative_to(top).parent.parts
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.ImportFrom):
                    continue
                parts = [*(own[: len(own) - node.level + 1] if node.level else ()), *(node.module or "").split(".")]
                parts = [part for part in parts if part]
                if not parts or parts[0] not in packages:  # none: of the package that the loader lies in
                    continue
                file = module_file(packages[parts[0]], parts)
                there = names(file) if file else ()
                for alias in node.names:
                    if alias.name not in there:
                        yield f"{path.relative_to(top)}:{node.lineno}: {'.'.join(parts)} has no {alias.name}"


@pytest.mark.slow
def test_each_imported_name_is_there():
    assert list(missing(PLACES)) == []


@pytest.mark.parametrize("line", ["from .b import GONE", "from a.b import GONE", "from . import gone", "from .gone import x"])
def test_a_name_that_moved_is_found_inside_a_function(tmp_path, line):
    (tmp_path / "a").mkdir()
    for name, text in {"__init__": "", "b": "HERE = 1", "c": f"def f():\n    from .b import HERE\n    {line}"}.items():
        (tmp_path / "a" / f"{name}.py").write_text(text)
    assert [each.partition(": ")[0] for each in missing({"a": tmp_path})] == ["a/c.py:3"]
