"""Options that read or write files never reach clang, in whichever form."""

import re
import subprocess

import pytest
from ebpfbuild.cflags import COMMON_FLAG, check_by_table, check_cflags
from ebpfbuild.errors import FlagError, PinError
from ebpfbuild.pins.toolchain import load

FILES = """@args --config=x --config|x -include|x.h -includex.h --include=x.h -imacros|x.h -include-pch|x -fprofile-use=x -fprofile-instr-use=x -fprofile-sample-use=x
-fsanitize-ignorelist=x -fsanitize-blacklist=x -fplugin=x -fpass-plugin=x -Xclang|-load|-Xclang|x -fmodule-file=x -fmodule-map-file=x -ivfsoverlay|x -fdebug-prefix-map=a=b
-ffile-prefix-map=/a=b -fxray-attr-list=x -frandomize-layout-seed-file=x -fmemory-profile-use=x -fcodegen-data-use=x -fsanitize-coverage-allowlist=x -fprofile-list=x
-fprofile-remapping-file=x -fauto-profile=x -fms-secure-hotpatch-functions-file=x -fembed-offload-object=x -fthinlto-index=x -fbasic-block-sections=list=x -fmodules-cache-path=x
-fapi-notes-modules -finput-charset=utf-8 -fwarning-suppression-mappings=x --warning-suppression-mappings=x -mllvm|-sample-profile-file=x -mllvm|-load=x.so -mllvm|-cgscc-inline-replay=x
-mllvm|-info-output-file=x -mllvm|-name|-mllvm|x --system-header-prefix=x -fvalidate-ast-input-files-content other.c - -- -Wp,-include,x -Wa,-I,x -Xpreprocessor|-include
-Xassembler|-I -fno-integrated-as -fms-compatibility -fmodules -fbuild-session-file=x -trigraphs -DHAS=__has_include -D|HAS=__has_include -DA=asm -DCAT(a,b)=a##b"""
FOLDERS = """-Ix -I|x -isystem|x -isystemx -iquote|x -idirafterx -Fx -iframework|x -iwithprefix|x --include-directory=x --embed-dir=x -cxx-isystem|x -isysroot|x --sysroot=x --sysroot|x -Bx
-resource-dir|x -resource-dir=x -working-directory=x --gcc-toolchain=x"""
WRITTEN = """-ox -o|x --output=x -MFx -MD -MMD -MJx -M -MM -MT|x -save-temps -save-temps=obj --save-temps -ftime-trace -ftime-trace=x --serialize-diagnostics|x -serialize-diagnostic-file|x
-dependency-file|x -dependency-dot|x -fdump-record-layouts -foptimization-record-file=x -fsave-optimization-record -fcrash-diagnostics-dir=x -gsplit-dwarf -gsplit-dwarf=single
-emit-llvm -emit-ast -S -E -c -fsyntax-only -x|c -xc --language=c -flto -fstack-usage -ftest-coverage --coverage -fprofile-arcs -fproc-stat-report=x -gen-reproducer -dM -###
-frecord-command-line -grecord-command-line -save-stats -Xclang|-emit-llvm --analyze -fcs-profile-generate=x -fprofile-generate"""
TARGET = "-mcpu=v4 -mcpu|v4 -march=x -mtune=x -target|x --target=x -m32 -mbig-endian -Xclang|-target-cpu|-Xclang|v4"
PASS = """-DX -DX=1 -D|X -U|X -UX -DKASAN=1 -W -Wall -Wextra -Werror -Wno-unused -Werror=date-time -O2 -Os -g -gdwarf-5 -std=gnu17 -std=c11 -ansi -w -pedantic -fno-builtin -fms-extensions
-fno-strict-aliasing -funroll-loops -ffreestanding -fno-stack-protector -fwrapv -fno-asynchronous-unwind-tables -mllvm|-bpf-stack-size=1024 -mllvm|-inline-threshold=100 -Xclang|-target-feature|-Xclang|+alu32
-Xclang|-disable-llvm-passes -fno-jump-tables -fvisibility=hidden -Qunused-arguments -fcolor-diagnostics -ferror-limit=3 -Rpass=inline -fno-lto -fpack-struct=1 -fshort-enums"""


