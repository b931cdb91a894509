"""The scanner finds what clang would find."""

import pytest
from ebpfbuild.errors import CompileError
from ebpfbuild.compile.directives import directives, directives_only
from ebpfbuild.compile.includes import included_files
from ebpfbuild.compile.lexer import lexed
from hypothesis import given
from hypothesis import strategies as st


def included_names(text):
    """The names that a text includes or asks for, as (quoted, name)."""
    return [(reference.quoted, reference.name) for reference in directives(text).references]


def headers(files, include_dirs=(), pinned=("vmlinux.h",)):
    return included_files("src/x.c", include_dirs, files.get, pinned.__contains__).own


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


@given(st.text())
def test_any_text_is_scanned(text):
    assert isinstance(included_names(text), list)


def test_a_file_that_is_only_asked_for_counts():
    text = '#if __has_include("a.h") && defined(X) || __has_include_next( <b/c.h> )\n#endif\n'
    assert included_names(text) == [(True, "a.h"), (False, "b/c.h")]


@pytest.mark.parametrize(
    "text",
    [
        '#/**/include "a.h"',
        '# /* x\n */ include /**/ "a.h"',
        '#inc\\\nlude "a.h"',
        '#include \\ \n "a.h"',
        '%:include "a.h"',
        '#\finclude\v"a.h"',
        "const char *s = R\"(\" /* )\";\n#include \"a.h\"",
        '#error don\'t /* this\n#include "a.h"',
        '#warning /*\n#include "a.h"',
        'int x = 1\'0;\n/*\'*/ #include "a.h"',
        '??=include "a.h"',
        '#include ??/\n"a.h"',
        '\ufeff#include "a.h"',
        '#import "a.h"',
        '#embed /* c */ "a.h" limit(2)',
        '#if defined(__has_include) && __has_include /**/ ( "a.h" )',
    ],
)
def test_a_directive_however_it_is_written(text):
    assert (True, "a.h") in included_names(text + "\n")


@pytest.mark.parametrize("text", ['// #/**/include "a.h"', '/*\n#/**/include "a.h"\n*/', 'char *s = "\\\n#/**/include \\"a.h\\"";'])
def test_a_comment_is_no_directive(text):
    assert included_names(text + "\n#inc\\\nlude <b.h>\n") == [(False, "b.h")]


@pytest.mark.parametrize("name", ["a//b.h", "a/*b.h"])
def test_a_name_may_look_like_a_comment(name):
    assert lexed(f'#include <{name}>\n#include "{name}"\n').references == (("include", False, name), ("include", True, name))


@pytest.mark.parametrize("form", ['"/tmp/x.h"', "</tmp/x.h>"])
def test_an_absolute_path_is_refused_with_its_slash_and_line(form):
    with pytest.raises(CompileError, match=r"^src/x.c:3: includes /tmp/x.h, an absolute path, .*; copy the file into the project"):
        headers({"src/x.c": f"/* a\n*/\n#include {form}\n"})
    assert headers({"src/x.c": f"/*\n#include {form}\n*/\n"}) == []


@pytest.mark.parametrize(
    "text",
    [
        "#define NAME \"a.h\"\n#if __has_include(NAME)\n#endif\n",
        "\n#define HAS __has_include\n",
        "\n#define HAS(x) __has_\\\ninclude(x)\n",
        "\n#if __has_embed /* which? */ (NAME)\n#endif\n",
        '\n#define HAS __has_include("a.h")\n',
    ],
)
def test_a_question_without_a_name_is_refused(text):
    with pytest.raises(CompileError, match=r"^src/a.h:[23]: asks for a file by __has_\w+ without its name, .*; write the word and the name"):
        headers({"src/x.c": '#include "a.h"\n', "src/a.h": text})


