"""A difference of two outputs is located: section, symbol, type, member, line; the same bytes are never reached."""

import gzip
import io
import tarfile
import zipfile

import pytest
from ebpfbuild.reproduce.differences import differences
from hypothesis import given
from hypothesis import strategies as st


def zipped(members, date=(1980, 1, 1, 0, 0, 0)):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, date), data)
    return out.getvalue()


def tarred(members, **facts):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            for fact, value in facts.items():
                setattr(entry, fact, value)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def ar(members, time=0):
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        header = f"{name + '/':<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        parts += [header.encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


@pytest.mark.parametrize("pack", [zipped, tarred, ar], ids=lambda pack: pack.__name__)
def test_a_member_of_an_archive_is_named_with_its_line(pack):
    one, two = (pack({"same.txt": b"x\n", "built.txt": text}) for text in (b"a\nin 2026\n", b"a\nin 2034\n"))
    assert differences(one, two) == ["member built.txt: line 2: 'in 2026' | 'in 2034'"]


@pytest.mark.parametrize("pack", [zipped, tarred, ar], ids=lambda pack: pack.__name__)
def test_a_member_that_one_lacks_and_another_order_are_told(pack):
    assert differences(pack({"a": b"1", "b": b"2"}), pack({"a": b"1"})) == ["member b: only in the first"]
    assert differences(pack({"a": b"1", "b": b"2"}), pack({"b": b"2", "a": b"1"}))[0] == "order of members: a, b … | b, a …"


def test_what_an_archive_says_of_a_member_is_told():
    assert differences(tarred({"a": b"1"}, mtime=1), tarred({"a": b"1"}, mtime=2)) == ["member a: time 1 | 2"]
    assert differences(tarred({"a": b"1"}, uname="x"), tarred({"a": b"1"}, uname="y")) == ["member a: names x: | y:"]
    assert "date" in differences(zipped({"a": b"1"}), zipped({"a": b"1"}, (2026, 1, 1, 0, 0, 0)))[0]


def test_archives_within_archives_are_opened():
    one, two = (zipped({"inner.tar": tarred({"deep.txt": text})}) for text in (b"1\n", b"2\n"))
    assert differences(one, two) == ["member inner.tar: member deep.txt: line 1: '1' | '2'"]


def test_the_time_of_gzip_is_told():
    assert differences(gzip.compress(b"x", mtime=7), gzip.compress(b"x", mtime=9)) == ["the time in gzip's header: 7 | 9"]
    assert differences(gzip.compress(b"x\n"), gzip.compress(b"y\n")) == ["unpacked: line 1: 'x' | 'y'"]


@given(st.binary(max_size=64), st.binary(max_size=64), st.sampled_from([b"", b"PK\3\4", b"\x7fELF", b"\x1f\x8b", b"!<arch>\n", b"\xfd7zXZ"]))
def test_any_two_unlike_files_give_a_line_and_no_error(one, two, magic):
    if one != two:
        assert differences(magic + one, magic + two)


def test_a_huge_difference_is_a_few_lines():
    one, two = ({f"member-{number}": text for number in range(200)} for text in (b"1", b"2"))
    lines = differences(zipped(one), zipped(two))
    assert len(lines) == 13 and lines[-1] == "… and more"


def test_an_added_or_removed_line_makes_no_other_line_unlike():
    first = [f"line of {number}" for number in range(900)]
    second = [*first[:10], "added", *first[10:700], *first[701:800], "changed", *first[801:]]
    text = differences("\n".join(first).encode(), "\n".join(second).encode())
    assert text == ["line 11: only in the second: 'added'", "line 701: only in the first: 'line of 700'", "line 801: 'line of 800' | 'changed'"]
    assert differences(b"a\nb\n", b"a\nb\nb\n") == ["line 3: only in the second: 'b'", "2 lines | 3 lines"]


def test_unlike_texts_of_any_length_end_soon():
    import time

    texts = ["\n".join(f"{word} {number * 7919 % 50}" for number in range(200_000)).encode() for word in "ab"]
    start = time.process_time()
    assert differences(*texts)[0] == "line 1: 'a 0' | 'b 0'"
    assert time.process_time() - start < 5