@pytest.mark.parametrize("words", [*FILES.split(), *FOLDERS.split(), *WRITTEN.split(), *TARGET.split()])
def test_an_option_that_reads_or_writes_files_is_refused(words):
    flags = words.split("|")
    with pytest.raises(FlagError) as error:
        check_cflags(["-DX", *flags, "-DY"], "EBPF_CFLAGS")
    text = str(error.value)
    assert text.startswith("EBPF_CFLAGS: '") and "; " in text and "\n" not in text


@pytest.mark.parametrize(
    "words, fix",
    [("-Ix", "include_dirs="), ("-mcpu=v4", 'cpu = "v4" in [clang]'.replace("v4", "…")), ("-include|x.h", '#include "…"'), ("-MD", "keeps its own"), ("-save-temps", "makes objects")],
)
def test_the_way_to_say_it(words, fix):
    with pytest.raises(FlagError) as error:
        check_cflags(words.split("|"), "cflags")
    assert fix in error.value.fix


@pytest.mark.parametrize("words", PASS.split())
def test_what_names_no_file_passes(words):
    check_cflags(words.split("|"), "cflags")


def test_toolchain_toml_is_named_by_its_line(tmp_path):
    path = tmp_path / "toolchain.toml"
    path.write_text('[compiler]\npackage = "ziglang"\nversion = "22.1.8"\n[clang]\ncflags = ["-DX", "@args"]\n')
    with pytest.raises((FlagError, PinError), match=r"toolchain.toml:5: clang.cflags: '@args' reads options from a file; write them out"):
        load(path)


def told(clang, *arguments, folder=None):
    """What the pinned clang prints, stdout and stderr."""
    done = subprocess.run([*clang, *arguments], cwd=folder, env={}, capture_output=True, text=True)
    return done.stdout, done.stderr


def accepted(*flags):
    try:
        check_cflags(flags, "cflags")
        return True
    except FlagError:
        return False


def test_no_option_whose_value_is_a_file_is_accepted(clang):
    """By clang's own list: `-name <file>`, `-name=<dir>`, `-name=[<x>=]<path>`."""
    text, _ = told(clang, "--help-hidden")
    listed = re.findall(r"^ {2}(-[^\s<\[]+)( ?)(?:\[\S*\])?<[^>]*(?:file|path|dir|folder|pathname|directory)[^>]*>", text, re.MULTILINE)
    assert len(listed) > 40
    forms = [[name, "x"] if separate else [name + "x"] for name, separate in listed]
    assert [form for form in forms if accepted(*form)] == []


def test_what_is_plain_is_refused_by_no_table(clang):
    """The short way takes nothing that the long one refuses: each option that clang completes, and some values."""
    text, _ = told(clang, "--autocomplete=-")
    names = [line.split("\t")[0].strip() for line in text.splitlines()] + PASS.split()
    flags = {name + value for name in names for value in ("", "1", "x", "X", "=1", "X=1", "ll", ",x", "/x", "=x")}
    plain = [flag for flag in flags if re.fullmatch(COMMON_FLAG, flag)]
    assert len(plain) > 500
    for flag in plain:
        check_by_table(flag, "cflags")


def test_no_accepted_option_reads_or_writes_the_file_that_it_is_given(clang, tmp_path):
    """By what clang does: each option with a value that clang completes, given a name that is nowhere."""
    text, _ = told(clang, "--autocomplete=-")
    names = [line.split("\t")[0].strip() for line in text.splitlines()]
    flags = [f"{name}sentinel" for name in names if name.endswith("=") and not name.startswith("-W")]
    flags = [flag for flag in flags if accepted(flag)]
    assert len(flags) > 50
    (tmp_path / "x.c").write_text("int x;\n")
    for flag in flags:
        _, stderr = told(clang, "-target", "bpf", "-c", "x.c", "-g", "-O2", "-o", "x.o", flag, folder=tmp_path)
        assert not re.search("(?i)no such file|cannot open|could not open|unable to (open|read)|error reading|not found", stderr), (flag, stderr)
        left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".o.tmp")}  # of a clang that gave up
        assert left <= {"x.c", "x.o"}, flag


def test_no_accepted_option_takes_the_next_one_for_its_file(clang):
    """A separate value would be the next flag: only -D, -U and those with a known value may have one."""
    text, _ = told(clang, "--help-hidden")
    listed = re.findall(r"^ {2}(-[^\s<=]+) <(?!macro)[^>]*>", text, re.MULTILINE)
    assert len(listed) > 30
    assert [name for name in listed if accepted(name, "-DX")] == ["-mllvm"]  # whose value was looked at
