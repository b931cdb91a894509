"""Set-up's pip: from each place that pip is set up to look in, verified, and one line for whatever goes wrong."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faultserver import body, chunked_then_gone, gone, hang, serving, status, trickle
from fetch_pip import places, web
from fetch_pip.errors import SetupError
from fetch_pip.pin import read_pin
from fetch_pip.places import fetch, links
from fetch_pip.settings import Settings
from fetch_pip.web import Web
from hypothesis import given
from hypothesis import strategies as st

from ebpfbuild.fetch.tls import Bundle
from pip_index import DATA, PAGE, PIN, WHEEL, index_of

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def get(pauses):
    """A function: find-links and indexes -> the wheel's bytes; pauses are noted, not slept."""

    def run(*find_links, indexes=()):
        settings = Settings(tuple(map(str, find_links)), tuple(indexes))
        return fetch(PIN, settings, Web(settings, pauses.append))

    return run


@pytest.fixture
def refused(get):
    """A function: the same -> the message, one printable line."""

    def run(*find_links, indexes=()):
        with pytest.raises(SetupError) as caught:
            get(*find_links, indexes=indexes)
        assert str(caught.value).isprintable()
        return str(caught.value)

    return run


# Where it is looked for


def test_the_wheel_comes_from_an_index(server, get):
    assert get(indexes=[index_of(server)]) == DATA
    assert server.seen == ["/simple/pip/", f"/files/{WHEEL}"]
    assert get(indexes=[server.url("/simple/")]) == DATA  # with its slash, too


@pytest.mark.parametrize("page", [
    '<a\n HREF="{0}">', "<a data-x=1 href='{0}'>", '<base href="../../files/"><a href="{1}">', '<a href=" {0}#egg=pip ">',
    '<a href="http://["></a><a>no</a><a href="{0}">', '<a href="../../files/pip%2D26.3-py3-none-any.whl">',
])  # fmt: skip
def test_pages_as_indexes_write_them(server, get, page):
    server.say(body(DATA), path="/files/pip%2D26.3-py3-none-any.whl")
    assert get(indexes=[index_of(server, page.format(f"../../files/{WHEEL}", WHEEL).encode())]) == DATA


def test_a_folder_a_file_and_a_page_of_this_machine(tmp_path, get):
    wheels, page = tmp_path / "my wheels", tmp_path / "page.html"
    wheels.mkdir()
    (wheels / WHEEL).write_bytes(DATA)
    page.write_text(f'<a href="my%20wheels/{WHEEL}">')
    for place in (wheels, wheels / WHEEL, wheels.as_uri(), (wheels / WHEEL).as_uri(), page):
        assert get(place) == DATA


def test_an_index_that_is_a_folder(tmp_path, get):
    listing = tmp_path / "simple" / "pip"
    listing.mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / WHEEL).write_bytes(DATA)
    (listing / "index.html").write_text(f'<a href="../../files/{WHEEL}">')
    assert get(indexes=[(tmp_path / "simple").as_uri()]) == DATA


def test_a_vendor_folder_comes_before_the_index(tmp_path, server, get):
    (tmp_path / WHEEL).write_bytes(DATA)
    assert get(tmp_path, indexes=[index_of(server)]) == DATA
    assert server.seen == []


def test_the_next_place_has_its_turn(tmp_path, server, get):
    server.say(status(404), path="/empty/pip/")
    assert get(tmp_path, server.url("/links.html"), indexes=[server.url("/empty"), index_of(server)]) == DATA


@pytest.mark.parametrize("answer", [gone, chunked_then_gone(DATA[:100]), body(DATA[:100], length=len(DATA)), status(503), status(429)])
def test_a_try_that_fails_is_made_again(server, get, pauses, answer):
    assert get(indexes=[index_of(server, PAGE, answer, body(DATA))]) == DATA
    assert pauses == [0.5]


# What goes wrong


def test_nothing_has_it(tmp_path, server, refused):
    message = refused(tmp_path, tmp_path / "none", indexes=[server.url("/simple")])
    assert message.startswith(f"{WHEEL} can't be fetched ({tmp_path}: holds no file {WHEEL}; {tmp_path}/none: is not there; ")
    assert f"{server.url('/simple/pip/')}: HTTP 404); check the network, or set PIP_INDEX_URL" in message
    assert len(server.seen) == 1


