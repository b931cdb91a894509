"""docs/reliability.md promises nothing that no test holds: each row names tests that are there."""

import ast
import re
import subprocess
import sys

import pytest
from pages import ROOT

PAGE = "docs/reliability.md"
TEST = re.compile(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`")


def rows():
    """The rows of the page's tables, as (line, cells); heads and rulers left out."""
    found = []
    for number, line in enumerate((ROOT / PAGE).read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("promise", "faults") and set(line) - set("|- "):
            found.append((f"{PAGE}:{number}", cells))
    return found


def functions(path):
    """The names of the tests in a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def table():
    found = rows()
    assert len(found) > 30
    return found


def test_each_promise_names_a_test(table):
    assert [where for where, cells in table if len(cells) not in (2, 3) or not TEST.search(cells[-1])] == []


def test_each_test_that_is_named_is_there(table):
    missing = []
    for where, cells in table:
        for path, name in TEST.findall(cells[-1]):
            file = ROOT / path
            if not file.is_file() or (name and name not in functions(file)):
                missing.append(f"{where}: {path}::{name}")
    assert missing == []


def test_the_tables_of_faults_are_the_tests():
    done = subprocess.run([sys.executable, ROOT / "tests/faults/table.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"<!-- by tests/faults/table.py -->\n{done.stdout}<!-- end -->\n" in (ROOT / PAGE).read_text(), "run it with --write"
