"""Prints the tables of docs/reliability.md about faults, from the tests as they are: python tests/faults/table.py

Each test's id names the fault, the first line of its docstring what happens then, and its module's docstring the
table. `--write` puts them into the page.
"""

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- by tests/faults/table.py -->\n", "<!-- end -->\n"

# Faults that the tests of a room hold: (fault, what happens, the test).
class Row(NamedTuple):
    """Faults, what happens then, and the test that holds it."""

    faults: list[str]
    result: str
    test: str


ELSEWHERE = [
    Row(["any bytes for an answer"], "A result or one line, soon.", "tests/core/fetch/test_hostile_server.py::test_any_answer_is_a_result_or_a_line"),
    Row(["`^C` while a server is silent"], "The build ends at once.", "tests/scons/test_fetch_interrupts.py"),
    Row(["an answer slower than 1 kB a second"], "The next source has its turn within a minute.", "tests/core/fetch/test_slow_server.py::test_a_server_that_hangs_gives_its_place_away"),
    Row(["an unknown CA, a wrong host name, an expired certificate"], "One line that says what to set.", "tests/core/fetch/test_company_network.py"),
    Row(["an archive damaged at random"], "The right files or one line.", "tests/core/archive/test_archive.py::test_a_damaged_archive_gives_files_or_an_error"),
    Row(["toolchain.toml of random lines"], "Pins or one line.", "tests/core/pins/test_toolchain.py::test_any_file_is_a_toolchain_or_an_error"),
    Row(["a header's index damaged at random"], "Refused and made anew.", "tests/core/minimize/test_index.py::test_damaged_bytes_are_refused_or_an_index_all_the_same"),
    Row(["a pickle of something else, or anything at all, in the place of .sconsign or the ledger"], "A build anew, and no traceback.", "tests/scons/test_damaged_outputs.py::test_a_damaged_memory_costs_a_build_and_no_traceback"),
    Row(["an edit while a source is compiled"], "No object and no record is kept.", "tests/scons/test_damaged_outputs.py::test_an_input_edited_while_it_is_compiled_and_put_back_leaves_no_object"),
    Row(["a name that clang takes for an option: a leading dash or @"], "One line.", "tests/scons/test_unfit_files.py::test_a_source_that_clang_takes_for_an_option_is_refused"),
    Row(["a backslash or a tab in the name of a folder, a header, the build folder"], "One line that names it.", "tests/scons/test_unfit_files.py::test_a_name_that_clang_spells_differently_is_refused"),
    Row(["a read-only tree, built elsewhere"], "The right bytes.", "tests/scons/test_outside_build.py::test_a_tree_that_can_t_be_written_is_built_elsewhere"),
    Row(["a read-only tree with nothing to do"], "A null build.", "tests/scons/test_scons_options.py::test_a_null_build_of_a_tree_that_can_t_be_written"),
    Row(["two users on one store, with any umask"], "Each reads what the other put there.", "tests/core/fetch/test_store_shared.py"),
    Row(["a pipe, a device or gigabytes in the place of an input"], "One line, at once, and nothing is read.", "tests/scons/test_unfit_files.py::test_it_is_refused_in_one_line"),
    Row(["a link, a pipe, a device or a folder in the place of an output"], "The build puts it back.", "tests/scons/test_damaged_outputs.py::test_what_lies_in_an_output_s_place_is_repaired"),
    Row(["an entry of a cache that is cut, edited, a link, a folder, a pipe, gigabytes, a result of other inputs or of files elsewhere"], "A miss, told once; it is set aside and made anew.", "tests/core/step_cache/test_cache_folder.py"),
    Row(["a cache's server that is silent, trickles, breaks off, redirects, is full, or sends other bytes, HTML, gzip, half of a file"], "A miss that costs its time-out once, one line; the build goes on.", "tests/core/step_cache/test_cache_server_faults.py"),
    Row(["a result that somebody poisoned who may write into the cache"], "No release takes it; others take no object of another kind or arch.", "tests/scons/test_step_cache_builds.py"),
]  # fmt: skip


class _Collected:
    def pytest_collection_modifyitems(self, items):
        self.items = list(items)


def tables():
    """Returns the rows by the name of their table, in the order of files and tests."""
    collected, said = _Collected(), io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "-n0", str(FOLDER)], plugins=[collected])
    if status:
        sys.exit(said.getvalue())
    found = {}
    for item in collected.items:
        path, _, name = item.nodeid.partition("::")
        table = item.module.__doc__.splitlines()[0].rstrip(".")
        test = f"{path}::{item.function.__name__}"
        row = Row([], item.function.__doc__.splitlines()[0], test)
        row = found.setdefault(table, {}).setdefault(test, row)
        row.faults.append(name.partition("[")[2].removesuffix("]"))
    return {table: [*rows.values()] for table, rows in found.items()} | {"Elsewhere": ELSEWHERE}


def text():
    """Returns the tables as Markdown."""
    lines = []
    for table, rows in tables().items():
        lines += [f"### {table}\n", "| faults | what happens | test |", "|---|---|---|"]
        lines += [f"| {'; '.join(row.faults).replace('|', chr(92) + '|')} | {row.result} | `{row.test}` |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def in_page(page):
    """Returns what a page holds between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        page = PAGE.read_text()
        PAGE.write_text(page.replace(BEGIN + in_page(page) + END, BEGIN + text() + END))
    else:
        print(text(), end="")
