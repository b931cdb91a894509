"""What clang says it read, held against what the graph knows."""

import pytest
from ebpfbuild.depfile import check_inputs, read_depfile
from ebpfbuild.errors import UndeclaredInputError
from hypothesis import given
from hypothesis import strategies as st


def test_a_rule_over_several_lines():
    assert read_depfile("x.o: src/x.c \\\n  include/../a.h b.h\n", "/project") == ["src/x.c", "a.h", "b.h"]


def test_what_lies_below_the_root_is_relative_to_it():
    assert read_depfile("x.o: /project/src/a.bin /projects/b.h /usr/c.h\n", "/project") == ["src/a.bin", "/projects/b.h", "/usr/c.h"]


def test_blanks_hashes_and_dollars_in_names():
    assert read_depfile("x.o: my\\ dir/a\\#1.h b$$c.h\n", "/project") == ["my dir/a#1.h", "b$c.h"]


@given(st.lists(st.text("ab/. #$", min_size=1).filter(lambda name: name.strip(" ") == name), min_size=1))
def test_every_name_comes_back(names):
    import os.path

    written = " ".join(name.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ") for name in names)
    assert read_depfile(f"x.o: {written}\n", "/project") == [os.path.normpath(name) for name in names]


@given(st.text())
def test_anything_is_read_as_something(text):
    assert isinstance(read_depfile(text, "/project"), list)


def test_an_unknown_file_is_named():
    with pytest.raises(UndeclaredInputError) as error:
        check_inputs(["a.h", "b.h", "c.h"], ["./a.h"], "x.c")
    assert str(error.value).startswith("x.c: the compile read b.h, which the build graph does not know; ")
    assert "also unknown: c.h" in str(error.value)


def test_known_files_pass():
    assert check_inputs(["a.h"], ["x/../a.h", "b.h"], "x.c") is None
