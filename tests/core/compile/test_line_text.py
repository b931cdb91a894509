"""The text that BTF's lines get is clang's own: what clang finds by a file's path, line_text gives by another name."""

import subprocess

import pytest
from ebpfbuild.btf.canonical import canonical_object
from ebpfbuild.btf.ext import BtfExt
from ebpfbuild.btf.reader import Btf
from ebpfbuild.compile.line_text import line_text
from ebpfbuild.elf.reader import Elf

HEADER = b'\tstatic __attribute__((noinline)) int made(int a) {  return a * 3; }  // \xc3\xa9 "\\t"'
SOURCE = b'#include "inc/made.h"\nint used(int a)\n{\n\tint b = made(a);\n\n\treturn b + a; }'


def built(root, clang, *flags):
    command = [*clang, "-target", "bpf", "-O2", "-g", "-w", "-ffile-compilation-dir=.", *flags, "-c", "src/p.bpf.c", "-o", "p.o"]
    subprocess.run(command, cwd=root, check=True)
    return (root / "p.o").read_bytes()


def texts(data):
    elf = Elf.parse(data)
    btf = Btf.parse(elf.section(".BTF").data)
    return {(line.file, line.line, line.text) for line in BtfExt.parse(elf.section(".BTF.ext").data, btf).lines}


@pytest.fixture(params=[b"\n", b"\r\n"], ids=["lf", "crlf"])
def root(tmp_path, request):
    for name, data in (("src/p.bpf.c", SOURCE), ("src/inc/made.h", HEADER)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data.replace(b"\n", request.param))
    return tmp_path


def test_the_text_is_clang_s_own(root, clang):
    data = built(root, clang)
    assert any(text for _, _, text in texts(data))
    assert canonical_object(data, "", line_text([("src", "src")], str(root))) == canonical_object(data)


def test_it_is_found_by_another_name_and_not_in_what_bears_that_name(root, clang):
    plain = canonical_object(built(root, clang))
    (root / "build/inc").mkdir(parents=True)
    (root / "build/inc/made.h").write_text("of an older build\n" * 9)
    (root / "build/p.bpf.c").write_text("of an older build\n" * 9)
    mapped = built(root, clang, "-fdebug-prefix-map=src/=build/", "-ffile-prefix-map=src/=build/")
    assert any("older" in text for _, _, text in texts(mapped))
    made = canonical_object(mapped, "", line_text([("src", "build")], str(root)))
    assert {(file.replace("build/", "src/"), *rest) for file, *rest in texts(made)} == texts(plain)


def test_of_other_files_the_text_stays(root):
    text = line_text([("src", "build")], str(root))
    assert text("./src/p.bpf.c", 1) is None and text("./build/none.h", 1) is None
    assert text("./build/p.bpf.c", 99) == b"" and text("build/p.bpf.c", 2) == b"int used(int a)"
    assert line_text((), str(root)) is None
