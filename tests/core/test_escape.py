"""What reaches a terminal: nothing that steers it, whoever it came from, and nothing that may be a password."""

import io
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from artifact_world import HEADER, TEXT
from faultserver import body, status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebpfbuild.pins import toolchain
from ebpfbuild.console import Console
from ebpfbuild.errors import EbpfError, FetchError, PinError
from ebpfbuild.pins.pins import ArtifactSource
from ebpfbuild.escape import printable, printable_lines, without_secrets
from ebpfbuild.fetch.mirror import checked_mirror
from ebpfbuild.fetch.places import mirror_places

SECRET = "S3cr3t"
PIN = ArtifactSource("url", "https://h.example/vmlinux.h", "toolchain.toml:1")
ANY = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates as well: names of files have them
NASTY = "\x1b[31m\x07\x9b2J\x7f\u202e\u2066\ud800\r"


@given(ANY)
def test_any_text_can_be_printed(text):
    assert printable(text).isprintable()
    assert not text.isprintable() or printable(text) == text
    lines = printable_lines(text)
    assert lines.count("\n") == text.count("\n") and lines.replace("\n", "").replace("\t", "").isprintable()


def test_what_becomes_of_it():
    assert printable("a\tb\n\x1b[1m\u202e\ud800 ü") == r"a\tb\n\x1b[1m\u202e\ud800 ü"
    assert printable_lines("x.c:1\n\tint \x1b;\n") == "x.c:1\n\tint \\x1b;\n"


@given(ANY, ANY, ANY, st.lists(ANY, max_size=3))
def test_an_error_is_one_line_and_one_for_each_detail(what, where, fix, details):
    text = str(EbpfError(what, where=where, fix=fix, details=tuple(details)))
    assert text.count("\n") == len(details)
    assert text.replace("\n", "").replace("\t", "").isprintable()


@given(ANY, ANY)
def test_the_console_prints_nothing_that_steers_it(name, source):
    stream = io.StringIO()
    report = Console(stream)
    report.notice(name)
    report.done(name, 5, source)
    assert stream.getvalue().count("\n") == 2 and stream.getvalue().replace("\n", "").isprintable()
    live = io.StringIO()
    Console(live, live=True).progress(name, 5, 10)
    assert live.getvalue().replace("\r\x1b[K", "").isprintable()


AT = st.sampled_from(["@", "＠", "﹫", "%40", "%2540", "@@", "@x@"])
SCHEMES = [
    "http://",
    "https://",
    "HTTP://",
    "ftp://",
    "//",
    "",
    "https:/",
    "https:",
    "http:\\\\",
    "file://",
    " https://",
]


@st.composite
def urls(draw):
    """Something like a URL with a secret in its user's name, password, query or fragment."""
    scheme, host = (
        draw(st.sampled_from(SCHEMES)),
        draw(st.sampled_from(["h.example", "[::1]", "1.2.3.4:80", "h:port", ""])),
    )
    path = draw(st.sampled_from(["", "/", "/a/b.h", "/a@b", "/ü x", "\\a"]))
    if draw(st.booleans()):
        sign = draw(st.sampled_from(["?", "#", "？", "＃", "%3F", "%23"]))
        return f"{scheme}{host}{path}{sign}{draw(st.sampled_from(['', 'token=', 'a=1&token=', '@']))}{SECRET}"
    user = draw(st.sampled_from(["", "user:", "user:p w", "user:p/w", "user:p?w", "user:p#w", ":", "%75ser:", "u\\"]))
    return f"{scheme}{user}{SECRET}{draw(st.sampled_from(['', ':x', '/x', ' ']))}{draw(AT)}{host}{path}"


@given(urls())
def test_no_url_shows_its_secret(url):
    assert SECRET not in without_secrets(url)


@pytest.mark.parametrize(
    "url", ["https://h.example/a/b.h", "/srv/mirror", "pool/main/t/t_1.deb", "http://127.0.0.1:80/x"]
)
def test_a_url_without_secrets_stays(url):
    assert without_secrets(url) == url


