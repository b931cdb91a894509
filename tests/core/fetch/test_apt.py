"""The machine's own apt configuration: every style that apt reads, and what has no pool."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.fetch.apt import archives


@pytest.fixture
def machine(tmp_path):
    """Writes files below etc/apt and gives the archives found."""

    def run(**files: str) -> tuple[str, ...]:
        parts = tmp_path / "etc/apt/sources.list.d"
        parts.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            stem, _, kind = name.rpartition("_")
            (tmp_path / "etc/apt/sources.list" if not stem else parts / f"{stem}.{kind}").write_text(text)
        return archives(tmp_path)

    return run


def test_no_apt_no_archive(tmp_path):
    assert archives(tmp_path) == ()


def test_one_line_style(machine):
    text = """\
# deb http://commented.example/debian trixie main
deb http://a.example/debian/ trixie main contrib  # a comment
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://b.example/debian trixie-updates main
deb [ trusted=yes ] http://c.example/debian trixie main
deb-src http://source.example/debian trixie main
deb cdrom:[Debian GNU/Linux 13]/ trixie main
deb file:/srv/debian trixie main
deb http://flat.example/repo ./
deb http://short.example
deb http://me:secret@password.example/debian trixie main
deb http://a.example/debian trixie-updates main
"""
    assert machine(list=text) == ("http://a.example/debian", "https://b.example/debian", "http://c.example/debian")


def test_deb822_style(machine):
    text = """\
# the distribution
Types: deb deb-src
URIs: http://a.example/debian
  https://b.example/debian
# a comment in the middle
Suites: trixie
 trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 deb http://inside.example/debian trixie main
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no


types: deb
uris: http://c.example/debian
suites: trixie
components: main
enabled: yes

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main

Types: deb
URIs: http://flat.example/
Suites: ./
"""
    assert machine(debian_sources=text) == (
        "http://a.example/debian", "https://b.example/debian", "http://c.example/debian")


def test_debians_own_archive_comes_first_and_other_vendors_last(machine):
    found = machine(
        a_list="deb https://vendor.example/apt cloud stable\n",
        b_list="deb http://security.example/debian-security trixie-security main\n",
        c_sources="Types: deb\nURIs: http://d.example/debian\nSuites: trixie\nComponents: main\n",
    )
    assert found == (
        "http://d.example/debian", "http://security.example/debian-security", "https://vendor.example/apt")


def test_a_mirror_list_of_this_machine(machine, tmp_path):
    (tmp_path / "etc/apt").mkdir(parents=True)
    listing = "# mirrors\nhttps://a.example/debian\tpriority:1\n\nhttp://b.example/debian/\nftp://c.example/debian\n"
    (tmp_path / "etc/apt/debian.list").write_text(listing)
    text = "deb mirror+file:/etc/apt/debian.list trixie main\ndeb mirror+file:/gone trixie main\n"
    assert machine(list=text) == ("https://a.example/debian", "http://b.example/debian")


def test_files_that_apt_does_not_read_are_not_read(machine):
    line = "deb http://a.example/debian trixie main\n"
    assert machine(x_disabled=line, x_save=line) == ()


def test_a_file_that_is_no_text_or_a_folder_is_passed_over(machine, tmp_path):
    parts = tmp_path / "etc/apt/sources.list.d"
    (parts / "folder.list").mkdir(parents=True)
    (parts / "binary.list").write_bytes(b"\xff\xfe\ndeb http://a.example/debian trixie main\n")
    assert machine() == ("http://a.example/debian",)


PIECES = [
    *("deb", "deb-src", "[", "]", "a=b", "http://a.example/debian", "https://b.example", "mirror+file:/x", "http://["),
    *("trixie", "./", "main", "#", "\n", "\n\n", " ", "\t", "Types:", "URIs:", "Suites:", "Components:", "Enabled:"),
    "no",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(["x.list", "x.sources"]))
def test_any_configuration_gives_http_urls_and_nothing_else(tmp_path_factory, pieces, name):
    root = tmp_path_factory.getbasetemp() / "fuzz"
    parts = root / "etc/apt/sources.list.d"
    parts.mkdir(parents=True, exist_ok=True)
    for old in parts.iterdir():
        old.unlink()
    Path(parts, name).write_text(" ".join(pieces))
    found = archives(root)
    assert len(set(found)) == len(found)
    assert all(url in ("http://a.example/debian", "https://b.example") for url in found)
