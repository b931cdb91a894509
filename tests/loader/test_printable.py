"""The loader's output steers no terminal, whatever an object or a file calls itself."""

import subprocess
import sys

from bpfloader import BpfError
from bpfloader.text import printable
from hypothesis import given
from hypothesis import strategies as st
from probing import LOADER

ANY = st.text(st.characters(exclude_categories=()), max_size=40)


@given(ANY)
def test_any_text_can_be_printed(text):
    assert printable(text).replace("\t", "").isprintable()
    assert not text.isprintable() or printable(text) == text


@given(ANY, ANY, st.lists(ANY, max_size=3))
def test_an_error_is_one_line_and_one_for_each_detail(what, fix, details):
    text = str(BpfError(what, fix=fix, details=tuple(details)))
    assert text.count("\n") == len(details) and text.replace("\n", "").replace("\t", "").isprintable()


def test_the_command_line_escapes_names(tmp_path):
    for name in (b"\x1b[2J\n\xe2\x80\xae.bpf.o", b"gone\x9b"):
        command = [sys.executable, "-m", "bpfloader", "inspect", bytes(tmp_path) + b"/" + name]
        (tmp_path / "x").write_bytes(b"")
        done = subprocess.run(command, cwd=LOADER, capture_output=True, check=False)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
        assert done.stderr.decode().rstrip("\n").isprintable() and b"can't read" in done.stderr
