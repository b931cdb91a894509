"""One URL into the store: each fault that a network has, injected by a server on loopback."""

import gzip
import hashlib
import socket
import time
from email.utils import formatdate

import pytest
from faultserver import body, chunked_then_gone, gone, hang, status, trickle
from hypothesis import given
from hypothesis import strategies as st

from ebpfbuild.errors import FetchError, MismatchError, PinError
from ebpfbuild.fetch.http_get import retry_after
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.store import Store
from ebpfbuild.fetch.verify import Wanted, verify, wrong_body

DATA = b"struct task_struct {};\n" * 5000
DIGEST = hashlib.sha256(DATA).hexdigest()
WHERE = "toolchain.toml:7: vmlinux.x86_64.sha256"
WANTED = Wanted("vmlinux.h for x86_64 (Linux 6.19)", "vmlinux.h", WHERE, DIGEST, len(DATA))

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def fetch(tmp_path, pauses):
    """Fetches a URL, verifies it and gives the bytes kept; pauses are noted, not slept."""
    store = Store(tmp_path / "cache")

    def run(url: str, wanted: Wanted = WANTED, **patience) -> bytes:
        network = patience.pop("network", None) or Network(sleep=pauses.append, chance=lambda: 1.0, **patience)
        with store.incoming() as incoming:
            network.fetch(url, incoming, wanted.limit, wanted.size)
            verify(incoming, wanted, url)
            return incoming.keep().read_bytes()

    yield run
    left = [path.name for path in store.blobs.glob("*") if path.name != DIGEST]
    assert not left, "only whole and verified files stay in the store"


def test_the_bytes_arrive(server, fetch, pauses):
    assert fetch(server.say(body(DATA))) == DATA
    assert len(server.seen) == 1 and not pauses
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_progress_goes_up_to_the_size(server, tmp_path):
    seen = []
    with Store(tmp_path).incoming() as incoming:
        Network().fetch(server.say(body(DATA)), incoming, 1 << 20, None, lambda *state: seen.append(state))
    assert seen[-1] == (len(DATA), len(DATA)) and seen == sorted(seen)


@pytest.mark.parametrize("fault", [
    status(403), status(408), status(429), status(500), status(503),
    body(DATA[:5000], length=len(DATA)), body(DATA[:5000], length=None), chunked_then_gone(DATA[:5000]),
    gone,
])
def test_what_may_pass_is_tried_again_from_the_first_byte(server, fetch, pauses, fault):
    assert fetch(server.say(fault, fault, body(DATA))) == DATA
    assert len(server.seen) == 3 and pauses == [0.1, 0.2]


@pytest.mark.parametrize("fault, reason", [
    (status(500), "HTTP 500 Internal Server Error, 8 tries"),
    (body(DATA[:5000], length=len(DATA)), "the connection broke off, 8 tries"),
    (body(DATA[:5000], length=None), f"the connection ended after 5000 of {len(DATA)} bytes, 8 tries"),
])
def test_eight_tries_and_no_more(server, fetch, pauses, fault, reason):
    with pytest.raises(FetchError) as caught:
        fetch(server.say(fault))
    assert caught.value.what == reason
    assert len(server.seen) == 8
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4])


@pytest.mark.parametrize("code", [400, 401, 404, 410, 204, 304])
def test_another_status_is_final(server, fetch, pauses, code):
    with pytest.raises(FetchError, match=f"HTTP {code}"):
        fetch(server.say(status(code)))
    assert len(server.seen) == 1 and not pauses


def test_retry_after_is_honoured_within_reason(server, fetch, pauses):
    assert fetch(server.say(status(429, Retry_After="3"), body(DATA))) == DATA
    assert pauses == [3.0]
    with pytest.raises(FetchError, match="HTTP 429 Too Many Requests, and asks to wait 3600 s"):
        fetch(server.say(status(429, Retry_After="3600"), path="/other"))
    assert pauses == [3.0]


def test_retry_after_as_a_date_or_nonsense():
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 61
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert [retry_after(text) for text in ("", "soon", "-5", "²")] == [0, 0, 0, 0]


def mismatch(fetch, url: str, wanted: Wanted = WANTED) -> MismatchError:
    with pytest.raises(MismatchError) as caught:
        fetch(url, wanted)
    return caught.value


@pytest.mark.parametrize("wrong", [b"X" + DATA[1:], DATA[:-1], DATA + b"x", b"something else"])
def test_a_mismatch_is_never_tried_again_and_tells_all(server, fetch, pauses, tmp_path, wrong):
    url = server.say(body(wrong))
    error = mismatch(fetch, url)
    assert len(server.seen) == 1 and not pauses
    got = hashlib.sha256(wrong).hexdigest()
    kept = tmp_path / "cache/rejected" / f"vmlinux.h-{got[:12]}"
    assert str(error).startswith("toolchain.toml:7: vmlinux.x86_64.sha256: ")
    more = " and more that were not read" if len(wrong) > len(DATA) else ""
    assert error.details == (
        f"from      {url}",
        f"expected  sha256 {DIGEST}, {len(DATA)} bytes",
        f"got       sha256 {got}, {len(wrong)} bytes{more}",
        f"kept      {kept}",
    )
    assert kept.read_bytes() == wrong


def test_no_more_than_the_pinned_size_is_read(server, fetch, tmp_path):
    error = mismatch(fetch, server.say(body(b"x" * (50 << 20))))
    assert "and more that were not read" in error.details[2]
    (kept,) = (tmp_path / "cache/rejected").iterdir()
    assert kept.stat().st_size <= len(DATA) + (1 << 16)


