"""Servers and networks."""

import gzip
import hashlib
from pathlib import Path

import pytest
from faultserver import Piecewise, body, chunked_then_gone, gone, hang, reset, serving, status, trickle
from rows import only_line, rows

from ebpfbuild.errors import FetchError, MismatchError
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.store import Store
from ebpfbuild.fetch.verify import Wanted, verify

DATA = b"struct task_struct {};\n" * 5000
OTHER = DATA.replace(b"task", b"TASK")
DIGEST = hashlib.sha256(DATA).hexdigest()
WANTED = Wanted("vmlinux.h for x86_64 (Linux 6.19)", "vmlinux.h", "toolchain.toml:7: vmlinux.x86_64.sha256", DIGEST, len(DATA))
TENTH = len(DATA) // 10
CERTIFICATE = Path(__file__).resolve().parents[1] / "testdata/self-signed.pem"

pytestmark = pytest.mark.usefixtures("no_proxy")


class Client:
    """A build that fetches one pinned file. Pauses are noted, not slept."""

    def __init__(self, store, pauses):
        self.store, self.pauses = store, pauses

    def fetch(self, url, **patience):
        """Fetches and verifies the file, and returns the bytes kept."""
        network = Network(sleep=self.pauses.append, chance=lambda: 1.0, **patience)
        try:
            with self.store.incoming() as incoming:
                network.fetch(url, incoming, WANTED.limit, WANTED.size, sha256=WANTED.sha256)
                verify(incoming, WANTED, url)
                return incoming.keep().read_bytes()
        finally:
            assert {path.name for path in self.store.blobs.iterdir()} <= {DIGEST}  # nothing half-written

    def refused(self, url, kind=FetchError, **patience):
        """Returns the line of the error that a fetch ends with. The next fetch, from a good server, gives the file."""
        with pytest.raises(kind) as caught:
            self.fetch(url, **patience)
        assert self.store.get(DIGEST) is None
        with serving() as good:
            assert self.fetch(good.say(body(DATA))) == DATA
        return only_line(caught.value)


@pytest.fixture
def client(tmp_path, pauses):
    return Client(Store(tmp_path / "cache"), pauses)


PASSING = {
    "HTTP 403": (status(403), "HTTP 403 Forbidden"),
    "HTTP 408": (status(408), "HTTP 408 Request Timeout"),
    "HTTP 429": (status(429), "HTTP 429 Too Many Requests"),
    "HTTP 500": (status(500), "HTTP 500 Internal Server Error"),
    "HTTP 503": (status(503), "HTTP 503 Service Unavailable"),
    "a body cut short, with Content-Length": (body(DATA[:5000], length=len(DATA)), "the connection broke off"),
    "a body cut short, without Content-Length": (body(DATA[:5000], length=None), f"the connection ended after 5000 of {len(DATA)} bytes"),
    "a body cut short, chunked": (chunked_then_gone(DATA[:5000]), "the connection broke off"),
    "a connection closed without a word": (gone, "the connection broke off"),
    "a connection reset without a word": (reset, "the connection broke off"),
    "damaged gzip": (body(b"no gzip", Content_Encoding="gzip"), "its gzip is damaged"),
    "gzip cut short": (body(gzip.compress(DATA)[:-9], length=None, Content_Encoding="gzip"), "the connection broke off"),
}  # fmt: skip


@rows({f"{name}, twice": answer for name, (answer, _) in PASSING.items()})
def test_it_passes(server, client, pauses, fault):
    """It is tried again, from the first byte, and gives the right bytes."""
    assert client.fetch(server.say(fault, fault, body(DATA))) == DATA
    assert len(server.seen) == 3 and pauses == [0.1, 0.2]
    assert all("Range" not in headers for headers in server.headers)


@rows({f"{name}, for ever": fault for name, fault in PASSING.items()})
def test_it_does_not_pass(server, client, pauses, fault):
    """Eight tries, each pause twice the last, then one line with the reason."""
    answer, reason = fault
    url = server.say(answer)
    assert client.refused(url) == f"{url}: {reason}, 8 tries"
    assert len(server.seen) == 8
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4])


@rows({f"HTTP {code}": code for code in (204, 304, 400, 401, 404, 410)})
def test_a_final_status(server, client, pauses, fault):
    """One line, at once."""
    assert f": HTTP {fault}" in client.refused(server.say(status(fault)))
    assert len(server.seen) == 1 and not pauses


