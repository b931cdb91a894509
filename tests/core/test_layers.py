"""The import directions of docs/ARCHITECTURE.md, read from the sources."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "site_scons" / "ebpfbuild").rglob("*.py"))
TOOL = sorted((ROOT / "site_scons" / "site_tools").rglob("*.py"))
LOADER = sorted((ROOT / "loader" / "bpfloader").rglob("*.py"))
NETWORK = {"requests", "urllib3", "socket", "http", "ssl", "ftplib"}


def imported(path, top_level_only=False):
    """The first words of what a module imports; relative imports are its own package's."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_imports_the_standard_library_and_three_packages(path):
    newer = {"compression"}  # Python 3.14's zstd, where there is one
    assert set(imported(path)) <= {*sys.stdlib_module_names, *newer, "requests", "urllib3", "pycparser", "jinja2"}


@pytest.mark.parametrize("path", CORE, ids=name)
def test_heavy_packages_are_imported_where_they_are_used(path):
    assert not {"requests", "urllib3", "pycparser", "jinja2"} & set(imported(path, top_level_only=True))


@pytest.mark.parametrize("path", [*CORE, *TOOL], ids=name)
def test_one_module_opens_connections(path):
    if path != ROOT / "site_scons" / "ebpfbuild" / "fetch" / "network.py":
        assert not NETWORK & set(imported(path))


def test_what_brings_pip_needs_nothing_that_pip_brings():
    assert set(imported(ROOT / "site_scons" / "fetch_pip.py")) <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", TOOL, ids=name)
def test_the_tool_imports_scons_and_the_core(path):
    assert set(imported(path)) <= {*sys.stdlib_module_names, "SCons", "ebpfbuild"}


@pytest.mark.parametrize("path", LOADER, ids=name)
def test_the_loader_imports_the_standard_library_alone(path):
    for_checkers = {"typing_extensions"}  # under TYPE_CHECKING; test_old_python.py imports it all without
    assert set(imported(path)) <= {*sys.stdlib_module_names, *for_checkers}


@pytest.mark.parametrize("path", [*CORE, *LOADER], ids=name)
def test_no_pickle_and_no_shell(path):
    words = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not {"pickle", "marshal", "shelve"} & set(imported(path))
    assert not {"system", "popen"} & words
    assert "shell=True" not in path.read_text()


@pytest.mark.parametrize("path", [*CORE, *TOOL, *LOADER], ids=name)
def test_no_function_is_longer_than_a_screen(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno >= 60] == []
