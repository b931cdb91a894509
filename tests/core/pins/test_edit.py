"""toolchain.toml rewritten: the values that change, and nothing else; comments stay with what they are about."""

from datetime import date
from pathlib import Path

import pytest
import tomllib
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.errors import PinError
from ebpfbuild.pins import toolchain
from ebpfbuild.pins.edit import HeaderEntry, TomlFile

OWN = Path(__file__).resolve().parents[3] / "toolchain.toml"
ENTRY = HeaderEntry("6.20", "url", "mips64/vmlinux_6.20.h", "f" * 64, 1234, date(2026, 11, 1))
TABLE = f"""[vmlinux.mips64]
kernel = "6.20"
url = "mips64/vmlinux_6.20.h"
sha256 = "{"f" * 64}"
size = 1234
date = 2026-11-01
"""


@pytest.fixture
def edit(tmp_path):
    """A function: text -> its TomlFile, in a temporary folder."""

    def run(text):
        path = tmp_path / "toolchain.toml"
        path.write_bytes(text.encode())
        return TomlFile(path)

    return run


def differing(old, new):
    """The lines of each text that the other one lacks."""
    before, after = old.split("\n"), new.split("\n")
    return [line for line in before if line not in after], [line for line in after if line not in before]


def test_a_value_is_set_in_its_place_and_a_new_one_behind_its_table_s_last(edit):
    own = OWN.read_text()
    file = edit(own)
    file.set(("vmlinux", "x86_64", "kernel"), "6.20")
    file.set(("vmlinux", "x86_64", "alternate", 0, "kernel"), "6.10")
    file.set(("libbpf", "version"), "1.6.1")
    file.set(("libbpf", "odd"), 'a "quoted" \\ text')
    file.set(("vmlinux", "new"), date(2026, 8, 19))
    file.set(("linker", "x86_64", "glibc", "new"), 1)
    file.write()
    removed, added = differing(own, file.path.read_text())
    assert len(removed) == 2 and len(added) == 6  # other tables have kernel = "6.19" as well
    assert 'version = "1.6.1"       # usdt.bpf.h has to match the libbpf that loads it' in added
    assert 'kernel = "6.10"          # the header does not say: it has all of 6.9 and of 6.10 a part, but no kprobe sessions' in added
    lines = file.path.read_text().split("\n")
    assert lines[lines.index("new = 2026-08-19") - 1] == "date = 2026-08-18" and lines[lines.index("new = 1") - 1] == "]"


def test_a_header_s_table_is_added_before_the_comments_of_the_next_table(edit):
    own = OWN.read_text()
    file = edit(own)
    file.add_header("mips64", ENTRY)
    file.write()
    text = file.path.read_text()
    assert text == own.replace("\n\n\n# libbpf's linker", f"\n\n{TABLE}\n\n# libbpf's linker")
    pin = toolchain.load(file.path).header("mips64")
    assert (pin.kernel, pin.sha256, pin.size, pin.day) == ("6.20", "f" * 64, 1234, date(2026, 11, 1))
    with pytest.raises(PinError, match="vmlinux.x86_64: is pinned already; have it updated"):
        file.add_header("x86_64", ENTRY)


@pytest.mark.parametrize("before, after", [
    ("", TABLE),
    ("# of ours\n", f"# of ours\n\n{TABLE}"),
    ('[clang]\ncflags = [\n  "-DA",\n]', f'[clang]\ncflags = [\n  "-DA",\n]\n\n{TABLE[:-1]}'),
    ('[vmlinux.arm]\nkernel = "1"\n# ours\n\n# next\n[clang]\n', f'[vmlinux.arm]\nkernel = "1"\n\n{TABLE}# ours\n\n# next\n[clang]\n'),
    ('[vmlinux]\nbase = "x"\n[clang]\n[vmlinux.arm]\nkernel = "1"\n', f'[vmlinux]\nbase = "x"\n[clang]\n[vmlinux.arm]\nkernel = "1"\n\n{TABLE}'),
    ('[clang]\r\ncpu = "v3"\r\n', '[clang]\r\ncpu = "v3"\r\n\r\n' + TABLE.replace("\n", "\r\n")),
])
def test_a_header_s_table_is_added_to_any_file(edit, before, after):
    file = edit(before)
    file.add_header("mips64", ENTRY)
    file.write()
    assert file.path.read_bytes().decode() == after


def test_a_table_of_a_list_is_removed_and_the_comments_behind_it_stay(edit):
    own = OWN.read_text()
    file = edit(own)
    file.remove(("libbpf", "source", 1))
    file.write()
    removed, added = differing(own, file.path.read_text())
    assert not added and [line.split(" = ")[0] for line in removed] == ["pool", "folder", "archive_sha256"]
    assert len(tomllib.loads(file.path.read_text())["libbpf"]["source"]) == 1


def test_what_lines_can_t_be_added_to_is_refused_and_stays(edit):
    for text in ("vmlinux = {}\n", 'vmlinux = { arm = { kernel = "1" } }\n'):
        file = edit(text)
        with pytest.raises(PinError, match="toolchain.toml: can't be rewritten with all that stands in it; write its tables as"):
            file.add_header("mips64", ENTRY)
            file.write()
        assert file.path.read_text() == text


def test_a_file_that_was_edited_meanwhile_stays_and_a_symlink_is_followed(edit, tmp_path):
    file = edit("[clang]\n")
    file.path.rename(tmp_path / "real.toml")
    file.path.symlink_to("real.toml")
    file.set(("clang", "cpu"), "v3")
    file.write()
    assert file.path.is_symlink() and (tmp_path / "real.toml").read_text() == '[clang]\ncpu = "v3"\n'
    with pytest.raises(PinError, match="was edited in the meantime, and was not written; run this again"):
        file.write()


VALUES = st.one_of(st.text(max_size=8), st.integers(-9, 9), st.lists(st.text(max_size=3), max_size=3))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b-c", "d"]), VALUES, max_size=3), st.text("# \t\n[]='\"é", max_size=12),
       st.sampled_from(["a", "new"]), VALUES)
def test_any_file_says_afterwards_what_it_should_or_stays(tmp_path_factory, values, noise, key, value):
    import tomlkit

    text = f"# {noise.split(chr(10))[0]}\n[t]\n{tomlkit.dumps(values)}{noise}\n[u]\na = 1 # x\n"
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path = tmp_path_factory.mktemp("any") / "toolchain.toml"
    path.write_bytes(text.encode())
    try:
        file = TomlFile(path)
        file.set(("t", key), value)
        file.write()
    except PinError:
        assert path.read_bytes().decode() == text
        return
    before["t"][key] = value
    assert tomllib.loads(path.read_text()) == before
