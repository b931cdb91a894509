"""The scanner finds what clang would find."""

import pytest
from ebpfbuild.errors import CompileError
from ebpfbuild.scan import included_names, project_headers
from hypothesis import given
from hypothesis import strategies as st


def headers(files, include_dirs=(), pinned=("vmlinux.h",)):
    return project_headers("src/x.c", include_dirs, files.get, pinned.__contains__)


def test_both_forms_and_odd_spacing():
    text = '#include "a.h"\n  #  include <b/c.h> // why\n#include MACRO\n#include_next <d.h>\nint include;\n'
    assert included_names(text) == [(True, "a.h"), (False, "b/c.h"), (False, "d.h")]


def test_headers_of_headers_relative_to_each():
    files = {"src/x.c": '#include "sub/a.h"\n', "src/sub/a.h": '#include "b.h"\n', "src/sub/b.h": "", "b.h": ""}
    assert headers(files) == ["src/sub/a.h", "src/sub/b.h"]


def test_the_order_of_the_folders_decides():
    files = {"src/x.c": "#include <a.h>\n", "src/a.h": "", "one/a.h": "", "two/a.h": ""}
    assert headers(files, ["one", "two"]) == ["one/a.h"]
    assert headers({**files, "src/x.c": '#include "a.h"\n'}, ["one"]) == ["src/a.h"]


def test_a_cycle_ends():
    files = {"src/x.c": '#include "a.h"\n', "src/a.h": '#include "b.h"\n', "src/b.h": '#include "a.h"\n#include "x.c"\n'}
    assert headers(files) == ["src/a.h", "src/b.h"]


def test_a_pinned_name_is_not_looked_for_unless_it_is_there():
    assert headers({"src/x.c": '#include "vmlinux.h"\n'}) == []
    with pytest.raises(CompileError, match=r"src/vmlinux.h: would be compiled instead of the pinned vmlinux.h"):
        headers({"src/x.c": '#include "vmlinux.h"\n', "src/vmlinux.h": ""})


def test_an_input_that_no_depfile_tells_of_is_refused():
    files = {"src/x.c": '#include "a.h"\n', "src/a.h": 'asm(".incbin \\"data\\"");\n'}
    with pytest.raises(CompileError, match=r"src/a.h: uses .incbin, which reads a file that no depfile tells of"):
        headers(files)


@given(st.text())
def test_any_text_is_scanned(text):
    assert isinstance(included_names(text), list)


def test_a_file_that_is_only_asked_for_counts():
    text = '#if __has_include("a.h") && defined(X) || __has_include_next( <b/c.h> )\n#endif\n'
    assert included_names(text) == [(True, "a.h"), (False, "b/c.h")]
