"""What clang says it read, held against what the graph knows."""

import pytest
from ebpfbuild.compile.depfile import check_inputs, read_depfile
from ebpfbuild.errors import UndeclaredInputError
from hypothesis import given
from hypothesis import strategies as st


def test_a_rule_over_several_lines():
    assert read_depfile("x.o: src/x.c \\\n  include/../a.h b.h\n") == ["src/x.c", "include/../a.h", "b.h"]


def test_blanks_hashes_and_dollars_in_names():
    assert read_depfile("x.o: my\\ dir/a\\#1.h b$$c.h\n") == ["my dir/a#1.h", "b$c.h"]


@given(st.lists(st.text("ab/. #$", min_size=1).filter(lambda name: name.strip(" ") == name), min_size=1))
def test_every_name_comes_back(names):
    written = " ".join(name.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ") for name in names)
    assert read_depfile(f"x.o: {written}\n") == names


@given(st.text())
def test_anything_is_read_as_something(text):
    assert isinstance(read_depfile(text), list)


def test_an_unknown_file_is_named(tmp_path):
    with pytest.raises(UndeclaredInputError) as error:
        check_inputs(["a.h", "b.h", "c.h"], ["./a.h"], "x.c", str(tmp_path))
    assert str(error.value).startswith("x.c: the compile read b.h, which the build graph does not know; ")
    assert "also unknown: c.h" in str(error.value)


def test_a_file_outside_of_the_project_is_called_so(tmp_path):
    with pytest.raises(UndeclaredInputError, match="the compile read /tmp/no/x.h, which is outside of the project; copy it"):
        check_inputs(["/tmp/no/x.h"], [], "x.c", str(tmp_path))


def test_known_files_pass_by_whichever_path_they_were_read(tmp_path):
    (tmp_path / "deep/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/x")
    assert check_inputs(["a.h", "deep/../b.h", f"{tmp_path}/c.bin"], ["deep/../a.h", "b.h", "c.bin"], "x.c", str(tmp_path)) is None
    assert check_inputs(["link/../d.h"], ["deep/d.h"], "x.c", str(tmp_path)) is None
    with pytest.raises(UndeclaredInputError, match="read deep/d.h, which"):
        check_inputs(["link/../d.h"], ["d.h"], "x.c", str(tmp_path))