def test_offline_names_the_folder_to_fill(refused):
    assert refused() == (
        f"{WHEEL} is not here, and nothing may be connected to; run this once with an index, or with "
        f"PIP_FIND_LINKS=FOLDER, a folder with {WHEEL} and the other wheels"
    )


@pytest.mark.parametrize("where", ["folder", "index"])
def test_other_bytes_are_never_used(tmp_path, server, refused, where):
    (tmp_path / WHEEL).write_bytes(b"other")
    places = {"find_links": [tmp_path], "indexes": [index_of(server)]}
    if where == "index":
        places = {"find_links": [], "indexes": [index_of(server, PAGE, body(b"other")), server.url("/simple")]}
    message = refused(*places["find_links"], indexes=places["indexes"])
    assert f"{WHEEL} is not the {WHEEL} that pip.lock pins, and was not used (sha256 {hashlib.sha256(b'other').hexdigest()}" in message


@pytest.mark.parametrize(("page", "reason"), [
    (b"", f"lists no {WHEEL}"),
    (b"\xff\xfe<a href='/x", f"lists no {WHEEL}"),
    (b"<![foo[ <!DOCTYPE [<a href='x'>", f"lists no {WHEEL}"),
    (f'<a href="file:///{WHEEL}">'.encode(), f"links to file:///{WHEEL}, which is on no web server"),
    (f'<base href="file:///tmp/"><a href="{WHEEL}">'.encode(), f"links to file:///tmp/{WHEEL}, which is on no web server"),
    (f'<a href="javascript:/{WHEEL}">'.encode(), "which is on no web server"),
    (f'<a href="ftp://127.0.0.1/{WHEEL}">'.encode(), "unknown url type: ftp"),
    (f'<a href="http://127.0.0.1:x/{WHEEL}">'.encode(), "nonnumeric port"),
    (f'<a href="http://127.0.0.1:1/\x1b[31m/{WHEEL}">'.encode(), "control characters"),
])  # fmt: skip
def test_a_hostile_page(server, refused, page, reason):
    assert reason in refused(indexes=[index_of(server, page)])


