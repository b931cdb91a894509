"""The scanner against clang itself: what clang reads of made-up sources, or what makes them differ, the scanner names or refuses."""

import itertools
import subprocess
import tempfile
from pathlib import Path

from ebpfbuild.compile.depfile import read_depfile
from ebpfbuild.errors import CompileError
from ebpfbuild.compile.includes import included_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ("a.h", "b.h", "sub/c.h")
FOLDERS = ("src", "one", "two")  # "two" is where the headers are in any case
SPLICE = ("\\\n", "\\ \n", "??/\n")
GAPS = st.sampled_from(["", "", " ", "\t", "/**/", "/* x\n*/", "/* \" ' */", "\f", "\v", *SPLICE])
BREAKS = ('/* " */', "// '\\\n \"x", 'char *s = "/*";', "int c = '\"';", 'char *s = "\\\n//";', "/* // */", "#error don't /* x", "/*/ x */", "#pragma once", "#if 0",
          'char *r = R"(" /* )";', 'char *r = R"x(\n#include "b.h"\n)x";', "#else", "#endif", "#define N <b.h>", '#define N "a.h"', "#include N", "int x = 1'0;",
          "#define __has_include_ 1", "#define CAT(a, b) a##b", "#define HAS __has_include", "/\\\n* x *\\\n/", "//??/\n", "int include, _;")  # fmt: skip


@st.composite
def spliced(draw, word):
    """A word, perhaps with a splice in it."""
    if not draw(st.integers(0, 3)):
        at = draw(st.integers(1, len(word) - 1))
        return word[:at] + draw(st.sampled_from(SPLICE)) + word[at:]
    return word


@st.composite
def directive(draw):
    name = draw(st.sampled_from(NAMES))
    form = draw(st.sampled_from([f'"{name}"', f"<{name}>"]))
    mark = draw(st.sampled_from(["#", "#", "%:", "??="]))
    gaps = [draw(GAPS) for _ in range(4)]
    word = draw(spliced(draw(st.sampled_from(["include", "include_next", "import", "if", "elif"]))))
    if word.replace("\\", "").startswith(("i", "e")) and word in ("if", "elif"):
        ask = draw(spliced(draw(st.sampled_from(["__has_include", "__has_include_next"]))))
        defined = draw(st.sampled_from(["", "defined(__has_include) && "]))
        return f"{gaps[0]}{mark}{gaps[1]}{word} {defined}{ask}{gaps[2]}({gaps[3]}{form})\nint t;\n#endif"
    return f"{gaps[0]}{mark}{gaps[1]}{word}{gaps[2]}{form}{gaps[3]}"


TEXTS = st.lists(directive() | st.sampled_from(BREAKS), max_size=5).map(lambda lines: "\n".join(lines) + "\n")
FILES = st.dictionaries(st.sampled_from([f"{f}/{n}" for f, n in itertools.product(FOLDERS, NAMES)]), TEXTS, max_size=6)


def read_by_clang(clang, root, flags):
    """The files that clang reads of src/x.c, as far as it gets."""
    command = [*clang, "-target", "bpf", "-w", "-nostdinc", "-Ione", "-Itwo", *flags, "-E", "-o", "out", "-MD", "-MF", "deps", "src/x.c"]
    deps = root / "deps"
    deps.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=root, env={}, capture_output=True, text=True, errors="replace")
    if deps.exists():
        return {str(Path(path)) for path in read_depfile(deps.read_text())}, done.stderr
    return set(), done.stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(source=TEXTS, files=FILES, flags=st.sampled_from([["-std=gnu11"], ["-std=c11"], ["-std=gnu23"]]))
def test_the_scanner_names_all_that_clang_reads(clang, source, files, flags):
    files = {**{f"two/{name}": "" for name in NAMES}, **files, "src/x.c": source}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        read, stderr = read_by_clang(clang, root, [*flags, "-H"])
        read |= {str(Path(line.lstrip(".").strip())) for line in stderr.splitlines() if line.startswith(".")}
    if "file not found" in stderr:  # an error, after which clang takes <x.h> from beside the source
        return
    try:
        known = included_files("src/x.c", ["one", "two"], files.get, ("vmlinux.h",).__contains__).own
    except CompileError:
        return
    if not any("#include N" in text for text in files.values()):  # that is the depfile's to find
        assert read - {"src/x.c"} <= set(known)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(source=TEXTS, flags=st.sampled_from([["-std=gnu11"], ["-std=c11"], ["-std=gnu23"]]), late=st.sampled_from(["src/a.h", "one/b.h", "two/sub/c.h"]))
def test_a_file_that_appears_is_named_where_it_changes_what_clang_gives(clang, source, flags, late):
    files = {"src/x.c": source}
    given = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for text in (None, "int late;\n"):
            if text:
                files[late] = text
            for name, content in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
            (root / "out").unlink(missing_ok=True)
            _, stderr = read_by_clang(clang, root, flags)
            given.append(((root / "out").read_bytes() if (root / "out").exists() else b"", "error:" in stderr))
    if given[0] == given[1] or "#include N" in source:
        return
    try:
        assert late in included_files("src/x.c", ["one", "two"], files.get, ("vmlinux.h",).__contains__).own
    except CompileError:
        pass