def test_a_port_that_is_no_number_is_a_password_without_its_host():
    assert without_secrets(f"http://user:{SECRET}/x") == "http://user:…/x"
    assert without_secrets("http://[::1]:80/a:b") == "http://[::1]:80/a:b"


@given(urls())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_refused_mirror_is_never_echoed(tmp_path_factory, url):
    folder = tmp_path_factory.getbasetemp()  # as the build gives it: a folder's name is joined to the project's root
    for mirror in (url, os.path.normpath(os.path.join(folder, url)) if "://" not in url else url):
        try:
            root = checked_mirror(mirror)
        except FetchError as error:
            assert SECRET not in str(error) and "\n" not in str(error)
        else:  # such as one with a %3F in its path
            (place,) = mirror_places(PIN, None, root, offline=False)
            assert SECRET not in place.via + place.shown and "@" not in urlsplit(place.at).netloc


def test_a_misspelt_folder_is_named():
    with pytest.raises(FetchError, match="MIRROR: there is no folder '/srv/mirrrr'"):
        checked_mirror("/srv/mirrrr")


@given(urls(), st.sampled_from(["url", "pool", "path", "member", "kernel", "archive_sha256", "base"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_toolchain_toml_refuses_a_url_without_its_secret(tmp_path_factory, url, key):
    path = tmp_path_factory.getbasetemp() / "toolchain.toml"
    text = TEXT.format(
        origin="https://h.example",
        pool="pool/t/t_1.deb",
        tree="0" * 64,
        header="1" * 64,
        size=9,
        deb="2" * 64,
        other="3" * 64,
        local="4" * 64,
    )
    value = "'" + url + "'"
    text = text.replace("[vmlinux.arm]", f"[vmlinux.aarch64]\n{key} = {value}\nsha256 = '{'5' * 64}'\n[vmlinux.arm]")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PinError) as caught:
        toolchain.load(path)
    assert SECRET not in str(caught.value)


def test_a_token_in_a_pin_s_query_is_in_no_output(world):
    world.pins("/vmlinux.h", f"/vmlinux.h?token={SECRET}")
    world.server.say(body(b"something else"), path=f"/vmlinux.h?token={SECRET}")
    said = []
    for options in ({}, {"offline": True}, {"mirror": str(world.mirror)}):
        with pytest.raises(EbpfError) as caught:
            world.header(**{"release": True, **options})
        said.append(str(caught.value))
    world.server.say(body(HEADER), path=f"/vmlinux.h?token={SECRET}")
    said += [str(world.header()), *world.heard.notices, *map(str, world.heard.fetched)]
    world.server.say(status(302, Location=f"ftp://user:{SECRET}@h/?x={SECRET}"), path=f"/vmlinux.h?token={SECRET}")
    for path in (world.cache / "sha256").iterdir():
        path.unlink()
    said += [str(world.header()), *world.heard.notices]
    assert SECRET not in "".join(said) and len(said) > 6
    assert SECRET not in "".join(str(path) for path in world.cache.rglob("*"))


def test_a_name_of_any_bytes_and_a_key_that_steers_are_escaped(tmp_path):
    path = tmp_path / os.fsdecode(b"tool\x1b[2J\xff.toml")
    path.write_text('["\\u001b[2J\\u202e"]\nx = 1\n')
    for broken in (path, tmp_path / "gone\x9b.toml"):
        with pytest.raises(PinError) as caught:
            toolchain.load(broken)
        assert str(caught.value).isprintable() and "\\x" in str(caught.value)


def test_clang_s_diagnostics_keep_their_lines():
    error = EbpfError("bad", where="x.c:1:2", details=("\t\x1bint x;", "    ^~~"))
    assert str(error) == "x.c:1:2: bad\n  \t\\x1bint x;\n      ^~~"


def test_a_traceback_is_not_needed_to_see_it():
    code = f"from ebpfbuild.errors import EbpfError; print(EbpfError({NASTY!r}))"
    core = Path(__file__).resolve().parents[2] / "site_scons"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(core)}, capture_output=True)
    assert done.returncode == 0 and b"\x1b" not in done.stdout and done.stdout.count(b"\n") == 1
