"""A server that sends any bytes: a result or an error of one line, soon; never a traceback, never much memory."""

import contextlib
import gzip
import resource
import time

import pytest
from faultserver import RawServer, after_request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ebpfbuild.errors import FetchError
from ebpfbuild.fetch.http_failures import retry_after
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.store import Store

BODY = b"struct task_struct {};\n" * 50
OK = b"HTTP/1.1 200 OK\r\n"

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def server():
    server = RawServer(lambda connection: None)
    yield server
    server.close()


def fetched(store, server, response: bytes) -> bytes | str:
    """What a fetch makes of a response: the body, or the text of the error."""
    server.answer = after_request(response)
    network = Network(sleep=lambda seconds: None, tries=2, window=2.0)
    began = time.monotonic()
    with store.incoming() as incoming:
        try:
            network.fetch(server.url, incoming, 1 << 20)
            return incoming.data()
        except FetchError as error:
            assert str(error).isprintable() and len(str(error)) < 500
            return str(error)
        finally:
            assert time.monotonic() - began < 10


NUMBERS = [
    "²",
    "9" * 5000,
    "-1",
    "+5",
    "1_0",
    "٣",
    "0x10",
    "1e3",
    " 5 ",
    "",
    "nan",
    "18446744073709551616",
    "5,5",
    "5, 6",
]
PLACES = [
    "http://[",
    "http://[::1",
    "//[",
    "http://h:²/",
    "http://h:99999999/",
    "http://\x1b[2J/",
    "http://u:p@h/",
    "http://",
    "https:///x",
    "javascript:alert(1)",
    "data:,x",
    "\\\\h\\x",
    "http://a..b/",
    "http://" + "a" * 70 + ".b/",
    "http://ä\x80/",
    "file:///etc/passwd",
    "http://h\u2028/",
    "?" * 3000,
    "http://xn--/",
    "http:h",
    "http://0x7f.1:1/",
]
DATES = [
    "Mon, 99 Zzz 99999 99:99:99 GMT",
    "Fri, 31 Dec 9999 23:59:59 -9999",
    "Thu, 01 Jan 0000 00:00:00 +9999",
    "²",
    "1" * 5000,
    "a,b",
]


@pytest.mark.parametrize(
    "name, values",
    [
        ("Content-Length", NUMBERS),
        ("Location", PLACES),
        ("Retry-After", [*NUMBERS, *DATES]),
        ("Content-Range", NUMBERS),
        ("Transfer-Encoding", ["chunked, chunked", "gzip", "\x1b"]),
        ("Content-Encoding", ["br", "gzip, gzip", "zstd", "\x1b[2J"]),
        ("Content-Type", ["text/html; charset=\x00²", "x" * 60000]),
        ("Set-Cookie", ["a=\x00", "=;=;expires=²", "a" * 60000]),
    ],
)
def test_a_header_of_nonsense(store, server, name, values):
    for status in ("200 OK", "302 Found", "429 Busy"):
        for value in values:
            head = f"HTTP/1.1 {status}\r\n{name}: {value}\r\n\r\n".encode("utf-8", "surrogateescape")
            fetched(store, server, head + BODY)


@pytest.mark.parametrize("response", [
    b"", b"\0" * 100, b"HTTP/1.1\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 ²00 OK\r\n\r\n".encode(), b"HTTP/1.1 99999 x\r\n\r\n",
    b"HTTP/1.1 404 \x1b[31m\xe2\x80\xae\x9b\r\n\r\n", b"HTTP/1.1 500 " + b"x" * 60000 + b"\r\n\r\n", b"x" * 200000,
    OK + b"a: b\r\n" * 500 + b"\r\n", OK + b"a: " + b"b" * 200000 + b"\r\n\r\n", OK + b"no colon\r\n\r\n", OK + b": x\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\nx\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 100000,
    OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + b"t: x\r\n" * 500 + b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
    OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0)[:-5], OK + b"Content-Encoding: gzip\r\n\r\n\0\0\0",
    OK + b"\x1b[2J: \x1b\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
])  # fmt: skip
def test_an_answer_of_nonsense(store, server, response):
    fetched(store, server, response)


HEADER = st.tuples(
    st.sampled_from(
        ["Content-Length", "Location", "Retry-After", "Content-Encoding", "Transfer-Encoding", "Connection", "X"]
    ),
    st.one_of(
        st.sampled_from([*NUMBERS, "chunked", "gzip", "http://[", "close"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    ),
)
STATUS = st.one_of(
    st.sampled_from(["200 OK", "301 x", "302", "404 \x1b", "429 x", "503 x", "204 x", "²"]), st.text(max_size=20)
)


@given(
    STATUS, st.lists(HEADER, max_size=4), st.one_of(st.just(BODY), st.binary(max_size=60), st.just(gzip.compress(BODY, mtime=0)))
)
@example("200 OK", [("Content-Length", "²")], BODY)
@example("302 Found", [("Location", "http://[")], b"")
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_answer_is_a_result_or_a_line(store, server, status, headers, body):
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    fetched(store, server, f"HTTP/1.1 {status}\r\n{head}\r\n".encode("utf-8", "replace") + body)


@given(st.one_of(st.text(), st.sampled_from([*NUMBERS, *DATES])))
@example("0\x1f")
def test_retry_after_is_a_number_of_seconds(value):
    assert 0 <= retry_after(value) < float("inf")


def test_what_an_error_says(store, server):
    def said(head: str) -> str:
        return fetched(store, server, f"HTTP/1.1 {head}\r\n\r\n".encode())

    assert said("302 x\r\nLocation: http://[").endswith(": redirects to what is no URL")
    assert said("302 x\r\nLocation: https://me:secret@h/").endswith(": redirects to a URL with a user name or password")
    assert "redirects to ftp://h/x?…, and a redirect must be to https" in said(
        "302 x\r\nLocation: ftp://h/x?token=secret"
    )
    assert "sends the encoding 'br', which was not asked for" in said("200 OK\r\nContent-Encoding: br")
    assert "HTTP 404 \\x1b[2J" in said("404 \x1b[2J")
    assert fetched(store, server, OK + "Content-Length: ²\r\n\r\n".encode() + BODY) == BODY
    assert fetched(store, server, OK + b"Content-Length: 5\r\n\r\n" + BODY) == BODY[:5]


def test_a_bomb_fills_no_memory(store, server):
    once = gzip.compress(bytes(256 << 20), 9)
    server.answer = after_request(OK + b"Content-Encoding: gzip\r\n\r\n" + once)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with store.incoming() as incoming, contextlib.suppress(FetchError):
        Network(sleep=lambda seconds: None, tries=1).fetch(server.url, incoming, 1 << 20)
        assert incoming.cut and incoming.size <= (1 << 20) + (1 << 16)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_joined_gzip_is_undone(store, server):
    assert (
        fetched(store, server, OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0) + gzip.compress(BODY, mtime=0))
        == BODY * 2
    )
