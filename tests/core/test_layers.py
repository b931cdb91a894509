"""The import directions of docs/ARCHITECTURE.md, read from the sources.

Its two tables of rooms are the one place that says which room may import which.
"""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import circles, imports, modules

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "site_scons" / "ebpfbuild").rglob("*.py"))
TOOL = sorted((ROOT / "site_scons" / "site_tools").rglob("*.py"))
LOADER = sorted((ROOT / "loader" / "bpfloader").rglob("*.py"))
PACKAGES = {"core": ROOT / "site_scons" / "ebpfbuild", "loader": ROOT / "loader" / "bpfloader"}
NETWORK = {"requests", "urllib3", "socket", "http", "ssl", "ftplib"}


@functools.cache
def syntax(path):
    """A module's syntax tree."""
    return ast.parse(path.read_text())


def imported(path, top_level_only=False):
    """The first words of what a module imports; relative imports are its own package's."""
    tree = syntax(path)
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def name(path):
    return str(path.relative_to(ROOT))


def room(module):
    """The room of a module: its folder, or the module itself where it lies at the root."""
    return module.split(".")[0]


def allowed(half):
    """What each room of a half may import, in the order of its table in docs/ARCHITECTURE.md."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    table = text.partition(f"### The {half}'s rooms")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)/?` \|[^|]+\|([^|]*)\|$", table, re.MULTILINE)
    return {name: set(targets.split()) for name, targets in rows}


@pytest.mark.parametrize("half", PACKAGES)
def test_the_table_has_each_room_and_leads_downhill(half):
    arrows, rooms = allowed(half), {room(module) for module in modules(PACKAGES[half])}
    assert set(arrows) == rooms
    order = list(arrows)
    uphill = [f"{source} -> {target}" for source in order for target in arrows[source] if order.index(target) <= order.index(source)]
    assert uphill == [], "a room may import only rooms that stand below it in the table"


@pytest.mark.parametrize("half", PACKAGES)
def test_no_room_imports_one_that_the_table_does_not_allow(half):
    arrows = allowed(half)
    new = [
        f"{modules(PACKAGES[half])[each.source].relative_to(ROOT)}:{each.line}: {room(each.source)} -> {room(each.target)} is new"
        for each in imports(PACKAGES[half])
        if room(each.source) != room(each.target) and room(each.target) not in arrows[room(each.source)]
    ]
    assert new == [], "docs/ARCHITECTURE.md doesn't allow it"


@pytest.mark.parametrize("half", PACKAGES)
def test_the_table_allows_nothing_that_is_not_used(half):
    used = {(room(each.source), room(each.target)) for each in imports(PACKAGES[half])}
    unused = [f"{source} -> {target}" for source, targets in allowed(half).items() for target in targets if (source, target) not in used]
    assert unused == []


@pytest.mark.parametrize("half", PACKAGES)
def test_no_module_imports_itself_by_way_of_others(half):
    edges = {}
    for each in imports(PACKAGES[half]):
        edges.setdefault(each.source, set()).add(each.target)
    assert [" -> ".join(way) for way in circles(edges)] == []


def test_a_circle_is_found(tmp_path):
    for name, text in {"a": "from .b import x", "b": "def f():\n    from . import c", "c": "from .a import y"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    edges = {each.source: {each.target} for each in imports(tmp_path)}
    assert circles(edges) == [["a", "b", "c", "a"]]


@pytest.mark.parametrize("half", PACKAGES)
def test_no_room_bears_a_public_name(half):
    """A package `probe/` would take the place of the function `bpfloader.probe` once something imports it."""
    tree = ast.parse((PACKAGES[half] / "__init__.py").read_text())
    public = {each.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
              for each in node.value.elts}  # fmt: skip
    assert public & {room(module) for module in modules(PACKAGES[half])} == set()


def other_imports(paths, *known, top_level_only=False):
    """What modules import beside the standard library and `known`, by the modules' names."""
    others = {name(path): set(imported(path, top_level_only)) - {*sys.stdlib_module_names, *known} for path in paths}
    return {module: found for module, found in others.items() if found}


def test_the_core_imports_the_standard_library_and_few_packages():
    found = other_imports(CORE, "requests", "urllib3", "pycparser", "jinja2", "tomlkit")
    assert found == {"site_scons/ebpfbuild/boot/guest/pytest_run.py": {"pytest"}}  # which runs in a booted kernel


def test_heavy_packages_are_imported_where_they_are_used():
    assert other_imports(CORE, top_level_only=True) == {}


def test_one_module_opens_connections():
    fetch = ROOT / "site_scons" / "ebpfbuild" / "fetch"
    allowed = {fetch / "http_get.py": NETWORK, fetch / "tls.py": {"ssl"}}  # which only makes contexts of certificates
    allowed[fetch / "http_failures.py"] = {"requests", "urllib3"}  # the kinds of their exceptions
    for path in (*CORE, *TOOL):
        if path.parent.name == "sandbox":  # a pair of sockets within this machine, between a build and its own process
            calls = {node.attr for node in ast.walk(syntax(path)) if isinstance(node, ast.Attribute)}
            assert not calls & {"connect", "connect_ex", "create_connection", "bind", "listen", "getaddrinfo"}, path
            allowed[path] = {"socket"}
        if path.parent.name == "guest":  # runs in a booted kernel, which has no network but lo
            allowed[path] = {"socket"}
        assert not NETWORK - allowed.get(path, set()) & set(imported(path)), path


def test_what_brings_pip_needs_nothing_that_pip_brings():
    """It runs without any package, and its sources name none; the core's modules that it uses import theirs when they fetch."""
    for path in sorted((ROOT / "site_scons" / "fetch_pip").glob("*.py")):
        assert set(imported(path)) <= {*sys.stdlib_module_names, "ebpfbuild", "fetch_pip"}
    done = subprocess.run([sys.executable, "-I", "-S", str(ROOT / "site_scons" / "fetch_pip"), "none.lock", "."], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "sconsw: none.lock can't be read: No such file or directory; git checkout none.lock\n")


def test_the_tool_imports_scons_and_the_core():
    assert other_imports(TOOL, "SCons", "ebpfbuild") == {}


def test_the_loader_imports_the_standard_library_alone():
    plugin = [path for path in LOADER if path.parent.name == "testing"]
    loader = [path for path in LOADER if path not in plugin]
    assert other_imports(loader, "typing_extensions") == {}  # for checkers; test_old_python.py runs it without
    assert other_imports(plugin, "pytest") == {}


def test_no_pickle_and_no_shell():
    for path in (*CORE, *LOADER):
        words = {node.attr for node in ast.walk(syntax(path)) if isinstance(node, ast.Attribute)}
        assert not {"pickle", "marshal", "shelve"} & set(imported(path)), path
        assert not {"system", "popen"} & words, path
        assert "shell=True" not in path.read_text(), path


def test_no_function_is_longer_than_a_screen():
    for path in (*CORE, *TOOL, *LOADER):
        functions = [node for node in ast.walk(syntax(path)) if isinstance(node, ast.FunctionDef)]
        assert [node.name for node in functions if node.end_lineno - node.lineno >= 60] == [], path
