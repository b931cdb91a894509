"""docs/from-bcc.md: the tool that a tool of bcc's becomes builds, and its Python says what the skeleton has."""

import ast

from pages import ROOT, build, examples, write_files

PAGE = ROOT / "docs" / "from-bcc.md"


def test_the_tool_after_builds_and_its_python_fits(tmp_path):
    write_files(PAGE, tmp_path)
    build(tmp_path)
    (tool,) = [each.text for each in examples(PAGE) if each.file == "opens_tool.py"]
    (skeleton,) = tmp_path.glob("build/*/opens_skel.pyi")
    declared = skeleton.read_text()
    named = {each.attr for each in ast.walk(ast.parse(tool)) if isinstance(each, ast.Attribute)}
    assert "class Opens" in declared and "counts: " in declared and "counts" in named