@pytest.mark.parametrize(("answer", "reason"), [
    (status(302, Location="http://["), "Invalid IPv6 URL"),
    (status(302, Location="file:///etc/passwd"), "redirects more than 5 times, or to no web server"),
    (status(302, Location="ftp://127.0.0.1/x"), "redirects to ftp://127.0.0.1/x"),
    (status(302, Location="/simple/pip/?again"), "redirects more than 5 times"),
    (status(404), "HTTP 404"),
    (status(503), "HTTP 503"),
    (gone, "the connection broke off"),
    (body(b"x", length=100), "the connection broke off"),
    (lambda request: request.wfile.write(b"SSH-2.0-x\x1b[2J\r\n"), "the answer is no HTTP or broke off"),
])  # fmt: skip
def test_a_hostile_server(server, refused, answer, reason):
    server.say(answer, path="/simple/pip/")
    server.say(answer, path="/simple/pip/?again")
    assert reason in refused(indexes=[server.url("/simple")])


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "x"])
def test_an_odd_length_is_no_traceback(server, get, refused, length):
    def answer(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n" + PAGE)
        request.close_connection = True

    index = index_of(server)
    server.say(answer, path="/simple/pip/")
    assert get(indexes=[index]) == DATA or refused(indexes=[index])


def test_more_bytes_than_a_page_or_a_wheel_has(server, refused, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "MAX_PAGE_SIZE", 1000)
    monkeypatch.setattr(places, "MAX_WHEEL_SIZE", 1000)
    assert "sends more than 1000 bytes" in refused(indexes=[index_of(server, b" " * 2000)])
    assert "sends more than 1000 bytes" in refused(indexes=[index_of(server)])
    (tmp_path / WHEEL).write_bytes(DATA)
    assert "is larger than the 1000 bytes that are read" in refused(tmp_path)


@pytest.mark.parametrize("answer", [hang, trickle])
def test_a_server_that_is_silent_or_slow(server, refused, monkeypatch, answer):
    monkeypatch.setattr(web, "READ_TIMEOUT", 0.2)
    monkeypatch.setattr(web, "PATIENCE", 0.2)
    server.say(answer, path="/simple/pip/")
    assert {hang: "no answer in time", trickle: "is too slow"}[answer] in refused(indexes=[server.url("/simple")])


def test_a_fifo_is_not_read(tmp_path, refused):
    os.mkfifo(tmp_path / WHEEL)
    assert "is a named pipe, not a file" in refused(tmp_path)


def test_a_host_that_refuses(refused):
    assert "Connection refused" in refused(indexes=["http://127.0.0.1:1/simple"])


def test_a_host_that_is_not_there(refused, online):
    assert "https://no-such-host.invalid/simple/pip/: " in refused(indexes=["https://no-such-host.invalid/simple"])


def test_a_bundle_that_holds_no_certificates(tmp_path):
    for place in (tmp_path / "none", tmp_path / "bad"):
        (tmp_path / "bad").write_text("no certificate")
        with pytest.raises(SetupError, match=r"holds no certificates \(.*\); correct PIP_CERT"):
            Web(Settings((), (), (Bundle("PIP_CERT", str(place)),))).read("https://127.0.0.1:1", 1)


@given(st.binary(max_size=300))
def test_any_page_gives_links(page):
    assert all(isinstance(link, str) for link in links(b"<a href='" + page, "https://host/simple/pip/"))


# Passwords


def test_the_password_goes_to_its_host_alone_and_into_no_message(server, get, refused):
    with serving() as other:
        other.say(body(DATA), path=f"/{WHEEL}")
        index_of(server, f'<a href="{other.url(f"/{WHEEL}")}">'.encode())
        assert get(indexes=[f"http://me:se%40cret@{server.host}/simple"]) == DATA
        assert server.headers[0]["Authorization"] == "Basic bWU6c2VAY3JldA=="
        assert "Authorization" not in other.headers[0]
    message = refused(indexes=[f"http://me:secret@{server.host}/other?token=secret"])
    assert "secret" not in message and server.host in message


# The pin


def test_the_pin_is_what_pip_takes_for_one():
    assert read_pin(ROOT / "pip.lock").wheel.startswith("pip-")


@pytest.mark.parametrize("text", ["", "pip\n", "pip==1\n", f"pip==1 --hash=md5:{'0' * 64}\n", f"pip==../x --hash=sha256:{'0' * 64}"])
def test_a_lock_that_pins_nothing(tmp_path, text):
    (tmp_path / "pip.lock").write_text(text)
    with pytest.raises(SetupError, match="pip.lock pins no pip"):
        read_pin(tmp_path / "pip.lock")


# The command line


def run(*arguments, **environment):
    """Runs the script as sconsw does."""
    command = [sys.executable, "-I", str(ROOT / "site_scons" / "fetch_pip"), *map(str, arguments)]
    return subprocess.run(command, env={"PIP_CONFIG_FILE": "/dev/null", **environment}, capture_output=True, text=True)


def test_the_path_is_printed_and_an_error_is_one_line(tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "out").mkdir()
    lock = tmp_path / "pip.lock"
    lock.write_text(f"pip==26.3 \\\n    --hash=sha256:{PIN.sha256}\n")
    (tmp_path / "wheels" / WHEEL).write_bytes(DATA)
    done = run(lock, tmp_path / "out", "--offline", PIP_FIND_LINKS=str(tmp_path / "wheels"))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/out/{WHEEL}\n", "")
    assert (tmp_path / "out" / WHEEL).read_bytes() == DATA
    done = run(lock, tmp_path / "out", "--offline")
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("sconsw: ") and done.stderr.count("\n") == 1
    done = run(lock, tmp_path / "no folder", PIP_FIND_LINKS=str(tmp_path / "wheels"))
    assert done.stderr == f"sconsw: {tmp_path}/no folder/{WHEEL} can't be written: No such file or directory\n"