@pytest.mark.parametrize("length", [-1, None])
def test_a_page_of_a_proxy_is_named(server, fetch, length):
    page = b"\n<!DOCTYPE HTML><html><body>Please log in</body></html>"
    error = mismatch(fetch, server.say(body(page, length=length)))
    assert "is an HTML page" in error.what and "open the URL in a browser" in error.fix
    assert len(server.seen) == 1


@pytest.mark.parametrize("length", [-1, None])
def test_an_unresolved_symlink_is_named_with_the_url_to_pin(server, fetch, length):
    error = mismatch(fetch, server.say(body(b"vmlinux_6.19.h", length=length), path="/include/x86/vmlinux.h"))
    assert "only the file name 'vmlinux_6.19.h', an unresolved symlink" in error.what
    assert error.fix == f"pin the file that it points to: {server.url('/include/x86/vmlinux_6.19.h')}"


def test_a_wrong_size_with_the_right_digest_names_the_size(server, fetch):
    wanted = Wanted(WANTED.title, "vmlinux.h", WANTED.where, DIGEST, len(DATA) + 5)
    error = mismatch(fetch, server.say(body(DATA)), wanted)
    assert error.fix == f"write size = {len(DATA)}"


def test_a_pin_without_digest_prints_the_lines_to_paste_and_uses_nothing(server, fetch):
    wanted = Wanted(WANTED.title, "vmlinux.h", "toolchain.toml:4: vmlinux.x86_64")
    with pytest.raises(PinError) as caught:
        fetch(server.say(body(DATA)), wanted)
    assert caught.value.details == (f'sha256 = "{DIGEST}"', f"size = {len(DATA)}")
    mismatch(fetch, server.say(body(b"<html></html>"), path="/page"), wanted)


def test_gzip_in_spite_of_identity_is_undone(server, fetch):
    assert fetch(server.say(body(gzip.compress(DATA), Content_Encoding="gzip"))) == DATA


def test_damaged_gzip_is_tried_again(server, fetch, pauses):
    assert fetch(server.say(body(b"no gzip", Content_Encoding="gzip"), body(DATA))) == DATA
    assert pauses == [0.1]


def test_redirects_are_followed_but_not_for_ever(server, fetch, pauses):
    server.say(body(DATA), path="/there")
    assert fetch(server.say(status(302, Location="/there"))) == DATA
    with pytest.raises(FetchError, match="redirects more than 5 times"):
        fetch(server.say(status(301, Location="/loop"), path="/loop"))
    # Each try asks six times; a connection that this machine dropped by itself is tried again, after a pause.
    assert 6 <= server.seen.count("/loop") <= 6 * (1 + len(pauses))


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_elsewhere_is_refused(server, fetch, target):
    with pytest.raises(FetchError, match="redirects to .*, and a redirect must be to https"):
        fetch(server.say(status(302, Location=target)))
    assert len(server.seen) == 1


def test_a_redirect_from_https_to_http_is_refused():
    from ebpfbuild.fetch.http_get import _may_redirect

    assert not _may_redirect("https://a.example/x", "http://a.example/x")
    assert _may_redirect("https://a.example/x", "https://b.example/x")


def test_a_server_that_hangs_is_left(server, fetch):
    with pytest.raises(FetchError, match="no answer in time, 2 tries"):
        fetch(server.say(hang), window=0.2)


def test_a_server_that_trickles_is_left(server, fetch):
    began = time.monotonic()
    with pytest.raises(FetchError, match="is too slow"):
        fetch(server.say(trickle), window=0.3)
    assert time.monotonic() - began < 10


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize("host, reason", [
    ("127.0.0.1:{port}", "the connection is refused"), ("no-such-host.invalid", "the host name can't be resolved")])
def test_a_host_that_is_not_there_costs_two_tries_and_the_next_artifact_none(request, fetch, pauses, host, reason):
    if host.endswith(".invalid"):
        request.getfixturevalue("online")
    network = Network(sleep=pauses.append, chance=lambda: 1.0)
    url = f"http://{host.format(port=closed_port())}"
    with pytest.raises(FetchError) as caught:
        fetch(f"{url}/a", network=network)
    assert caught.value.what == f"{reason}, 2 tries" and pauses == [0.1]
    with pytest.raises(FetchError) as caught:
        fetch(f"{url}/b", network=network)
    assert caught.value.what == f"{reason} (a moment ago)" and pauses == [0.1]


def test_no_password_leaves_the_machine(server, fetch, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.say(body(DATA), path="/there")
    fetch(server.say(status(302, Location="/there")))
    assert len(server.headers) == 2
    assert not any("Authorization" in headers for headers in server.headers)


def test_the_proxy_of_the_environment_is_used(server, fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    server.say(body(DATA), path="http://origin.example/file")
    assert fetch("http://origin.example/file") == DATA


def test_a_proxy_that_is_not_there_is_named(fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(FetchError, match=r"the proxy http://127.0.0.1:\d+ \(http_proxy\) can't be reached or refuses; no_proxy names .*, 2 tries"):
        fetch("http://origin.example/file")


@given(st.binary(max_size=300))
def test_any_body_has_a_name_or_none(data):
    assert isinstance(wrong_body(data, len(data)), str)


def test_what_is_odd_and_what_is_not():
    assert wrong_body(b"", 0) == "an empty file"
    assert not wrong_body(b"#ifndef __VMLINUX_H__\n", 22)
    assert not wrong_body(b"word", 4)
    assert "symlink" in wrong_body(b"../x86/vmlinux.h\n", 17)
