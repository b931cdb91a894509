"""A user's mistakes: one line that says where, what and what next; never a traceback, nothing half-written."""

import hashlib

import pytest


def test_a_misspelt_argument(project):
    assert "ARHC=: no such option; did you mean ARCH=?" in project.fails("ARHC=arm")


def test_an_unknown_arch(project):
    assert "ARCH: no arch is called 'aarch46'; did you mean aarch64?" in project.fails("ARCH=aarch46")


def test_an_arch_without_a_pin_says_how_to_make_one(project):
    """Neither the project's toolchain.toml nor this checkout's pins a header for it."""
    text = project.fails("ARCH=mips64")
    assert "vmlinux.mips64: mips64 has no pin; make the header on such a machine" in text


def test_an_x86_header_for_an_arm64_build(project):
    (project.folder / "pins/aarch64.h").write_bytes((project.folder / "pins/x86_64.h").read_bytes() + b"\n")
    project.pin()
    text = project.fails("ARCH=aarch64")
    assert "this header does not fit aarch64 (__TARGET_ARCH_arm64): its struct pt_regs is x86_64's" in text
    assert not (project.folder / "build/aarch64/include/vmlinux.h").exists()


def test_a_missing_digest_prints_the_line_to_paste(project):
    data = (project.folder / "pins/x86_64.h").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    project.edit("toolchain.toml", f'sha256 = "{digest}"\n', "")
    text = project.fails("ARCH=x86_64")
    assert f'sha256 = "{digest}"' in text
    assert not (project.folder / "build/x86_64/include/vmlinux.h").exists()


def test_a_header_with_other_bytes_than_its_pin_is_refused(project):
    with open(project.folder / "pins/x86_64.h", "a") as header:
        header.write("/* one byte more */\n")
    text = project.fails("ARCH=x86_64")
    assert "toolchain.toml:" in text and "sha256" in text
    assert not (project.folder / "build/x86_64/include/vmlinux.h").exists()
    project.edit("pins/x86_64.h", "/* one byte more */\n", "")
    project.build("ARCH=x86_64")


def test_another_clang_version(project):
    project.edit("toolchain.toml", f'version = "{project.version}"', 'version = "3.2.1"')
    text = project.fails("ARCH=x86_64")
    assert "compiler" in text and "the pin says 3.2.1" in text and f'version = "{project.version}"' in text


def test_a_syntax_error_shows_clangs_words_once(project):
    project.edit("src/one.bpf.c", "return 0;", "return nothing;")
    text = project.fails("ARCH=x86_64", "one")
    assert "src/one.bpf.c:" in text
    assert text.count("use of undeclared identifier 'nothing'") == 1
    assert not (project.folder / "build/x86_64/one.bpf.o").exists()


def test_a_header_of_libbpf_that_is_not_included(project):
    project.edit("src/one.bpf.c", "#include <bpf/bpf_helpers.h>\n", "")
    text = project.fails("ARCH=x86_64", "one")
    assert text.count("; SEC, __uint and __type are declared in <bpf/bpf_helpers.h>: include it\n") == 1
    assert "this header" not in text


def test_a_warning_is_shown(project):
    project.edit("src/one.bpf.c", "return 0;", "int unused;\n\treturn 0;")
    done = project.scons("ARCH=x86_64", "one")
    assert done.returncode == 0
    assert "unused variable 'unused'" in done.stderr


def test_a_project_file_that_would_shadow_the_pinned_header(project):
    (project.folder / "include/vmlinux.h").write_text("struct task_struct { int pid; };\n")
    text = project.fails("ARCH=x86_64")
    assert "include/vmlinux.h: would be compiled instead of the pinned vmlinux.h" in text


@pytest.mark.parametrize("value", ["RELEASE=maybe", "RELEASE=2"])
def test_a_switch_that_is_none(project, value):
    assert f"{value}: not a switch" in project.fails(value)


def test_offline_says_what_is_missing(project):
    project.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'url = "https://example.invalid/x86_64.h"')
    text = project.fails("ARCH=x86_64", "--offline")
    assert "vmlinux.h for x86_64" in text and "MIRROR" in text


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('version="1.0"', 'versoin="1.0"', "BpfProgram: got an unexpected keyword argument 'versoin'; did you mean version="),
        ('version="1.0"', 'evnts={}', "BpfProgram: got an unexpected keyword argument 'evnts'; did you mean events="),
        ('version="1.0"', 'colour=1', "BpfProgram: got an unexpected keyword argument 'colour'; it takes (name, source=None, version='0', app="),
        ('version="1.0"', 'app="loader/one"', "app: there is no folder loader/one; name the one that holds one's Python"),
        ('version="1.0"', 'version="1.0 beta"', "version: '1.0 beta' is no version; write it as PEP 440 does"),
        ('BpfProgram(name,', 'BpfProgram("same",', "build/x86_64/same.bpf.o is declared twice; give one of the programs another name"),
        ('BpfProgram(name,', 'BpfProgram("my-" + name,', "BpfPackage: 'my-one' can't be imported; name it as a Python module"),
        ('BpfProgram(name,', 'BpfProgram("profile",', "BpfPackage: 'profile' is a module of Python's own, which is found first; choose another name"),
        ('BpfProgram(name,', 'BpfProgram("class",', "BpfPackage: 'class' is a word of Python's own, which can't be imported; choose another name"),
        ('BpfProgram(name,', 'BpfProgram("bpfloader",', "BpfPackage: 'bpfloader' is the loader, which lies in each package; choose another name"),
        ('version="1.0"', 'minimize="exat"', "minimize='exat': no such mode; take one of off, exact, lean, fields"),
        ('version="1.0"', 'include_dirs=["/usr/include"]', "include_dirs: /usr/include is outside of the project"),
    ],
)
def test_a_declaration_that_can_not_be(project, old, new, message):
    project.edit("SConstruct", old, new)
    assert message in project.fails("ARCH=x86_64")