@rows(["HTTP 429 with Retry-After of seconds"])
def test_it_waits_as_long_as_it_is_asked(server, client, pauses, fault):
    """It waits as long as the server asks, and gives the right bytes."""
    assert client.fetch(server.say(status(429, Retry_After="3"), body(DATA))) == DATA
    assert pauses == [3.0]


@rows(["HTTP 429 with Retry-After of an hour"])
def test_it_does_not_wait_for_an_hour(server, client, pauses, fault):
    """One line, at once, that says how long the server asks to wait."""
    said = client.refused(server.say(status(429, Retry_After="3600")))
    assert "HTTP 429 Too Many Requests, and asks to wait 3600 s" in said and not pauses


FLIPPED = bytes([*DATA[:7000], DATA[7000] ^ 1, *DATA[7001:]])
PAGE = b"\n<!DOCTYPE HTML><html><body>Please log in</body></html>"
NOT_THE_PINNED = "what arrived is not the pinned vmlinux.h for x86_64 (Linux 6.19), and was not used"
WRONG = {
    "the right size with one bit flipped": (body(FLIPPED), NOT_THE_PINNED, FLIPPED),
    "a byte less, and Content-Length agrees": (body(DATA[:-1]), NOT_THE_PINNED, DATA[:-1]),
    "a byte more": (body(DATA + b"x"), NOT_THE_PINNED, DATA + b"x"),
    "50 MB, with Content-Length": (body(DATA + bytes(50 << 20)), NOT_THE_PINNED, None),
    "50 MB, without Content-Length": (body(DATA + bytes(50 << 20), length=None), NOT_THE_PINNED, None),
    "nothing, with HTTP 200": (body(b""), "is an empty file, and was not used", b""),
    "an HTML page": (body(PAGE), "is an HTML page, and was not used; open the URL in a browser", PAGE),
    "an HTML page, without Content-Length": (body(PAGE, length=None), "is an HTML page, and was not used", PAGE),
    "an HTML page of the pinned size": (body(PAGE + b" " * (len(DATA) - len(PAGE))), "is an HTML page, and was not used", None),
    "a symlink's text": (body(b"vmlinux_6.19.h"), "only the file name 'vmlinux_6.19.h', an unresolved symlink", b"vmlinux_6.19.h"),
}  # fmt: skip


@rows(WRONG)
def test_other_bytes(server, client, pauses, tmp_path, fault):
    """One line, at once; nothing is used, and what came is kept aside, at most the pinned size of it."""
    answer, said, sent = fault
    url = server.say(answer)
    line = client.refused(url, MismatchError)
    assert line.startswith("toolchain.toml:7: vmlinux.x86_64.sha256: ") and said in line
    assert len(server.seen) == 1 and not pauses
    (kept,) = (tmp_path / "cache/rejected").iterdir()
    assert sent is None or kept.read_bytes() == sent
    assert kept.stat().st_size <= len(DATA) + (1 << 16)


@rows({
    "more bytes than Content-Length promises": body(DATA + b"more", length=len(DATA)),
    "gzip where identity was asked for": body(gzip.compress(DATA), Content_Encoding="gzip"),
    "gzip in two members": body(gzip.compress(DATA[:9]) + gzip.compress(DATA[9:]), Content_Encoding="gzip"),
})  # fmt: skip
def test_the_right_bytes_all_the_same(server, client, pauses, fault):
    """The right bytes."""
    assert client.fetch(server.say(fault)) == DATA
    assert server.headers[0]["Accept-Encoding"] == "identity" and not pauses


@rows({"HTTP 301 to another host": 301, "HTTP 302 to another host": 302, "HTTP 307 to another host": 307, "HTTP 308 to another host": 308})
def test_a_redirect(server, client, pauses, fault):
    """The right bytes; no password goes along."""
    with serving() as other:
        assert client.fetch(server.say(status(fault, Location=other.say(body(DATA))))) == DATA
        assert "Authorization" not in other.headers[0] and not pauses


