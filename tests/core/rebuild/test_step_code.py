"""Which of the core's files a step runs."""

import ast
import functools
import importlib.metadata
import sys

import pytest
from ebpfbuild.rebuild.step_code import (
    CORE, PACKAGES, closure, core_digests, core_files, import_graph, package_versions, step_digest, step_files,
)  # fmt: skip


@functools.cache
def graph_of_core():
    return import_graph(core_files())


def code_of(entry, edited):
    """The digest of a step's code where the path of one of the core's files ends in `edited`, and that file was edited."""
    digests = core_digests(lambda path: f"{path}{path.endswith(edited)}")
    return step_digest(step_files(entry, digests, lambda key, find: graph_of_core()))


def test_a_step_runs_what_it_imports_anywhere():
    graph = graph_of_core()
    compiled = closure("compile/object.py", graph)
    assert {"compile/object.py", "compile/depfile.py", "elf/strip.py", "elf/reader.py", "header.py", "errors.py"} <= set(compiled)
    assert not {"fetch/network.py", "skeleton/skeleton.py", "pins/toolchain.py", "package/wheel.py"} & set(compiled)


def test_each_package_that_has_a_part_in_outputs_is_known_by_its_version():
    """Others fetch, and what they bring has a digest; a page and toolchain.toml are no outputs of steps."""
    called = {}
    for file in core_files():
        if file.endswith(".py") and not file.startswith(("fetch/", "boot/", "step_cache/", "archive/")):
            tree = ast.parse((CORE / file).read_text())
            names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
            for name in {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names):
                called.setdefault(name, set()).add(file)
    assert called.pop("tomlkit") == {"pins/edit.py"}
    called["jinja2"].remove("kernels/as_html.py")
    assert called == {name: {module} for name, module in PACKAGES.items()}
    found = package_versions(closure("skeleton/skeleton.py", graph_of_core()))
    assert found == {"package jinja2": f"jinja2-{importlib.metadata.version('jinja2')}.dist-info"}


def test_a_template_belongs_to_the_module_that_names_it():
    graph = graph_of_core()
    assert "skeleton/templates/skeleton.py.j2" in closure("skeleton/skeleton.py", graph)
    assert "skeleton/templates/skeleton.py.j2" not in closure("compile/object.py", graph)


@pytest.mark.parametrize("printer, others", [("skeleton/skeleton.py", 1), ("kernels/as_html.py", 2)])
def test_an_edit_of_a_template_remakes_what_is_printed_with_it(printer, others):
    templates = [path.relative_to(CORE).as_posix() for path in CORE.rglob("*.j2")]
    unedited = code_of(printer, "none")
    assert len(templates) == 3
    assert [code_of(printer, each) == unedited for each in templates].count(True) == others
    own = [each for each in templates if each.startswith(printer.split("/")[0])]
    assert len({unedited, *(code_of(printer, each) for each in own)}) == 1 + len(own) == 4 - others


def test_packages_inside_the_core_are_followed():
    reached = closure("minimize/program.py", graph_of_core())
    assert {"minimize/index.py", "minimize/closure.py", "minimize/__init__.py"} <= set(reached)


def test_every_core_file_is_seen():
    assert set(core_files()) == {
        path.relative_to(CORE).as_posix() for path in CORE.rglob("*") if path.suffix in (".py", ".j2") and "__pycache__" not in path.parts
    }


def test_the_code_of_a_step_follows_the_files_that_it_runs():
    def code(edited):
        return code_of("compile/includes.py", edited)

    assert len({code("none"), code("compile/includes.py"), code("errors.py")}) == 3
    assert code("compile/object.py") == code("none"), "scan.py runs nothing of it"
