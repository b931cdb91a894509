"""Finds the core's own files that a step runs: an edit in one of them must remake what the step makes."""

import ast
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..files import walk
from .ledger import Fact

CORE = Path(__file__).resolve().parents[1]
CHECKOUT = CORE.parent.parent  # the project that this is part of
# The packages that have a part in what steps make, by the module that imports each.
PACKAGES = {"jinja2": "skeleton/skeleton.py", "pycparser": "minimize/fields.py"}
TEMPLATE = ".j2"  # how templates' names end, wherever they lie


def core_files() -> list[str]:
    """Returns the core's modules and templates, as paths relative to its folder, sorted. Raises OSError."""
    found = []
    for folder, _, names in walk(CORE):  # ten times faster than Path.rglob, on every null build
        inside = os.path.relpath(folder, CORE)
        kept = (name for name in names if name.endswith((".py", TEMPLATE)))
        found += [os.path.normpath(f"{inside}/{name}") for name in kept]
    return sorted(found)


def import_graph(files: Iterable[str]) -> dict[str, list[str]]:
    """Returns, for each module of the core, the other modules that it imports and the templates that it names."""
    files = set(files)
    return {file: sorted(_imports(file, files)) for file in sorted(files) if file.endswith(".py")}


def closure(entry: str, graph: dict[str, list[str]]) -> list[str]:
    """Returns all files that `entry` reaches in an import graph, itself included, sorted."""
    reached, queue = set(), [entry]
    while queue:
        file = queue.pop()
        if file not in reached:
            reached.add(file)
            queue += graph.get(file, ())
    return sorted(reached)


def core_digests(digest: Callable[[str], str]) -> dict[str, str]:
    """Returns the sha256 of each core file by its path in the core's folder.

    `digest(path)` is a Ledger's. Raises OSError.
    """
    return {file: digest(f"{CORE}/{file}") for file in core_files()}


def step_files(entry: str, digests: dict[str, str], fact: Fact) -> dict[str, str]:
    """Returns the sha256 of every core file that a step beginning in module `entry` may run, by path, sorted.

    `digests` are those of the whole core. `fact(key, find)` is a Ledger's: parsing all modules takes 50 ms, and only an
    edit makes it needed.
    """
    key = "imports " + " ".join(digests.values())
    graph = fact(key, lambda: import_graph(digests))
    return {file: digests[file] for file in closure(entry, graph)}


def package_versions(files: Iterable[str]) -> dict[str, str]:
    """Returns the versions of the packages that a step's core files call, as they are installed, by `package NAME`."""
    files = set(files)
    return {f"package {name}": _installed_version(name) for name, module in PACKAGES.items() if module in files}


@cache
def _installed_version(package: str) -> str:
    """Returns the version that stands beside a package, which isn't imported: a null build asks as well."""
    spec = find_spec(package)
    if spec is None or not spec.origin:
        return "none"
    beside = os.listdir(os.path.dirname(os.path.dirname(spec.origin)))
    return " ".join(sorted(each for each in beside if each.startswith(f"{package}-") and each.endswith(".dist-info")))


def step_digest(files: Mapping[str, str]) -> str:
    """Returns the sha256 over files by path and sha256, as `step_files` gives them."""
    lines = "".join(f"{sha256}  {file}\n" for file, sha256 in files.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _imports(file: str, files: set[str]) -> set[str]:
    source = (CORE / file).read_text(encoding="utf-8")
    package = Path(file).parent.parts
    found = {name for name in files if name.endswith(TEMPLATE) and Path(name).name in source}
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the step that runs it will say so; the others can do without
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            packages = ["/".join(base[:depth]) for depth in range(1, len(base))]
            names = [*packages, "/".join(base), *("/".join([*base, alias.name]) for alias in node.names)]
            found |= {path for name in names for path in (f"{name}.py", f"{name}/__init__.py") if path in files}
    return found