@pytest.mark.parametrize(
    "text, pragma",
    [
        ('#pragma GCC dependency "a.h"\n', "GCC dependency"),
        ('#pragma include_alias("b.h", "a.h")\n', "include_alias"),
        ('_Pragma("GCC dependency \\"a.h\\"") int x;\n', "GCC dependency"),
        ('__pragma(include_\\\nalias(<b.h>, <a.h>))\n', "include_alias"),
        ("#define DO(x) _Pragma(#x)\nDO(GCC /**/ dependency <a.h>)\n", "GCC dependency"),
    ],
)
def test_a_pragma_that_looks_for_a_file_is_refused(text, pragma):
    with pytest.raises(CompileError, match=rf"^src/x.c:\d: holds #pragma {pragma}, by which clang looks for a file .*; leave it out"):
        headers({"src/x.c": text})
    assert headers({"src/x.c": "/* GCC dependency, include_alias */\n"}) == []


def test_what_a_pinned_header_includes_is_followed_and_it_itself_is_not_named():
    files = {
        "src/x.c": "#include <bpf/usdt.h>\n",
        "lib/bpf/usdt.h": '#include <linux/errno.h>\n#include "own.h"\n',
        "lib/bpf/own.h": "",
        "shim/linux/errno.h": "#include <base.h>\n",
        "shim/base.h": "",
    }
    pinned = ("bpf/usdt.h", "bpf/own.h").__contains__
    assert included_files("src/x.c", ["shim"], files.get, pinned, pinned_dirs=["lib"]).own == ["shim/base.h", "shim/linux/errno.h"]
    files["shim/bpf/usdt.h"] = ""
    with pytest.raises(CompileError, match="shim/bpf/usdt.h: would be compiled instead of the pinned"):
        included_files("src/x.c", ["shim"], files.get, pinned, pinned_dirs=["lib"]).own


@given(st.text(alphabet='#%:include "<>a.h/*\\\n?_hasf()', max_size=60))
def test_a_text_of_directives_only_names_the_same(text):
    assert set(directives(directives_only(text)).references) >= set(directives(text).references)


@pytest.mark.parametrize("pieces", ["__has_, include", "_, _has_include", "__has, _include_next"])
def test_a_question_that_is_pasted_is_refused(pieces):
    files = {"src/x.c": f'#include "a.h"\n#if CAT({pieces})("x.h")\n#endif\n', "src/a.h": "#define CAT(a, b) a##b\n"}
    with pytest.raises(CompileError, match=r"^src/x.c: holds pieces that ## can make __has_include"):
        headers(files)


def test_what_other_headers_do_with_the_words_passes():
    text = "#ifndef __has_include\n#define __has_include(x) 0\n#endif\n#if defined(__has_embed)\n#endif\n#ifdef __has_include\n#endif\n#define _(P) (P)\n// __has_include(X)\n"
    assert headers({"src/x.c": text}) == []


def test_a_file_outside_of_the_project_is_refused():
    with pytest.raises(CompileError, match=r"^src/x.c:2: ../../y.h is outside of the project; copy it into the project"):
        headers({"src/x.c": '\n#include "../../y.h"\n', "../y.h": ""})


def test_next_is_any_that_there_is():
    files = {"src/x.c": "#include <a.h>\n", "one/a.h": "#include_next <a.h>\n", "two/a.h": ""}
    assert headers(files, ["one", "two"]) == ["one/a.h", "two/a.h"]


def test_what_is_embedded_is_found_beside_the_file_only_and_not_read_for_directives():
    files = {"src/x.c": '#embed "a.bin"\n#embed "b.bin"\n', "src/a.bin": '#include "c.h"\n', "one/b.bin": "", "src/c.h": ""}
    assert headers(files, ["one"]) == ["src/a.bin"]


def test_what_would_shadow_a_declared_file_counts():
    files = {"src/x.c": "#include NAME\n", "two/a.h": '#include "b.h"\n', "two/b.h": ""}

    def found():
        return included_files("src/x.c", ["one", "two"], files.get, ("vmlinux.h",).__contains__, depends=["two/a.h"]).own

    assert found() == ["two/b.h"]
    files["one/a.h"] = ""
    assert found() == ["one/a.h", "two/b.h"]


@given(st.text(alphabet='#%:include "<>a.h/*\\\n?\'Rdefmb_(x)\0', max_size=60))
def test_the_quick_way_finds_no_less_than_the_lexer(text):
    assert set(lexed(text).references) <= set(directives(text).references)
    assert set(lexed(text).unreadable) <= set(directives(text).unreadable)
