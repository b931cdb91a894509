"""docs/from-bcc.md: the tool that a tool of bcc's becomes builds, and its Python says what the skeleton has."""

import ast
import os
import sys

from pages import ROOT, build, examples, with_tracefs, write_files

PAGE = ROOT / "docs" / "from-bcc.md"


def test_the_tool_after_builds_and_its_python_fits(tmp_path):
    write_files(PAGE, tmp_path)
    build(tmp_path)
    (tool,) = [each.text for each in examples(PAGE) if each.file == "opens_tool.py"]
    (skeleton,) = tmp_path.glob("build/*/opens_skel.pyi")
    declared = skeleton.read_text()
    named = {each.attr for each in ast.walk(ast.parse(tool)) if isinstance(each, ast.Attribute)}
    assert "class Opens" in declared and "counts: " in declared and "counts" in named


def test_the_tool_after_counts_who_opens_files(tmp_path, kernel):
    write_files(PAGE, tmp_path)
    build(tmp_path)
    (python,) = tmp_path.glob("build/*/python")
    tool = tmp_path / "opens_tool.py"
    tool.write_text(tool.read_text().replace("sleep(5)", "sleep(1)"))
    process = with_tracefs([sys.executable, str(tool)], tmp_path, {"PYTHONPATH": str(python)})
    while process.poll() is None:
        tool.read_text()
    out, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    counts = {int(pid): int(count) for pid, count in map(str.split, out.splitlines())}
    assert counts[os.getpid()] > 0
