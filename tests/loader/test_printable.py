"""The loader's output steers no terminal, whatever an object or a file calls itself."""

import os
import pickle
import subprocess
import sys

from bpfloader import BpfError
from bpfloader.text import bytes_of, printable, text_of
from hypothesis import example, given
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


@given(first=st.binary(max_size=8), second=st.binary(max_size=8))
@example(b"\xff", b"\\xff")
def test_texts_are_equal_only_if_their_bytes_are(first, second):
    """As keys of a dict, too; and whatever they are, they can be printed, and os.fsencode gives the bytes back."""
    first, second = (data.partition(b"\0")[0] for data in (first, second))
    one, other = text_of(first), text_of(second)
    assert (one == other) is (first == second) is not (one != other) and len({one: 1, other: 2}) == 1 + (first != second)
    assert not one == other or hash(one) == hash(other)
    for text, data in ((one, first), (other, second)):
        assert os.fsencode(text) == bytes_of(text) == data and text == os.fsdecode(data) and os.fsdecode(data) in {text}
        assert {text: 1}[pickle.loads(pickle.dumps(text))] == 1
        assert f"{text}" == str(text) and str(text).encode("utf-8") is not None


def test_a_text_that_shows_what_another_is(tmp_path):
    """A process may choose its name so that it looks like another's; a file with such a name opens by its bytes."""
    plain, odd = text_of(b"\\xff"), text_of(b"\xff")
    assert str(plain) == str(odd) == "\\xff" and plain != odd and odd != "\\xff" and "\\xff" not in [odd]
    assert sorted({odd: 1, plain: 2}.items(), key=lambda item: item[1]) == [(odd, 1), (plain, 2)]
    (tmp_path / os.fsdecode(b"\xff")).write_text("odd")
    with open(os.path.join(os.fsencode(tmp_path), os.fsencode(odd))) as file:
        assert file.read() == "odd"
    assert odd.encode() == b"\\xff" and odd.encode("utf-8", "surrogateescape") == b"\xff" == odd.raw