@rows({
    "a redirect loop": ("/file", "redirects more than 5 times"),
    "a redirect to ftp": ("ftp://127.0.0.1/x", "redirects to ftp://127.0.0.1/x, and a redirect must be to https"),
    "a redirect to a file": ("file:///etc/passwd", "redirects to file:///etc/passwd, and a redirect must be to https"),
    "a redirect with a password": ("http://me:secret@127.0.0.1/", "redirects to a URL with a user name or password"),
    "a redirect to no URL": ("http://[", "redirects to what is no URL"),
})  # fmt: skip
def test_a_redirect_that_leads_nowhere(server, client, pauses, fault):
    """One line, at once."""
    location, said = fault
    assert said in client.refused(server.say(status(301, Location=location)))
    assert len(server.seen) <= 6 and not pauses


@rows(["a certificate that nobody vouches for"])
def test_tls_refused(server, client, pauses, fault):
    """One line, at once, with the variable that names a certificate."""
    server.encrypt(CERTIFICATE)
    said = client.refused(server.say(body(DATA)))
    assert "TLS" in said or "certificate" in said
    assert not server.seen and not pauses


@rows({"a server that is silent": (hang, "no answer in time"), "a trickle": (trickle, "is too slow")})
def test_it_is_left(server, client, fault):
    """Given up in time, one line."""
    answer, said = fault
    assert said in client.refused(server.say(answer), window=0.2)


# Bodies that come in parts


@rows(["a reset at every tenth of the body"])
def test_a_body_in_ten_parts(server, client, fault):
    """The next try goes on by Range, the digest is that of the whole, and no part is sent twice."""
    url = server.say(Piecewise(DATA, TENTH + 1))
    assert client.fetch(url) == DATA
    asked = [headers.get("Range") for headers in server.headers]
    assert asked == [None, *(f"bytes={part * (TENTH + 1)}-" for part in range(1, 10))]
    assert {headers["If-Range"] for headers in server.headers[1:]} == {'"a"'}


def without(header):
    """Answers a Range with HTTP 206 that lacks what says which part it is."""

    def answer(request):
        request.send_response(206)
        request.send_header("Content-Length", "5")
        if header:
            request.send_header("Content-Range", header)
        request.end_headers()
        request.wfile.write(b"wrong")

    return answer


FIRST = Piecewise(DATA, 5 * TENTH)
LYING = Piecewise(OTHER, 5 * TENTH)
ANEW = {
    "a reset, and a server that ignores Range": [FIRST, Piecewise(DATA, len(DATA), ranges=False)],
    "a reset, and other bytes by another ETag": [Piecewise(OTHER, TENTH, '"b"'), Piecewise(DATA, len(DATA))],
    "a reset, and other bytes by the same ETag": [LYING, Piecewise(DATA, len(DATA)), body(DATA)],
    "a reset, and a weak ETag": [Piecewise(DATA, TENTH, 'W/"a"'), body(DATA)],
    "a reset, and no ETag": [Piecewise(DATA, TENTH, ""), body(DATA)],
    "a reset, and gzip with an ETag": [body(gzip.compress(DATA)[:200], ETag='"a"', Content_Encoding="gzip"), body(DATA)],
    "a reset, and HTTP 416": [FIRST, status(416), body(DATA)],
    "a reset, and another part than was asked for": [FIRST, without(f"bytes 7-11/{len(DATA)}"), body(DATA)],
    "a reset, and a part that isn't told": [FIRST, without(""), body(DATA)],
    "a reset, and a part of nonsense": [FIRST, without("bytes -5-²/*".encode().decode("latin-1")), body(DATA)],
    "HTTP 206 where no part was asked for": [without("bytes 0-4/5")],
    "a reset, and HTTP 503": [FIRST, status(503), Piecewise(DATA, len(DATA))],
}  # fmt: skip


@rows(ANEW)
def test_a_part_that_does_not_fit(server, client, fault):
    """The right bytes, from the first one where the rest isn't to be had; or one line."""
    url = server.say(*fault)
    if len(fault) == 1:
        assert "HTTP 206" in client.refused(url)
        return
    assert client.fetch(url) == DATA
    assert len(server.seen) == len(fault)


@rows(["a reset at every byte"])
def test_a_body_that_never_ends(server, client, fault):
    """One line: a try that brings hardly anything is one of the eight."""
    assert "the connection broke off, 8 tries" in client.refused(server.say(Piecewise(DATA, 1)))
    assert len(server.seen) == 8
