"""docs/loader-examples.md says what is true: its programs build, and each example gives what stands behind `→`."""

import sys

import pytest
from pages import ROOT, build, examples, write_files
from promises import run, snippets

PAGE = ROOT / "docs" / "loader-examples.md"
SNIPPETS = snippets(PAGE)
SCONSTRUCT = """DefaultEnvironment(tools=[])
env = Environment(tools=["ebpf"], toolpath=["third_party/scons-bpf/site_scons/site_tools"])
env.EbpfCheckArguments()
"""
NEEDS = {"Heavier": "freplace", "Steady": "struct_ops"}  # a section that not every kernel takes, by what an example opens


@pytest.fixture(scope="module")
def built(tmp_path_factory, kernel):
    """The page's programs, built, and their packages to be imported."""
    folder = tmp_path_factory.mktemp("examples")
    write_files(PAGE, folder)
    programs = [each.file for each in examples(PAGE) if each.file.endswith(".bpf.c")]
    declared = [f'Default(env.BpfProgram("{path[4:-6]}", "{path}"))\n' for path in programs]  # bpf/NAME.bpf.c
    (folder / "SConstruct").write_text(SCONSTRUCT + "".join(declared))
    build(folder)
    (python,) = folder.glob("build/*/python")
    sys.path.insert(0, str(python))
    yield
    sys.path.remove(str(python))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"line{each.line}" for each in SNIPPETS])
def test_an_example_gives_what_it_says(built, snippet):
    from parts import bpfloader

    for class_, section in NEEDS.items():
        kind = bpfloader.attach_kind(section)
        if f"{class_}.open" in snippet.text and not kind.ok:
            pytest.skip(f"{section}: {kind.reason}")
    run(snippet.text, snippet.line, {}, PAGE)


def test_each_example_promises_something():
    assert len(SNIPPETS) == 5 and all("# →" in each.text for each in SNIPPETS)
